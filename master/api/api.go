// Package api is the HTTP API of a master: routes, parameters, and what an error
// code is in HTTP. It knows neither Redis nor how answers come to be.
package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/atlhyper/observe/master/access"
	"github.com/atlhyper/observe/master/audit"
	"github.com/atlhyper/observe/master/compress"
	"github.com/atlhyper/observe/master/dashboard"
	"github.com/atlhyper/observe/master/dispatch"
	"github.com/atlhyper/observe/master/peer"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/metric"
	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/model"
	"github.com/atlhyper/observe/shared/span"
)

// Prefix starts the path of every endpoint but the probes.
const Prefix = "/api/v2"

// Bounds of a request.
const (
	MaxURL  = 8 << 10  // bytes of path and query
	MaxBody = 64 << 10 // bytes of a request body
)

// Defaults of Config.
const (
	DefaultTimeout      = 10 * time.Second
	DefaultMaxTimeout   = 30 * time.Second
	DefaultReadyTimeout = time.Second
	DefaultMaxStreams   = 1000
	DefaultHeartbeat    = 15 * time.Second
	DefaultStreamWait   = 10 * time.Second
)

// Dashboards answers from the snapshots; dashboard.Service does.
type Dashboards interface {
	Section(context.Context, key.Cluster, model.Section) (*dashboard.Answer, error)
	// Subscribe signals when an answer of these may be another one, until stop is called.
	Subscribe(key.Cluster, []model.Section) (changed <-chan struct{}, stop func())
	Clusters(context.Context) ([]dashboard.Cluster, error)
	Cluster(context.Context, key.Cluster) (dashboard.Cluster, error)
	// Held is Cluster without asking Redis, with the sections that are held; false when
	// it cannot say.
	Held(key.Cluster) (dashboard.Cluster, bool)
	Fleet(context.Context) (dashboard.Fleet, error)
}

// Details runs requests on a cluster's agents; dispatch.Dispatcher does.
type Details interface {
	Do(context.Context, dispatch.Request) ([]byte, error)
}

// Config is what an API needs.
type Config struct {
	Dashboards Dashboards // required
	Details    Details    // required
	// Access tells who calls. nil means access.None: all may do all.
	Access access.Authenticator
	// Ready says whether Redis can be reached. Required.
	Ready func(context.Context) error
	// Now is the clock of the Redis server that holds the cluster ("": the list of
	// clusters): its ages are measured and relative time ranges end on it. Required.
	Now func(key.Cluster) time.Time
	// MaxRange is the longest time range of a request, at most
	// detail.MaxRangeHard; 0 means 30 days.
	MaxRange time.Duration
	// Timeout is how long a detail request waits unless it says otherwise; 0 means 10 s.
	Timeout time.Duration
	// MaxTimeout bounds what a request may say; 0 means 30 s.
	MaxTimeout time.Duration
	// ReadyTimeout bounds the check of /readyz; 0 means 1 s.
	ReadyTimeout time.Duration
	// MaxStreams bounds the event streams that are open, and a tenth of it, at least 20,
	// those of one caller where they are told apart; 0 means 1,000.
	MaxStreams int
	// Limits say how often callers may ask. The zero value limits nothing.
	Limits Limits
	// Proxies are trusted to say who asks, and whether by TLS. The zero value trusts none.
	Proxies peer.Proxies
	// Origins are those whose pages may read answers, with the credentials of their
	// visitors: exact, such as https://dash.example.org. nil means none but our own.
	Origins []string
	// Audit gets a line of each detail request and each refusal. nil means that nobody
	// does.
	Audit *audit.Log
	// Heartbeat is between two signs of life on a stream; 0 means 15 s.
	Heartbeat time.Duration
	// StreamWait is how long a stream's caller may take to read a piece of what it is
	// sent, before it is dropped; 0 means 10 s.
	StreamWait time.Duration
	// Compressor makes the compressed forms of what is no dashboard; nil makes one of
	// its own.
	Compressor *compress.Compressor
	// Metrics gets what the API counts. nil means none.
	Metrics prometheus.Registerer
	// ServeMetrics answers /metrics. nil means that there is no such endpoint.
	ServeMetrics http.Handler
	// TracerProvider makes a span of each request but those of probes. nil makes none; the
	// caller's trace then goes on with a detail.
	TracerProvider trace.TracerProvider
	// Logger gets every request at debug and failures of the server at warn. Required.
	Logger *slog.Logger
}

// API is the handler of all routes.
type API struct {
	cfg        Config
	log        *slog.Logger
	router     *chi.Mux
	fixed      map[string]*endpoint // by path: what router need not match
	none       *endpoint            // what is no endpoint
	anyone     *access.Caller       // all callers, when they are not told apart
	nobody     *access.Caller       // who a request is from before that is known
	compressor *compress.Compressor
	metrics    *metrics
	tracer     trace.Tracer
	values     headerValues
	// crossOrigin knows what pages of other origins sent. Those of Config.Origins may.
	crossOrigin *http.CrossOriginProtection
	origins     origins
	registered  []registered
	// description is made when somebody asks for it first.
	description func() (*dashboard.Answer, error)
	limited     limited
	streams     streams
	readiness   readiness
	drained     chan struct{} // closed by Drain
	drain       sync.Once
}

// New returns the API.
func New(cfg Config) (*API, error) {
	if cfg.Dashboards == nil || cfg.Details == nil || cfg.Ready == nil || cfg.Now == nil || cfg.Logger == nil {
		return nil, errors.New("api: Dashboards, Details, Ready, Now and Logger are required")
	}
	defaults(&cfg)
	switch {
	case cfg.MaxRange < minRange || cfg.MaxRange > detail.MaxRangeHard:
		return nil, fmt.Errorf("api: MaxRange: %s is not between %s and %s", cfg.MaxRange, minRange, detail.MaxRangeHard)
	case cfg.Timeout < 0 || cfg.Timeout > cfg.MaxTimeout:
		return nil, fmt.Errorf("api: Timeout: %s is not between 0 and MaxTimeout, %s", cfg.Timeout, cfg.MaxTimeout)
	case cfg.MaxStreams < 0 || cfg.Heartbeat < 0 || cfg.StreamWait < 0:
		return nil, errors.New("api: MaxStreams, Heartbeat and StreamWait must not be negative")
	}
	if cfg.Compressor == nil {
		var err error
		if cfg.Compressor, err = compress.New(); err != nil {
			return nil, fmt.Errorf("api: %w", err)
		}
	}
	metrics, err := newMetrics(cfg.Metrics)
	if err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	a := &API{
		cfg: cfg, log: cfg.Logger, compressor: cfg.Compressor, metrics: metrics, drained: make(chan struct{}),
		nobody: access.Nobody(), tracer: span.Tracer(cfg.TracerProvider, tracerName),
	}
	if cfg.Access.Mode() == access.ModeNone {
		a.anyone = access.Anyone()
	}
	if a.origins, err = parseOrigins(cfg.Origins); err != nil {
		return nil, fmt.Errorf("api: Origins: %w", err)
	}
	a.crossOrigin = http.NewCrossOriginProtection()
	for _, origin := range cfg.Origins {
		if err := a.crossOrigin.AddTrustedOrigin(origin); err != nil {
			return nil, fmt.Errorf("api: Origins: %w", err)
		}
	}
	a.values = newHeaderValues(a.anyone == nil, len(a.origins) > 0)
	if err := metric.Register(cfg.Metrics, slices.Concat(a.streams.rows(), a.limited.rows())); err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	a.routes()
	a.description = sync.OnceValues(a.describe)
	return a, nil
}

func defaults(cfg *Config) {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&cfg.MaxRange, detail.MaxRange},
		{&cfg.Timeout, DefaultTimeout},
		{&cfg.MaxTimeout, DefaultMaxTimeout},
		{&cfg.ReadyTimeout, DefaultReadyTimeout},
		{&cfg.Heartbeat, DefaultHeartbeat},
		{&cfg.StreamWait, DefaultStreamWait},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if cfg.Access == nil {
		cfg.Access = access.None{}
	}
	if cfg.MaxStreams == 0 {
		cfg.MaxStreams = DefaultMaxStreams
	}
}

// Drain makes /readyz say that the replica takes no more work, and ends the event
// streams, whose callers then go to another. Everything else still answers.
func (a *API) Drain() { a.drain.Do(func() { close(a.drained) }) }

func (a *API) isDraining() bool {
	select {
	case <-a.drained:
		return true
	default:
		return false
	}
}
