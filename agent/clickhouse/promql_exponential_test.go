package clickhouse

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func drawExponential(t *rapid.T) exponential {
	e := exponential{
		scale: rapid.Int64Range(-2, maxScale).Draw(t, "scale"), zero: float64(rapid.IntRange(0, 3).Draw(t, "zero")),
		positive: make(map[int64]float64), negative: make(map[int64]float64),
	}
	for range rapid.IntRange(0, 6).Draw(t, "buckets") {
		into := e.positive
		if rapid.IntRange(0, 5).Draw(t, "sign") == 0 {
			into = e.negative
		}
		into[rapid.Int64Range(-20, 20).Draw(t, "bucket")] += float64(rapid.IntRange(1, 9).Draw(t, "n"))
	}
	e.count = e.zero
	for _, buckets := range []map[int64]float64{e.positive, e.negative} {
		for _, n := range buckets {
			e.count += n
		}
	}
	e.sum = e.count / 4
	return e
}

// The increases of the two halves of any samples are those of the whole.
func TestExponentialCountersJoin(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		samples := []exponential{drawExponential(t)}
		for range rapid.IntRange(1, 8).Draw(t, "samples") {
			next := drawExponential(t)
			if rapid.Bool().Draw(t, "goes on") {
				next = samples[len(samples)-1].plus(next)
			}
			samples = append(samples, next)
		}
		cut := rapid.IntRange(1, len(samples)-1).Draw(t, "cut")
		whole := exponentialCounterOf(samples)
		joined := exponentialCounterOf(samples[:cut]).then(exponentialCounterOf(samples[cut:]))
		sameExponential(t, whole.growth, joined.growth)
		sameExponential(t, whole.total, joined.total)
		// After the last reset all is growth; before it every sample only adds.
		if last := samples[len(samples)-1]; whole.growth.count > 0 && len(samples) == 2 && last.count < samples[0].count {
			sameExponential(t, whole.growth, last)
		}
	})
}

func sameExponential(t *rapid.T, a, b exponential) {
	t.Helper()
	difference := a.combined(b, -1)
	if a.scale != b.scale || difference.count != 0 || !near(a.sum, b.sum) || len(difference.positive)+len(difference.negative) > 0 {
		t.Fatalf("%+v\nis not\n%+v", a, b)
	}
}

// As many observations as the rank says are at most the quantile, at any scale.
func TestExponentialQuantileAndRankAgree(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		e, q := drawExponential(t), rapid.Float64Range(0.001, 1).Draw(t, "q")
		v, ok := e.quantile(q)
		if ok != (e.count > 0) {
			t.Fatalf("known %v with %v observations", ok, e.count)
		}
		if !ok {
			return
		}
		n := e.atMost(v)
		if v == 0 { // all of the bucket of zero has one value
			if n < q*e.count-1e-6 || n-e.zero > q*e.count+1e-6 {
				t.Fatalf("%v of %v up to zero at %v", n, e.count, q)
			}
			return
		}
		if math.Abs(n-q*e.count) > 1e-6*e.count {
			t.Fatalf("%v of %v observations up to %v, the quantile at %v", n, e.count, v, q)
		}
		coarse := e.rescaled(max(e.scale-1, 0)) // 8 ends a bucket from scale 0 up
		if up := 8.0; e.scale >= 0 && !near(coarse.atMost(up), e.atMost(up)) {
			t.Fatalf("%v or %v up to a power of two", coarse.atMost(up), e.atMost(up))
		}
	})
}

func TestExponentialByHand(t *testing.T) {
	t.Parallel()
	// Scale 0: buckets (1, 2] and (2, 4] hold 2 and 6.
	e := exponential{count: 8, positive: map[int64]float64{0: 2, 1: 6}}
	for q, want := range map[float64]float64{0.125: math.Sqrt2, 0.25: 2, 0.625: 2 * math.Sqrt2, 1: 4} {
		if got, ok := e.quantile(q); !ok || !near(got, want) {
			t.Errorf("quantile %v = %v, want %v", q, got, want)
		}
	}
	checkEqual(t, "powers", e.powers(), []float64{2, 4})
	checkEqual(t, "powers of a finer one", exponential{scale: 1, positive: map[int64]float64{-4: 1, 1: 1}}.powers(), []float64{0.5, 1, 2})
	checkNear(t, "up to 2.83", e.atMost(2*math.Sqrt2), 5)
	// A bucket lost some though the count rose; the scale rose.
	for _, next := range []exponential{
		{count: 20, positive: map[int64]float64{0: 1, 1: 19}},
		{count: 9, scale: 1, positive: map[int64]float64{0: 1, 2: 8}},
		{count: 3, positive: map[int64]float64{0: 3}},
	} {
		if grown := next.since(e); grown.count != next.count {
			t.Errorf("%+v goes on from %+v: %+v", next, e, grown)
		}
	}
	coarser := exponential{count: 9, scale: -1, positive: map[int64]float64{0: 9}}
	grown := coarser.since(e)
	checkEqual(t, "growth over a change of scale", []any{grown.scale, grown.count, grown.positive}, []any{int64(-1), 1.0, map[int64]float64{0: 1}})
}

// Whatever a table says, a histogram gives finite numbers.
func FuzzExponential(f *testing.F) {
	f.Add(int64(3), int64(-7), uint64(5), int64(900), uint64(1), 12.5)
	f.Add(int64(math.MinInt32), int64(math.MinInt32), uint64(1), int64(math.MaxInt32), uint64(math.MaxUint64), 0.0)
	f.Add(int64(math.MaxInt32), int64(math.MaxInt32), uint64(1), int64(math.MinInt32), uint64(0), -1.0)
	f.Fuzz(func(t *testing.T, scale, key int64, n uint64, other int64, zero uint64, sum float64) {
		if math.IsNaN(sum) || math.IsInf(sum, 0) {
			return
		}
		row := exponentialRow{
			counts: []float64{float64(n) + 1}, sums: []float64{sum}, zeros: []float64{float64(zero)}, scales: []int64{scale},
			positiveKeys: [][]int64{{key, other}}, positiveCounts: [][]uint64{{n, 1}},
			negativeKeys: [][]int64{{other}}, negativeCounts: [][]uint64{{zero}},
		}
		samples, err := row.samples()
		if err != nil {
			t.Fatal(err)
		}
		var l latency
		l.addExponential(samples[0].plus(exponential{count: 1, positive: map[int64]float64{0: 1}}), 1000)
		for _, q := range []float64{l.quantiles().p50, l.quantiles().p99} {
			if math.IsNaN(q) || math.IsInf(q, 0) {
				t.Errorf("quantiles %+v", l.quantiles())
			}
		}
		for _, b := range l.counts() {
			if math.IsNaN(b.LE) || math.IsInf(b.LE, 0) || b.Count < 0 {
				t.Errorf("bucket %+v", b)
			}
		}
	})
}

func TestExponentialRowsAreChecked(t *testing.T) {
	t.Parallel()
	one, keys := []float64{1}, [][]int64{{1}}
	good := exponentialRow{one, one, one, []int64{0}, keys, keys, [][]uint64{{1}}, [][]uint64{{1}}}
	if _, err := good.samples(); err != nil {
		t.Error(err)
	}
	short, uneven := good, good
	short.scales = nil
	uneven.positiveCounts = [][]uint64{{1, 2}}
	for _, bad := range []exponentialRow{short, uneven, {}} {
		if _, err := bad.samples(); err == nil {
			t.Errorf("%+v is no error", bad)
		}
	}
}
