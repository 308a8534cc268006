package reference

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/atlhyper/observe/loadtest/telemetry"
)

// Data is rows of a capture in the shapes that questions need.
type Data struct {
	series     map[string][]*Series    // of otel_metrics_gauge and otel_metrics_sum, by metric
	histograms map[string][]*Histogram // by metric
	spans      []telemetry.Span        // in the order of their start
	logs       []telemetry.LogRecord   // in the order of their time
}

// Series is one time series: one metric of one resource with one set of labels.
type Series struct {
	Resource telemetry.Attributes
	Labels   telemetry.Attributes
	Samples  []Sample // ascending in time, without the stale ones
	Stale    []int64  // times of the stale markers
}

// Histogram is one histogram series as Prometheus sees it: a counter for each
// bound, cumulative over the bounds, and those of count and sum.
type Histogram struct {
	Resource telemetry.Attributes
	Labels   telemetry.Attributes
	Bounds   []float64 // finite upper bounds, ascending
	Buckets  []*Series // one more than Bounds: +Inf is the last
	Sum      *Series
	Count    *Series
}

// New indexes the rows. It fails when they are not what the package takes for
// granted: cumulative counters, one sample of a series per second, bounds that
// never change.
func New(rows telemetry.Rows) (*Data, error) {
	d := &Data{
		series: map[string][]*Series{}, histograms: map[string][]*Histogram{},
		spans: slices.Clone(rows.Spans), logs: slices.Clone(rows.Logs),
	}
	slices.SortStableFunc(d.spans, func(a, b telemetry.Span) int { return a.Timestamp.Compare(b.Timestamp) })
	slices.SortStableFunc(d.logs, func(a, b telemetry.LogRecord) int { return a.Timestamp.Compare(b.Timestamp) })
	index := map[string]*Series{}
	for i := range rows.Gauges {
		d.add(index, &rows.Gauges[i].Point, rows.Gauges[i].Value)
	}
	for i := range rows.Sums {
		p := &rows.Sums[i]
		if p.Temporality != telemetry.TemporalityCumulative || !p.Monotonic {
			return nil, fmt.Errorf("%s: not a cumulative monotonic sum", p.MetricName)
		}
		d.add(index, &p.Point, p.Value)
	}
	if err := d.addHistograms(rows.Histograms); err != nil {
		return nil, err
	}
	for name, list := range d.series {
		for _, s := range list {
			if err := s.order(); err != nil {
				return nil, fmt.Errorf("%s %v: %w", name, s.Labels, err)
			}
		}
	}
	return d, nil
}

func (d *Data) add(index map[string]*Series, p *telemetry.Point, value float64) {
	id := identity(p)
	s := index[id]
	if s == nil {
		s = &Series{Resource: p.Resource, Labels: p.Attributes}
		index[id] = s
		d.series[p.MetricName] = append(d.series[p.MetricName], s)
	}
	s.add(p, value)
}

func (s *Series) add(p *telemetry.Point, value float64) {
	t := p.Time.Unix()
	if p.Stale() {
		s.Stale = append(s.Stale, t)
		return
	}
	s.Samples = append(s.Samples, Sample{T: t, V: value})
}

// order sorts by time and refuses two samples in one second.
func (s *Series) order() error {
	slices.SortStableFunc(s.Samples, func(a, b Sample) int { return int(a.T - b.T) })
	slices.Sort(s.Stale)
	for i := 1; i < len(s.Samples); i++ {
		if s.Samples[i].T == s.Samples[i-1].T {
			return fmt.Errorf("two samples at %d", s.Samples[i].T)
		}
	}
	return nil
}

func (d *Data) addHistograms(points []telemetry.HistogramPoint) error {
	index := map[string]*Histogram{}
	for i := range points {
		p := &points[i]
		if p.Temporality != telemetry.TemporalityCumulative {
			return fmt.Errorf("%s: not a cumulative histogram", p.MetricName)
		}
		id := identity(&p.Point)
		h := index[id]
		if h == nil {
			h = newHistogram(p)
			index[id] = h
			d.histograms[p.MetricName] = append(d.histograms[p.MetricName], h)
		}
		if !slices.Equal(h.Bounds, p.Bounds) || len(p.BucketCounts) != len(p.Bounds)+1 {
			return fmt.Errorf("%s: bounds changed", p.MetricName)
		}
		var cumulative uint64
		for b, n := range p.BucketCounts {
			cumulative += n
			h.Buckets[b].add(&p.Point, float64(cumulative))
		}
		h.Sum.add(&p.Point, p.Sum)
		h.Count.add(&p.Point, float64(p.Count))
	}
	for _, h := range index {
		for _, s := range append(slices.Clone(h.Buckets), h.Sum, h.Count) {
			if err := s.order(); err != nil {
				return err
			}
		}
	}
	return nil
}

func newHistogram(p *telemetry.HistogramPoint) *Histogram {
	h := &Histogram{
		Resource: p.Resource, Labels: p.Attributes, Bounds: p.Bounds,
		Buckets: make([]*Series, len(p.Bounds)+1), Sum: &Series{}, Count: &Series{},
	}
	for i := range h.Buckets {
		h.Buckets[i] = &Series{}
	}
	return h
}

// identity is equal for the points of one series and for them alone.
func identity(p *telemetry.Point) string {
	var b strings.Builder
	for _, part := range []string{p.MetricName, p.ServiceName, p.ScopeName, p.ScopeVersion} {
		fmt.Fprintf(&b, "%q ", part)
	}
	for _, m := range []telemetry.Attributes{p.Resource, p.ScopeAttributes, p.Attributes} {
		b.WriteString("| ")
		for _, k := range slices.Sorted(maps.Keys(m)) {
			fmt.Fprintf(&b, "%q=%q ", k, m[k])
		}
	}
	return b.String()
}

// labels says which series are meant: each label must have one of its values.
type labels map[string][]string

func (l labels) match(a telemetry.Attributes) bool {
	for name, values := range l {
		if !slices.Contains(values, a[name]) {
			return false
		}
	}
	return true
}
