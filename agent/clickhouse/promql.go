package clickhouse

// The formulas of PromQL's rate(), increase() and histogram_quantile(), after
// promql/functions.go (extrapolatedRate) and promql/quantile.go
// (BucketQuantile) of Prometheus 3.

// extrapolationThreshold is how many average sample distances an edge of the
// window may be away from the nearest sample for the counter to be taken as
// going on to the edge.
const extrapolationThreshold = 1.1

// window is PromQL's left-open range (fromMs, toMs] in Unix milliseconds.
type window struct {
	fromMs, toMs int64
}

func (w window) seconds() float64 { return float64(w.toMs-w.fromMs) / 1000 }

// counters are the samples of one series in one window, reduced to what rate()
// needs of them. A sample is a vector: one value for a plain counter; count, sum
// and the cumulative buckets for a histogram, each of which is a counter of its
// own in PromQL.
type counters struct {
	samples         int64
	firstMs, lastMs int64
	first, last     []float64
	// growth is the sum over neighbouring samples of the difference, or of
	// the later value where the counter dropped (a reset).
	growth []float64
	// total is the sum of all samples: the increase of delta counters, and the
	// mean of gauges once divided by samples.
	total []float64
}

// then joins c with the samples of a later window, as if both had been reduced
// at once. Both have the same elements.
func (c counters) then(next counters) counters {
	switch {
	case next.samples == 0:
		return c
	case c.samples == 0:
		return next
	}
	joined := counters{
		samples: c.samples + next.samples,
		firstMs: c.firstMs,
		lastMs:  next.lastMs,
		first:   c.first,
		last:    next.last,
	}
	for i := range c.last {
		joined.growth = append(joined.growth, c.growth[i]+growth(c.last[i], next.first[i])+next.growth[i])
		joined.total = append(joined.total, c.total[i]+next.total[i])
	}
	return joined
}

// growth is the increase from one sample of a counter to the next: after a reset
// the counter began again at zero.
func growth(previous, current float64) float64 {
	if current < previous {
		return current
	}
	return current - previous
}

// increaseOver is PromQL's increase() of every element over the window w; false
// where PromQL gives no value: with less than two samples, or two at one time.
func (c counters) increaseOver(w window) ([]float64, bool) {
	if c.samples < 2 || c.lastMs <= c.firstMs {
		return nil, false
	}
	out := make([]float64, len(c.growth))
	for i, raw := range c.growth {
		out[i] = raw * c.extrapolation(w, c.first[i], raw)
	}
	return out, true
}

// extrapolation is the factor by which extrapolatedRate stretches an increase:
// to the edges of the window where samples come close to them, else by half the
// average distance of samples, and at the start never past the moment at which
// the counter would have been zero.
func (c counters) extrapolation(w window, first, increase float64) float64 {
	var (
		sampled  = float64(c.lastMs-c.firstMs) / 1000
		average  = sampled / float64(c.samples-1)
		toStart  = float64(c.firstMs-w.fromMs) / 1000
		toEnd    = float64(w.toMs-c.lastMs) / 1000
		farthest = average * extrapolationThreshold
	)
	if toStart >= farthest {
		toStart = average / 2
	}
	if increase > 0 && first >= 0 {
		toStart = min(toStart, sampled*(first/increase))
	}
	if toEnd >= farthest {
		toEnd = average / 2
	}
	return (sampled + toStart + toEnd) / sampled
}
