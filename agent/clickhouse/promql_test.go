package clickhouse

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// sample is one sample of a Prometheus series.
type sample struct {
	ms    int64
	value float64
}

// referenceIncrease is increase() of PromQL, transcribed sample by sample from
// extrapolatedRate; it shares nothing with the code under test.
func referenceIncrease(samples []sample, fromMs, toMs int64) (float64, bool) {
	var in []sample
	for _, s := range samples {
		if s.ms > fromMs && s.ms <= toMs {
			in = append(in, s)
		}
	}
	slices.SortFunc(in, func(a, b sample) int { return int(a.ms - b.ms) })
	if len(in) < 2 {
		return 0, false
	}
	result := in[len(in)-1].value - in[0].value
	for i := 1; i < len(in); i++ {
		if in[i].value < in[i-1].value {
			result += in[i-1].value
		}
	}
	durationToStart := float64(in[0].ms-fromMs) / 1000
	durationToEnd := float64(toMs-in[len(in)-1].ms) / 1000
	sampledInterval := float64(in[len(in)-1].ms-in[0].ms) / 1000
	average := sampledInterval / float64(len(in)-1)
	if durationToStart >= average*1.1 {
		durationToStart = average / 2
	}
	durationToZero := durationToStart
	if result > 0 && in[0].value >= 0 {
		durationToZero = sampledInterval * (in[0].value / result)
	}
	if durationToZero < durationToStart {
		durationToStart = durationToZero
	}
	if durationToEnd >= average*1.1 {
		durationToEnd = average / 2
	}
	return result * ((sampledInterval + durationToStart + durationToEnd) / sampledInterval), true
}

// reduce makes counters of samples in the order of their time, as SQL does.
func reduce(samples []sample) counters {
	var c counters
	for _, s := range samples {
		v := []float64{s.value}
		c = c.then(counters{samples: 1, firstMs: s.ms, lastMs: s.ms, first: v, last: v, growth: []float64{0}, total: v})
	}
	return c
}

// counterSamples draws samples of a counter with resets, jitter and gaps.
func counterSamples(t *rapid.T) []sample {
	var (
		out   []sample
		ms    = int64(0)
		value = float64(rapid.IntRange(0, 1000).Draw(t, "start"))
	)
	for range rapid.IntRange(0, 30).Draw(t, "n") {
		ms += rapid.Int64Range(1, 90_000).Draw(t, "gap")
		if rapid.IntRange(0, 5).Draw(t, "reset") == 0 {
			value = 0
		}
		value += float64(rapid.IntRange(0, 100).Draw(t, "step"))
		out = append(out, sample{ms, value})
	}
	return out
}

func TestIncreaseIsPromQLs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		samples := counterSamples(t)
		from := rapid.Int64Range(0, 100_000).Draw(t, "from")
		to := from + rapid.Int64Range(1, 2_000_000).Draw(t, "length")
		inside := slices.DeleteFunc(slices.Clone(samples), func(s sample) bool { return s.ms <= from || s.ms > to })
		cut := rapid.IntRange(0, len(inside)).Draw(t, "cut")
		c := reduce(inside[:cut]).then(reduce(inside[cut:]))

		want, wantOK := referenceIncrease(samples, from, to)
		got, ok := c.increaseOver(window{from, to})
		if ok != wantOK {
			t.Fatalf("increase known: %v, want %v", ok, wantOK)
		}
		if ok && !near(got[0], want) {
			t.Errorf("increase %v, want %v", got[0], want)
		}
	})
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-9*max(math.Abs(a), math.Abs(b), 1) }

func TestIncreaseByHand(t *testing.T) {
	t.Parallel()
	w := window{0, 60_000}
	for _, tc := range []struct {
		name    string
		samples []sample
		want    float64
		unknown bool
	}{
		{"no sample", nil, 0, true},
		{"one sample", []sample{{30_000, 5}}, 0, true},
		// 15 s apart, 5 s and 10 s from the edges: stretched from 45 s to 60 s.
		{"to both edges", []sample{{5_000, 100}, {20_000, 110}, {35_000, 120}, {50_000, 130}}, 40, false},
		// From 100 to 130 with a reset in between: 10 + 5 + 10 = 25, stretched.
		{"reset", []sample{{5_000, 100}, {20_000, 110}, {35_000, 5}, {50_000, 15}}, 25 * 60.0 / 45, false},
		// The edges are farther than 1.1 distances: half a distance each.
		{"far edges", []sample{{25_000, 100}, {35_000, 110}}, 20, false},
		// It was zero 2 s before its first sample, so that it is not stretched farther.
		{"zero point", []sample{{10_000, 2}, {20_000, 12}, {30_000, 22}, {40_000, 32}, {50_000, 42}}, 40 * (40 + 2 + 10) / 40.0, false},
		{"flat", []sample{{10_000, 7}, {50_000, 7}}, 0, false},
	} {
		got, ok := reduce(tc.samples).increaseOver(w)
		if ok == tc.unknown {
			t.Errorf("%s: known %v", tc.name, ok)
			continue
		}
		if ok && !near(got[0], tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, got[0], tc.want)
		}
	}
}

// referenceQuantile is histogram_quantile by its definition: the place where a
// line through the bucket that holds the rank reaches it.
func referenceQuantile(q float64, les, perBucket []float64) float64 {
	total := 0.0
	for _, n := range perBucket {
		total += n
	}
	rank, below := q*total, 0.0
	for i, n := range perBucket {
		if below+n < rank {
			below += n
			continue
		}
		if i == len(les) { // +Inf
			return les[len(les)-1]
		}
		lower := 0.0
		if i > 0 {
			lower = les[i-1]
		} else if les[0] <= 0 {
			return les[0]
		}
		return lower + (les[i]-lower)*(rank-below)/n
	}
	return math.NaN()
}

func TestQuantileIsPromQLs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		les := rapid.SliceOfNDistinct(rapid.Float64Range(-5, 1000), 1, 12, rapid.ID[float64]).Draw(t, "le")
		slices.Sort(les)
		counts := rapid.SliceOfN(rapid.IntRange(0, 50), len(les)+1, len(les)+1).Draw(t, "counts")
		q := rapid.Float64Range(0.01, 1).Draw(t, "q")
		var buckets []bucket
		var perBucket []float64
		running := 0
		for i, n := range counts {
			running += n
			le := math.Inf(1)
			if i < len(les) {
				le = les[i]
			}
			buckets = append(buckets, bucket{le, float64(running)})
			perBucket = append(perBucket, float64(n))
		}
		got, ok := quantile(q, monotonic(buckets))
		if ok != (running > 0) {
			t.Fatalf("known %v with %d observations", ok, running)
		}
		if want := referenceQuantile(q, les, perBucket); ok && math.Abs(got-want) > 1e-6 {
			t.Errorf("quantile %v, want %v", got, want)
		}
	})
}

func TestMonotonic(t *testing.T) {
	t.Parallel()
	got := monotonic([]bucket{{math.Inf(1), 11}, {2, 9}, {1, 10}, {4, 10 + 1e-13}})
	want := []bucket{{1, 10}, {2, 10}, {4, 10}, {math.Inf(1), 11}}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if _, ok := quantile(0.5, []bucket{{1, 4}, {2, 9}}); ok {
		t.Error("a quantile without a +Inf bucket")
	}
	if _, ok := quantile(0.5, []bucket{{math.Inf(1), 9}}); ok {
		t.Error("a quantile without a finite bucket")
	}
}
