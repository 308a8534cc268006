// Package balance is a small round-robin balancer over the masters of the demo.
// It exists to show that killing a master fails no request: what cannot reach
// one replica, or is cut while its answer is read, is asked of the next. In
// production any HTTP balancer does the work of spreading; see README.md.
package balance

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/atlhyper/observe/shared/httpserver"
)

// Config says what is balanced. The zero value of a field means its default.
type Config struct {
	// Listen is the address, host:port; port 0 takes a free one. Required.
	Listen string
	// Backends are the base URLs of the masters, scheme and host. Required.
	Backends []*url.URL
	// MaxBuffer is how much of a response is held back until it is complete, so
	// that a cut one can be asked of another backend, in bytes. Larger ones are
	// passed on as they come. Default 16 MiB.
	MaxBuffer int64
	// MaxBody bounds the body of a request, in bytes. Default 64 KiB.
	MaxBody int64
	// Rest is how long a backend that failed comes last. Default 1 s.
	Rest time.Duration
	// CheckInterval is between two checks of /readyz. Default 1 s.
	CheckInterval time.Duration
	// HeaderTimeout is how long a backend may take until its answer begins.
	// Default 40 s: longer than a master's longest wait.
	HeaderTimeout time.Duration
	// DrainTimeout bounds how long requests may finish at the end. Default 10 s:
	// net/http waits 5 s for a connection that was opened and never used.
	DrainTimeout time.Duration
	// OnListen, if set, is told the address once connections are accepted.
	OnListen func(net.Addr)
	// Logger gets what happens. Default: nothing is logged.
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	setDefault(&c.MaxBuffer, 16<<20)
	setDefault(&c.MaxBody, 64<<10)
	setDefault(&c.Rest, time.Second)
	setDefault(&c.CheckInterval, time.Second)
	setDefault(&c.HeaderTimeout, 40*time.Second)
	setDefault(&c.DrainTimeout, 10*time.Second)
	if c.OnListen == nil {
		c.OnListen = func(net.Addr) {}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func (c Config) validate() error {
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		return fmt.Errorf("listen: %q is no host:port", c.Listen)
	}
	if len(c.Backends) == 0 {
		return errors.New("backends: at least one is required")
	}
	for _, b := range c.Backends {
		if b.Host == "" || b.Scheme != "http" && b.Scheme != "https" {
			return fmt.Errorf("backends: %q is no base URL such as http://127.0.0.1:8081", b.Redacted())
		}
	}
	if min(c.MaxBuffer, c.MaxBody) < 0 || min(c.Rest, c.CheckInterval, c.HeaderTimeout, c.DrainTimeout) < 0 {
		return errors.New("bounds must not be negative")
	}
	return nil
}

// Balancer spreads requests over backends.
type Balancer struct {
	cfg       Config
	backends  []*backend
	next      atomic.Uint64
	transport *http.Transport
}

// New checks the configuration.
func New(cfg Config) (*Balancer, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("balance: %w", err)
	}
	b := &Balancer{cfg: cfg, transport: &http.Transport{
		DialContext:           (&net.Dialer{Timeout: 2 * time.Second}).DialContext,
		MaxIdleConnsPerHost:   64,
		IdleConnTimeout:       time.Minute,
		ResponseHeaderTimeout: cfg.HeaderTimeout,
		DisableCompression:    true, // bodies pass as they are
	}}
	for _, u := range cfg.Backends {
		b.backends = append(b.backends, &backend{url: u})
	}
	return b, nil
}

// Run serves until ctx is done, then finishes the requests under way.
func (b *Balancer) Run(ctx context.Context) error {
	defer b.transport.CloseIdleConnections()
	var listen net.ListenConfig
	listener, err := listen.Listen(ctx, "tcp", b.cfg.Listen)
	if err != nil {
		return fmt.Errorf("balance: %w", err)
	}
	b.cfg.OnListen(listener.Addr())

	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		server := &http.Server{
			Handler:           b,
			ReadHeaderTimeout: 5 * time.Second,
			ReadTimeout:       10 * time.Second,
			IdleTimeout:       time.Minute,
			MaxHeaderBytes:    64 << 10,
			ErrorLog:          slog.NewLogLogger(b.cfg.Logger.Handler(), slog.LevelDebug),
		}
		return httpserver.Run(ctx, server, listener, b.cfg.DrainTimeout)
	})
	group.Go(func() error {
		b.check(ctx)
		return nil
	})
	if err := group.Wait(); err != nil {
		return fmt.Errorf("balance: %w", err)
	}
	return nil
}
