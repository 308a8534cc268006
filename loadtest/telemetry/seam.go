package telemetry

import (
	"slices"
	"time"
)

// group is one series of a capture, about to be joined end to beginning.
type group[R any] struct {
	t        counterTable[R]
	rows     []*R // by time, also those after the window
	captured []*R // those inside the window
	live     []*R // those that carry a value, also after the window
	window   window
	life     *lifetime
}

func (g *group[R]) time(r *R) time.Time { return g.t.point(r).Time }
func (g *group[R]) stale(r *R) bool     { return g.t.point(r).Stale() }

// restarts reports whether the process of the series restarts in the window.
func (g *group[R]) restarts() bool {
	return !g.life.restart.IsZero() && g.window.has(g.life.restart)
}

// entries places rows in the loop.
func (g *group[R]) entries(rows []*R) []entry[R] {
	perLoop := g.perLoop()
	entries := make([]entry[R], len(rows))
	for i, r := range rows {
		at := g.window.offset(g.time(r))
		entries[i] = entry[R]{row: r, begin: at, due: at}
		if !g.stale(r) {
			entries[i].drift = perLoop
		}
	}
	return entries
}

// perLoop is what each loop adds to the series; nil for nothing.
func (g *group[R]) perLoop() []float64 {
	if !g.t.counts(g.rows[0]) {
		if p := g.t.point(g.rows[0]); tellsStart(p.MetricName) {
			// A time moves with its row; when a process began it does not, or
			// the uptime would never grow beyond the length of a loop.
			return []float64{-g.window.length.Seconds()}
		}
		return nil
	}
	if g.restarts() {
		return nil
	}
	inside := slices.DeleteFunc(slices.Clone(g.captured), g.stale)
	if len(inside) == 0 {
		return nil
	}
	first, last := g.t.totals(inside[0]), g.t.totals(inside[len(inside)-1])
	return drift(first, last, plus(g.step(), nil, len(first)))
}

// tellsStart reports whether the value is when something began.
func tellsStart(metric string) bool {
	return metric == "node_boot_time_seconds" || metric == "process_start_time_seconds"
}

// joined lists the rows of a loop that follows another.
func (g *group[R]) joined() []*R {
	if !g.t.counts(g.rows[0]) || !g.restarts() || len(g.live) == 0 {
		return g.captured
	}
	restart := g.life.restart
	rows := g.untilRestart()
	lived := len(rows) > 0
	for _, r := range g.captured {
		switch at := g.time(r); {
		case at.Before(restart):
		case at.Equal(restart) && g.stale(r) && !lived:
			// It had not counted yet, so nothing ends here.
		default:
			if at.Equal(restart) {
				lived = false
			}
			rows = append(rows, r)
		}
	}
	if lived { // held until now, and not counted again at once
		rows = append(rows, g.makeStale(restart))
	}
	slices.SortStableFunc(rows, func(a, b *R) int { return g.time(a).Compare(g.time(b)) })
	return rows
}

// untilRestart makes the rows from the seam to the restart: at each scrape the
// value at the end of the loop, one step, and what the capture gained since its
// beginning. A series that has counted nothing yet has no row.
func (g *group[R]) untilRestart() []*R {
	scrapes := g.scrapes()
	if len(scrapes) == 0 {
		return nil
	}
	n := len(g.t.totals(g.live[0]))
	at := g.byTime()
	var base []float64 // nil: not there at the first scrape
	if r := at[scrapes[0]]; r != nil {
		base = g.t.totals(r)
	}
	from, seen := plus(g.end(), g.step(), n), base
	var rows []*R
	for _, scrape := range scrapes {
		if !scrape.Before(g.life.restart) {
			break
		}
		template := g.live[0]
		if r := at[scrape]; r != nil {
			template, seen = r, g.t.totals(r)
		}
		totals := plus(from, less(seen, base, n), n)
		if !slices.ContainsFunc(totals, func(v float64) bool { return v != 0 }) {
			continue
		}
		row := *template
		g.t.point(&row).Time = scrape
		g.t.setTotals(&row, totals)
		rows = append(rows, &row)
	}
	return rows
}

// end is the value at the last scrape; nil when the series is not there.
func (g *group[R]) end() []float64 {
	scrapes := g.scrapes()
	if r := g.byTime()[scrapes[len(scrapes)-1]]; r != nil {
		return g.t.totals(r)
	}
	return nil
}

// step is what the series gains from the last scrape to the next: as captured
// where the capture goes on for a scrape after the window, else as from the
// last scrape but one. The scrapes are the same for all series of a process, so
// parts (CPU modes, buckets) still add up to their whole. nil is no gain.
func (g *group[R]) step() []float64 {
	scrapes := g.scrapes()
	last := scrapes[len(scrapes)-1]
	index := slices.IndexFunc(g.live, func(r *R) bool { return g.time(r).Equal(last) })
	if index < 0 {
		return nil
	}
	for _, i := range []int{index + 1, index} {
		if i < 1 || i >= len(g.live) || !g.consecutive(g.live[i-1], g.live[i]) {
			continue
		}
		before, after := g.t.totals(g.live[i-1]), g.t.totals(g.live[i])
		if !fell(before, after) {
			return less(after, before, len(after))
		}
	}
	return nil
}

// consecutive reports whether b is of the scrape right after that of a.
func (g *group[R]) consecutive(a, b *R) bool {
	i, found := slices.BinarySearchFunc(g.life.scrapes, g.time(a), time.Time.Compare)
	return found && i+1 < len(g.life.scrapes) && g.life.scrapes[i+1].Equal(g.time(b))
}

// scrapes lists when the process was scraped inside the window.
func (g *group[R]) scrapes() []time.Time {
	from, _ := slices.BinarySearchFunc(g.life.scrapes, g.window.start, time.Time.Compare)
	to, _ := slices.BinarySearchFunc(g.life.scrapes, g.window.start.Add(g.window.length), time.Time.Compare)
	return g.life.scrapes[from:to]
}

// byTime finds the rows of the window that carry a value.
func (g *group[R]) byTime() map[time.Time]*R {
	rows := make(map[time.Time]*R, len(g.captured))
	for _, r := range g.captured {
		if !g.stale(r) {
			rows[g.time(r)] = r
		}
	}
	return rows
}

// makeStale is the row by which a collector says that a series is gone.
func (g *group[R]) makeStale(at time.Time) *R {
	row := *g.live[0]
	g.t.setTotals(&row, make([]float64, len(g.t.totals(&row))))
	p := g.t.point(&row)
	p.Time, p.Flags = at, FlagNoRecordedValue
	return &row
}
