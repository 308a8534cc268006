// Command master is a replica of the web API: it reads Redis and never talks to
// a cluster.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/alecthomas/kong"
	"go.opentelemetry.io/otel/trace"

	"github.com/atlhyper/observe/cmd/internal/cli"
	"github.com/atlhyper/observe/cmd/internal/redisflags"
	"github.com/atlhyper/observe/master"
	"github.com/atlhyper/observe/master/access"
	"github.com/atlhyper/observe/master/api"
	"github.com/atlhyper/observe/redis/conn"
)

// flags are also read from the environment: --max-range is ATLHYPER_MAX_RANGE.
type flags struct {
	Listen string `help:"Address of the HTTP API." default:"${listen}" placeholder:"HOST:PORT"`
	redisflags.Conn
	Replica string `help:"Name of this process among the masters; by default the host name." placeholder:"NAME"`

	MaxRange   duration `help:"Longest time range of a request." default:"${max_range}"`
	Timeout    duration `help:"How long a detail request waits unless it says otherwise." default:"${timeout}"`
	MaxTimeout duration `help:"Longest wait that a detail request may ask for." default:"${max_timeout}"`

	MaxWaiters        int `help:"Detail requests that may wait on this replica." default:"${max_waiters}"`
	MaxClusterWaiters int `help:"Those that may wait for one cluster; 0: a quarter of all." default:"0"`
	MaxQueue          int `help:"Commands of one cluster that no agent took yet." default:"${max_queue}"`
	MaxReplyBytes     int `help:"Bytes of one reply of an agent." default:"${max_reply}"`

	CacheBytes int64 `help:"Bytes of dashboards and Kubernetes sections held in memory, in all encodings and with the indexes of lists." default:"${cache_bytes}"`

	MaxStreams int `help:"Event streams that may be open on this replica." default:"${max_streams}"`

	DrainDelay   time.Duration `help:"How long to go on accepting at the end, while /readyz already fails." default:"0s"`
	DrainTimeout time.Duration `help:"How long requests under way may take to finish at the end." default:"${drain_timeout}"`

	authFlags

	CallerRate     *float64 `help:"Requests per second of one caller on this replica; a detail counts as ${detail_tokens}. 0: any. By default ${caller_rate}, or any with --auth=none." placeholder:"N"`
	ClusterRate    *float64 `help:"Detail requests per second for one cluster on this replica. 0: any. By default ${cluster_rate}, or any with --auth=none." placeholder:"N"`
	TrustedProxies []string `help:"Networks of proxies whose X-Forwarded-For and X-Forwarded-Proto count." placeholder:"10.0.0.0/8"`
	CorsOrigins    []string `help:"Origins whose pages may read answers, exact: https://dash.example.org." placeholder:"ORIGIN"`
	AuditLog       string   `help:"Where detail requests and refusals are written, as lines of JSON: stderr, off, or a file, which is appended to and never renamed (logrotate: copytruncate)." default:"stderr" placeholder:"stderr|off|PATH"`
	MaxConnections int      `help:"Connections that may be open; more wait." default:"${max_connections}"`

	MetricsListen string `help:"Address of a listener for /metrics alone, without credentials; by default it is beside the API." placeholder:"HOST:PORT"`

	cli.Admin
	cli.Log

	Version kong.VersionFlag `help:"Print the version and exit." env:"-"`
}

// duration is a flag that takes days, too: 30d.
type duration time.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *duration) UnmarshalText(text []byte) error {
	value, err := api.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%.40q %w", text, err)
	}
	*d = duration(value)
	return nil
}

func main() {
	var f flags
	kong.Parse(&f, options()...)
	cli.Main(func(ctx context.Context) error { return run(ctx, f) })
}

func run(ctx context.Context, f flags) error {
	logger, level := f.Adjustable()
	conn.LibraryLog(logger)
	return cli.Traced(ctx, "atlhyper-master", logger, func(provider trace.TracerProvider) error {
		cfg := f.config(logger, level)
		cfg.TracerProvider = provider
		m, err := master.New(cfg)
		if err != nil {
			return err
		}
		return m.Run(ctx)
	})
}

// config is what the flags say.
func (f flags) config(logger *slog.Logger, level *slog.LevelVar) master.Config {
	return master.Config{
		Listen:            f.Listen,
		Redis:             f.Redis,
		RedisAuth:         f.Auth(),
		RedisTLS:          f.TLS(),
		Replica:           f.Replica,
		MaxRange:          time.Duration(f.MaxRange),
		Timeout:           time.Duration(f.Timeout),
		MaxTimeout:        time.Duration(f.MaxTimeout),
		MaxWaiters:        f.MaxWaiters,
		MaxClusterWaiters: f.MaxClusterWaiters,
		MaxQueue:          f.MaxQueue,
		MaxReplyBytes:     f.MaxReplyBytes,
		CacheBytes:        f.CacheBytes,
		MaxStreams:        f.MaxStreams,
		DrainDelay:        f.DrainDelay,
		DrainTimeout:      f.DrainTimeout,
		Auth:              f.access(),
		InsecureNoAuth:    f.InsecureNoAuth,
		Guard:             f.guard(),
		MetricsListen:     f.MetricsListen,
		Admin:             f.AdminConfig(level),
		Logger:            logger,
	}
}

func (f flags) guard() master.Guard {
	return master.Guard{
		CallerRate:     rate(f.CallerRate),
		ClusterRate:    rate(f.ClusterRate),
		TrustedProxies: f.TrustedProxies,
		Origins:        f.CorsOrigins,
		AuditLog:       f.AuditLog,
		MaxConnections: f.MaxConnections,
	}
}

// rate is that of a flag, in which 0 means any.
func rate(given *float64) float64 {
	switch {
	case given == nil:
		return 0
	case *given == 0:
		return master.NoLimit
	default:
		return *given
	}
}

func options() []kong.Option {
	return cli.Options("master", "The web API of AtlHyper Observe: serves from Redis what the agents of all clusters put there.", defaults())
}

func defaults() kong.Vars {
	return kong.Vars{
		"listen":        master.DefaultListen,
		"admin_listen":  master.DefaultAdminListen,
		"redis":         master.DefaultRedis,
		"max_range":     api.FormatDuration(master.DefaultMaxRange),
		"timeout":       api.FormatDuration(master.DefaultTimeout),
		"max_timeout":   api.FormatDuration(master.DefaultMaxTimeout),
		"max_waiters":   strconv.Itoa(master.DefaultMaxWaiters),
		"max_queue":     strconv.Itoa(master.DefaultMaxQueue),
		"max_reply":     strconv.Itoa(master.DefaultMaxReply),
		"cache_bytes":   strconv.FormatInt(master.DefaultCacheBytes, 10),
		"max_streams":   strconv.Itoa(master.DefaultMaxStreams),
		"drain_timeout": master.DefaultDrainTimeout.String(),

		"skew":     access.DefaultSkew.String(),
		"max_skew": access.MaxSkew.String(),

		"caller_rate":     strconv.FormatFloat(master.DefaultCallerRate, 'f', -1, 64),
		"cluster_rate":    strconv.FormatFloat(master.DefaultClusterRate, 'f', -1, 64),
		"detail_tokens":   strconv.Itoa(api.DetailTokens),
		"max_connections": strconv.Itoa(master.DefaultMaxConnections),
	}
}
