package clickhouse

import (
	"context"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/atlhyper/observe/shared/model"
)

// traceSummaries tells of whole traces, in the order of the page. They are read
// over the time that the trace-id time index knows of, or the margin around what
// was found where it knows of none.
func (s *Store) traceSummaries(ctx context.Context, page []foundTrace) ([]model.TraceSummary, error) {
	summaries := []model.TraceSummary{}
	if len(page) == 0 {
		return summaries, nil
	}
	ids := make([]string, 0, len(page))
	window := page[0].window()
	for _, f := range page {
		ids = append(ids, f.id)
		window = window.union(f.window())
	}
	indexed, ok, err := s.traceWindow(ctx, ids)
	if err != nil {
		return nil, err
	}
	if ok {
		window = window.union(indexed)
	}
	p := window.params()
	p["ids"] = ids
	rows, err := query(ctx, s, "trace_summaries", p, scanSummary)
	if err != nil {
		return nil, err
	}
	byID := make(map[string]model.TraceSummary, len(rows))
	for _, row := range rows {
		byID[row.TraceID] = row
	}
	for _, id := range ids {
		// One that is gone between the statements has outlived its TTL.
		if summary, ok := byID[id]; ok {
			summaries = append(summaries, summary)
		}
	}
	return summaries, nil
}

// window is where the spans of a found trace are, with the margin.
func (f foundTrace) window() timeWindow {
	return timeWindow{
		time.Unix(0, f.first).Add(-traceMargin),
		time.Unix(0, f.first+f.duration).Add(traceMargin),
	}
}

func scanSummary(rows driver.Rows) (model.TraceSummary, error) {
	var t model.TraceSummary
	var first, duration int64
	var hasError uint8
	err := rows.Scan(&t.TraceID, &t.RootService, &t.RootOperation, &t.Services, &t.ServiceCount, &t.SpanCount,
		&first, &duration, &hasError, &t.ErrorType, &t.ErrorMessage)
	t.Timestamp = model.NewTime(time.Unix(0, first))
	t.DurationMs = milliseconds(time.Duration(duration))
	t.HasError = hasError == 1
	return t, err
}
