package serve

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/atlhyper/observe/loadtest/bench"
	"github.com/atlhyper/observe/loadtest/fleet"
	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/codec"
	"github.com/atlhyper/observe/shared/model"
)

// beatsPerInterval is how many beats an agent sends in the default interval.
const beatsPerInterval = int(10 * time.Second / key.BeatInterval)

// redis counts what clusters cost Redis, by what the server says: writers of
// snapshots and beats as agents have them, one after the other, nothing else. What a
// collection took and read is another number each time, as with a real cluster.
func (p Plan) redis(ctx context.Context) ([]Table, []bench.Target, error) {
	t := Table{
		Title: "(d) Redis: a cluster with 10 services and 15 edges, all nine sections",
		Notes: []string{
			fmt.Sprintf("Means over %d clusters, medians of the rounds. Bytes and processor time are counted by the server (INFO).", p.Clusters),
			"zstd: each section compressed (agent --compress-above 1); by default those over 256 KiB are.",
		},
		Columns: []string{"bytes", "CPU µs"},
	}
	var targets []bench.Target
	for _, nodes := range p.Nodes {
		for _, form := range []struct {
			name  string
			above int
			limit float64 // KB of values
		}{{"plain", 0, 25}, {"zstd", 1, 5}} {
			if err := p.say("redis: %d nodes, %s", nodes, form.name); err != nil {
				return nil, nil, err
			}
			c := counting{plan: p, nodes: nodes, above: form.above}
			if err := c.count(ctx); err != nil {
				return nil, nil, err
			}
			id, title := fmt.Sprintf("d/%d/%s", nodes, form.name), fmt.Sprintf("%d nodes, %s: ", nodes, form.name)
			c.rows(&t, id, title)
			if nodes == smallCluster {
				targets = append(targets, c.targets(id, title, form.limit)...)
			}
		}
	}
	return []Table{t}, targets, nil
}

// smallCluster is the number of nodes that targets are for.
const smallCluster = 6

// counting is one size and form.
type counting struct {
	plan         Plan
	nodes, above int
	clients      *conn.Clients
	writers      []*snapshot.Writer
	publishes    int64 // so far: no two of them took as long and read as much

	values, keys, memory      float64 // bytes of a cluster
	changed, unchanged, beats []cost  // of a cluster and interval, by round
}

// cost is what something takes at the server.
type cost struct{ bytes, micros float64 }

func (c *counting) count(ctx context.Context) (err error) {
	if c.clients, err = conn.Open(conn.Config{URL: c.plan.Spare}); err != nil { //nolint:contextcheck // it keeps the clock in step until Close
		return err
	}
	defer func() { err = firstError(err, c.clients.Close()) }()
	if err := c.clients.Normal.FlushAll(ctx).Err(); err != nil {
		return fmt.Errorf("FLUSHALL: %w", err)
	}
	// The scripts are loaded before anything is counted.
	if err := c.open("warm"); err != nil {
		return err
	}
	if err := firstError(c.publish(ctx, c.writers[0], "warm", version), c.writers[0].Beat(ctx, snapshot.Beat{Slots: 16})); err != nil {
		return err
	}
	c.writers = nil
	if err := c.remember(ctx); err != nil {
		return err
	}
	for round := range c.plan.Rounds {
		if err := c.round(ctx, int64(version+1+round)); err != nil {
			return err
		}
	}
	return nil
}

func clusterName(i int) string { return "count-" + strconv.Itoa(i) }

func (c *counting) open(cluster string) error {
	w, err := snapshot.NewWriter(c.clients, snapshot.WriterConfig{
		Cluster: key.Cluster(cluster), Instance: "agent-5f6d8c9b7d-x2x4z-0123456789abcdef", Version: "v1.0.0", CompressAbove: c.above,
	})
	if err != nil {
		return err
	}
	c.writers = append(c.writers, w)
	return nil
}

// remember publishes all clusters for the first time and sees what they take.
func (c *counting) remember(ctx context.Context) error {
	before, err := readCounters(ctx, c.clients)
	if err != nil {
		return err
	}
	for i := range c.plan.Clusters {
		if err := c.open(clusterName(i)); err != nil {
			return err
		}
	}
	if err := c.each(func(i int, w *snapshot.Writer) error {
		return firstError(c.publish(ctx, w, clusterName(i), version), w.Beat(ctx, snapshot.Beat{Slots: 16}))
	}); err != nil {
		return err
	}
	after, err := readCounters(ctx, c.clients)
	if err != nil {
		return err
	}
	n := float64(c.plan.Clusters)
	c.memory = (after.memory - before.memory) / n
	for i := range c.plan.Clusters {
		cluster := key.Cluster(clusterName(i))
		used, err := memoryUsage(ctx, c.clients, cluster.Snapshot(), cluster.Meta(), cluster.Agents())
		if err != nil {
			return err
		}
		c.keys += float64(used) / n
		values, err := c.clients.Normal.HVals(ctx, cluster.Snapshot()).Result()
		if err != nil {
			return err
		}
		for _, v := range values {
			c.values += float64(len(v)) / n
		}
	}
	return nil
}

func (c *counting) each(do func(int, *snapshot.Writer) error) error {
	for i, w := range c.writers {
		if err := do(i, w); err != nil {
			return err
		}
	}
	return nil
}

// round is one interval in which all changes, one in which nothing does, and the
// beats of one.
func (c *counting) round(ctx context.Context, v int64) error {
	publish := func() error {
		return c.each(func(i int, w *snapshot.Writer) error { return c.publish(ctx, w, clusterName(i), v) })
	}
	beat := func() error {
		for range beatsPerInterval {
			if err := c.each(func(_ int, w *snapshot.Writer) error { return w.Beat(ctx, snapshot.Beat{Slots: 16}) }); err != nil {
				return err
			}
		}
		return nil
	}
	for _, part := range []struct {
		into *[]cost
		do   func() error
	}{{&c.changed, publish}, {&c.unchanged, publish}, {&c.beats, beat}} {
		got, err := counted(ctx, c.clients, part.do)
		if err != nil {
			return err
		}
		n := float64(c.plan.Clusters)
		*part.into = append(*part.into, cost{got.received / n, float64(got.processor.Microseconds()) / n})
	}
	return nil
}

// publish publishes all sections as of a version, as an agent does that read
// ClickHouse.
func (c *counting) publish(ctx context.Context, w *snapshot.Writer, cluster string, v int64) error {
	world := fleet.World{Cluster: cluster, Nodes: c.nodes, Services: services, Edges: edges, ChangeEvery: 1, Interval: 10 * time.Second}
	c.publishes++
	var updates []snapshot.Update
	for _, name := range fleet.Sections() {
		value, err := world.Value(name, v)
		if err != nil {
			return err
		}
		packed, err := codec.Encode(value)
		if err != nil {
			return err
		}
		updates = append(updates, snapshot.Update{
			Name: name, Data: packed, At: time.Now(), Window: windowOf(name), Interval: 10 * time.Second,
			Took:  time.Duration(100+c.publishes%900) * time.Millisecond,
			Reads: snapshot.Reads{Statements: 3, Rows: 1_234_567 + c.publishes, Bytes: 98_765_432 + 80*c.publishes},
		})
	}
	_, err := w.Publish(ctx, updates)
	return err
}

func windowOf(name model.Section) time.Duration {
	switch name {
	case model.SectionTracesServices, model.SectionTracesTopology, model.SectionOverview:
		return 15 * time.Minute
	default:
		return 5 * time.Minute
	}
}

func medianCost(rounds []cost, figure func(cost) float64) float64 {
	list := make([]float64, len(rounds))
	for i, c := range rounds {
		list[i] = figure(c)
	}
	return median(list)
}

func bytesOf(c cost) float64  { return c.bytes }
func microsOf(c cost) float64 { return c.micros }

func (c *counting) rows(t *Table, id, title string) {
	t.add(id+"/values", title+"the values of all sections", number(c.values), "")
	t.add(id+"/keys", title+"MEMORY USAGE of snapshot, meta and agents", number(c.keys), "")
	t.add(id+"/memory", title+"used_memory of the server", number(c.memory), "")
	for _, line := range []struct {
		id, what string
		rounds   []cost
	}{
		{"changed", "written when all sections changed", c.changed},
		{"unchanged", "written when none did", c.unchanged},
		{"beats", fmt.Sprintf("written by %d beats", beatsPerInterval), c.beats},
	} {
		t.add(id+"/"+line.id, title+line.what, number(medianCost(line.rounds, bytesOf)), number(medianCost(line.rounds, microsOf)))
	}
}

// targets are of bytes, which no machine changes.
func (c *counting) targets(id, title string, limit float64) []bench.Target {
	return []bench.Target{
		{Name: id + "/values: " + title + "KB of values", Value: c.values / 1000, Limit: limit, Same: true},
		{Name: id + "/changed: " + title + "KB written when all changed", Value: medianCost(c.changed, bytesOf) / 1000, Limit: limit, Same: true},
		{Name: id + "/memory: " + title + "KB of memory", Value: c.memory / 1000, Limit: limit, Same: true},
		{Name: id + "/unchanged: " + title + "KB written when none did", Value: medianCost(c.unchanged, bytesOf) / 1000, Limit: 2, Same: true},
		{
			Name:  id + "/unchanged + beats: " + title + "the same with the interval's beats",
			Value: (medianCost(c.unchanged, bytesOf) + medianCost(c.beats, bytesOf)) / 1000, Limit: 2, Same: true,
		},
	}
}
