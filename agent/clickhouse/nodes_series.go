package clickhouse

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
)

const (
	// maxNodeSeries is how many series a reply has; Meta.Truncated says when
	// there are more. Points combines all of them in any case.
	maxNodeSeries = 100
	// smallestNodeStep is the shortest step that the agent chooses.
	smallestNodeStep = 15 * time.Second
	// findWindow is the newest part of a range that is searched for a node first.
	findWindow = time.Hour
)

// NodeSeries returns one metric of one node, as points at the ends of steps: of
// counters the rate per second over the step (PromQL's rate), of gauges the mean
// of the step's samples. Aliases are described with their builders. fault.NotFound
// names the node that sent nothing in the range, or the metric it did not send.
func (s *Store) NodeSeries(ctx context.Context, r detail.NodeSeries) (model.NodeSeries, detail.Meta, error) {
	meta := detail.Meta{WindowSeconds: wholeSeconds(r.Range.Duration())}
	node, err := s.findNode(ctx, r.Name, rangeWindow(r.Range))
	if err != nil {
		return model.NodeSeries{}, meta, err
	}
	g := newGrid(r.Range, r.StepSeconds, smallestNodeStep)
	panel, isAlias := nodePanels()[r.Metric]
	metrics := slices.Concat(panel.metrics, hostMetricsOf(panel.metrics))
	if !isAlias {
		panel, metrics = rawPanel(r.Metric), []string{r.Metric}
	}
	tracks, err := s.nodeTracks(ctx, node, metrics, g)
	if err != nil {
		return model.NodeSeries{}, meta, err
	}
	if isAlias {
		tracks = translateTracks(tracks)
	}
	if len(tracks) == 0 && !isAlias {
		return model.NodeSeries{}, meta, fault.New(fault.NotFound, "node %q sent no metric %q in the range", r.Name, r.Metric)
	}
	combined, lines := panel.build(tracks)
	out := model.NodeSeries{
		Metric: r.Metric, Unit: panel.unit(tracks), Points: g.points(combined), Series: []model.LabeledPoints{},
	}
	slices.SortFunc(lines, func(a, b track) int { return cmp.Compare(a.labels.key(), b.labels.key()) })
	for i, line := range lines {
		if i == maxNodeSeries {
			meta.Truncated = true
			break
		}
		out.Series = append(out.Series, model.LabeledPoints{Labels: line.labels, Points: g.points(line.values)})
	}
	return out, meta, nil
}

// track is one series over a grid: rates per second of a counter, means of a gauge.
type track struct {
	metric  string
	labels  labels
	values  map[int64]float64 // by step
	counter bool
}

// nodeTracks reads metrics of one node. Two series with equal labels (a
// restarted exporter, or one that is scraped twice) become one, by the rules of
// labelled.merge in each step; of the gauge table only where the sum table has
// nothing. The server answers in any order; the result is the same.
func (s *Store) nodeTracks(ctx context.Context, node members, metrics []string, g grid) ([]track, error) {
	q := g.query()
	q.metrics, q.resourceKeys, q.anyOf = metrics, nodeAttributes(), node.raws
	tables, err := s.readTables(ctx, tableQuery{sumSeries, q}, tableQuery{gaugeSeries, q})
	if err != nil {
		return nil, err
	}
	var (
		found []samplesByStep
		index = make(map[string]int)
	)
	for i, lines := range bySeries(tables, g.step) {
		slices.SortFunc(lines, func(a, b stepped) int {
			return cmp.Or(cmp.Compare(a.metric, b.metric), cmp.Compare(a.id, b.id), cmp.Compare(a.firstMs, b.firstMs))
		})
		first := len(found) // of this table
		for _, line := range lines {
			if of, ok := identify(line.series); !ok || !node.has(of) {
				continue
			}
			t := line.byStep(g, i == 0 && line.monotonic || i == 1 && isUntypedCounter(line.metric))
			if len(t.steps) == 0 {
				continue
			}
			key := t.metric + t.labels.key()
			if at, ok := index[key]; ok {
				found[at].join(t, at >= first)
				continue
			}
			index[key] = len(found)
			found = append(found, t)
		}
	}
	out := make([]track, 0, len(found))
	for _, t := range found {
		for slot, v := range t.steps {
			t.values[slot] = v.value
		}
		out = append(out, t.track)
	}
	return out, nil
}

// samplesByStep is a track that others may still join.
type samplesByStep struct {
	track
	steps map[int64]labelled
}

func (s stepped) byStep(g grid, counter bool) samplesByStep {
	shown := make(labels, len(s.attributes))
	for name, value := range s.attributes {
		if name != "exported_instance" {
			shown[name] = value
		}
	}
	t := samplesByStep{
		track{metric: s.metric, labels: shown, values: make(map[int64]float64), counter: counter}, make(map[int64]labelled),
	}
	for _, slot := range s.slots(g) {
		v := labelled{known: true, counter: counter}
		h := s.steps[slot]
		if counter {
			rate, ok := s.rate(g, slot)
			if !ok {
				continue
			}
			h, _ = s.rated(g, slot)
			v.value = rate.vector[0]
		} else {
			v.value = h[0].mean()
		}
		v.firstMs, v.lastMs, v.samples = h[0].firstMs, h[len(h)-1].lastMs, h.samples()
		t.steps[slot] = v
	}
	return t
}

// join joins another series with the same labels: one of the same table in all
// steps, else in those that t has none of.
func (t *samplesByStep) join(other samplesByStep, sameTable bool) {
	for slot, v := range other.steps {
		old, ok := t.steps[slot]
		switch {
		case !ok:
			t.steps[slot] = v
		case sameTable:
			old.merge(v)
			t.steps[slot] = old
		}
	}
}

// findNode finds a node by what nodeNamed takes for its name: first in the newest hour
// of the window, then in all of it.
func (s *Store) findNode(ctx context.Context, name string, w window) (members, error) {
	names := s.kubeNames(ctx)
	recent := window{max(w.fromMs, w.toMs-findWindow.Milliseconds()), w.toMs}
	for _, part := range []window{recent, w} {
		q := seriesQuery{
			metrics: []string{unameInfo, bootTime, nodeTime, "node_load1", hostLoad1, hostUptime, hostMemory}, window: part,
			resourceKeys: nodeAttributes(), attributeKeys: []string{"nodename", "exported_instance"},
		}
		tables, err := s.readTables(ctx, tableQuery{sumSeries, q}, tableQuery{gaugeSeries, q})
		if err != nil {
			return members{}, err
		}
		if n := nodeNamed(groupByNode(tables[0], tables[1], part, names), names, name); n != nil {
			return n.members, nil
		}
		if recent == w {
			break
		}
	}
	return members{}, fault.New(fault.NotFound, "no node %q sent metrics in the range", name)
}

// nodeNamed finds a node by the name it is shown by, its key, an endpoint, its
// address, the key that it shares with others, the kernel's host name, or what else
// Kubernetes calls it; of several the one that sent last. Nil where there is none.
func nodeNamed(nodes map[string]*nodeSamples, names kubeNames, name string) *nodeSamples {
	shown := nodeNames(nodes)
	for _, matches := range []func(string, *nodeSamples) bool{
		func(key string, _ *nodeSamples) bool { return shown[key] == name },
		func(key string, _ *nodeSamples) bool { return key == name },
		func(_ string, n *nodeSamples) bool { return n.endpoints()[endpointOf(name)] },
		func(_ string, n *nodeSamples) bool { return n.ip == name },
		func(_ string, n *nodeSamples) bool {
			return slices.ContainsFunc(n.owned, func(s share) bool { return s.key == name })
		},
		func(_ string, n *nodeSamples) bool { return n.uname("nodename") == name },
		func(key string, _ *nodeSamples) bool { return key == names.of(name) },
	} {
		var found *nodeSamples
		for _, key := range slices.Sorted(maps.Keys(nodes)) {
			if n := nodes[key]; matches(key, n) && (found == nil || n.newestMs > found.newestMs) {
				found = n
			}
		}
		if found != nil {
			return found
		}
	}
	return nil
}
