package clickhouse

import (
	"cmp"
	"maps"
	"slices"
)

// seriesKey identifies a series of a table.
type seriesKey struct {
	metric string
	id     uint64
	delta  bool
	// layout is of delta histograms alone: increments with other bounds do not
	// go on from one another.
	layout uint64
}

func (s *series) key() seriesKey {
	k := seriesKey{metric: s.metric, id: s.id, delta: s.delta}
	if s.delta {
		k.layout = s.layout
	}
	return k
}

// history is what one series has in a window, oldest first. It has several
// parts where the window was read in steps, or where a histogram's bounds
// changed.
type history []*series

// with adds a part.
func (h history) with(part *series) history {
	at, _ := slices.BinarySearchFunc(h, part.firstMs, func(s *series, ms int64) int { return cmp.Compare(s.firstMs, ms) })
	return slices.Insert(h, at, part)
}

// samples is how many samples all parts have.
func (h history) samples() int64 {
	var n int64
	for _, part := range h {
		n += part.samples
	}
	return n
}

// increment is a series and its increases over a window; bounds are those of
// the buckets in its vector.
type increment struct {
	*series
	bounds []float64
	vector []float64
	// observed is set instead of the vector in series of exponential histograms.
	observed *exponential
}

// dividedBy is the increment per so many units.
func (i increment) dividedBy(by float64) increment {
	i.vector = divided(i.vector, by)
	if i.observed != nil {
		observed := i.observed.times(1 / by)
		i.observed = &observed
	}
	return i
}

// increments are the series that have an increase over w.
func increments(list []series, w window) []increment {
	var (
		all   = make([]history, 0, len(list))
		index = make(map[seriesKey]int, len(list))
	)
	for i := range list {
		at, ok := index[list[i].key()]
		if !ok {
			at = len(all)
			index[list[i].key()] = at
			all = append(all, nil)
		}
		all[at] = all[at].with(&list[i])
	}
	out := make([]increment, 0, len(all))
	for _, h := range all {
		if inc, ok := h.increase(w); ok {
			out = append(out, inc)
		}
	}
	return out
}

// increase is PromQL's increase() over w, or the sum of a delta counter.
func (h history) increase(w window) (increment, bool) {
	s := h[0]
	if len(h) > 1 {
		parts := h.joined()
		if len(parts) > 1 {
			return increaseByBound(parts, w)
		}
		s = &parts[0]
	}
	switch {
	case s.exponential != nil:
		observed, ok := s.observedOver(w)
		return increment{series: s, observed: &observed}, ok
	case s.delta:
		return increment{series: s, bounds: s.bounds, vector: s.total}, s.samples > 0
	}
	vector, ok := s.increaseOver(w)
	return increment{series: s, bounds: s.bounds, vector: vector}, ok
}

// observedOver is PromQL's increase() of a native histogram over w, all of it
// extrapolated as its count is, or the sum of increments.
func (s *series) observedOver(w window) (exponential, bool) {
	if s.delta {
		return s.exponential.total, s.samples > 0
	}
	if s.samples < 2 || s.lastMs <= s.firstMs {
		return exponential{}, false
	}
	grown := s.exponential.growth
	return grown.times(s.extrapolation(w, s.exponential.first.count, grown.count)), true
}

// joined makes neighbouring parts with the same bounds one.
func (h history) joined() []series {
	out := []series{*h[0]}
	for _, part := range h[1:] {
		last := &out[len(out)-1]
		if last.layout != part.layout {
			out = append(out, *part)
			continue
		}
		*last = last.then(part)
	}
	return out
}

// increaseByBound is the increase of a histogram whose bounds changed. In PromQL
// count, sum and each bucket are a series each: they go on where the next part
// has them too, and are counted over their own samples where not.
func increaseByBound(parts []series, w window) (increment, bool) {
	alone := func(index func(*series) (int, bool)) (float64, bool) {
		var c counters
		for i := range parts {
			if at, ok := index(&parts[i]); ok {
				c = c.then(parts[i].element(at))
			}
		}
		increase, ok := c.increaseOver(w)
		if !ok {
			return 0, false
		}
		return increase[0], true
	}
	count, ok := alone(func(*series) (int, bool) { return 0, true })
	if !ok {
		return increment{}, false
	}
	// The sum has the same samples as the count.
	sum, _ := alone(func(*series) (int, bool) { return 1, true })
	out := increment{series: &parts[len(parts)-1], vector: []float64{count, sum}}
	for _, le := range allBounds(parts) {
		if n, ok := alone(func(s *series) (int, bool) { return s.bucketAt(le) }); ok {
			out.bounds, out.vector = append(out.bounds, le), append(out.vector, n)
		}
	}
	if n, ok := alone((*series).lastBucket); ok {
		out.vector = append(out.vector, n)
	}
	return out, true
}

// allBounds are the bounds that any of the parts has.
func allBounds(parts []series) []float64 {
	all := make(map[float64]bool)
	for _, part := range parts {
		for _, le := range part.bounds {
			all[le] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// bucketAt is the place in a histogram's vector of the bucket up to le.
func (s *series) bucketAt(le float64) (int, bool) {
	i, ok := slices.BinarySearch(s.bounds, le)
	_, complete := s.lastBucket()
	return 2 + i, ok && complete
}

// lastBucket is the place of the bucket up to +Inf.
func (s *series) lastBucket() (int, bool) {
	return len(s.first) - 1, len(s.first) == len(s.bounds)+3
}

// element is one element of the samples.
func (c *counters) element(i int) counters {
	return counters{
		samples: c.samples, firstMs: c.firstMs, lastMs: c.lastMs,
		first: c.first[i : i+1], last: c.last[i : i+1], growth: c.growth[i : i+1], total: c.total[i : i+1],
	}
}
