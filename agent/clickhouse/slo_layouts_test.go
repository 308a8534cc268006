package clickhouse

import "testing"

// Replicas with other bounds, 100 observations spread evenly over 0 to 100 ms in
// each: the quantiles of all are those of each, whatever bounds they share.
func TestQuantilesOfOtherBounds(t *testing.T) {
	t.Parallel()
	for name, layouts := range map[string][][]float64{
		"none shared": {{10, 50, 100}, {25, 75, 200}},
		"one shared":  {{10, 50, 100}, {25, 50, 200}},
		"two shared":  {{10, 50, 100}, {50, 75, 100}},
		"three":       {{40, 100}, {25, 75, 100}, {20, 60, 90, 120}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var l latency
			for _, bounds := range layouts {
				vector := []float64{100, 5000}
				for _, le := range bounds {
					vector = append(vector, min(le, 100))
				}
				l.add(bounds, append(vector, 100), 1)
			}
			q := l.quantiles()
			checkNear(t, "p50", q.p50, 50)
			checkNear(t, "mean", q.avg, 50)
			// A bucket that ends beyond 100 ms is taken as evenly filled.
			if q.p99 < 90 || q.p99 > 200 {
				t.Errorf("p99 is %v ms, want about 99", q.p99)
			}
		})
	}
}

// What was beyond the last bound of one histogram is known to be beyond it alone:
// it does not count at the far end of another's bounds.
func TestBeyondTheLastBound(t *testing.T) {
	t.Parallel()
	var l latency
	l.add([]float64{25}, []float64{10, 500, 9, 10}, 1)
	l.add([]float64{10, 50, 10_000}, []float64{10, 100, 10, 10, 10, 10}, 1)
	if q := l.quantiles(); q.p99 <= 25 || q.p99 > 50 {
		t.Errorf("p99 is %v ms, want it in the bucket after 25 ms", q.p99)
	}
}
