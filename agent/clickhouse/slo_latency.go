package clickhouse

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/atlhyper/observe/shared/model"
)

// latency is the sum of the histograms of one service: increases over a window,
// bounds in milliseconds.
type latency struct {
	count, sumMs float64
	// layouts holds what was observed, by its bounds: histograms with other
	// bounds cannot be added up bucket by bucket.
	layouts map[string]*layout
	// federated holds buckets that came as series of their own, by le.
	federated map[float64]float64
	// exponentials holds what exponential histograms observed, by the milliseconds
	// in a unit of theirs: their buckets are powers in that unit.
	exponentials map[float64]exponential
}

// add adds a histogram: bounds in units of msPerUnit, and its vector of count,
// sum and cumulative buckets.
func (l *latency) add(bounds, vector []float64, msPerUnit float64) {
	l.count += vector[0]
	l.sumMs += vector[1] * msPerUnit
	cumulative := vector[2:]
	// Whether there was any is for the buckets to say: a reset may hide in the
	// count and show in a bucket.
	if len(cumulative) != len(bounds)+1 || slices.Max(cumulative) == 0 {
		return
	}
	inMs := make([]float64, len(bounds))
	for i, b := range bounds {
		inMs[i] = b * msPerUnit
	}
	l.addLayout(inMs, cumulative)
}

func (l *latency) addLayout(boundsMs, cumulative []float64) {
	if l.layouts == nil {
		l.layouts = make(map[string]*layout)
	}
	key := fmt.Sprint(boundsMs)
	into := l.layouts[key]
	if into == nil {
		into = &layout{bounds: boundsMs, cumulative: make([]float64, len(cumulative))}
		l.layouts[key] = into
	}
	for i, n := range cumulative {
		into.cumulative[i] += n
	}
}

// addBucket adds a bucket that is a series of its own; leMs may be +Inf.
func (l *latency) addBucket(leMs, count float64) {
	if l.federated == nil {
		l.federated = make(map[float64]float64)
	}
	l.federated[leMs] += count
}

// addExponential adds an exponential histogram in units of msPerUnit.
func (l *latency) addExponential(e exponential, msPerUnit float64) {
	l.count += e.count
	l.sumMs += e.sum * msPerUnit
	l.keepExponential(e, msPerUnit)
}

// keepExponential also adds what observed nothing: as in PromQL it lowers the
// scale of the sum.
func (l *latency) keepExponential(e exponential, msPerUnit float64) {
	if l.exponentials == nil {
		l.exponentials = make(map[float64]exponential)
	}
	if before, ok := l.exponentials[msPerUnit]; ok {
		e = before.plus(e)
	}
	l.exponentials[msPerUnit] = e
}

func (l *latency) merge(other *latency) {
	l.count += other.count
	l.sumMs += other.sumMs
	for _, o := range other.layouts {
		l.addLayout(o.bounds, o.cumulative)
	}
	for le, n := range other.federated {
		l.addBucket(le, n)
	}
	for msPerUnit, e := range other.exponentials {
		l.keepExponential(e, msPerUnit)
	}
}

// buckets adds up all histograms at the bounds that they share, as
// histogram_quantile(sum by (le)) does where all bounds are equal. Where they
// share fewer than two, which tell of no quantile, they are added up at the bounds
// of any of them, interpolated between their own as a quantile is. Exponential
// histograms have no bounds of their own: what they observed up to the others'
// bounds is estimated, and alone they are shown at powers of two.
func (l *latency) buckets() []bucket {
	layouts := l.explicit()
	bounds, count := l.powers(), (*layout).at
	if len(layouts) > 0 {
		bounds = sharedBounds(layouts)
	}
	if len(layouts) > 1 && len(bounds) < 2 {
		bounds, count = everyBound(layouts), (*layout).atMost
	}
	var out []bucket
	for _, le := range append(slices.Clone(bounds), math.Inf(1)) {
		total := 0.0
		for _, lay := range layouts {
			total += count(lay, le)
		}
		for _, msPerUnit := range slices.Sorted(maps.Keys(l.exponentials)) {
			total += l.exponentials[msPerUnit].atMost(le / msPerUnit)
		}
		out = append(out, bucket{le, total})
	}
	return monotonic(out)
}

// explicit are the histograms that have bounds.
func (l *latency) explicit() []*layout {
	var layouts []*layout
	for _, key := range slices.Sorted(maps.Keys(l.layouts)) {
		layouts = append(layouts, l.layouts[key])
	}
	if n := l.federated[math.Inf(1)]; n > 0 {
		f := layout{cumulative: []float64{}}
		for _, le := range slices.Sorted(maps.Keys(l.federated)) {
			if !math.IsInf(le, 1) {
				f.bounds = append(f.bounds, le)
			}
			f.cumulative = append(f.cumulative, l.federated[le])
		}
		layouts = append(layouts, &f)
	}
	return layouts
}

// powers are the bounds in milliseconds at which exponential histograms are shown
// where there are no others: powers of two of their unit.
func (l *latency) powers() []float64 {
	var (
		most   exponential
		bounds []float64
	)
	for _, msPerUnit := range slices.Sorted(maps.Keys(l.exponentials)) {
		if e := l.exponentials[msPerUnit]; e.count > most.count {
			most, bounds = e, bounds[:0]
			for _, le := range e.powers() {
				if isFinite(le * msPerUnit) {
					bounds = append(bounds, le*msPerUnit)
				}
			}
		}
	}
	return bounds
}

// quantiles are p50, p90, p95 and p99 in milliseconds and the mean, each 0
// where nothing was observed.
type quantiles struct {
	p50, p90, p95, p99, avg float64
}

// Exponential histograms alone are interpolated exponentially, as PromQL does
// with native histograms; together with others linearly between their bounds.
func (l *latency) quantiles() quantiles {
	of := func(float64) (float64, bool) { return 0, false }
	if e, msPerUnit, ok := l.exponential(); ok {
		of = func(q float64) (float64, bool) {
			v, ok := e.quantile(q)
			return v * msPerUnit, ok && isFinite(v*msPerUnit)
		}
	} else if buckets := l.buckets(); len(buckets) > 0 {
		of = func(q float64) (float64, bool) { return quantile(q, buckets) }
	}
	at := func(q float64) float64 {
		v, ok := of(q)
		if !ok {
			return 0
		}
		return v
	}
	q := quantiles{p50: at(0.5), p90: at(0.9), p95: at(0.95), p99: at(0.99)}
	if mean := l.sumMs / l.count; l.count > 0 && isFinite(mean) {
		q.avg = mean
	}
	return q
}

// isFinite tells whether v can be shown: what others send may overflow.
func isFinite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// exponential is all that was observed if that came in exponential histograms of
// one unit.
func (l *latency) exponential() (e exponential, msPerUnit float64, ok bool) {
	for unit, one := range l.exponentials {
		if one.count <= 0 {
			continue
		}
		if ok || len(l.explicit()) > 0 {
			return exponential{}, 0, false
		}
		e, msPerUnit, ok = one, unit, true
	}
	return e, msPerUnit, ok
}

// counts are the observations per bucket with a finite bound, not cumulative.
func (l *latency) counts() []model.LatencyBucket {
	out := []model.LatencyBucket{}
	before := 0.0
	for _, b := range l.buckets() {
		if !math.IsInf(b.le, 1) {
			out = append(out, model.LatencyBucket{LE: b.le, Count: wholeNumber(b.count - before)})
		}
		before = b.count
	}
	return out
}
