package e2e_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/atlhyper/observe/loadtest/e2e/reference"
	"github.com/atlhyper/observe/shared/model"
)

// logCase is one log query, as a body and as the reference takes it.
type logCase struct {
	body   map[string]any
	change func(*reference.LogQuery)
	none   bool
}

const captureTrace, captureSpan = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"

func logCases() []logCase {
	return []logCase{
		{change: func(*reference.LogQuery) {}},
		{body: map[string]any{"query": "declined"}, change: func(q *reference.LogQuery) { q.Query = "declined" }},
		{body: map[string]any{"query": "CARD Decl"}, change: func(q *reference.LogQuery) { q.Query = "card decl" }},
		{body: map[string]any{"query": "id=12580"}, change: func(q *reference.LogQuery) { q.Query = "id=12580" }},
		{body: map[string]any{"query": "rder place"}, change: func(q *reference.LogQuery) { q.Query = "rder place" }},
		{body: map[string]any{"query": "order%"}, change: func(q *reference.LogQuery) { q.Query = "order%" }, none: true},
		{body: map[string]any{"query": "order_placed"}, change: func(q *reference.LogQuery) { q.Query = "order_placed" }, none: true},
		{body: map[string]any{"service": "checkout"}, change: func(q *reference.LogQuery) { q.Service = "checkout" }},
		{body: map[string]any{"level": "error"}, change: func(q *reference.LogQuery) { q.Level = "ERROR" }},
		{body: map[string]any{"level": "WARN"}, change: func(q *reference.LogQuery) { q.Level = "WARN" }},
		{body: map[string]any{"level": "FATAL"}, change: func(q *reference.LogQuery) { q.Level = "FATAL" }, none: true},
		{body: map[string]any{"scope": oldScope, "level": "ERROR"}, change: func(q *reference.LogQuery) { q.Scope, q.Level = oldScope, "ERROR" }},
		{body: map[string]any{"query": "100% of A_B"}, change: func(q *reference.LogQuery) { q.Query = "100% of a_b" }},
		{body: map[string]any{"service": "checkout", "level": "ERROR"}, change: func(q *reference.LogQuery) { q.Service, q.Level = "checkout", "ERROR" }, none: true},
		{body: map[string]any{"service": "payment", "query": "card"}, change: func(q *reference.LogQuery) { q.Service, q.Query = "payment", "card" }},
		{body: map[string]any{"trace_id": captureTrace}, change: func(q *reference.LogQuery) { q.TraceID = captureTrace }},
		{body: map[string]any{"span_id": captureSpan, "service": "payment"}, change: func(q *reference.LogQuery) { q.SpanID, q.Service = captureSpan, "payment" }},
	}
}

// askLogs asks for one page of a range.
func (s *stack) askLogs(t *testing.T, c cluster, start, end time.Time, body map[string]any) answer {
	t.Helper()
	full := map[string]any{
		"cluster_id": c.id, "start_time": start.Format(time.RFC3339), "end_time": end.Format(time.RFC3339),
	}
	for k, v := range body {
		full[k] = v
	}
	a := s.masters[0].post(t, "/observe/logs/query", full).ok(t, fmt.Sprint("logs ", body))
	checkDetailMeta(t, "logs", c, a)
	return a
}

// testLogs compares the first page of each query, its total and its facets.
func testLogs(t *testing.T, s *stack, c cluster) { //nolint:thelper // the body of a subtest
	start, end := s.end.Add(-15*time.Minute), s.end.Add(time.Second)
	for _, test := range logCases() {
		what := fmt.Sprint("logs ", test.body)
		q := reference.LogQuery{Start: start, End: end}
		test.change(&q)
		want := s.rows.Logs(q)
		if (want.Total == 0) != test.none {
			t.Fatalf("%s: the rows have %d", what, want.Total)
		}
		want.Logs = want.Logs[:min(50, len(want.Logs))]
		equal(t, what, want, decode[model.LogPage](t, s.askLogs(t, c, start, end, test.body).Data))
	}
	// Half-open: there is a record exactly at the start, which is in, and some
	// exactly at the end, which are out.
	from, to := s.old, s.old.Add(time.Minute)
	want := s.rows.Logs(reference.LogQuery{Start: from, End: to})
	got := decode[model.LogPage](t, s.askLogs(t, c, from, to, map[string]any{"limit": 500}).Data)
	equal(t, "logs of a minute", want, got)
	ends := s.rows.Logs(reference.LogQuery{Start: to, End: to.Add(time.Nanosecond)})
	if want.Logs[len(want.Logs)-1].Timestamp != model.NewTime(from) || ends.Total != 5 {
		t.Errorf("the rows have no record at %s, or %d at %s", from, ends.Total, to)
	}
}

// sortTied brings records of one instant, whose order is not laid down, into one.
func sortTied(logs []model.LogRecord) {
	slices.SortStableFunc(logs, func(a, b model.LogRecord) int {
		if a.Timestamp != b.Timestamp {
			return 0
		}
		return strings.Compare(a.Body, b.Body)
	})
}

// testLogPages walks to the end, by cursor and by offset: every record once, also
// of five with the same time.
func testLogPages(t *testing.T, s *stack, c cluster) { //nolint:thelper // the body of a subtest
	s.walkLogs(t, c, "e", 250)
	s.walkLogs(t, c, "tied", 2)
}

func (s *stack) walkLogs(t *testing.T, c cluster, text string, limit int) {
	t.Helper()
	start, end := s.end.Add(-15*time.Minute), s.end.Add(time.Second)
	want := s.rows.Logs(reference.LogQuery{Start: start, End: end, Query: text}).Logs
	got, cursor := []model.LogRecord{}, ""
	for range want {
		body := map[string]any{"limit": limit, "query": text}
		if cursor != "" {
			body["cursor"] = cursor
		}
		a := s.askLogs(t, c, start, end, body)
		got = append(got, decode[model.LogPage](t, a.Data).Logs...)
		if cursor = a.Meta.NextCursor; cursor == "" {
			break
		}
	}
	sortTied(want)
	sortTied(got)
	equal(t, "logs by cursor", want, got)
	got = got[:0]
	for offset := 0; offset <= len(want); offset += limit {
		a := s.askLogs(t, c, start, end, map[string]any{"limit": limit, "offset": offset, "query": text})
		got = append(got, decode[model.LogPage](t, a.Data).Logs...)
	}
	sortTied(got)
	equal(t, "logs by offset", want, got)
	if len(want) <= 2*limit {
		t.Errorf("the rows have only %d records to page through", len(want))
	}
}
