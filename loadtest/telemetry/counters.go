package telemetry

import (
	"math"
	"slices"
	"strings"
	"time"
)

// counterTable adds to a metric table what it takes to go on counting.
type counterTable[R any] struct {
	tableOf[R]
	point func(*R) *Point
	// counts reports whether the row is of a cumulative counter.
	counts func(*R) bool
	// totals are the numbers that accumulate; integers stay exact below 2^53.
	totals func(*R) []float64
	// setTotals gives a copy of a row other totals, as many as it has.
	setTotals func(*R, []float64)
}

func gaugeCounters() counterTable[GaugePoint] {
	return counterTable[GaugePoint]{
		tableOf:   gaugeTable(),
		point:     func(p *GaugePoint) *Point { return &p.Point },
		counts:    func(p *GaugePoint) bool { return untypedCounter(p.MetricName) },
		totals:    func(p *GaugePoint) []float64 { return []float64{p.Value} },
		setTotals: func(p *GaugePoint, v []float64) { p.Value = v[0] },
	}
}

func sumCounters() counterTable[SumPoint] {
	return counterTable[SumPoint]{
		tableOf:   sumTable(),
		point:     func(p *SumPoint) *Point { return &p.Point },
		counts:    func(p *SumPoint) bool { return p.Monotonic && p.Temporality == TemporalityCumulative },
		totals:    func(p *SumPoint) []float64 { return []float64{p.Value} },
		setTotals: func(p *SumPoint, v []float64) { p.Value = v[0] },
	}
}

func histogramCounters() counterTable[HistogramPoint] {
	return counterTable[HistogramPoint]{
		tableOf: histogramTable(),
		point:   func(p *HistogramPoint) *Point { return &p.Point },
		counts:  func(p *HistogramPoint) bool { return p.Temporality == TemporalityCumulative },
		totals: func(p *HistogramPoint) []float64 {
			totals := []float64{p.Sum, float64(p.Count)}
			for _, n := range p.BucketCounts {
				totals = append(totals, float64(n))
			}
			return totals
		},
		setTotals: func(p *HistogramPoint, v []float64) {
			p.Sum, p.Count = v[0], uint64(v[1])
			p.BucketCounts = make([]uint64, len(v)-2)
			for i := range p.BucketCounts {
				p.BucketCounts[i] = uint64(v[i+2])
			}
		},
	}
}

func summaryCounters() counterTable[SummaryPoint] {
	return counterTable[SummaryPoint]{
		tableOf:   summaryTable(),
		point:     func(p *SummaryPoint) *Point { return &p.Point },
		counts:    func(*SummaryPoint) bool { return true },
		totals:    func(p *SummaryPoint) []float64 { return []float64{p.Sum, float64(p.Count)} },
		setTotals: func(p *SummaryPoint, v []float64) { p.Sum, p.Count = v[0], uint64(v[1]) },
	}
}

// untypedCounter reports whether a metric of the gauge table is a counter in
// truth: node_exporter exposes these without a type.
func untypedCounter(name string) bool {
	switch name {
	case "node_netstat_Tcp_CurrEstab", "node_netstat_Ip_Forwarding":
		return false
	}
	return strings.HasPrefix(name, "node_netstat_") ||
		strings.HasPrefix(name, "node_vmstat_") ||
		strings.HasPrefix(name, "node_nf_conntrack_stat_")
}

// process is what restarts as a whole: one scraped target.
type process struct {
	job      string
	resource string // Attributes.key
}

// lifetime is what the capture says about a process.
type lifetime struct {
	scrapes []time.Time // ascending
	restart time.Time   // first scrape after its first restart; zero if there was none
}

// lifetimes finds the scrapes and the first restart of every process: the first
// scrape at which one of its counters fell or was gone (a restarted process
// lacks the series it has not counted yet).
func lifetimes(rows *Rows, keys *keyCache) map[process]*lifetime {
	found := make(map[process]*lifetime)
	observe(found, gaugeCounters(), rows.Gauges, keys)
	observe(found, sumCounters(), rows.Sums, keys)
	observe(found, histogramCounters(), rows.Histograms, keys)
	observe(found, summaryCounters(), rows.Summaries, keys)
	for _, l := range found {
		slices.SortFunc(l.scrapes, time.Time.Compare)
		l.scrapes = slices.Compact(l.scrapes)
	}
	return found
}

func observe[R any](found map[process]*lifetime, t counterTable[R], rows []R, keys *keyCache) {
	last := make(map[series][]float64)
	for i := range rows {
		p := t.point(&rows[i])
		s := keys.series(p)
		l := found[s.process]
		if l == nil {
			l = &lifetime{}
			found[s.process] = l
		}
		if n := len(l.scrapes); n == 0 || !l.scrapes[n-1].Equal(p.Time) {
			l.scrapes = append(l.scrapes, p.Time)
		}
		if !t.counts(&rows[i]) {
			continue
		}
		var totals []float64
		if !p.Stale() {
			totals = t.totals(&rows[i])
		}
		if before, ok := last[s]; p.Stale() || ok && fell(before, totals) {
			if l.restart.IsZero() || p.Time.Before(l.restart) {
				l.restart = p.Time
			}
		}
		last[s] = totals
	}
}

// fell reports whether a counter, or one bucket of a histogram, went down or
// changed its buckets. A nil before (a stale row) is no fall.
func fell(before, after []float64) bool {
	if before == nil {
		return false
	}
	if len(before) != len(after) {
		return true
	}
	for i := range before {
		if after[i] < before[i] {
			return true
		}
	}
	return false
}

// grain is the resolution, in the unit of the counter, to which a drift that is
// no integer is rounded up. Adding a drift of several parts at each loop rounds
// differently at both ends of a seam, and a counter that is lower by one bit
// reads as a reset; the grain is far above that error and far below what anyone
// looks at (a microsecond of CPU time).
const grain = 1.0 / (1 << 20)

// drift is what a counter without restarts gains in one loop: last - first + step.
func drift(first, last, step []float64) []float64 {
	d := make([]float64, len(first))
	for i := range d {
		d[i] = last[i] - first[i] + step[i]
		if whole := first[i] == math.Trunc(first[i]) && last[i] == math.Trunc(last[i]); !whole {
			d[i] = (math.Floor(d[i]/grain) + 2) * grain
		}
	}
	return d
}

// less is a - b by element; either may be nil for zeros, n is their length.
func less(a, b []float64, n int) []float64 { return combine(a, b, n, -1) }

// plus is a + b by element; either may be nil for zeros, n is their length.
func plus(a, b []float64, n int) []float64 { return combine(a, b, n, 1) }

func combine(a, b []float64, n int, sign float64) []float64 {
	c := make([]float64, n)
	copy(c, a)
	for i := range b {
		c[i] += sign * b[i]
	}
	return c
}
