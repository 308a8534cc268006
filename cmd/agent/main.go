// Command agent is the agent of one cluster: it reads the cluster's ClickHouse and
// its Kubernetes API, and talks to Redis.
package main

import (
	"context"
	"maps"
	"strconv"
	"time"

	"github.com/alecthomas/kong"
	"go.opentelemetry.io/otel/trace"

	"github.com/atlhyper/observe/agent"
	"github.com/atlhyper/observe/agent/kube"
	"github.com/atlhyper/observe/cmd/internal/chflags"
	"github.com/atlhyper/observe/cmd/internal/cli"
	"github.com/atlhyper/observe/cmd/internal/redisflags"
	"github.com/atlhyper/observe/redis/conn"
)

// flags are also read from the environment: --cluster-id is ATLHYPER_CLUSTER_ID.
type flags struct {
	ClusterID string `help:"Name of the cluster: 1 to 63 of a-z, 0-9 and '-'; by default the UID of its namespace kube-system, where Kubernetes is read." placeholder:"ID"`
	Instance  string `help:"Name of this process among the cluster's agents, to which it adds a random part; by default the host name." placeholder:"NAME"`
	chflags.Flags
	redisflags.Conn

	Kubernetes string `help:"Whether to read the Kubernetes API: on, off, or auto: in a pod, or with --kubeconfig." enum:"auto,on,off" default:"auto"`
	Kubeconfig string `help:"kubeconfig file that says how; by default the service account of the pod." placeholder:"PATH"`

	Interval       time.Duration `help:"Time between two collections." default:"${interval}"`
	SectionTimeout time.Duration `help:"Longest collection of one section." default:"${section_timeout}"`
	Slots          int           `help:"Commands that run side by side." default:"${slots}"`
	MaxReplyBytes  int           `help:"Bytes of the reply to a command." default:"${max_reply}"`
	CompressAbove  int           `help:"Bytes above which a section is stored as zstd; negative: never." default:"${compress_above}"`
	MetricsListen  string        `help:"Address of /metrics for Prometheus; by default it is not served." placeholder:"HOST:PORT"`

	cli.Admin
	cli.Log

	Version kong.VersionFlag `help:"Print the version and exit." env:"-"`
}

func main() {
	var f flags
	kong.Parse(&f, options()...)
	cli.Main(func(ctx context.Context) error { return run(ctx, f) })
}

func run(ctx context.Context, f flags) error {
	logger, level := f.Adjustable()
	conn.LibraryLog(logger)
	cfg := agent.Config{
		ClusterID:      f.ClusterID,
		Instance:       f.Instance,
		Version:        cli.Version(),
		Redis:          f.Redis,
		RedisAuth:      f.Auth(),
		RedisTLS:       f.TLS(),
		ClickHouse:     f.Config(),
		Interval:       f.Interval,
		SectionTimeout: f.SectionTimeout,
		CompressAbove:  f.CompressAbove,
		Slots:          f.Slots,
		MaxReplyBytes:  f.MaxReplyBytes,
		MetricsListen:  f.MetricsListen,
		Admin:          f.AdminConfig(level),
		Logger:         logger,
	}
	if err := f.kubernetes(&cfg); err != nil {
		return err
	}
	return cli.Traced(ctx, "atlhyper-agent", logger, func(provider trace.TracerProvider) error {
		cfg.TracerProvider = provider
		return agent.Run(ctx, cfg)
	})
}

// kubernetes adds the Kubernetes API that the flags ask for, if any, and the election
// that is held there.
func (f flags) kubernetes(cfg *agent.Config) error {
	if f.Kubernetes == "off" {
		return nil
	}
	api, err := kube.Connect(f.Kubeconfig)
	switch {
	case err != nil && f.Kubernetes == "auto" && f.Kubeconfig == "":
		cfg.Logger.Info("Kubernetes is not read; --kubernetes=on makes that an error", "reason", err)
		return nil
	case err != nil:
		return err
	}
	namespace, err := kube.Namespace(f.Kubeconfig)
	if err != nil {
		return err
	}
	cluster, err := kube.New(kube.Config{API: api, Logger: cfg.Logger})
	if err != nil {
		return err
	}
	logger := cfg.Logger
	cfg.Kubernetes = cluster
	cfg.Elect = func(id, instance string) (agent.Election, error) {
		return kube.NewElection(kube.ElectionConfig{
			API: api, Namespace: namespace, Cluster: id, Instance: instance, Logger: logger,
		})
	}
	return nil
}

func options() []kong.Option {
	return cli.Options("agent", "The agent of one cluster: publishes its dashboards to Redis and answers detail queries.", defaults())
}

func defaults() kong.Vars {
	vars := chflags.Defaults()
	maps.Copy(vars, kong.Vars{
		"admin_listen":    agent.DefaultAdminListen,
		"redis":           agent.DefaultRedis,
		"interval":        agent.DefaultInterval.String(),
		"section_timeout": agent.DefaultSectionTimeout.String(),
		"slots":           strconv.Itoa(agent.DefaultSlots),
		"max_reply":       strconv.Itoa(agent.DefaultMaxReply),
		"compress_above":  strconv.Itoa(agent.DefaultCompressAbove),
	})
	return vars
}
