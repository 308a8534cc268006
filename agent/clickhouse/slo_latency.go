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
}

// layout is the cumulative counts at each of its bounds, and at +Inf.
type layout struct {
	bounds     []float64
	cumulative []float64
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

func (l *latency) merge(other *latency) {
	l.count += other.count
	l.sumMs += other.sumMs
	for _, o := range other.layouts {
		l.addLayout(o.bounds, o.cumulative)
	}
	for le, n := range other.federated {
		l.addBucket(le, n)
	}
}

// buckets adds up all histograms at the bounds that they share, as
// histogram_quantile(sum by (le)) does where all bounds are equal.
func (l *latency) buckets() []bucket {
	layouts := slices.Collect(maps.Values(l.layouts))
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
	if len(layouts) == 0 {
		return nil
	}
	var out []bucket
	for _, le := range append(slices.Clone(layouts[0].bounds), math.Inf(1)) {
		total, shared := 0.0, true
		for _, lay := range layouts {
			n, ok := lay.at(le)
			total, shared = total+n, shared && ok
		}
		if shared {
			out = append(out, bucket{le, total})
		}
	}
	return monotonic(out)
}

func (l *layout) at(le float64) (float64, bool) {
	if math.IsInf(le, 1) {
		return l.cumulative[len(l.cumulative)-1], true
	}
	i, ok := slices.BinarySearch(l.bounds, le)
	if !ok {
		return 0, false
	}
	return l.cumulative[i], true
}

// quantiles are p50, p90, p95 and p99 in milliseconds and the mean, each 0
// where nothing was observed.
type quantiles struct {
	p50, p90, p95, p99, avg float64
}

func (l *latency) quantiles() quantiles {
	buckets := l.buckets()
	at := func(q float64) float64 {
		v, ok := quantile(q, buckets)
		if !ok {
			return 0
		}
		return v
	}
	q := quantiles{p50: at(0.5), p90: at(0.9), p95: at(0.95), p99: at(0.99)}
	if l.count > 0 {
		q.avg = l.sumMs / l.count
	}
	return q
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
