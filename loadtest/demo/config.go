// Package demo runs the whole of AtlHyper Observe on one machine: Redis, two
// clusters with an embedded ClickHouse, flowing telemetry, a simulated Kubernetes
// API and an agent each, two master replicas and a balancer. Everything listens on 127.0.0.1 and is gone
// when Run returns.
package demo

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"time"

	"github.com/atlhyper/observe/redis/key"
)

// host is where everything listens.
const host = "127.0.0.1"

// Config says what to run and where.
type Config struct {
	// Port is the balancer's; Redis is on Port+1, the masters on +2 and +3, the
	// engines on +4 and +5, the simulated Kubernetes APIs on +6 and +7. Required.
	Port int
	// BinDir holds the binaries agent, master and chdb. Required.
	BinDir string
	// Redis is the URL of a server to use; "" starts one.
	Redis string
	// ClickHouse is the DSN of a server to use; "" starts an embedded engine for
	// each cluster. The server's data is only read, as one cluster, unless Fill.
	ClickHouse string
	// Fill writes the captured telemetry into databases of its own on the
	// ClickHouse server, as the two demo clusters, and drops them at the end.
	Fill bool
	// Kubeconfig is the file by which the agent reads the Kubernetes API of the cluster
	// whose telemetry is on the ClickHouse server; "" reads none. Clusters that are filled
	// have simulated ones.
	Kubeconfig string
	// Interval is the agents' publish interval. 0 means 10 s.
	Interval time.Duration
	// Verbose prints what the children log at info, not only warnings.
	Verbose bool
	// Output gets what a person reads. Required.
	Output io.Writer
	// Logger gets trouble. Required.
	Logger *slog.Logger
}

// Validate names the field that is missing or out of bounds.
func (c Config) Validate() error {
	switch {
	case c.Port < 1024 || c.Port > 65535-ports+1:
		return fmt.Errorf("port: %d is not between 1024 and %d", c.Port, 65535-ports+1)
	case c.BinDir == "":
		return errors.New("bin-dir: is required")
	case c.Fill && c.ClickHouse == "":
		return errors.New("fill: goes with --clickhouse; the embedded engines are filled anyway")
	case c.Kubeconfig != "" && (c.ClickHouse == "" || c.Fill):
		return errors.New("kubeconfig: goes with --clickhouse and without --fill; the demo's clusters have simulated Kubernetes APIs")
	case c.Output == nil || c.Logger == nil:
		return errors.New("demo: Output and Logger are required")
	}
	return nil
}

// Offsets from Config.Port.
const (
	offsetRedis      = 1
	offsetMasters    = 2
	offsetEngines    = 4
	offsetKubernetes = 6
	ports            = 8
)

func (c Config) address(offset int) string {
	return net.JoinHostPort(host, strconv.Itoa(c.Port+offset))
}

func (c Config) redisURL() string {
	if c.Redis != "" {
		return c.Redis
	}
	return "redis://" + c.address(offsetRedis)
}

// cluster is one demo cluster.
type cluster struct {
	id         key.Cluster
	dsn        string // ClickHouse
	database   string
	engine     int    // offset of the embedded engine's port; 0 for none
	kubernetes int    // offset of the simulated API server's port; 0 for none
	fill       bool   // write the captured telemetry
	kubeconfig string // of an API server of the user's; "" for none
	own        bool   // the database is ours to drop
	variant    uint8  // what tells the clusters' telemetry and objects apart
}

func (c Config) clusters() []cluster {
	if c.ClickHouse != "" && !c.Fill {
		return []cluster{{id: "demo", dsn: c.ClickHouse, kubeconfig: c.Kubeconfig}}
	}
	names := []key.Cluster{"demo-east", "demo-west"}
	var out []cluster
	for i, id := range names {
		one := cluster{id: id, dsn: c.ClickHouse, kubernetes: offsetKubernetes + i, fill: true, variant: uint8(i)}
		if c.ClickHouse == "" {
			one.engine = offsetEngines + i
			one.database = "otel"
			one.dsn = "http://" + c.address(one.engine) + "/" + one.database
		} else {
			one.own = true
			one.database = "atlhyper_" + string(id[:4]) + "_" + string(id[5:])
		}
		out = append(out, one)
	}
	return out
}

// checkPorts finds out before anything starts whether a port is taken.
func (c Config) checkPorts() error {
	for offset := range ports {
		engine := offset >= offsetEngines && offset < offsetKubernetes
		kubernetes := offset >= offsetKubernetes
		if offset == offsetRedis && c.Redis != "" || engine && c.ClickHouse != "" || kubernetes && c.ClickHouse != "" && !c.Fill {
			continue
		}
		l, err := net.Listen("tcp", c.address(offset)) //nolint:noctx // local and immediate
		if err != nil {
			return fmt.Errorf("port %d is taken: choose another with PORT=… (the demo uses %d to %d)", c.Port+offset, c.Port, c.Port+ports-1)
		}
		if err := l.Close(); err != nil {
			return fmt.Errorf("port %d: %w", c.Port+offset, err)
		}
	}
	return nil
}
