package clickhouse

import (
	"maps"
	"slices"
	"time"

	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/model"
)

const (
	// autoPoints is how many points a series has at most when the agent chooses
	// the step.
	autoPoints = 300
	// maxSteppedRows bounds the series and steps that a series request reads.
	maxSteppedRows = 300_000
	// lookback is how far before a step the samples are looked for that make a
	// rate of a step's only sample: Prometheus's own lookback.
	lookback = 5 * time.Minute
)

// grid cuts a range into steps, counted back from its end: step 0 ends with the
// range. What is left over at the start is no step.
type grid struct {
	window window
	step   time.Duration
	steps  int64
}

// newGrid cuts r into steps of so many seconds; 0 chooses the shortest usual
// step from smallest up that gives at most autoPoints.
func newGrid(r detail.Range, seconds int64, smallest time.Duration) grid {
	step := time.Duration(seconds) * time.Second
	if seconds == 0 {
		step = usualStep(r.Duration(), smallest)
	}
	step = min(step, r.Duration())
	return grid{window: rangeWindow(r), step: step, steps: int64(r.Duration() / step)}
}

func usualStep(length, smallest time.Duration) time.Duration {
	const day = 24 * time.Hour
	for _, step := range []time.Duration{
		15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute,
		15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour,
	} {
		if step >= smallest && length/step <= autoPoints {
			return step
		}
	}
	return day
}

// extra is how many steps before the range are read for the lookback.
func (g grid) extra() int64 { return int64((lookback + g.step - 1) / g.step) }

// query is the window to read: the grid and the lookback before it.
func (g grid) query() seriesQuery {
	steps := g.steps + g.extra()
	from := g.window.toMs - steps*g.step.Milliseconds()
	return seriesQuery{window: window{from, g.window.toMs}, step: g.step, maxRows: maxSteppedRows}
}

// at is the step as a window.
func (g grid) at(slot int64) window {
	to := g.window.toMs - slot*g.step.Milliseconds()
	return window{to - g.step.Milliseconds(), to}
}

// points are the values by step as points stamped with the end of their step,
// by time. A step without a value has no point.
func (g grid) points(values map[int64]float64) []model.Point {
	out := make([]model.Point, 0, len(values))
	for slot := g.steps - 1; slot >= 0; slot-- {
		if v, ok := values[slot]; ok {
			out = append(out, model.Point{Timestamp: model.NewTime(time.UnixMilli(g.at(slot).toMs)), Value: v})
		}
	}
	return out
}

// stepped is one series over the steps of a grid.
type stepped struct {
	*series // one of them
	steps   map[int64]history
	// narrow is whether a step is shorter than two scrapes of the target.
	narrow bool
}

// bySeries gathers the steps of each series, by table.
func bySeries(tables [][]series, step time.Duration) [][]stepped {
	out := make([][]stepped, len(tables))
	for i, rows := range tables {
		index := make(map[seriesKey]int)
		for r := range rows {
			row := &rows[r]
			at, ok := index[row.key()]
			if !ok {
				at = len(out[i])
				index[row.key()] = at
				out[i] = append(out[i], stepped{series: row, steps: make(map[int64]history)})
			}
			out[i][at].steps[row.slot] = out[i][at].steps[row.slot].with(row)
		}
	}
	intervals := scrapeIntervals(out)
	for _, lines := range out {
		for i := range lines {
			length := float64(step.Milliseconds()) * extrapolationThreshold
			lines[i].narrow = !lines[i].delta && length < 2*intervals[lines[i].target]
		}
	}
	return out
}

// scrapeIntervals are the usual milliseconds from one sample of a target to the
// next: the median over its series and their steps, so that neither a series
// that comes back from a gap nor a scrape that failed counts.
func scrapeIntervals(tables [][]stepped) map[uint64]float64 {
	distances := make(map[uint64][]float64)
	for _, lines := range tables {
		for _, line := range lines {
			distances[line.target] = line.distances(distances[line.target])
		}
	}
	out := make(map[uint64]float64, len(distances))
	for target, list := range distances {
		if len(list) > 0 {
			slices.Sort(list)
			out[target] = list[len(list)/2]
		}
	}
	return out
}

// distances appends the average distance of the samples in each step, or that of
// its only sample to the one before.
func (s stepped) distances(to []float64) []float64 {
	alone := int64(-1) // the time of the sample after the step, if it is alone in its own
	for _, slot := range slices.Sorted(maps.Keys(s.steps)) {
		h := s.steps[slot]
		first, last, samples := h[0].firstMs, h[len(h)-1].lastMs, h.samples()
		if alone >= 0 {
			to = append(to, float64(alone-last))
		}
		alone = -1
		if samples > 1 {
			to = append(to, float64(last-first)/float64(samples-1))
		} else {
			alone = first
		}
	}
	return to
}

// slots are the steps of the grid in which the series has samples, newest first.
func (s stepped) slots(g grid) []int64 {
	var out []int64
	for slot := range s.steps {
		if slot < g.steps {
			out = append(out, slot)
		}
	}
	slices.Sort(out)
	return out
}

// rate is PromQL's rate() over the step, per second, of the samples that rated
// gives.
func (s stepped) rate(g grid, slot int64) (increment, bool) {
	h, w := s.rated(g, slot)
	if len(h) == 0 {
		return increment{}, false
	}
	inc, ok := h.increase(w)
	return inc.dividedBy(w.seconds()), ok
}

// rated are the samples that the step's rate is made of, and their window. Where
// steps are shorter than two scrapes, one with a single sample takes in as many
// steps before it as it needs, up to the lookback: rate() over a range so much
// longer.
func (s stepped) rated(g grid, slot int64) (history, window) {
	h, w := s.steps[slot], g.at(slot)
	if len(h) == 0 {
		return nil, w
	}
	for i := int64(1); s.narrow && h.samples() < 2 && i <= g.extra(); i++ {
		w.fromMs -= g.step.Milliseconds()
		h = slices.Concat(s.steps[slot+i], h)
	}
	return h, w
}

func divided(vector []float64, by float64) []float64 {
	out := make([]float64, len(vector))
	for i, v := range vector {
		out[i] = v / by
	}
	return out
}
