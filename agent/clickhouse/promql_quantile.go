package clickhouse

import (
	"math"
	"slices"
	"sort"
)

// smallDelta is the relative difference below which histogram_quantile takes
// two cumulative buckets as equal (smallDeltaTolerance of promql/quantile.go).
const smallDelta = 1e-12

// bucket is one bucket of a histogram: how many observations were at most le.
// Counts are cumulative over le and may be fractions, since they are rates or
// extrapolated increases.
type bucket struct {
	le    float64
	count float64
}

// monotonic returns the buckets by le with the dips removed that rates of
// counters scraped at different times may have, as
// ensureMonotonicAndIgnoreSmallDeltas does.
func monotonic(buckets []bucket) []bucket {
	out := slices.Clone(buckets)
	slices.SortFunc(out, func(a, b bucket) int {
		switch {
		case a.le < b.le:
			return -1
		case a.le > b.le:
			return 1
		}
		return 0
	})
	for i := 1; i < len(out); i++ {
		previous := out[i-1].count
		if out[i].count < previous || almostEqual(previous, out[i].count) {
			out[i].count = previous
		}
	}
	return out
}

// almostEqual is almost.Equal of Prometheus with the tolerance smallDelta.
func almostEqual(a, b float64) bool {
	const smallestNormal = 2.2250738585072014e-308
	if a == b {
		return true
	}
	sum, diff := math.Abs(a)+math.Abs(b), math.Abs(a-b)
	if a == 0 || b == 0 || sum < smallestNormal {
		return diff < smallDelta*smallestNormal
	}
	return diff/math.Min(sum, math.MaxFloat64) < smallDelta
}

// quantile is PromQL's histogram_quantile(q, buckets) for 0 < q <= 1 and
// buckets that came out of monotonic. It interpolates inside the bucket that
// holds the rank, from 0 in the first; in the +Inf bucket the answer is the
// highest finite bound. False where PromQL says NaN: without a +Inf bucket,
// without a finite one, or without observations.
func quantile(q float64, buckets []bucket) (float64, bool) {
	last := len(buckets) - 1
	if last < 1 || !math.IsInf(buckets[last].le, 1) || buckets[last].count == 0 {
		return 0, false
	}
	rank := q * buckets[last].count
	b := sort.Search(last, func(i int) bool { return buckets[i].count >= rank })
	switch {
	case b == last:
		return buckets[last-1].le, true
	case b == 0 && buckets[0].le <= 0:
		return buckets[0].le, true
	}
	start, before := 0.0, 0.0
	if b > 0 {
		start, before = buckets[b-1].le, buckets[b-1].count
	}
	return start + (buckets[b].le-start)*((rank-before)/(buckets[b].count-before)), true
}
