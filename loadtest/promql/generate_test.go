package promql

import (
	"slices"
	"time"

	"pgregory.net/rapid"
)

// moment is what all cases of a batch are asked about: the window that ends at,
// or the steps that it is cut into.
type moment struct {
	at     time.Time
	window time.Duration
	step   time.Duration // 0 is no steps
}

func (m moment) String() string {
	const layout = "15:04:05.000"
	text := "(" + m.at.Add(-m.window).Format(layout) + ", " + m.at.Format(layout) + "]"
	if m.step > 0 {
		text += " in steps of " + m.step.String()
	}
	return text
}

// ends are the instants that have a value each.
func (m moment) ends() []time.Time {
	out := []time.Time{m.at}
	if m.step > 0 {
		for at := m.at.Add(-m.step); at.After(m.at.Add(-m.window)); at = at.Add(-m.step) {
			out = append(out, at)
		}
	}
	return out
}

// mark tells the values of several instants apart.
func (m moment) mark(at time.Time) string {
	if m.step == 0 {
		return ""
	}
	return at.UTC().Format(time.RFC3339Nano)
}

func (m moment) from() int64 { return m.at.Add(-m.window).Unix() }

// genMoment draws the instant, not always a whole second, and the window.
func genMoment() *rapid.Generator[moment] {
	return rapid.Custom(func(t *rapid.T) moment {
		day := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
		second := rapid.IntRange(0, 7200).Draw(t, "second")
		ms := rapid.SampledFrom([]int{0, 0, 0, 1, 500, 999}).Draw(t, "ms")
		return moment{
			at:     day.Add(time.Duration(second)*time.Second + time.Duration(ms)*time.Millisecond),
			window: rapid.SampledFrom([]time.Duration{time.Minute, 2 * time.Minute, 5 * time.Minute, 5 * time.Minute, 15 * time.Minute}).Draw(t, "window"),
		}
	})
}

// genSteps draws the instant and a few steps before it.
func genSteps() *rapid.Generator[moment] {
	return rapid.Custom(func(t *rapid.T) moment {
		m := genMoment().Draw(t, "moment")
		m.step = rapid.SampledFrom([]time.Duration{15 * time.Second, time.Minute, 2 * time.Minute, 7 * time.Minute}).Draw(t, "step")
		m.window = m.step * time.Duration(rapid.IntRange(1, 8).Draw(t, "steps"))
		return m
	})
}

// rarely is true once in 2^n.
func rarely(t *rapid.T, n int, label string) bool {
	return rapid.Uint64Range(0, 1<<n-1).Draw(t, label) == 1<<n-1
}

// genSchedule draws when a process is scraped, in Unix seconds, from before the
// window to after it: whole seconds, with jitter, often exactly on an edge.
func genSchedule(t *rapid.T, m moment) []int64 {
	interval := rapid.SampledFrom([]int64{5, 10, 15, 15, 15, 30, 60}).Draw(t, "interval")
	jitter := rapid.SampledFrom([]int64{0, 0, 1, 2}).Draw(t, "jitter")
	edge := m.at.Unix()
	if rapid.Bool().Draw(t, "aligned to the start") {
		edge = m.from()
	}
	phase := rapid.Int64Range(0, interval-1).Draw(t, "phase")
	if rapid.Bool().Draw(t, "on the edge") {
		phase = 0
	}
	var out []int64
	begin := edge + phase
	for begin > m.from()-2*interval {
		begin -= interval
	}
	for at := begin; at <= m.at.Unix()+2*interval; at += interval {
		moved := at
		if jitter > 0 && at != edge {
			moved += rapid.Int64Range(-jitter, jitter).Draw(t, "jittered")
		}
		out = append(out, moved)
	}
	return out
}

// fate says at which scrapes a series is there.
type fate struct {
	missing, stale, twice []bool
}

// genFate draws when a series is born, when it goes, which scrapes miss it and
// which of those leave a stale row, and which rows are written twice.
func genFate(t *rapid.T, n int) fate {
	f := fate{make([]bool, n), make([]bool, n), make([]bool, n)}
	if n == 0 {
		return f
	}
	born, gone := 0, n
	if rarely(t, 2, "born inside") {
		born = rapid.IntRange(0, n-1).Draw(t, "born")
	}
	if rarely(t, 2, "gone inside") {
		gone = rapid.IntRange(born, n).Draw(t, "gone")
	}
	if rarely(t, 4, "single") {
		gone = min(born+1, n)
	}
	rate := rapid.SampledFrom([]int{0, 1, 2, 4, 6}).Draw(t, "how rarely missed")
	markers := rapid.Bool().Draw(t, "marked stale")
	for i := range n {
		f.missing[i] = i < born || i >= gone || rate > 0 && rarely(t, rate, "missed")
		f.stale[i] = markers && f.missing[i] && i > born && (i == gone || i < gone)
		f.twice[i] = rarely(t, 5, "twice")
	}
	return f
}

// lived keeps the points that are there, and stale ones.
func lived(points []point, f fate) []point {
	var out []point
	for i, p := range points {
		if f.missing[i] && !f.stale[i] {
			continue
		}
		p.stale, p.twice = f.stale[i], f.twice[i]
		out = append(out, p)
	}
	return out
}

// The unit of values: sums of 64ths are exact in a float64, so that what is left
// to tolerate is the rounding of the formulas, not of the samples.
const unit = 1.0 / 64

// genCounter draws the values of a counter at n scrapes, of whole numbers or
// 64ths, with resets to nothing, to little, to just below, and again and again.
func genCounter(t *rapid.T, n int) []float64 {
	scale := rapid.SampledFrom([]float64{1, 1, unit}).Draw(t, "scale")
	v := rapid.SampledFrom([]uint64{0, 1, 7, 1000, 123_456_789, 1 << 40}).Draw(t, "first")
	step := rapid.SampledFrom([]uint64{1, 10, 1000, 1 << 30}).Draw(t, "largest step")
	resets := rapid.SampledFrom([]int{0, 0, 1, 3, 5}).Draw(t, "how rarely reset")
	out := make([]float64, n)
	for i := range out {
		switch {
		case resets > 0 && rarely(t, resets, "reset"):
			v = min(v, rapid.SampledFrom([]uint64{0, 1, v - min(v, 1), v / 2}).Draw(t, "reset to"))
		case rapid.Bool().Draw(t, "grows"):
			v += rapid.Uint64Range(0, step).Draw(t, "step")
		}
		out[i] = float64(v) * scale
	}
	return out
}

// counter draws a counter scraped at those times.
func counter(t *rapid.T, s series, times []int64) series {
	points := make([]point, len(times))
	for i, v := range genCounter(t, len(times)) {
		points[i] = point{at: times[i], value: v}
	}
	s.points = lived(points, genFate(t, len(times)))
	return s
}

// layouts are bounds of histograms that proxies have, and odd ones.
func layouts() [][]float64 {
	return [][]float64{
		{0.1, 0.3, 1.2, 5},
		{0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10},
		{1, 2, 3, 4, 5, 10, 20, 30, 40, 50, 100, 200, 300, 400, 500, 1000, 2000, 3000, 4000, 5000, 10000},
		{0.25},
		{0, 1, 2},
	}
}

// histogram draws a histogram scraped at those times, with the given bounds.
func histogram(t *rapid.T, s series, times []int64, bounds []float64) series {
	resets := rapid.SampledFrom([]int{0, 0, 2, 4}).Draw(t, "how rarely reset")
	step := rapid.SampledFrom([]uint64{1, 10, 1000}).Draw(t, "largest step")
	counts := make([]uint64, len(bounds)+1)
	sum := 0.0
	if rapid.Bool().Draw(t, "old") {
		for i := range counts {
			counts[i] = rapid.Uint64Range(0, 100_000).Draw(t, "before")
		}
		sum = float64(rapid.Uint64Range(0, 1<<30).Draw(t, "sum before")) * unit
	}
	points := make([]point, len(times))
	for i, at := range times {
		if resets > 0 && rarely(t, resets, "reset") {
			clear(counts)
			sum = 0
		}
		for range rapid.IntRange(0, 3).Draw(t, "buckets hit") {
			hit := rapid.IntRange(0, len(counts)-1).Draw(t, "bucket")
			n := rapid.Uint64Range(0, step).Draw(t, "observations")
			counts[hit] += n
			sum += float64(n*rapid.Uint64Range(0, 640).Draw(t, "each")) * unit
		}
		points[i] = point{at: at, buckets: slices.Clone(counts), bounds: bounds, sum: sum}
	}
	s.points = lived(points, genFate(t, len(times)))
	return s
}
