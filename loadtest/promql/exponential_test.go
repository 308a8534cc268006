package promql

import (
	"maps"
	"math"
	"slices"

	prom "github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/value"
	"pgregory.net/rapid"

	"github.com/atlhyper/observe/loadtest/telemetry"
)

// exponential is an exponential histogram as an SDK has it: buckets by their
// index, at a scale.
type exponential struct {
	scale              int32
	zero               uint64
	positive, negative map[int32]uint64
	// padding is how many empty buckets are written before and after the others.
	padding int32
}

func (e *exponential) count() uint64 {
	n := e.zero
	for _, buckets := range []map[int32]uint64{e.positive, e.negative} {
		for _, b := range buckets {
			n += b
		}
	}
	return n
}

// clone is a copy that goes on by itself.
func (e *exponential) clone() *exponential {
	c := *e
	c.positive, c.negative = maps.Clone(e.positive), maps.Clone(e.negative)
	return &c
}

// lowered is the histogram at a scale lower by so much.
func (e *exponential) lowered(by int32) *exponential {
	c := e.clone()
	if by <= 0 {
		return c
	}
	c.scale -= by
	for _, buckets := range []*map[int32]uint64{&c.positive, &c.negative} {
		joined := make(map[int32]uint64)
		for k, n := range *buckets {
			joined[k>>by] += n
		}
		*buckets = joined
	}
	return c
}

// row is the point as a collector writes it.
func (e *exponential) row(base telemetry.Point, temporality telemetry.Temporality, p *point) telemetry.ExponentialPoint {
	out := telemetry.ExponentialPoint{Point: base, Temporality: temporality}
	if p.stale {
		return out
	}
	out.Count, out.Sum, out.Scale, out.ZeroCount = e.count(), p.sum, e.scale, e.zero
	out.PositiveOffset, out.Positive = e.dense(e.positive)
	out.NegativeOffset, out.Negative = e.dense(e.negative)
	return out
}

func (e *exponential) dense(buckets map[int32]uint64) (offset int32, counts []uint64) {
	keys := slices.Sorted(maps.Keys(buckets))
	if len(keys) == 0 {
		return 0, nil
	}
	offset = keys[0] - e.padding
	counts = make([]uint64, keys[len(keys)-1]-offset+1+e.padding)
	for k, n := range buckets {
		counts[k-offset] = n
	}
	return offset, counts
}

// native is the point as Prometheus has it, which knows no finer schema than 8.
func (p *point) native() *prom.FloatHistogram {
	if p.stale {
		return &prom.FloatHistogram{Sum: math.Float64frombits(value.StaleNaN)}
	}
	e := p.exponential.lowered(p.exponential.scale - 8)
	h := &prom.FloatHistogram{Schema: e.scale, Count: float64(e.count()), Sum: p.sum, ZeroCount: float64(e.zero)}
	h.PositiveSpans, h.PositiveBuckets = spans(e.positive)
	h.NegativeSpans, h.NegativeBuckets = spans(e.negative)
	return h
}

// spans gives each bucket a span. Prometheus counts a bucket by its upper bound,
// OpenTelemetry by its lower one.
func spans(buckets map[int32]uint64) (list []prom.Span, counts []float64) {
	next := int32(0)
	for _, k := range slices.Sorted(maps.Keys(buckets)) {
		if buckets[k] == 0 {
			continue
		}
		list = append(list, prom.Span{Offset: k + 1 - next, Length: 1})
		counts = append(counts, float64(buckets[k]))
		next = k + 2
	}
	return list, counts
}

// upToPowers are the observations of a native histogram up to powers of two, or
// coarser bounds where its own are.
func upToPowers(h *prom.FloatHistogram) map[float64]float64 {
	out := map[float64]float64{math.Inf(1): h.Count}
	positive := 0.0
	for _, n := range h.PositiveBuckets {
		positive += n
	}
	below := h.Count - positive // shown in the first bucket
	for it := h.CopyToSchema(min(h.Schema, 0)).PositiveBucketIterator(); it.Next(); {
		below += it.At().Count
		out[it.At().Upper] = below
	}
	return out
}

// exponentialHistogram draws one scraped at those times. Its scale falls as it
// sees more; it restarts at any; and it has resets that only one bucket shows.
func exponentialHistogram(t *rapid.T, s series, times []int64) series {
	var (
		scales = rapid.SampledFrom([]int32{20, 9, 8, 8, 5, 3, 0, -2}).Draw(t, "scale")
		resets = rapid.SampledFrom([]int{0, 0, 2, 4}).Draw(t, "how rarely reset")
		lowers = rapid.SampledFrom([]int{0, 2, 4}).Draw(t, "how rarely lowered")
		step   = rapid.SampledFrom([]uint64{1, 10, 1000}).Draw(t, "largest step")
		signed = rarely(t, 3, "signed")
		e      = &exponential{scale: scales, positive: map[int32]uint64{}, negative: map[int32]uint64{}}
		sum    = 0.0
	)
	observe := func(most uint64) {
		n := rapid.Uint64Range(0, most).Draw(t, "observations")
		if n == 0 {
			return
		}
		k := rapid.Int32Range(-12, 12).Draw(t, "bucket")
		switch {
		case rarely(t, 3, "zero"):
			e.zero += n
		case signed && rapid.Bool().Draw(t, "negative"):
			e.negative[k] += n
		default:
			e.positive[k] += n
		}
		sum += float64(n*rapid.Uint64Range(0, 640).Draw(t, "each")) * unit
	}
	if rapid.Bool().Draw(t, "old") {
		for range 6 {
			observe(100_000)
		}
	}
	points := make([]point, len(times))
	for i, at := range times {
		if resets > 0 && rarely(t, resets, "reset") {
			e, sum = restarted(t, e, sum)
		}
		if lowers > 0 && e.scale > -3 && rarely(t, lowers, "lowered") {
			e = e.lowered(rapid.Int32Range(1, min(3, e.scale+4)).Draw(t, "by"))
		}
		for range rapid.IntRange(0, 3).Draw(t, "buckets hit") {
			observe(step)
		}
		e.padding = rapid.Int32Range(0, 2).Draw(t, "padding")
		points[i] = point{at: at, exponential: e.clone(), sum: sum}
	}
	s.points = lived(points, genFate(t, len(times)))
	return s
}

// restarted is a histogram that began again, or that lost some of one bucket.
func restarted(t *rapid.T, e *exponential, sum float64) (*exponential, float64) {
	if rapid.Bool().Draw(t, "one bucket") {
		next := e.clone()
		for k, n := range next.positive {
			if k == slices.Min(slices.Collect(maps.Keys(next.positive))) {
				next.positive[k] = n / 2
			}
		}
		return next, sum
	}
	scale := e.scale
	if rapid.Bool().Draw(t, "another scale") {
		scale = rapid.Int32Range(-2, 9).Draw(t, "scale")
	}
	return &exponential{scale: scale, positive: map[int32]uint64{}, negative: map[int32]uint64{}}, 0
}
