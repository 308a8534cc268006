package master

import (
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"

	"github.com/atlhyper/observe/master/access"
	"github.com/atlhyper/observe/master/api"
	"github.com/atlhyper/observe/master/audit"
	"github.com/atlhyper/observe/master/limit"
	"github.com/atlhyper/observe/master/peer"
	"github.com/atlhyper/observe/redis/key"
)

// NoLimit is a rate that limits nothing.
const NoLimit = -1

// Defaults of Guard.
const (
	DefaultCallerRate     = 100.0 // where callers are told apart; otherwise NoLimit
	DefaultClusterRate    = 50.0  // the same
	DefaultMaxConnections = 10_000
)

// burst is for how long somebody may ask at once what the rate allows over time.
const burst = 2 * time.Second

// An address may try so many different credentials that are none at once, and one more
// each triesEvery.
const (
	tries      = 10
	triesEvery = 6 * time.Second
)

// Guard is what protects a replica from those who ask. The zero value of a field means
// its default.
type Guard struct {
	// CallerRate is how many requests a caller may make per second; a detail counts as
	// api.DetailTokens. It is of this replica: of N, a caller gets up to N times as much.
	// Default: 100, or NoLimit where callers are not told apart; if it is given there, it
	// goes by address.
	CallerRate float64
	// ClusterRate is how many detail requests per second a cluster may get from this
	// replica, from all callers together. Default: 50, or NoLimit where callers are not
	// told apart.
	ClusterRate float64
	// TrustedProxies are the networks, 10.0.0.0/8, of proxies whose X-Forwarded-For and
	// X-Forwarded-Proto count. Default: none.
	TrustedProxies []string
	// Origins are those whose pages may read answers: https://dash.example.org. Default:
	// none but the master's own.
	Origins []string
	// AuditLog is where detail requests and refusals are written: stderr, off, or the path
	// of a file. Default: off.
	AuditLog string
	// MaxConnections bounds the connections that are open; more wait until one ends.
	// Default 10,000.
	MaxConnections int
}

func (g *Guard) setDefaults() { setDefault(&g.MaxConnections, DefaultMaxConnections) }

func (g *Guard) validate() error {
	for name, rate := range map[string]float64{"caller rate": g.CallerRate, "cluster rate": g.ClusterRate} {
		if rate != NoLimit && !(rate >= 0 && rate <= limit.MaxRate) { // also refuses NaN
			return fmt.Errorf("%s: %v is not between 0 and %d a second", name, rate, limit.MaxRate)
		}
	}
	if _, err := peer.ParseProxies(g.TrustedProxies); err != nil {
		return fmt.Errorf("trusted proxies: %w", err)
	}
	if g.MaxConnections < 0 {
		return fmt.Errorf("max connections: %d is negative", g.MaxConnections)
	}
	return nil
}

// limits are those of the rates, and of tried credentials where there are any.
func (g *Guard) limits(mode access.Mode) (l api.Limits, err error) {
	perCaller, perCluster := g.CallerRate, g.ClusterRate
	if mode != access.ModeNone {
		setDefault(&perCaller, DefaultCallerRate)
		setDefault(&perCluster, DefaultClusterRate)
		if l.Failures, err = limit.NewFailures(limit.Config{Rate: 1 / triesEvery.Seconds(), Burst: tries}); err != nil {
			return api.Limits{}, err
		}
	}
	if l.Callers, err = buckets[string](perCaller, api.DetailTokens); err != nil {
		return api.Limits{}, err
	}
	l.Clusters, err = buckets[key.Cluster](perCluster, 1)
	return l, err
}

// buckets hold the tokens of a burst, and at least those of the dearest request.
func buckets[K comparable](rate float64, dearest int) (*limit.Buckets[K], error) {
	if rate <= 0 {
		return nil, nil //nolint:nilnil // nil Buckets limit nothing
	}
	return limit.New[K](limit.Config{Rate: rate, Burst: max(dearest, int(math.Ceil(rate*burst.Seconds())))})
}

// guard fills in what the API needs of it, and opens the audit log.
func (m *Master) guard(cfg *api.Config) (err error) {
	g := &m.cfg.Guard
	mode := access.ModeNone
	if cfg.Access != nil {
		mode = cfg.Access.Mode()
	}
	if cfg.Limits, err = g.limits(mode); err != nil {
		return err
	}
	if cfg.Proxies, err = peer.ParseProxies(g.TrustedProxies); err != nil {
		return err
	}
	cfg.Origins = g.Origins
	m.audit, err = audit.Open(audit.Config{To: g.AuditLog, Metrics: m.metrics, Logger: m.cfg.Logger})
	cfg.Audit = m.audit
	return err
}

// bounds are what a connection may take, whoever is at its other end.
type bounds struct {
	readHeader  time.Duration // for the headers of a request
	read        time.Duration // for all of it
	write       time.Duration // for the answer, from the end of the headers
	idle        time.Duration // between two requests
	headerBytes int           // of the request line and the headers; net/http adds 4 KiB
	connections int           // at once
}

func boundsOf(cfg Config) bounds {
	return bounds{
		readHeader:  5 * time.Second,
		read:        10 * time.Second,
		write:       cfg.MaxTimeout + 30*time.Second, // beyond the longest wait: to write a large answer
		idle:        2 * time.Minute,
		headerBytes: 32 << 10,
		connections: cfg.Guard.MaxConnections,
	}
}

// server is what serves the API, and its listener, within the bounds. Beyond the bound of
// connections none is accepted until one ends: the kernel keeps those that come waiting.
func (b bounds) server(handler http.Handler, listener net.Listener, logger *slog.Logger) (*http.Server, net.Listener) {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: b.readHeader,
		ReadTimeout:       b.read,
		WriteTimeout:      b.write,
		IdleTimeout:       b.idle,
		MaxHeaderBytes:    b.headerBytes,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}, netutil.LimitListener(listener, b.connections)
}
