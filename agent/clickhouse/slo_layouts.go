package clickhouse

import (
	"math"
	"slices"
)

// layout is the cumulative counts at each of its bounds, and at +Inf.
type layout struct {
	bounds     []float64
	cumulative []float64
}

// sharedBounds are the finite bounds that all have.
func sharedBounds(layouts []*layout) []float64 {
	var out []float64
	for _, le := range layouts[0].bounds {
		if !slices.ContainsFunc(layouts, func(l *layout) bool {
			_, ok := slices.BinarySearch(l.bounds, le)
			return !ok
		}) {
			out = append(out, le)
		}
	}
	return out
}

// everyBound are the finite bounds that any has.
func everyBound(layouts []*layout) []float64 {
	var out []float64
	for _, l := range layouts {
		out = append(out, l.bounds...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// at is how many were at most le, which is one of the bounds or +Inf.
func (l *layout) at(le float64) float64 {
	if math.IsInf(le, 1) {
		return l.cumulative[len(l.cumulative)-1]
	}
	i, _ := slices.BinarySearch(l.bounds, le)
	return l.cumulative[i]
}

// atMost estimates how many were at most le: interpolated inside a bucket, from 0
// in the first, as histogram_quantile does; and what was beyond the last bound
// counts as just beyond it, which is where histogram_quantile has it.
func (l *layout) atMost(le float64) float64 {
	i, ok := slices.BinarySearch(l.bounds, le)
	switch {
	case ok || math.IsInf(le, 1):
		return l.at(le)
	case len(l.bounds) == 0:
		return 0 // nothing is known but how many there were
	case i == len(l.bounds):
		return l.cumulative[i]
	}
	start, before := 0.0, 0.0
	if i > 0 {
		start, before = l.bounds[i-1], l.cumulative[i-1]
	}
	if le <= start {
		return before
	}
	if n := before + (l.cumulative[i]-before)*(le-start)/(l.bounds[i]-start); isFinite(n) {
		return n
	}
	return before
}
