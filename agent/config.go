package agent

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/atlhyper/observe/agent/clickhouse"
	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/shared/admin"
)

// Defaults of Config.
const (
	DefaultRedis          = "redis://127.0.0.1:6379/0"
	DefaultInterval       = 10 * time.Second
	DefaultSectionTimeout = 8 * time.Second
	DefaultSlots          = 16
	DefaultMaxReply       = 16 << 20
	DefaultCompressAbove  = 256 << 10
	// DefaultAdminListen is what the command takes; Config.Admin has none.
	DefaultAdminListen = "127.0.0.1:6061"
)

// Config is what an Agent needs. The zero value of a field means its default.
type Config struct {
	// ClusterID names the cluster: 1 to 63 of a-z, 0-9 and '-'. Required; Identified
	// asks Kubernetes for one.
	ClusterID string
	// Instance names this process among the cluster's agents: 1 to 54 of a-z, 0-9,
	// '-', '.', '_'. What lies in Redis has a random part after it, since two that
	// share a name would take each other's commands for their own. Default: the host
	// name.
	Instance string
	// Version is this build; masters show it.
	Version string
	// Redis is the URL of the store, one of conn.URLForms. Default
	// redis://127.0.0.1:6379/0.
	Redis string
	// RedisAuth is the user and password, when they are not in the URL.
	RedisAuth conn.Auth
	// RedisTLS is for URLs with rediss.
	RedisTLS conn.TLS
	// ClickHouse is where the telemetry is. Its DSN is required; its Logger is
	// Config.Logger if it has none, its NodeNames those of Kubernetes.
	ClickHouse clickhouse.Config
	// Source, if set, takes the place of ClickHouse: simulated agents have one.
	Source Source
	// Kubernetes is the API of the cluster that the agent is in; the agent runs it, once.
	// nil means none, and no k8s sections.
	Kubernetes Kubernetes
	// Elect returns the Election in which the instance takes part among the agents of
	// the cluster; the agent runs it. nil means none: Redis alone decides then which
	// agent publishes, and all collect.
	Elect func(cluster, instance string) (Election, error)

	// Interval is between two collections. Default 10 s.
	Interval time.Duration
	// SectionTimeout bounds the collection of one section. Default 8 s.
	SectionTimeout time.Duration
	// CompressAbove is the size in bytes above which a section is stored as zstd;
	// negative never compresses. k8s sections are from 64 KiB on, or from CompressAbove
	// if that is less. Default 256 KiB.
	CompressAbove int
	// Slots is how many commands run side by side. Default 16.
	Slots int
	// MaxReplyBytes bounds the reply to a command. Default 16 MiB.
	MaxReplyBytes int

	// MetricsListen is the address, host:port, where /metrics answers Prometheus, to
	// anyone who can reach it; port 0 takes a free one. Default: nowhere.
	MetricsListen string
	// OnMetricsListen, if set, is told the address once /metrics answers.
	OnMetricsListen func(net.Addr)
	// Admin is the listener for who operates the agent. Default: none.
	Admin admin.Config

	// TracerProvider makes spans of commands and their statements, and a trace of each
	// collection of a section. Default: none; the trace that a command carries then goes on
	// into the log.
	TracerProvider trace.TracerProvider
	// Logger gets what happens. Default: nothing is logged.
	Logger *slog.Logger

	metrics prometheus.Registerer // gets what parts of the agent count
}

func (c Config) withDefaults() Config {
	setDefault(&c.Redis, DefaultRedis)
	setDefault(&c.Version, "unknown")
	setDefault(&c.Interval, DefaultInterval)
	setDefault(&c.SectionTimeout, DefaultSectionTimeout)
	setDefault(&c.CompressAbove, DefaultCompressAbove)
	setDefault(&c.Slots, DefaultSlots)
	setDefault(&c.MaxReplyBytes, DefaultMaxReply)
	if c.Instance == "" {
		c.Instance = key.HostInstance("agent")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.ClickHouse.Logger == nil {
		c.ClickHouse.Logger = c.Logger
	}
	if c.ClickHouse.TracerProvider == nil {
		c.ClickHouse.TracerProvider = c.TracerProvider
	}
	if c.ClickHouse.NodeNames == nil && c.Kubernetes != nil {
		c.ClickHouse.NodeNames = c.Kubernetes.NodeNames
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
	if err := errors.Join(key.ValidateCluster(c.ClusterID), key.ValidateInstance(c.Instance)); err != nil {
		return err
	}
	return c.validateBounds()
}

// validateBounds leaves the names out.
func (c Config) validateBounds() error {
	if err := c.beside().Validate(); err != nil {
		return err
	}
	if len(c.Instance) > key.MaxUnique {
		return fmt.Errorf("instance: is longer than %d characters", key.MaxUnique)
	}
	for _, d := range []struct {
		name           string
		value, low, up time.Duration
	}{
		{"interval", c.Interval, time.Second, time.Hour},
		{"section timeout", c.SectionTimeout, 100 * time.Millisecond, 5 * time.Minute},
	} {
		if d.value < d.low || d.value > d.up {
			return fmt.Errorf("%s: %s is not between %s and %s", d.name, d.value, d.low, d.up)
		}
	}
	for _, n := range []struct {
		name           string
		value, low, up int
	}{
		{"slots", c.Slots, 1, 1024},
		{"max reply bytes", c.MaxReplyBytes, 64 << 10, 256 << 20},
	} {
		if n.value < n.low || n.value > n.up {
			return fmt.Errorf("%s: %d is not between %d and %d", n.name, n.value, n.low, n.up)
		}
	}
	return nil
}
