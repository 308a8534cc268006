// Package agent wires the agent of one cluster: it publishes sections from ClickHouse
// and from Kubernetes to Redis, and answers the detail commands that masters push.
package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/atlhyper/observe/agent/collect"
	"github.com/atlhyper/observe/agent/worker"
	"github.com/atlhyper/observe/redis/bus"
	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/metric"
	"github.com/atlhyper/observe/redis/snapshot"
)

// Agent is one agent of a cluster.
type Agent struct {
	cfg       Config
	clients   *conn.Clients
	source    Source
	writer    *snapshot.Writer
	collector Collector
	follower  *collect.Follower // of Kubernetes; nil for none
	election  Election
	bus       *bus.Server
	beating   conn.Outage
	started   time.Time
	metrics   *prometheus.Registry
}

// New wires an agent. It does not connect: without ClickHouse the agent publishes
// why its sections fail, without Redis it keeps trying, and both mend themselves.
func New(cfg Config) (*Agent, error) {
	registry, err := metric.NewRegistry()
	if err != nil {
		return nil, fmt.Errorf("agent: %w", err)
	}
	return newAgent(cfg, registry)
}

func newAgent(cfg Config, registry *prometheus.Registry) (*Agent, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("agent: %w", err)
	}
	cfg.Instance, cfg.metrics, cfg.ClickHouse.Metrics = key.Unique(cfg.Instance), registry, registry
	source, err := cfg.open()
	if err != nil {
		return nil, fmt.Errorf("agent: %w", err)
	}
	clients, err := conn.Open(conn.Config{
		URL: cfg.Redis, Auth: cfg.RedisAuth, TLS: cfg.RedisTLS, ClientName: "atlhyper-agent", Metrics: registry, Logger: cfg.Logger,
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("agent: %w", err), source.Close())
	}
	a := &Agent{
		cfg: cfg, clients: clients, source: source, started: time.Now(), metrics: registry,
		beating: conn.Outage{Logger: cfg.Logger, What: "the beat"},
	}
	if err := a.wire(); err != nil {
		return nil, errors.Join(fmt.Errorf("agent: %w", err), source.Close(), clients.Close())
	}
	return a, nil
}

func (a *Agent) wire() (err error) {
	cfg, cluster := a.cfg, key.Cluster(a.cfg.ClusterID)
	a.writer, err = snapshot.NewWriter(a.clients, snapshot.WriterConfig{
		Cluster: cluster, Instance: cfg.Instance, Version: cfg.Version,
		Interval: cfg.Interval, CompressAbove: cfg.CompressAbove, Metrics: a.metrics, Logger: cfg.Logger,
	})
	if err != nil {
		return err
	}
	a.collector, err = a.source.Collector(cfg, a.writer)
	if err != nil {
		return err
	}
	if cfg.Kubernetes != nil {
		if a.follower, err = cfg.follower(a.writer, a.metrics); err != nil {
			return err
		}
	}
	if a.election, err = cfg.elect(); err != nil {
		return err
	}
	registry := worker.NewRegistry(cfg.Logger)
	a.source.Handlers(registry)
	a.bus, err = bus.NewServer(a.clients, bus.ServerConfig{
		Cluster: cluster, Instance: cfg.Instance, Slots: cfg.Slots,
		MaxReplyBytes: cfg.MaxReplyBytes, Handle: registry.Run, TracerProvider: cfg.TracerProvider, Metrics: a.metrics, Logger: cfg.Logger,
	})
	return err
}

// leaveTimeout bounds the last words to Redis.
const leaveTimeout = 3 * time.Second

// Run works until ctx is done, then ends in order: nothing is claimed any more,
// what runs is answered, what waits is handed back, masters are told. It must be
// called once.
func (a *Agent) Run(ctx context.Context) (err error) {
	endListen, err := a.cfg.listen(ctx, a.metrics)
	if err != nil {
		return errors.Join(err, a.source.Close(), a.clients.Close())
	}
	defer func() { err = errors.Join(err, endListen()) }()
	return a.work(ctx)
}

// Run is Identified, New and Agent.Run in one, but for that the listeners answer before
// the cluster's id is known: what probes and scrapes the agent sees that it is there. It
// returns nil, too, when ctx is done while it waits for the id.
func Run(ctx context.Context, cfg Config) (err error) {
	full := cfg.withDefaults()
	if err := full.validateBounds(); err != nil { // not only after a long wait
		return fmt.Errorf("agent: %w", err)
	}
	registry, err := metric.NewRegistry()
	if err != nil {
		return fmt.Errorf("agent: %w", err)
	}
	endListen, err := full.listen(ctx, registry)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, endListen()) }()
	cfg, err = cfg.Identified(ctx)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil // told to end while it waited
	case err != nil:
		return err
	}
	a, err := newAgent(cfg, registry) //nolint:contextcheck // it does not connect
	if err != nil {
		return err
	}
	return a.work(ctx)
}

// work is Run without the listeners.
func (a *Agent) work(ctx context.Context) (err error) {
	a.cfg.Logger.InfoContext(ctx, "agent runs", "cluster", a.cfg.ClusterID, "instance", a.cfg.Instance, "version", a.cfg.Version)
	defer func() { err = errors.Join(err, a.source.Close(), a.clients.Close()) }()
	// The beat goes on until the last command is answered: without it another
	// agent would take back what this one is working on.
	first := make(chan struct{})
	endBeat := outliving(ctx, func(beating context.Context) { a.beat(beating, ctx.Done(), first) })

	// Others lead only when this one has left Redis.
	endElection := outliving(ctx, a.election.Run)

	group, gctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		a.awaitNames(gctx)
		return a.lead(gctx)
	})
	followed := a.follow(gctx) // masters and other agents do not wait for its end
	group.Go(func() error {
		// Nothing is claimed before the first beat: should this process die, others
		// take back what it claimed only if they know of it.
		select {
		case <-first:
		case <-gctx.Done():
			return nil
		}
		a.awaitNames(gctx)
		err := a.bus.Run(gctx)
		if gctx.Err() == nil {
			return fmt.Errorf("agent: the bus ended on its own: %w", err)
		}
		if err != nil { // Redis is away at the end: nothing is lost, so it is no failure
			a.cfg.Logger.WarnContext(gctx, "commands could not be handed back; another agent takes them when this one's beat has run out", "error", err)
		}
		return nil
	})
	err = group.Wait()
	endBeat()

	leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
	defer cancel()
	if lerr := a.writer.Leave(leaving); lerr != nil {
		a.cfg.Logger.WarnContext(leaving, "masters cannot be told that the agent leaves; they notice by its beat", "error", lerr)
	}
	endElection()
	<-followed
	a.cfg.Logger.InfoContext(leaving, "agent ended", "cluster", a.cfg.ClusterID, "instance", a.cfg.Instance)
	return err
}

// outliving runs f past the end of ctx, until the function that it returns is called,
// which waits for the end of f.
func outliving(ctx context.Context, f func(context.Context)) (end func()) {
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f(ctx)
	}()
	return func() {
		stop()
		<-ended
	}
}

// beat says that the agent lives, each key.BeatInterval until ctx is done, and
// closes first when it was heard for the first time; from the moment that leaving
// is closed it says that it leaves.
func (a *Agent) beat(ctx context.Context, leaving <-chan struct{}, first chan<- struct{}) {
	ticker := time.NewTicker(key.BeatInterval)
	defer ticker.Stop()
	state := snapshot.Beat{Version: a.cfg.Version, Slots: a.cfg.Slots, StartedAt: a.started}
	var changed <-chan struct{}
	for {
		state.Busy = a.bus.Busy()
		state.Leads, changed = a.election.Leads()
		err := a.beatOnce(ctx, state)
		a.beating.Note(ctx, err)
		if err == nil && first != nil {
			close(first)
			first = nil
		}
		select {
		case <-ctx.Done():
			return
		case <-leaving:
			state.Leaving, leaving = true, nil
		case <-changed: // the others wait for it
		case <-ticker.C:
		}
	}
}

// beatOnce does not wait for long: a beat on a connection that hangs must not keep
// the next one from coming in time.
func (a *Agent) beatOnce(ctx context.Context, state snapshot.Beat) error {
	ctx, cancel := context.WithTimeout(ctx, key.BeatTimeout)
	defer cancel()
	return a.writer.Beat(ctx, state)
}
