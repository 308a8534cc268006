package promql

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/atlhyper/observe/loadtest/telemetry"
)

// caseName stands in labels for the name of the case, which is given when cases
// are loaded: many cases share one database.
const caseName = "$case"

// table is where a collector puts a series.
type table int

const (
	sumTable         table = iota
	gaugeTable             // untyped and federated counters
	histogramTable         // one row for all buckets
	federatedTable         // a histogram taken apart: _bucket, _sum and _count as gauges
	exponentialTable       // native histograms
)

// point is one scrape of a series.
type point struct {
	at    int64 // Unix seconds
	value float64
	// buckets are the observations per bucket, since the process began, over
	// bounds and +Inf; nil for a plain counter.
	buckets []uint64
	bounds  []float64
	sum     float64 // of the observations
	// exponential is set instead of the buckets in series of exponential histograms.
	exponential *exponential
	stale       bool  // the series was absent
	twice       bool  // written two times
	start       int64 // Unix seconds; 0 as scraped data has it
}

func (p *point) count() uint64 {
	if p.exponential != nil {
		return p.exponential.count()
	}
	var n uint64
	for _, b := range p.buckets {
		n += b
	}
	return n
}

// series is one series of a scraped process.
type series struct {
	metric   string
	table    table
	job      string
	instance string
	resource map[string]string // beside job and instance
	labels   map[string]string
	delta    bool // points are increments
	points   []point
}

func (s *series) histogram() bool { return s.table == histogramTable || s.table == federatedTable }

// testCase is a set of series that nothing else in the database adds to.
type testCase struct {
	series []series
}

func (c testCase) points() int {
	n := 0
	for i := range c.series {
		n += len(c.series[i].points)
	}
	return n
}

// times are when any of its series is scraped.
func (c testCase) times() []int64 {
	all := make(map[int64]bool)
	for i := range c.series {
		for _, p := range c.series[i].points {
			all[p.at] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// named returns the map with the case's name put in.
func named(m map[string]string, name string) telemetry.Attributes {
	out := make(telemetry.Attributes, len(m))
	for k, v := range m {
		out[k] = strings.ReplaceAll(v, caseName, name)
	}
	return out
}

// part is a plain counter, which a histogram is several of.
type part struct {
	suffix, le string
	// of gives the counter at one point; false where the bounds lack it.
	of func(p *point) (float64, bool)
}

// parts takes a series apart as Prometheus does.
func (s *series) parts() []part {
	if !s.histogram() { // nor are native ones several
		return []part{{of: func(p *point) (float64, bool) { return p.value, true }}}
	}
	out := []part{
		{suffix: "_count", of: func(p *point) (float64, bool) { return float64(p.count()), true }},
		{suffix: "_sum", of: func(p *point) (float64, bool) { return p.sum, true }},
		{suffix: "_bucket", le: "+Inf", of: func(p *point) (float64, bool) { return float64(p.count()), true }},
	}
	seen := make(map[float64]bool)
	for i := range s.points {
		for _, bound := range s.points[i].bounds {
			if !seen[bound] {
				seen[bound] = true
				out = append(out, part{suffix: "_bucket", le: fmt.Sprint(bound), of: atMost(bound)})
			}
		}
	}
	return out
}

// atMost is the cumulative count of the bucket with that bound.
func atMost(bound float64) func(*point) (float64, bool) {
	return func(p *point) (float64, bool) {
		var n uint64
		for i, b := range p.bounds {
			n += p.buckets[i]
			if b == bound {
				return float64(n), true
			}
		}
		return 0, false
	}
}

// rows adds the series as a collector writes it.
func (s *series) rows(into *telemetry.Rows, name string) {
	resource := named(s.resource, name)
	instance := strings.ReplaceAll(s.instance, caseName, name)
	resource["service.name"] = s.job
	resource["service.instance.id"] = instance
	attributes := named(s.labels, name)
	parts := s.parts()
	bucketAttributes := make([]telemetry.Attributes, len(parts))
	for i, part := range parts {
		bucketAttributes[i] = attributes
		if part.le != "" {
			bucketAttributes[i] = maps.Clone(attributes)
			bucketAttributes[i]["le"] = part.le
		}
	}
	for i := range s.points {
		p := &s.points[i]
		base := telemetry.Point{
			Resource: resource, ServiceName: s.job, MetricName: s.metric, Attributes: attributes,
			StartTime: time.Unix(p.start, 0).UTC(), Time: time.Unix(p.at, 0).UTC(),
		}
		if p.stale {
			base.Flags = telemetry.FlagNoRecordedValue
		}
		for range copies(p) {
			s.row(into, p, base, parts, bucketAttributes)
		}
	}
}

func copies(p *point) int {
	if p.twice {
		return 2
	}
	return 1
}

func (s *series) row(into *telemetry.Rows, p *point, base telemetry.Point, parts []part, attributes []telemetry.Attributes) {
	temporality := telemetry.TemporalityCumulative
	if s.delta {
		temporality = telemetry.TemporalityDelta
	}
	switch s.table {
	case sumTable:
		into.Sums = append(into.Sums, telemetry.SumPoint{
			Point: base, Value: recorded(p, p.value), Temporality: temporality, Monotonic: true,
		})
	case histogramTable:
		h := telemetry.HistogramPoint{Point: base, Bounds: p.bounds, BucketCounts: make([]uint64, len(p.buckets)), Temporality: temporality}
		if !p.stale {
			copy(h.BucketCounts, p.buckets)
			h.Count, h.Sum = p.count(), p.sum
		}
		into.Histograms = append(into.Histograms, h)
	case exponentialTable:
		into.Exponentials = append(into.Exponentials, p.exponential.row(base, temporality, p))
	case gaugeTable, federatedTable:
		for i, part := range parts {
			if v, ok := part.of(p); ok {
				g := telemetry.GaugePoint{Point: base, Value: recorded(p, v)}
				g.MetricName += part.suffix
				g.Attributes = attributes[i]
				into.Gauges = append(into.Gauges, g)
			}
		}
	}
}

// recorded is what the value column holds.
func recorded(p *point, v float64) float64 {
	if p.stale {
		return 0
	}
	return v
}

// String lists the samples of a case for a reader.
func (c testCase) String() string {
	var b strings.Builder
	for i := range c.series {
		s := &c.series[i]
		fmt.Fprintf(&b, "  %s%v instance=%s %v", s.metric, s.labels, s.instance, s.table)
		if s.delta {
			b.WriteString(" delta")
		}
		b.WriteByte('\n')
		for j := range s.points {
			b.WriteString("    " + s.points[j].String() + "\n")
		}
	}
	return b.String()
}

func (p *point) String() string {
	text := time.Unix(p.at, 0).UTC().Format(time.TimeOnly)
	switch {
	case p.stale:
		text += " stale"
	case p.exponential != nil:
		text += fmt.Sprintf(" sum %v %+v", p.sum, *p.exponential)
	case p.buckets != nil:
		text += fmt.Sprintf(" count %d sum %v buckets %v of %v", p.count(), p.sum, p.buckets, p.bounds)
	default:
		text += fmt.Sprintf(" %v", p.value)
	}
	if p.twice {
		text += " (written twice)"
	}
	if p.start != 0 {
		text += " start " + time.Unix(p.start, 0).UTC().Format(time.TimeOnly)
	}
	return text
}

func (t table) String() string {
	return [...]string{"(sum)", "(gauge)", "(histogram)", "(federated)", "(exponential)"}[t]
}
