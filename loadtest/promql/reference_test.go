package promql

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/tsdb"
)

// prometheus is a Prometheus without its scraping: the storage and the engine.
type prometheus struct {
	db     *tsdb.DB
	engine *promql.Engine
}

func newPrometheus(t *testing.T) *prometheus {
	t.Helper()
	options := tsdb.DefaultOptions()
	// One block holds all, so that samples may come series by series.
	options.MinBlockDuration = (30 * 24 * time.Hour).Milliseconds()
	options.MaxBlockDuration = options.MinBlockDuration
	options.RetentionDuration = 0
	db, err := tsdb.Open(t.TempDir(), nil, nil, options, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	engine := promql.NewEngine(promql.EngineOpts{
		MaxSamples: 50_000_000,
		Timeout:    time.Minute,
		// anchored is what increments are compared with.
		Parser: parser.NewParser(parser.Options{EnableExtendedRangeSelectors: true}),
	})
	t.Cleanup(func() {
		if err := engine.Close(); err != nil {
			t.Error(err)
		}
	})
	return &prometheus{db: db, engine: engine}
}

// load appends the samples of the cases.
func (p *prometheus) load(t *testing.T, cases []testCase) {
	t.Helper()
	app := p.db.Appender(t.Context())
	for i, c := range cases {
		for j := range c.series {
			for _, s := range c.series[j].scraped(nameOf(i)) {
				for _, point := range s.native {
					if _, err := app.AppendHistogram(0, s.labels, point.T, nil, point.H); err != nil {
						t.Fatalf("append %v at %d: %v", s.labels, point.T, err)
					}
				}
				for _, point := range s.points {
					if _, err := app.Append(0, s.labels, point.T, point.F); err != nil {
						t.Fatalf("append %v at %d: %v", s.labels, point.T, err)
					}
				}
			}
		}
	}
	if err := app.Commit(); err != nil {
		t.Fatal(err)
	}
}

// mark appends the series narrowSteps.
func (p *prometheus) mark(t *testing.T, m moment, cases []testCase) {
	t.Helper()
	app := p.db.Appender(t.Context())
	for _, target := range m.narrow(cases) {
		for _, end := range slices.Backward(m.ends()) {
			if _, err := app.Append(0, target, end.UnixMilli(), 1); err != nil {
				t.Fatalf("append %v: %v", target, err)
			}
		}
	}
	if err := app.Commit(); err != nil {
		t.Fatal(err)
	}
}

// query evaluates an expression at one instant.
func (p *prometheus) query(t *testing.T, expr string, at time.Time) promql.Vector {
	t.Helper()
	q, err := p.engine.NewInstantQuery(t.Context(), p.db, nil, expr, at)
	if err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	defer q.Close()
	vector, err := q.Exec(t.Context()).Vector()
	if err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	return slices.Clone(vector)
}

// scrapedSeries is a series as Prometheus would have scraped it.
type scrapedSeries struct {
	labels labels.Labels
	points []promql.FPoint
	native []promql.HPoint // instead of points, of native histograms
}

// scraped is the samples of a series as Prometheus stores them: a row with no
// recorded value is a stale marker, a row written twice is one sample, a delta
// counter is the running sum from zero at the first start time on.
func (s *series) scraped(name string) []scrapedSeries {
	all := s
	if s.delta {
		cumulative := s.cumulative()
		all = &cumulative
	}
	var out []scrapedSeries
	for _, part := range all.parts() {
		b := labels.NewBuilder(labels.EmptyLabels())
		for k, v := range named(s.labels, name) {
			b.Set(k, v)
		}
		b.Set(model.MetricNameLabel, s.metric+part.suffix)
		b.Set("job", s.job)
		b.Set("instance", strings.ReplaceAll(s.instance, caseName, name))
		if part.le != "" {
			b.Set(labels.BucketLabel, part.le)
		}
		one := scrapedSeries{labels: b.Labels()}
		for i := range all.points {
			p := &all.points[i]
			if s.table == exponentialTable {
				one.native = append(one.native, promql.HPoint{T: p.at * 1000, H: p.native()})
				continue
			}
			v, ok := part.of(p)
			if !ok {
				continue
			}
			if p.stale {
				v = math.Float64frombits(value.StaleNaN)
			}
			one.points = append(one.points, promql.FPoint{T: p.at * 1000, F: v})
		}
		out = append(out, one)
	}
	return out
}

// cumulative is a delta series as a cumulative one.
func (s *series) cumulative() series {
	out := *s
	out.delta = false
	out.points = nil
	if len(s.points) == 0 {
		return out
	}
	total := point{at: s.points[0].start, bounds: s.points[0].bounds}
	if s.histogram() {
		total.buckets = make([]uint64, len(total.bounds)+1)
	}
	out.points = append(out.points, total)
	for i := range s.points {
		p := &s.points[i]
		next := total
		next.at, next.stale = p.at, p.stale
		next.value += p.value
		next.sum += p.sum
		next.buckets = slices.Clone(total.buckets)
		for b := range p.buckets {
			next.buckets[b] += p.buckets[b]
		}
		total = next
		out.points = append(out.points, total)
	}
	return out
}

// nameOf is the name of the i-th case.
func nameOf(i int) string { return fmt.Sprintf("c%d", i) }
