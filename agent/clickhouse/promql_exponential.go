package clickhouse

import (
	"maps"
	"math"
	"slices"
)

// maxScale is the finest scale that is kept: Prometheus's finest schema, to which
// its OTLP receiver maps finer ones too. A bucket is 0.27 percent wide there.
const maxScale = 8

// exponential is an exponential histogram: one sample of a process, or what was
// observed in a window, with fractions where increases are extrapolated. Bucket k
// holds what is above base^k and at most base^(k+1), where base is 2^(2^-scale),
// after the OpenTelemetry protocol; Prometheus calls it k+1. Negative buckets
// mirror the positive ones. The threshold of zero is not stored and counts as 0.
type exponential struct {
	scale              int64 // at most maxScale
	count, sum, zero   float64
	positive, negative map[int64]float64
}

// noExponential is the histogram without observations, which leaves the scale of
// any other as it is.
func noExponential() exponential { return exponential{scale: maxScale} }

// rescaled is the histogram at a lower scale: each step down joins pairs of
// buckets.
func (e exponential) rescaled(scale int64) exponential {
	down := e.scale - scale
	if down <= 0 {
		return e
	}
	// Indices fit 32 bits, so that beyond 32 steps all are 0 or -1.
	down = min(down, 32)
	joined := func(buckets map[int64]float64) map[int64]float64 {
		out := make(map[int64]float64, len(buckets))
		for k, n := range buckets {
			out[k>>down] += n
		}
		return out
	}
	e.scale, e.positive, e.negative = scale, joined(e.positive), joined(e.negative)
	return e
}

// plus adds up two histograms at the lower of their scales.
func (e exponential) plus(other exponential) exponential { return e.combined(other, 1) }

// combined is e + sign * other.
func (e exponential) combined(other exponential, sign float64) exponential {
	scale := min(e.scale, other.scale)
	e, other = e.rescaled(scale), other.rescaled(scale)
	merged := func(a, b map[int64]float64) map[int64]float64 {
		out := make(map[int64]float64, len(a))
		maps.Copy(out, a)
		for k, n := range b {
			if out[k] += sign * n; out[k] == 0 {
				delete(out, k)
			}
		}
		return out
	}
	return exponential{
		scale: scale, count: e.count + sign*other.count, sum: e.sum + sign*other.sum, zero: e.zero + sign*other.zero,
		positive: merged(e.positive, other.positive), negative: merged(e.negative, other.negative),
	}
}

// times is the histogram with all of its counts multiplied.
func (e exponential) times(factor float64) exponential {
	scaled := func(buckets map[int64]float64) map[int64]float64 {
		out := make(map[int64]float64, len(buckets))
		for k, n := range buckets {
			out[k] = n * factor
		}
		return out
	}
	e.count, e.sum, e.zero = e.count*factor, e.sum*factor, e.zero*factor
	e.positive, e.negative = scaled(e.positive), scaled(e.negative)
	return e
}

// since is the growth from an earlier sample of the same process; after a reset
// it began again at nothing. As DetectReset of Prometheus has it, a count that
// dropped tells of a reset, at the scale of the later sample, and a scale that
// rose, since a process only ever lowers it.
func (e exponential) since(before exponential) exponential {
	if e.scale > before.scale || e.count < before.count || e.zero < before.zero {
		return e
	}
	grown := e.combined(before, -1)
	for _, buckets := range []map[int64]float64{grown.positive, grown.negative} {
		for _, n := range buckets {
			if n < 0 {
				return e
			}
		}
	}
	return grown
}

// exponentialCounter is the samples of one series in one window, reduced to what
// rate() needs of them beside their number and times.
type exponentialCounter struct {
	first, last exponential
	growth      exponential // from the first to the last
	total       exponential // of increments: their sum
}

// exponentialCounterOf reduces samples in the order of time.
func exponentialCounterOf(samples []exponential) exponentialCounter {
	c := exponentialCounter{first: samples[0], last: samples[0], growth: noExponential(), total: samples[0]}
	for _, s := range samples[1:] {
		c = c.then(exponentialCounter{first: s, last: s, growth: noExponential(), total: s})
	}
	return c
}

// then joins c with the samples of a later window.
func (c exponentialCounter) then(next exponentialCounter) exponentialCounter {
	return exponentialCounter{
		first: c.first, last: next.last,
		growth: c.growth.plus(next.first.since(c.last)).plus(next.growth),
		total:  c.total.plus(next.total),
	}
}

// exponentialBucket is a bucket in the order of its values: logarithms to the
// base 2 of its bounds, of the absolute values where they are negative.
type exponentialBucket struct {
	low, high float64
	count     float64
	sign      float64 // -1, 0 for the bucket of zero, 1
}

// ordered are the buckets that have observations, from the lowest values up.
func (e exponential) ordered() []exponentialBucket {
	width := math.Exp2(-float64(e.scale))
	out := make([]exponentialBucket, 0, len(e.positive)+len(e.negative)+1)
	side := func(buckets map[int64]float64, keys []int64, sign float64) {
		for _, k := range keys {
			if n := buckets[k]; n > 0 {
				out = append(out, exponentialBucket{float64(k) * width, float64(k+1) * width, n, sign})
			}
		}
	}
	downwards := slices.Sorted(maps.Keys(e.negative))
	slices.Reverse(downwards)
	side(e.negative, downwards, -1)
	if e.zero > 0 {
		out = append(out, exponentialBucket{count: e.zero})
	}
	side(e.positive, slices.Sorted(maps.Keys(e.positive)), 1)
	return out
}

// at is the value at a fraction of the bucket's observations, interpolated on a
// logarithmic scale.
func (b exponentialBucket) at(fraction float64) float64 {
	fraction = min(max(fraction, 0), 1)
	if b.sign < 0 {
		fraction = 1 - fraction
	}
	return b.sign * math.Exp2(b.low+(b.high-b.low)*fraction)
}

// quantile is histogram_quantile(q, e) for 0 < q <= 1, after HistogramQuantile of
// promql/quantile.go: the rank is looked for from the nearer end. False without
// observations, and where the answer is beyond what a float64 holds.
func (e exponential) quantile(q float64) (float64, bool) {
	buckets := e.ordered()
	if e.count <= 0 || len(buckets) == 0 {
		return 0, false
	}
	rank, forwards := q*e.count, q < 0.5
	if !forwards {
		rank = (1 - q) * e.count
		slices.Reverse(buckets)
	}
	at, reached := 0, buckets[0].count
	for reached < rank && at < len(buckets)-1 {
		at++
		reached += buckets[at].count
	}
	var (
		b        = buckets[at]
		reach    = min(reached, e.count)
		fraction = 1.0 // rounding may leave the rank beyond all buckets
	)
	switch {
	case reach < rank:
	case forwards:
		fraction = (rank - (reach - b.count)) / b.count
	default:
		fraction = (reach - rank) / b.count
	}
	v := b.at(fraction)
	return v, !math.IsInf(v, 0)
}

// atMost estimates how many observations were at most le: of the bucket that le
// falls into the share that histogram_fraction takes, by its place on the
// logarithmic scale. It is exact where le ends a bucket.
func (e exponential) atMost(le float64) float64 {
	n := 0.0
	for _, b := range e.ordered() {
		n += b.count * b.shareUpTo(le)
	}
	return n
}

func (b exponentialBucket) shareUpTo(le float64) float64 {
	switch {
	case b.sign == 0:
		if le >= 0 {
			return 1
		}
		return 0
	case b.sign > 0 && le <= 0:
		return 0
	case b.sign < 0 && le >= 0:
		return 1
	}
	place := (math.Log2(math.Abs(le)) - b.low) / (b.high - b.low)
	place = min(max(place, 0), 1)
	if b.sign < 0 {
		return 1 - place
	}
	return place
}

// mostPowers bounds how many buckets powers gives: from a microsecond to an hour
// are 32 powers of two.
const mostPowers = 40

// powers are the upper bounds of the positive buckets at a scale of 0, where they
// are powers of two: from the lowest that has observations to the highest. The
// scale is lower where the samples' is, or where there would be too many.
func (e exponential) powers() []float64 {
	for scale := min(e.scale, 0); scale >= minScale; scale-- {
		coarse := e.rescaled(scale)
		keys := slices.Sorted(maps.Keys(coarse.positive))
		if len(keys) == 0 {
			return nil
		}
		low, high := keys[0], keys[len(keys)-1]
		if high-low >= mostPowers {
			continue
		}
		var out []float64
		for k := low; k <= high; k++ {
			if le := math.Exp2(float64(k+1) * math.Exp2(-float64(scale))); !math.IsInf(le, 0) && le > 0 {
				out = append(out, le)
			}
		}
		return out
	}
	return nil
}
