// Package fleet simulates the agents of many clusters: real agents (package agent)
// with a real Redis, on telemetry that is made up instead of read from ClickHouse.
// What a cluster shows is a function of its name and the time alone (see World), so
// that whoever gets an answer from a master can tell whether it is right.
package fleet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/atlhyper/observe/agent"
)

// Config says how many agents there are and what they do. The zero value of a
// field means its default.
type Config struct {
	// Redis is the URL of the store, as agents take it. Required.
	Redis string
	// Prefix starts the clusters' names: "sim" makes sim-0, sim-1 and so on.
	// Default "sim".
	Prefix string
	// Clusters is how many there are, 1 to 10,000. Default 10.
	Clusters int
	// Agents is how many each of them has. Default 1.
	Agents int
	// Instance names the agents, which add a random part. Default "fleet".
	Instance string
	// Interval is between two publishes. Default 10 s.
	Interval time.Duration
	// Nodes and Services say how large a cluster is. Default 6 and 12.
	Nodes, Services int
	// Edges is how many pairs of services call each other, at most each with each.
	// Default: 3 for every 2 services.
	Edges int
	// ChangeEvery is in how many rounds each section's value changes once; 1 means
	// each time. Default 3.
	ChangeEvery int
	// QueryTime is how long a detail query runs. Default 20 ms; negative means none.
	QueryTime time.Duration
	// QuerySpread is how much longer it runs on average: most queries a little, few
	// much (exponentially distributed, at most ten times this). Default 0: none.
	QuerySpread time.Duration
	// Items is how many spans, log lines or points a detail reply holds; a span has
	// about 400 bytes. Default 20.
	Items int
	// Slots is how many commands an agent runs side by side. Default: the agents'.
	Slots int
	// Clock is the clock of the telemetry, as ClickHouse's samples have it. Default
	// time.Now.
	Clock func() time.Time
	// Logger gets what the agents say. Default: nothing is logged.
	Logger *slog.Logger
}

func (c Config) withDefaults() (Config, error) {
	for _, f := range []struct {
		name         string
		value        *int
		or, low, top int
	}{
		{"clusters", &c.Clusters, 10, 1, 10_000},
		{"agents", &c.Agents, 1, 1, 100},
		{"nodes", &c.Nodes, 6, 1, 10_000},
		{"services", &c.Services, 12, 1, 10_000},
		{"change every", &c.ChangeEvery, 3, 1, 1_000_000},
		{"items", &c.Items, 20, 1, 100_000},
	} {
		if *f.value == 0 {
			*f.value = f.or
		}
		if *f.value < f.low || *f.value > f.top {
			return c, fmt.Errorf("fleet: %s: %d is not between %d and %d", f.name, *f.value, f.low, f.top)
		}
	}
	most := max(c.Services*(c.Services-1), 1)
	if c.Edges == 0 {
		c.Edges = min((3*c.Services+1)/2, most)
	}
	switch {
	case c.Edges < 1 || c.Edges > most:
		return c, fmt.Errorf("fleet: edges: %d is not between 1 and %d, which is each of %d services with each", c.Edges, most, c.Services)
	case c.QuerySpread < 0:
		return c, fmt.Errorf("fleet: query spread: %s is negative", c.QuerySpread)
	case c.Redis == "":
		return c, errors.New("fleet: redis: is required")
	}
	setDefault(&c.Prefix, "sim")
	setDefault(&c.Instance, "fleet")
	setDefault(&c.Interval, agent.DefaultInterval)
	setDefault(&c.QueryTime, 20*time.Millisecond)
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Fleet is the agents of all clusters.
type Fleet struct {
	cfg     Config
	agents  []*agent.Agent
	queries queries
}

// New makes the agents. It does not connect.
func New(cfg Config) (*Fleet, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	f := &Fleet{cfg: cfg}
	for _, cluster := range f.Clusters() {
		for range cfg.Agents {
			a, err := agent.New(agent.Config{
				ClusterID: cluster, Instance: cfg.Instance, Version: "simulated", Redis: cfg.Redis,
				Interval: cfg.Interval, SectionTimeout: max(cfg.Interval/2, 500*time.Millisecond), Slots: cfg.Slots,
				Source: &source{world: f.World(cluster), cfg: cfg, queries: &f.queries}, Logger: cfg.Logger,
			})
			if err != nil {
				return nil, fmt.Errorf("fleet: %w", err)
			}
			f.agents = append(f.agents, a)
		}
	}
	return f, nil
}

// Clusters are the names of the clusters.
func (f *Fleet) Clusters() []string {
	names := make([]string, f.cfg.Clusters)
	for i := range names {
		names[i] = f.cfg.Prefix + "-" + strconv.Itoa(i)
	}
	return names
}

// World is what a cluster of the fleet shows.
func (f *Fleet) World(cluster string) World {
	return World{
		Cluster: cluster, Nodes: f.cfg.Nodes, Services: f.cfg.Services, Edges: f.cfg.Edges,
		ChangeEvery: int64(f.cfg.ChangeEvery), Items: f.cfg.Items, Interval: f.cfg.Interval,
	}
}

// apart is between the starts of two agents, at most: so that they do not all
// publish in the same moment.
const apart = 50 * time.Millisecond

// Run runs all agents until ctx is done, or until one fails. It must be called once.
func (f *Fleet) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	pause := min(apart, f.cfg.Interval/time.Duration(len(f.agents)))
	for i, a := range f.agents {
		group.Go(func() error {
			select {
			case <-time.After(time.Duration(i) * pause):
			case <-ctx.Done(): // Run still has to close what New opened
			}
			return a.Run(ctx)
		})
	}
	return group.Wait()
}

// Commands is what agents say became of the commands that they met.
type Commands struct {
	// Claimed ones were started. Each of them ends as Answered, as AnsweredBefore (the
	// answer to an earlier try had been cut) or as Unanswered: there was no Redis to
	// take the reply as long as it was of use.
	Claimed, Answered, AnsweredBefore, Unanswered int64
	// Expired ones were dropped unrun: their deadline had passed.
	Expired int64
}

// Commands sums what the agents count.
func (f *Fleet) Commands() (sum Commands) {
	for _, a := range f.agents {
		c := a.Commands()
		sum.Claimed += c.Claimed
		sum.Answered += c.Answered
		sum.AnsweredBefore += c.AnsweredBefore
		sum.Unanswered += c.Unanswered
		sum.Expired += c.Expired
	}
	return sum
}

// Queries tells what became of the detail queries so far.
func (f *Fleet) Queries() Queries { return f.queries.read() }
