package reference

import (
	"math"
	"time"
)

// Lookback is how old the newest sample of a series may be for an instant query
// to return it: Prometheus's default.
const Lookback = 5 * time.Minute

// Sample is one value of a series. T is in Unix seconds: the capture was written
// with whole seconds.
type Sample struct {
	T int64
	V float64
}

// Range returns the samples in (at-window, at]: a PromQL range selector. Stale
// markers are no samples.
func (s *Series) Range(at time.Time, window time.Duration) []Sample {
	var in []Sample
	for _, sample := range s.Samples {
		if sample.T > at.Add(-window).Unix() && sample.T <= at.Unix() {
			in = append(in, sample)
		}
	}
	return in
}

// Last is the value of an instant query: the newest sample in (at-Lookback, at],
// none when a stale marker came after it.
func (s *Series) Last(at time.Time) (Sample, bool) {
	in := s.Range(at, Lookback)
	if len(in) == 0 {
		return Sample{}, false
	}
	last := in[len(in)-1]
	for _, stale := range s.Stale {
		if stale > last.T && stale <= at.Unix() {
			return Sample{}, false
		}
	}
	return last, true
}

// Increase is increase(series[window]) at an instant; false when PromQL gives
// no value.
func (s *Series) Increase(at time.Time, window time.Duration) (float64, bool) {
	return extrapolatedIncrease(s.Range(at, window), at, window)
}

// Rate is rate(series[window]) at an instant, per second; false when PromQL
// gives no value.
func (s *Series) Rate(at time.Time, window time.Duration) (float64, bool) {
	increase, ok := s.Increase(at, window)
	return increase / window.Seconds(), ok
}

// extrapolatedIncrease transcribes extrapolatedRate for counters without start
// timestamps (the capture's are all 1970, which Prometheus reads as none).
func extrapolatedIncrease(samples []Sample, at time.Time, window time.Duration) (float64, bool) {
	if len(samples) < 2 {
		return 0, false
	}
	first, last := samples[0], samples[len(samples)-1]
	result := last.V - first.V
	for i, current := range samples[1:] {
		if previous := samples[i]; current.V < previous.V {
			result += previous.V // the counter was reset in between
		}
	}
	toStart := float64(first.T - at.Add(-window).Unix())
	toEnd := float64(at.Unix() - last.T)
	sampled := float64(last.T - first.T)
	average := sampled / float64(len(samples)-1)
	threshold := average * 1.1
	if toStart >= threshold {
		toStart = average / 2
	}
	toZero := toStart
	if result > 0 && first.V >= 0 {
		toZero = sampled * (first.V / result)
	}
	if toZero < toStart {
		toStart = toZero
	}
	if toEnd >= threshold {
		toEnd = average / 2
	}
	return result * ((sampled + toStart + toEnd) / sampled), true
}

// smallDelta is the relative difference between neighbouring buckets that
// Prometheus takes for floating point noise.
const smallDelta = 1e-12

// Quantile transcribes histogram_quantile for classic buckets: bounds are the
// finite upper bounds, ascending; cumulative has one value for each and a last
// one for +Inf. False where PromQL gives NaN.
func Quantile(q float64, bounds, cumulative []float64) (float64, bool) {
	counts := monotonic(cumulative)
	n := len(counts)
	if n < 2 || n != len(bounds)+1 || counts[n-1] == 0 {
		return 0, false
	}
	rank := q * counts[n-1]
	b := 0
	for b < n-1 && counts[b] < rank {
		b++
	}
	if b == n-1 {
		return bounds[n-2], true
	}
	if b == 0 && bounds[0] <= 0 {
		return bounds[0], true
	}
	start, count := 0.0, counts[b]
	if b > 0 {
		start = bounds[b-1]
		count -= counts[b-1]
		rank -= counts[b-1]
	}
	return start + (bounds[b]-start)*(rank/count), true
}

// monotonic returns a copy without the dips and the noise between neighbouring
// buckets.
func monotonic(cumulative []float64) []float64 {
	out := append([]float64(nil), cumulative...)
	for i := 1; i < len(out); i++ {
		if out[i] < out[i-1] || almostEqual(out[i], out[i-1]) {
			out[i] = out[i-1]
		}
	}
	return out
}

// almostEqual transcribes almost.Equal of prometheus/util/almost.
func almostEqual(a, b float64) bool {
	if a == b {
		return true
	}
	sum, diff := math.Abs(a)+math.Abs(b), math.Abs(a-b)
	if a == 0 || b == 0 || sum < 0x1p-1022 {
		return diff < smallDelta*0x1p-1022
	}
	return diff/math.Min(sum, math.MaxFloat64) < smallDelta
}
