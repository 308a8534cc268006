package master

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/atlhyper/observe/master/access"
	"github.com/atlhyper/observe/master/api"
	"github.com/atlhyper/observe/master/dashboard"
	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/shared/admin"
	"github.com/atlhyper/observe/shared/detail"
)

// Defaults of Config.
const (
	DefaultListen       = "127.0.0.1:8080"
	DefaultAdminListen  = "127.0.0.1:6060" // what the command takes; Config.Admin has none
	DefaultRedis        = "redis://127.0.0.1:6379/0"
	DefaultMaxRange     = detail.MaxRange
	DefaultTimeout      = api.DefaultTimeout
	DefaultMaxTimeout   = api.DefaultMaxTimeout
	DefaultMaxWaiters   = 1000
	DefaultMaxQueue     = 256
	DefaultMaxReply     = 16 << 20
	DefaultCacheBytes   = dashboard.DefaultCacheBytes
	DefaultMaxStreams   = api.DefaultMaxStreams
	DefaultDrainTimeout = 35 * time.Second // the longest request and some
)

// Config is what a Master needs. The zero value of a field means its default.
type Config struct {
	// Listen is the address of the HTTP API, host:port; port 0 takes a free one.
	// Default 127.0.0.1:8080.
	Listen string
	// Redis is the URL of the store, one of conn.URLForms. Default
	// redis://127.0.0.1:6379/0.
	Redis string
	// RedisAuth is the user and password, when they are not in the URL.
	RedisAuth conn.Auth
	// RedisTLS is for URLs with rediss.
	RedisTLS conn.TLS
	// Replica names this process among the masters in logs; replies are announced to
	// the name and a random part, since two that share one would take each other's.
	// 1 to 54 of a-z, 0-9, '-', '.', '_'. Default: the host name.
	Replica string

	// MaxRange is the longest time range of a request. Default 30 days.
	MaxRange time.Duration
	// Timeout is how long a detail request waits unless it says otherwise. Default 10 s.
	Timeout time.Duration
	// MaxTimeout bounds what a request may say. Default 30 s.
	MaxTimeout time.Duration

	// MaxWaiters bounds the detail requests that wait on this replica. Default 1,000.
	MaxWaiters int
	// MaxClusterWaiters bounds those that wait for one cluster. Default: a quarter of
	// MaxWaiters.
	MaxClusterWaiters int
	// MaxQueue bounds the commands of one cluster that no agent took yet. Default 256.
	MaxQueue int
	// MaxReplyBytes bounds one reply of an agent. Default 16 MiB.
	MaxReplyBytes int

	// CacheBytes bounds the dashboards and sections that are held in memory, in all
	// encodings and with the indexes of lists. Default 256 MiB.
	CacheBytes int64
	// MaxStreams bounds the event streams that are open on this replica, and a tenth of it,
	// at least 20, those of one caller where they are told apart. Default 1,000.
	MaxStreams int

	// DrainDelay is how long the replica goes on accepting while /readyz already
	// says that it ends, for load balancers that poll it. Default 0.
	DrainDelay time.Duration
	// DrainTimeout bounds how long requests under way may take to finish. Default 35 s.
	DrainTimeout time.Duration

	// Auth says how callers are told apart; its Metrics and Logger are the replica's.
	// Default: not at all, which must be on a loopback address.
	Auth access.Config
	// InsecureNoAuth lets it be on any.
	InsecureNoAuth bool
	// Guard is what protects the replica from those who ask.
	Guard Guard

	// MetricsListen is the address, host:port, of a listener for /metrics alone, without
	// credentials; port 0 takes a free one. Default: /metrics is beside the API, for those
	// who may see all clusters.
	MetricsListen string
	// OnMetricsListen, if set, is told the address once that listener answers.
	OnMetricsListen func(net.Addr)
	// Admin is the listener for who operates the replica. Default: none.
	Admin admin.Config

	// OnListen, if set, is told the address once connections are accepted.
	OnListen func(net.Addr)
	// TracerProvider makes spans of requests and of the commands that are sent for them.
	// Default: none; the trace of a caller then goes on with the command.
	TracerProvider trace.TracerProvider
	// Logger gets what happens. Default: nothing is logged.
	Logger *slog.Logger
}

// withDefaults fills in what is not set.
func (c Config) withDefaults() Config {
	setDefault(&c.Listen, DefaultListen)
	setDefault(&c.Redis, DefaultRedis)
	setDefault(&c.MaxRange, DefaultMaxRange)
	setDefault(&c.Timeout, DefaultTimeout)
	setDefault(&c.MaxTimeout, DefaultMaxTimeout)
	setDefault(&c.MaxWaiters, DefaultMaxWaiters)
	setDefault(&c.MaxQueue, DefaultMaxQueue)
	setDefault(&c.MaxReplyBytes, DefaultMaxReply)
	setDefault(&c.CacheBytes, DefaultCacheBytes)
	setDefault(&c.MaxStreams, DefaultMaxStreams)
	setDefault(&c.DrainTimeout, DefaultDrainTimeout)
	c.Guard.setDefaults()
	if c.Replica == "" {
		c.Replica = key.HostInstance("master")
	}
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

// Validate names the first field that cannot be used; New calls it with the
// defaults filled in.
func (c Config) Validate() error {
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		return fmt.Errorf("listen: %q is no host:port", c.Listen)
	}
	if err := c.beside().Validate(); err != nil {
		return err
	}
	if err := c.validateAuth(); err != nil {
		return err
	}
	if err := c.Guard.validate(); err != nil {
		return err
	}
	if err := key.ValidateInstance(c.Replica); err != nil {
		return fmt.Errorf("replica: %w", err)
	}
	if len(c.Replica) > key.MaxUnique {
		return fmt.Errorf("replica: is longer than %d characters", key.MaxUnique)
	}
	for _, d := range []struct {
		name           string
		value, low, up time.Duration
	}{
		{"max range", c.MaxRange, time.Minute, detail.MaxRangeHard},
		{"timeout", c.Timeout, time.Second, c.MaxTimeout},
		{"max timeout", c.MaxTimeout, time.Second, time.Minute},
		{"drain delay", c.DrainDelay, 0, 10 * time.Minute},
		{"drain timeout", c.DrainTimeout, 0, 10 * time.Minute},
	} {
		if d.value < d.low || d.value > d.up {
			return fmt.Errorf("%s: %s is not between %s and %s", d.name, d.value, d.low, d.up)
		}
	}
	if c.MaxWaiters < 0 || c.MaxClusterWaiters < 0 || c.MaxQueue < 0 || c.MaxReplyBytes < 0 || c.CacheBytes < 0 || c.MaxStreams < 0 {
		return errors.New("max waiters, max cluster waiters, max queue, max reply bytes, cache bytes and max streams must not be negative")
	}
	return nil
}
