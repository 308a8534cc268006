package telemetry

import (
	"cmp"
	"slices"
	"time"
)

// entry is a row of a loop.
type entry[R any] struct {
	row *R
	// begin and due are since the start of the loop: when the row's trace began
	// (for other rows the same as due), and when the row is to be written.
	begin, due time.Duration
	// drift is added to the row's totals once for every loop gone by; nil adds
	// nothing.
	drift []float64
}

// track is one table as it repeats.
type track[R any] struct {
	table     tableOf[R]
	setTotals func(*R, []float64)
	totals    func(*R) []float64
	first     []entry[R] // the loop that nothing was before, by due
	later     []entry[R] // every loop after it, by due
}

// window is the part of a capture that repeats.
type window struct {
	start  time.Time
	length time.Duration
}

func (w window) offset(t time.Time) time.Duration { return t.Sub(w.start) }

func (w window) has(t time.Time) bool { return !t.Before(w.start) && w.offset(t) < w.length }

// loopCounters lays a metric table out as a loop. What goes on at the seam,
// where the time of the next loop's first scrape follows that of the last one:
//
//   - A gauge is as captured, unless it is a time.
//   - A counter of a process that never restarts goes on from where it ended: a
//     loop adds last - first + the step of the last scrape.
//   - A process that restarts inside the capture is in the middle of a life at
//     both ends. Its counters go on from where they ended until its first
//     restart, from which on they are as captured; so no loop shows a restart
//     that the capture does not have. A series that ended but is not there at
//     the beginning holds its value, one that had not counted yet begins when
//     it first counts.
func loopCounters[R any](t counterTable[R], rows []R, w window, lives map[process]*lifetime, keys *keyCache) *track[R] {
	tr := &track[R]{table: t.tableOf, setTotals: t.setTotals, totals: t.totals}
	for _, g := range bySeries(t, rows, w, lives, keys) {
		if len(g.captured) == 0 {
			continue
		}
		tr.first = append(tr.first, g.entries(g.captured)...)
		tr.later = append(tr.later, g.entries(g.joined())...)
	}
	byDue(tr.first)
	byDue(tr.later)
	return tr
}

// bySeries groups rows, in the order in which the series appear.
func bySeries[R any](t counterTable[R], rows []R, w window, lives map[process]*lifetime, keys *keyCache) []*group[R] {
	var groups []*group[R]
	known := make(map[series]*group[R])
	for i := range rows {
		p := t.point(&rows[i])
		s := keys.series(p)
		g := known[s]
		if g == nil {
			g = &group[R]{t: t, window: w, life: lives[s.process]}
			known[s] = g
			groups = append(groups, g)
		}
		g.rows = append(g.rows, &rows[i])
		if w.has(p.Time) {
			g.captured = append(g.captured, &rows[i])
		}
		if !p.Stale() {
			g.live = append(g.live, &rows[i])
		}
	}
	return groups
}

// loopSpans lays the spans out as a loop. Only whole traces that begin inside
// the window are in it, with all their spans, also those that end after it.
func loopSpans(rows []Span, w window) *track[Span] {
	begins := wholeTraces(rows)
	tr := &track[Span]{table: tracesTable()}
	for i := range rows {
		s := &rows[i]
		begin, ok := begins[s.TraceID]
		if !ok || !w.has(begin) {
			continue
		}
		tr.first = append(tr.first, entry[Span]{row: s, begin: w.offset(begin), due: w.offset(tr.table.end(s))})
	}
	byDue(tr.first)
	tr.later = tr.first
	return tr
}

// wholeTraces gives the begin of each trace whose parents are all there.
func wholeTraces(rows []Span) map[string]time.Time {
	type id struct{ trace, span string }
	spans := make(map[id]bool, len(rows))
	begins := make(map[string]time.Time)
	for i := range rows {
		s := &rows[i]
		spans[id{s.TraceID, s.SpanID}] = true
		if begin, ok := begins[s.TraceID]; !ok || s.Timestamp.Before(begin) {
			begins[s.TraceID] = s.Timestamp
		}
	}
	for i := range rows {
		s := &rows[i]
		if s.ParentSpanID != "" && !spans[id{s.TraceID, s.ParentSpanID}] {
			delete(begins, s.TraceID)
		}
	}
	return begins
}

func loopLogs(rows []LogRecord, w window) *track[LogRecord] {
	tr := &track[LogRecord]{table: logsTable()}
	for i := range rows {
		if at := rows[i].Timestamp; w.has(at) {
			tr.first = append(tr.first, entry[LogRecord]{row: &rows[i], begin: w.offset(at), due: w.offset(at)})
		}
	}
	byDue(tr.first)
	tr.later = tr.first
	return tr
}

func byDue[R any](entries []entry[R]) {
	slices.SortStableFunc(entries, func(a, b entry[R]) int { return cmp.Compare(a.due, b.due) })
}

// stretch is a part of the endless loop, as times since the start of loop 0.
type stretch struct {
	from, to time.Duration // rows due after from and until to
	// begin is where the history begins: traces that began before it stay out,
	// since their first spans are not there.
	begin time.Duration
}

// emit appends the rows that are due in a stretch, as they are to be written.
func (tr *track[R]) emit(into []R, s stretch, length time.Duration, dress func(*R, int)) []R {
	// A span may be due after its loop is over, but never a whole loop after.
	for loop := max(0, int(s.from/length)-1); loop <= int(s.to/length); loop++ {
		at := time.Duration(loop) * length
		entries := tr.later
		if loop == 0 {
			entries = tr.first
		}
		from, _ := slices.BinarySearchFunc(entries, s.from-at, func(e entry[R], due time.Duration) int {
			if e.due <= due {
				return -1
			}
			return 1
		})
		for _, e := range entries[from:] {
			if e.due > s.to-at {
				break
			}
			if e.begin+at < s.begin {
				continue
			}
			row := *e.row
			if e.drift != nil && loop > 0 {
				totals := tr.totals(&row)
				for i := range totals {
					totals[i] += float64(loop) * e.drift[i]
				}
				tr.setTotals(&row, totals)
			}
			dress(&row, loop)
			into = append(into, row)
		}
	}
	return into
}
