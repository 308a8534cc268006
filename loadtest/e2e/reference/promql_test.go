package reference_test

import (
	"math"
	"testing"
	"time"

	"github.com/atlhyper/observe/loadtest/e2e/reference"
)

func at(seconds int64) time.Time { return time.Unix(seconds, 0) }

func seconds(n int64) time.Duration { return time.Duration(n) * time.Second }

func near(got, want float64) bool { return math.Abs(got-want) <= 1e-12*math.Max(1, math.Abs(want)) }

// The expected values were worked out by hand from PromQL's definition.
func TestIncrease(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name       string
		samples    []reference.Sample
		at, window int64
		want       float64
		none       bool
	}{
		{name: "none", at: 100, window: 100, none: true},
		{name: "one", samples: []reference.Sample{{T: 50, V: 7}}, at: 100, window: 100, none: true},
		{
			// 35 in 60 s (10, 10, after the reset 5, 10); both edges are nearer than
			// 1.1 * 15 s, so 75 s are covered: 35 * 75 / 60.
			name:    "reset",
			samples: []reference.Sample{{10, 100}, {25, 110}, {40, 120}, {55, 5}, {70, 15}},
			at:      75, window: 75, want: 43.75,
		},
		{
			// At 40 in 30 s the counter was at zero 0.75 s before its first sample:
			// 40 * (0.75 + 30 + 10) / 30.
			name:    "not below zero",
			samples: []reference.Sample{{10, 1}, {25, 21}, {40, 41}},
			at:      50, window: 50, want: 40 * 40.75 / 30,
		},
		{
			// Both edges are far: half an interval on each side.
			name:    "far edges",
			samples: []reference.Sample{{100, 1000}, {115, 1010}, {130, 1020}},
			at:      200, window: 200, want: 30,
		},
		{
			// (40, 70]: the sample at 40 is outside, that at 70 inside.
			name:    "left-open",
			samples: []reference.Sample{{40, 0}, {55, 100}, {70, 110}, {85, 500}},
			at:      70, window: 30, want: 10 * 30 / 15,
		},
		{
			name:    "flat",
			samples: []reference.Sample{{10, 5}, {25, 5}},
			at:      30, window: 30, want: 0,
		},
	} {
		s := &reference.Series{Samples: c.samples}
		got, ok := s.Increase(at(c.at), seconds(c.window))
		if ok == c.none || !near(got, c.want) {
			t.Errorf("%s: increase = %v, %v, want %v, %v", c.name, got, ok, c.want, !c.none)
		}
		rate, ok := s.Rate(at(c.at), seconds(c.window))
		if ok == c.none || !near(rate, c.want/float64(c.window)) {
			t.Errorf("%s: rate = %v, %v, want %v", c.name, rate, ok, c.want/float64(c.window))
		}
	}
}

func TestLastKnowsStaleMarkers(t *testing.T) {
	t.Parallel()
	s := &reference.Series{Samples: []reference.Sample{{100, 1}, {115, 2}, {145, 4}}, Stale: []int64{130}}
	for _, c := range []struct {
		at   int64
		want float64
		none bool
	}{
		{at: 99, none: true},
		{at: 100, want: 1},
		{at: 129, want: 2},
		{at: 130, none: true},
		{at: 145, want: 4},
		{at: 444, want: 4},
		{at: 445, none: true}, // 5 minutes later, left-open
	} {
		got, ok := s.Last(at(c.at))
		if ok == c.none || got.V != c.want {
			t.Errorf("at %d: %v, %v, want %v, %v", c.at, got.V, ok, c.want, !c.none)
		}
	}
}

func TestQuantile(t *testing.T) {
	t.Parallel()
	bounds := []float64{1, 2, 4}
	for _, c := range []struct {
		name       string
		q          float64
		cumulative []float64
		want       float64
		none       bool
	}{
		{name: "nothing observed", q: 0.5, cumulative: []float64{0, 0, 0, 0}, none: true},
		{name: "first bucket, from zero", q: 0.1, cumulative: []float64{10, 30, 40, 40}, want: 0.4},
		{name: "middle", q: 0.5, cumulative: []float64{10, 30, 40, 40}, want: 1.5},
		{name: "last finite bucket", q: 0.99, cumulative: []float64{10, 30, 40, 40}, want: 3.92},
		{name: "on a bound", q: 0.75, cumulative: []float64{10, 30, 40, 40}, want: 2},
		{name: "beyond the bounds", q: 0.99, cumulative: []float64{10, 30, 40, 50}, want: 4},
		{name: "a dip is flattened", q: 0.75, cumulative: []float64{10, 30, 29, 40}, want: 2},
		{name: "an empty bucket", q: 0.5, cumulative: []float64{10, 10, 40, 40}, want: 2 + 2*10.0/30},
	} {
		got, ok := reference.Quantile(c.q, bounds, c.cumulative)
		if ok == c.none || !near(got, c.want) {
			t.Errorf("%s: %v, %v, want %v, %v", c.name, got, ok, c.want, !c.none)
		}
	}
}
