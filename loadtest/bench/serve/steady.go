package serve

import (
	"context"
	"fmt"
	"time"

	"github.com/atlhyper/observe/loadtest/bench"
	"github.com/atlhyper/observe/loadtest/fleet"
	"github.com/atlhyper/observe/loadtest/proc"
	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/key"
)

// steady counts what agents and masters cost while nobody asks: what the number of
// clusters alone demands.
func (p Plan) steady(ctx context.Context) ([]Table, []bench.Target, error) {
	t := Table{
		Title: fmt.Sprintf("(e) Nobody asks: %d clusters of 6 nodes, 10 services and 15 edges, with an agent each", p.Clusters),
		Notes: []string{
			fmt.Sprintf("For each cluster and second, over %d intervals of %s each time, as the redis-server counts it (INFO): beats, publishes, waiting for commands. For the lines with masters, what one master adds that has been asked for all sections of all clusters and follows them.", p.Intervals, p.Interval),
			"connections, their KB: of the agents for each cluster, in the memory of the redis-server. memory is that of the process: for each cluster what the master's grew by when all sections of all clusters had been asked for. CPU of agents includes making the values up.",
		},
		Columns: []string{"commands/s", "bytes in/s", "bytes out/s", "Redis CPU µs/s", "connections", "their KB", "process CPU µs/s", "memory KB"},
	}
	for _, state := range []struct {
		id, what string
		every    int
	}{{"unchanged", "nothing changes", 1_000_000}, {"changed", "all sections change each interval", 1}} {
		if err := p.steadyState(ctx, &t, state.id, state.what, state.every); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", state.id, err)
		}
	}
	return []Table{t}, nil, nil
}

// steadyStage is agents and perhaps a master, on the spare server.
type steadyStage struct {
	stage
	clients  *conn.Clients
	clusters []string
}

// idle is what was counted while nobody asked, for each cluster and second.
type idle struct {
	counters
	process time.Duration
}

func (p Plan) steadyState(ctx context.Context, t *Table, id, what string, every int) (err error) {
	onSpare := p
	onSpare.Redis = p.Spare
	s := &steadyStage{stage: stage{plan: onSpare}}
	if s.clients, err = conn.Open(conn.Config{URL: p.Spare}); err != nil { //nolint:contextcheck // it keeps the clock in step until Close
		return err
	}
	defer func() { err = firstError(err, s.clients.Close()) }()
	defer func() { err = firstError(err, s.end()) }()
	if err := s.clients.Normal.FlushAll(ctx).Err(); err != nil {
		return fmt.Errorf("FLUSHALL: %w", err)
	}
	size := fleetSize{Prefix: "steady-" + id, Clusters: p.Clusters, Nodes: smallCluster, ChangeEvery: every, Interval: p.Interval}
	for i := range p.Clusters {
		s.clusters = append(s.clusters, size.world(i).Cluster)
	}
	if err := p.say("steady: %s: agents", what); err != nil {
		return err
	}
	own, err := readCounters(ctx, s.clients) // the connections of this process
	if err != nil {
		return err
	}
	agents, err := s.start(ctx, job{Role: roleFleet, Redis: p.Spare, Fleet: size})
	if err != nil {
		return err
	}
	if err := s.published(ctx); err != nil {
		return err
	}
	alone, err := s.watch(ctx, agents)
	if err != nil {
		return err
	}
	alone.clients -= own.clients
	alone.clientMemory -= own.clientMemory
	n := float64(p.Clusters)
	t.add("e/"+id+"/agents", alone.cells(what+": agents", n, number(alone.clients/n), number(alone.clientMemory/1000/n), "")...)

	if err := p.say("steady: %s: one master", what); err != nil {
		return err
	}
	m, grown, err := s.following(ctx)
	if err != nil {
		return err
	}
	with, err := s.watch(ctx, m)
	if err != nil {
		return err
	}
	added := idle{counters: with.since(alone.counters), process: with.process}
	t.add("e/"+id+"/master", added.cells(what+": a master that follows them adds", n, "-", "-", number(float64(grown)/1000/n))...)
	return nil
}

// cells are figures for each cluster and second.
func (i idle) cells(what string, n float64, connections, theirs, memory string) []string {
	return []string{
		what,
		number(i.commands / n), number(i.received / n), number(i.sent / n), number(float64(i.processor.Microseconds()) / n),
		connections, theirs, number(float64(i.process.Microseconds()) / n), memory,
	}
}

// published waits until every cluster is there.
func (s *steadyStage) published(ctx context.Context) error {
	return until(ctx, "all clusters are published", func() error {
		for _, cluster := range s.clusters {
			n, err := s.clients.Normal.HLen(ctx, key.Cluster(cluster).Snapshot()).Result()
			if err != nil {
				return fatal{err}
			}
			if int(n) < len(fleet.Sections()) {
				return fmt.Errorf("%s has %d sections", cluster, n)
			}
		}
		return nil
	})
}

// watch counts over some intervals, a second's share.
func (s *steadyStage) watch(ctx context.Context, c *child) (idle, error) {
	length := time.Duration(s.plan.Intervals) * s.plan.Interval
	before, err := proc.ProcessorTime(c.pid)
	if err != nil {
		return idle{}, err
	}
	got, err := counted(ctx, s.clients, func() error {
		timer := time.NewTimer(length)
		defer timer.Stop()
		select {
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	if err != nil {
		return idle{}, err
	}
	after, err := proc.ProcessorTime(c.pid)
	seconds := length.Seconds()
	got.commands /= seconds
	got.received /= seconds
	got.sent /= seconds
	got.processor = time.Duration(float64(got.processor) / seconds)
	return idle{counters: got, process: time.Duration(float64(after-before) / seconds)}, err
}

// following starts a master and asks it for everything once, and says by how much its
// memory has grown.
func (s *steadyStage) following(ctx context.Context) (m *child, grown int64, err error) {
	if m, err = s.master(ctx, "steady"); err != nil {
		return nil, 0, err
	}
	ask := func(cluster string) error {
		for _, name := range fleet.Sections() {
			if _, err := (request{url: m.url + sectionURI(name, cluster)}).once(); err != nil {
				return err
			}
		}
		return nil
	}
	if err := until(ctx, "the master answers", func() error { return ask(s.clusters[0]) }); err != nil {
		return nil, 0, err
	}
	before, err := proc.ResidentMemory(m.pid)
	if err != nil {
		return nil, 0, err
	}
	for _, cluster := range s.clusters {
		// A machine that is busy with others may let a first read of Redis time out.
		if err := until(ctx, "the master answers for "+cluster, func() error { return ask(cluster) }); err != nil {
			return nil, 0, err
		}
	}
	after, err := proc.ResidentMemory(m.pid)
	return m, after - before, err
}
