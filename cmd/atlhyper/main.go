// Command atlhyper is the operator's tool.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/alecthomas/kong"

	"github.com/atlhyper/observe/agent"
	"github.com/atlhyper/observe/cmd/internal/chflags"
	"github.com/atlhyper/observe/cmd/internal/cli"
	"github.com/atlhyper/observe/loadtest/demo"
	"github.com/atlhyper/observe/redis/conn"
)

type commands struct {
	Demo    demoCmd    `cmd:"" help:"Run the whole thing on this machine until Ctrl-C: Redis, two clusters with telemetry, a simulated Kubernetes API and an agent each, two masters, a balancer."`
	Doctor  doctorCmd  `cmd:"" help:"Say whether the telemetry in a ClickHouse is complete: what is there, what every dashboard section is filled with, and what is missing. Exits with 1 when something that is there cannot be read."`
	Fleet   fleetCmd   `cmd:"" help:"Simulate the agents of many clusters, on made-up telemetry, until Ctrl-C: for load tests of Redis and masters."`
	Acl     aclCmd     `cmd:"" help:"Print the command that gives the agents of a cluster, the masters, or those who inspect, exactly the rights that they need in Redis."`
	Forget  forgetCmd  `cmd:"" help:"Remove a cluster whose agents have stopped from Redis and from the memory of the masters, which else list it for 7 days."`
	Inspect inspectCmd `cmd:"" help:"Say what lies in Redis: clusters, sections and their values, agents, the queue. It only reads, and needs the rights that acl --inspect prints."`
	Token   tokenCmd   `cmd:"" help:"Make tokens for the API of masters that run with --auth=tokens, and check the file that they read."`

	Version kong.VersionFlag `help:"Print the version and exit." env:"-"`
}

// demoCmd takes nothing from the environment: what is set there is meant for agents
// and masters that run in earnest.
type demoCmd struct {
	Port       int           `default:"8080" help:"Port of the balancer on 127.0.0.1; the seven after it are used too." env:"-"`
	Redis      string        `help:"Use this Redis instead of starting one: redis://user:password@host:6379/0." placeholder:"URL" env:"-"`
	Clickhouse string        `help:"Use this ClickHouse instead of embedded engines; its telemetry is only read, as the cluster \"demo\"." placeholder:"DSN" env:"-"`
	Kubeconfig string        `help:"With --clickhouse: file by which the agent reads the Kubernetes API of that cluster; by default it reads none." type:"path" placeholder:"FILE" env:"-"`
	Fill       bool          `help:"With --clickhouse: write the captured telemetry into databases atlhyper_demo_east and atlhyper_demo_west there, and drop them at the end." env:"-"`
	Interval   time.Duration `default:"10s" help:"How often the agents publish." env:"-"`
	BinDir     string        `help:"Where the binaries agent, master and chdb are. Default: beside this one." type:"existingdir" env:"-"`
	Verbose    bool          `short:"v" help:"Show what the processes log at info." env:"-"`
}

func main() {
	var c commands
	kctx := kong.Parse(&c, options()...)
	conn.LibraryLog(slog.New(slog.DiscardHandler)) // errors say it all
	cli.Main(func(ctx context.Context) error {
		kctx.BindTo(ctx, (*context.Context)(nil))
		kctx.Bind(standardStreams())
		return kctx.Run()
	})
}

func options() []kong.Option {
	defaults := chflags.Defaults()
	defaults["redis"] = agent.DefaultRedis
	return cli.Options("atlhyper", "The operator's tool of AtlHyper Observe.", defaults)
}

// Run runs the demo until ctx ends.
func (c *demoCmd) Run(ctx context.Context) error {
	dir := c.BinDir
	if dir == "" {
		self, err := os.Executable()
		if err != nil {
			return fmt.Errorf("find the binaries: %w; give --bin-dir", err)
		}
		dir = filepath.Dir(self)
	}
	return demo.Run(ctx, demo.Config{
		Port: c.Port, BinDir: dir, Redis: c.Redis, ClickHouse: c.Clickhouse, Fill: c.Fill, Kubeconfig: c.Kubeconfig,
		Interval: c.Interval, Verbose: c.Verbose, Output: os.Stdout,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
}
