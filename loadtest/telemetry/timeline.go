package telemetry

import "time"

// timeline is a capture laid out as an endless loop that begins at a moment on
// the wall clock. It is a pure function of time and safe for concurrent use.
type timeline struct {
	window window
	anchor time.Time // when loop 0 begins, whole seconds
	salt   string    // of the ids

	spans      *track[Span]
	logs       *track[LogRecord]
	gauges     *track[GaugePoint]
	sums       *track[SumPoint]
	histograms *track[HistogramPoint]
	summaries  *track[SummaryPoint]
}

// newTimeline lays rows out; the rows must stay as they are from now on.
func newTimeline(rows *Rows, w window, anchor time.Time, salt string) *timeline {
	keys := newKeyCache()
	lives := lifetimes(rows, keys)
	return &timeline{
		window:     w,
		anchor:     anchor,
		salt:       salt,
		spans:      loopSpans(rows.Spans, w),
		logs:       loopLogs(rows.Logs, w),
		gauges:     loopCounters(gaugeCounters(), rows.Gauges, w, lives, keys),
		sums:       loopCounters(sumCounters(), rows.Sums, w, lives, keys),
		histograms: loopCounters(histogramCounters(), rows.Histograms, w, lives, keys),
		summaries:  loopCounters(summaryCounters(), rows.Summaries, w, lives, keys),
	}
}

// rows are the rows that come due after from and until to. Traces that began
// before history are left out whole.
func (tl *timeline) rows(history, from, to time.Time) Rows {
	s := stretch{from: from.Sub(tl.anchor), to: to.Sub(tl.anchor), begin: history.Sub(tl.anchor)}
	return Rows{
		Spans:      emit(tl, tl.spans, s),
		Logs:       emit(tl, tl.logs, s),
		Gauges:     emit(tl, tl.gauges, s),
		Sums:       emit(tl, tl.sums, s),
		Histograms: emit(tl, tl.histograms, s),
		Summaries:  emit(tl, tl.summaries, s),
	}
}

func emit[R any](tl *timeline, tr *track[R], s stretch) []R {
	return tr.emit(nil, s, tl.window.length, func(row *R, loop int) {
		began := tl.anchor.Add(time.Duration(loop) * tl.window.length)
		tr.table.move(row, began.Sub(tl.window.start))
		tr.table.rename(row, names{salt: tl.salt, loop: loop})
	})
}
