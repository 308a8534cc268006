package clickhouse

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
)

// maxTraceSpans is how many spans of one trace are returned.
const maxTraceSpans = 10_000

// Trace returns one whole trace, its spans by start. Only its time is read; see
// findTrace for how that is known.
//
// Of a trace of more than 10,000 spans the first 10,000 are returned and
// Meta.Truncated is set; its duration and counts are of all spans all the same.
// A trace that has no spans in the store is a fault.NotFound.
func (s *Store) Trace(ctx context.Context, req detail.Trace) (model.Trace, detail.Meta, error) {
	var meta detail.Meta
	window, ok, err := s.findTrace(ctx, req.TraceID)
	if err != nil {
		return model.Trace{}, meta, err
	}
	if !ok {
		return model.Trace{}, meta, unknownTrace(req.TraceID)
	}
	p := window.params()
	p["trace_id"] = req.TraceID
	p["limit"] = maxTraceSpans + 1
	rows, err := query(ctx, s, "trace_spans", p, scanSpan)
	if err != nil && !isUnknownTable(err) {
		return model.Trace{}, meta, err
	}
	if len(rows) == 0 {
		return model.Trace{}, meta, unknownTrace(req.TraceID)
	}
	trace := traceNumbers(rows)
	if len(rows) > maxTraceSpans {
		rows, meta.Truncated = rows[:maxTraceSpans], true
		delete(p, "limit")
		if trace, err = s.traceTotals(ctx, p); err != nil {
			return model.Trace{}, meta, err
		}
	}
	trace.TraceID = req.TraceID
	conventions := semanticConventions()
	for i := range rows {
		trace.Spans = append(trace.Spans, rows[i].span(req.TraceID, &conventions))
	}
	return trace, meta, nil
}

func unknownTrace(id string) error { return fault.New(fault.NotFound, "there is no trace %s", id) }

// traceNumbers computes the numbers of a trace from all of its spans, by start.
func traceNumbers(rows []spanRow) model.Trace {
	services := make(map[string]bool)
	last := rows[0].start
	for i := range rows {
		services[rows[i].service] = true
		last = max(last, rows[i].start+rows[i].duration)
	}
	return model.Trace{
		SpanCount:    int64(len(rows)),
		ServiceCount: int64(len(services)),
		DurationMs:   milliseconds(time.Duration(last - rows[0].start)),
	}
}

// traceTotals returns the numbers of the trace that p selects, without spans.
func (s *Store) traceTotals(ctx context.Context, p params) (model.Trace, error) {
	rows, err := query(ctx, s, "trace_totals", p, func(rows driver.Rows) (model.Trace, error) {
		var trace model.Trace
		var duration int64
		err := rows.Scan(&trace.SpanCount, &trace.ServiceCount, &duration)
		trace.DurationMs = milliseconds(time.Duration(duration))
		return trace, err
	})
	if err != nil {
		return model.Trace{}, err
	}
	if len(rows) != 1 {
		return model.Trace{}, fmt.Errorf("clickhouse: trace_totals: %d rows, want 1", len(rows))
	}
	return rows[0], nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
