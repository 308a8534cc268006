package bench

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/atlhyper/observe/agent/clickhouse"
	"github.com/atlhyper/observe/loadtest/proc"
	"github.com/atlhyper/observe/shared/model"
)

// Line is a row of the table: what something costs as we read it and the naive
// way, the medians of the runs.
type Line struct {
	Name string
	Cost
	// Naive shares nothing with other sections: what is about nodes takes a set of
	// statements for each node; what is not is read as we do.
	Naive Cost
}

// Result is what was measured with one number of nodes.
type Result struct {
	Nodes int
	// Sections of a round, each in a round of its own.
	Sections []Line
	// Round is all of them in one, side by side as the agent collects them.
	Round Cost
	// Naive is all of them the naive way: one set of statements for each node, which
	// several sections share, as all that is not about nodes is; that is read as we do.
	Naive Cost
	// NaiveSample is how many nodes were asked for it; the rest is scaled.
	NaiveSample int
	// Bound is two bare scans of the window, Needed the same of only the metrics
	// that panels show.
	Bound, Needed Cost
	// Cycles is what the agent's process did.
	Cycles Report
	// Load is the machine's load average at the end; "" where it does not say.
	Load string
}

// Plan says what is measured.
type Plan struct {
	DSN   string // of the filled database, over HTTP
	Until time.Time
	Nodes int
	// Runs are how often each is measured.
	Runs int
	// NaiveNodes is how many nodes the naive way is measured with at most; what it
	// costs for all of them is scaled.
	NaiveNodes int
	// ServerPID is the engine's process, whose processor time is measured too.
	ServerPID int
}

// rateWindow is that of the agent.
const rateWindow = 5 * time.Minute

// Measure measures everything but the agent's process. Each run measures all
// ways one after the other, so that what disturbs the machine disturbs all.
func (p Plan) Measure(ctx context.Context) (_ Result, err error) {
	address, err := databaseURL(p.DSN)
	if err != nil {
		return Result{}, err
	}
	store, err := clickhouse.Open(clickhouse.Config{DSN: p.DSN})
	if err != nil {
		return Result{}, err
	}
	defer func() { err = cmp.Or(err, store.Close()) }()
	var (
		s         = server{address, &http.Client{}}
		w         = window{p.Until.Add(-rateWindow), p.Until}
		sample    = min(p.Nodes, p.NaiveNodes)
		naive     = make([]Cost, 0, p.Runs)
		bounds    = make([]Cost, 0, p.Runs)
		needed    = make([]Cost, 0, p.Runs)
		rounds    = make([]Cost, 0, p.Runs)
		bySection = make(map[model.Section][]Cost)
	)
	for range p.Runs {
		for _, m := range []struct {
			to   *[]Cost
			read func() (Cost, error)
		}{
			{&bounds, func() (Cost, error) { return s.bound(ctx, w, true) }},
			{&needed, func() (Cost, error) { return s.bound(ctx, w, false) }},
			{&rounds, func() (Cost, error) { return p.round(ctx, store) }},
			{&naive, func() (Cost, error) { return s.naive(ctx, sample, w) }},
		} {
			cost, err := p.timed(m.read)
			if err != nil {
				return Result{}, err
			}
			*m.to = append(*m.to, cost)
		}
		for _, section := range sectionNames() {
			cost, err := p.timed(func() (Cost, error) { return p.section(ctx, store, section) })
			if err != nil {
				return Result{}, err
			}
			bySection[section] = append(bySection[section], cost)
		}
	}
	r := Result{
		Nodes: p.Nodes, NaiveSample: sample, Round: medianCost(rounds), Bound: medianCost(bounds), Needed: medianCost(needed),
		Load: proc.LoadAverage(),
	}
	ours := make(map[model.Section]Cost)
	for _, section := range sectionNames() {
		ours[section] = medianCost(bySection[section])
	}
	nodes := medianCost(naive).times(float64(p.Nodes) / float64(sample))
	for _, section := range sectionNames() {
		r.Sections = append(r.Sections, Line{string(section), ours[section], naiveSection(section, nodes, ours)})
	}
	r.Naive = nodes.plus(ours[model.SectionTracesTopology]).plus(ours[model.SectionSLOSummary])
	return r, nil
}

// naiveSection is what a section costs the naive way, where nodes is what all
// nodes' statements do and ours what the sections cost as we read them.
func naiveSection(section model.Section, nodes Cost, ours map[model.Section]Cost) Cost {
	switch section {
	case model.SectionMetricsNodes, model.SectionMetricsSummary:
		return nodes
	case model.SectionOverview:
		return nodes.plus(ours[model.SectionTracesServices]).plus(ours[model.SectionSLOSummary])
	}
	return ours[section]
}

func sectionNames() []model.Section {
	return []model.Section{
		model.SectionMetricsSummary, model.SectionMetricsNodes, model.SectionTracesServices, model.SectionTracesTopology,
		model.SectionSLOSummary, model.SectionSLOIngress, model.SectionSLOServices, model.SectionSLOEdges, model.SectionOverview,
	}
}

// medianCost is the one with the median time.
func medianCost(list []Cost) Cost {
	sorted := slices.SortedFunc(slices.Values(list), func(a, b Cost) int { return cmp.Compare(a.Took, b.Took) })
	return sorted[len(sorted)/2]
}

// timed adds the processor time that the server used meanwhile.
func (p Plan) timed(read func() (Cost, error)) (Cost, error) {
	before, err := proc.ProcessorTime(p.ServerPID)
	if err != nil {
		return Cost{}, err
	}
	cost, err := read()
	if err != nil {
		return Cost{}, err
	}
	after, err := proc.ProcessorTime(p.ServerPID)
	cost.Processor = after - before
	return cost, err
}

// section reads one section by itself.
func (p Plan) section(ctx context.Context, store *clickhouse.Store, name model.Section) (Cost, error) {
	began := time.Now()
	r := store.Round(ctx, p.Until)
	if err := collect(r, name); err != nil {
		return Cost{}, fmt.Errorf("%s: %w", name, err)
	}
	reads := r.Reads(name)
	return Cost{Statements: reads.Statements, Rows: reads.Rows, Bytes: reads.Bytes, Took: time.Since(began)}, nil
}

// round reads all sections side by side.
func (p Plan) round(ctx context.Context, store *clickhouse.Store) (Cost, error) {
	began := time.Now()
	r := store.Round(ctx, p.Until)
	errs := make(chan error, len(sectionNames()))
	for _, name := range sectionNames() {
		go func() { errs <- collect(r, name) }()
	}
	var first error
	for range sectionNames() {
		first = cmp.Or(first, <-errs)
	}
	reads := r.TotalReads()
	return Cost{Statements: reads.Statements, Rows: reads.Rows, Bytes: reads.Bytes, Took: time.Since(began)}, first
}

func collect(r *clickhouse.Round, name model.Section) (err error) {
	switch name {
	case model.SectionMetricsSummary:
		_, err = r.MetricsSummary()
	case model.SectionMetricsNodes:
		_, err = r.MetricsNodes()
	case model.SectionTracesServices:
		_, err = r.TracesServices()
	case model.SectionTracesTopology:
		_, err = r.TracesTopology()
	case model.SectionSLOSummary:
		_, err = r.SLOSummary()
	case model.SectionSLOIngress:
		_, err = r.SLOIngress()
	case model.SectionSLOServices:
		_, err = r.SLOServices()
	case model.SectionSLOEdges:
		_, err = r.SLOEdges()
	case model.SectionOverview:
		_, err = r.Overview()
	default:
		err = fmt.Errorf("there is no section %s", name)
	}
	return err
}
