package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"runtime"
	"runtime/pprof"
	"strconv"
	"syscall"
	"time"

	"github.com/atlhyper/observe/loadtest/balance"
	"github.com/atlhyper/observe/loadtest/fleet"
	"github.com/atlhyper/observe/master"
	"github.com/atlhyper/observe/shared/httpserver"
)

// role is what a process of the bench does.
type role string

const (
	// roleMaster is a replica, as cmd/master starts it without flags.
	roleMaster role = "master"
	// roleBare writes the same bytes as a master and does nothing else.
	roleBare role = "bare"
	// roleStructs reads Redis, decodes and encodes for each request.
	roleStructs role = "structs"
	// roleFleet is agents of simulated clusters.
	roleFleet role = "fleet"
	// roleBalance is the demo's balancer, where there is no HAProxy.
	roleBalance role = "balance"
	// roleEcho answers each command of a list by a bare BLPOP and RPUSH.
	roleEcho role = "echo"
	// rolePoll looks at a list each 100 ms and answers what lies there.
	rolePoll role = "poll"
)

// job is what a process is to do.
type job struct {
	Role   role
	Redis  string `json:",omitempty"`
	Listen string `json:",omitempty"` // of those that serve HTTP
	// Origin is whose answers roleBare writes.
	Origin   string   `json:",omitempty"`
	Clusters []string `json:",omitempty"` // that it is asked for
	// Fleet is what roleFleet simulates.
	Fleet fleetSize `json:",omitzero"`
	// Backends of roleBalance, base URLs.
	Backends []string `json:",omitempty"`
	// Callers of roleEcho: how many lists there are.
	Callers int `json:",omitempty"`
	// ReplyBytes is the length of the replies of roleEcho and rolePoll.
	ReplyBytes int `json:",omitempty"`
	// Profile begins the names of the files that profiles of the process are written to.
	Profile string `json:",omitempty"`
}

// fleetSize is what a process of agents simulates; all of it is required.
type fleetSize struct {
	Prefix      string
	Clusters    int
	Nodes       int
	ChangeEvery int
	Interval    time.Duration
}

// Each simulated cluster has as many services, with as many edges between them; a
// reply to a detail has so many items.
const (
	services = 10
	edges    = 15
	items    = 20
)

// changeEvery is the default of the fleet.
const changeEvery = 3

func (f fleetSize) config(redis string) fleet.Config {
	return fleet.Config{
		Redis: redis, Prefix: f.Prefix, Clusters: f.Clusters, Nodes: f.Nodes, Services: services, Edges: edges, Items: items,
		ChangeEvery: f.ChangeEvery, Interval: f.Interval, QueryTime: -1,
	}
}

// world is what the cluster of a number shows.
func (f fleetSize) world(number int) fleet.World {
	return fleet.World{
		Cluster: f.Prefix + "-" + strconv.Itoa(number), Nodes: f.Nodes, Services: services, Edges: edges, Items: items,
		ChangeEvery: int64(f.ChangeEvery), Interval: f.Interval,
	}
}

// jobVariable holds the job of a process that is one of the bench's.
const jobVariable = "ATLHYPER_BENCH_SERVE_JOB"

// Child does what this process was started for by Plan.Measure, until SIGTERM. It
// returns false in a process that was not.
func Child() (bool, error) {
	text, ok := os.LookupEnv(jobVariable)
	if !ok {
		return false, nil
	}
	var j job
	if err := json.Unmarshal([]byte(text), &j); err != nil {
		return true, fmt.Errorf("%s: %w", jobVariable, err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := j.run(ctx); err != nil {
		return true, fmt.Errorf("%s: %w", j.Role, err)
	}
	return true, nil
}

func (j job) run(ctx context.Context) error {
	return j.profiled(func() error { return j.act(ctx) })
}

func (j job) act(ctx context.Context) error {
	switch j.Role {
	case roleMaster:
		return j.master(ctx)
	case roleBare:
		return j.bare(ctx)
	case roleStructs:
		return j.structs(ctx)
	case roleFleet:
		f, err := fleet.New(j.Fleet.config(j.Redis)) //nolint:contextcheck // the clocks are in step until it ends
		if err != nil {
			return err
		}
		return f.Run(ctx)
	case roleBalance:
		return j.balance(ctx)
	case roleEcho:
		return j.echo(ctx)
	case rolePoll:
		return j.poll(ctx)
	}
	return errors.New("no such role")
}

func (j job) master(ctx context.Context) error {
	m, err := master.New(master.Config{Listen: j.Listen, Redis: j.Redis}) //nolint:contextcheck // the clocks are in step until it ends
	if err != nil {
		return err
	}
	return m.Run(ctx)
}

// profiled writes what the process used the processor for, and what it allocated.
func (j job) profiled(run func() error) (err error) {
	if j.Profile == "" {
		return run()
	}
	file, err := os.Create(j.Profile + ".cpu.pprof")
	if err != nil {
		return err
	}
	defer func() { err = firstError(err, file.Close()) }()
	if err := pprof.StartCPUProfile(file); err != nil {
		return err
	}
	defer func() {
		pprof.StopCPUProfile()
		err = firstError(err, writeAllocations(j.Profile+".allocs.pprof"))
	}()
	return run()
}

func writeAllocations(name string) (err error) {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() { err = firstError(err, file.Close()) }()
	runtime.GC() // the profile is as of the last collection
	return pprof.Lookup("allocs").WriteTo(file, 0)
}

func (j job) balance(ctx context.Context) error {
	cfg := balance.Config{Listen: j.Listen}
	for _, backend := range j.Backends {
		u, err := url.Parse(backend)
		if err != nil {
			return err
		}
		cfg.Backends = append(cfg.Backends, u)
	}
	b, err := balance.New(cfg)
	if err != nil {
		return err
	}
	return b.Run(ctx)
}

// serve serves a handler as plainly as net/http can.
func (j job) serve(ctx context.Context, h http.Handler) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", j.Listen)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	return httpserver.Run(ctx, server, listener, time.Second)
}
