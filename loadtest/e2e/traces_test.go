package e2e_test

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/atlhyper/observe/loadtest/e2e/reference"
	"github.com/atlhyper/observe/shared/model"
)

// searchCase is one trace search, as parameters and as the reference takes it.
type searchCase struct {
	params []string
	change func(*reference.Search)
	none   bool // nothing matches; everything else must find something
}

func searchCases() []searchCase {
	return []searchCase{
		{change: func(*reference.Search) {}},
		{params: []string{"service", "redis-manual"}, change: func(q *reference.Search) { q.Service = "redis-manual" }},
		{params: []string{"operation", "SQL SELECT"}, change: func(q *reference.Search) { q.Operation = "SQL SELECT" }},
		{
			params: []string{"service", "frontend", "operation", "HTTP GET"},
			change: func(q *reference.Search) { q.Service, q.Operation = "frontend", "HTTP GET" },
		},
		{
			// No single span is both.
			params: []string{"service", "mysql", "operation", "HTTP GET"},
			change: func(q *reference.Search) { q.Service, q.Operation = "mysql", "HTTP GET" }, none: true,
		},
		{params: []string{"has_error", "true"}, change: func(q *reference.Search) { q.HasError = new(true) }},
		{params: []string{"has_error", "false"}, change: func(q *reference.Search) { q.HasError = new(false) }},
		{params: []string{"min_duration", "800"}, change: func(q *reference.Search) { q.MinDurationMs = 800 }},
		{params: []string{"max_duration", "640.5"}, change: func(q *reference.Search) { q.MaxDurationMs = 640.5 }},
		{params: []string{"status_code", "200", "service", "route"}, change: func(q *reference.Search) { q.StatusCode, q.Service = "200", "route" }},
		{params: []string{"status_code", "500"}, change: func(q *reference.Search) { q.StatusCode = "500" }},
		{params: []string{"status_code", "503"}, change: func(q *reference.Search) { q.StatusCode = "503" }, none: true},
		{params: []string{"method", "GET", "service", "customer"}, change: func(q *reference.Search) { q.Method, q.Service = "GET", "customer" }},
		{params: []string{"method", "POST"}, change: func(q *reference.Search) { q.Method = "POST" }},
		{params: []string{"method", "PUT"}, change: func(q *reference.Search) { q.Method = "PUT" }, none: true},
		{params: []string{"method", "get", "service", "shop-web"}, change: func(q *reference.Search) { q.Method, q.Service = "GET", "shop-web" }},
		{params: []string{"service", "nobody"}, change: func(q *reference.Search) { q.Service = "nobody" }, none: true},
		{params: []string{"sort", "duration"}, change: func(q *reference.Search) { q.ByDuration = true }},
		{
			params: []string{"sort", "duration", "has_error", "true", "min_duration", "700"},
			change: func(q *reference.Search) { q.ByDuration, q.HasError, q.MinDurationMs = true, new(true), 700 },
		},
	}
}

func testSearch(t *testing.T, s *stack, c cluster) { //nolint:thelper // the body of a subtest
	start, end := s.end.Add(-15*time.Minute), s.end.Add(time.Second)
	for _, test := range searchCases() {
		what := "traces " + strings.Join(test.params, " ")
		q := reference.Search{Start: start, End: end}
		test.change(&q)
		want := s.rows.Search(q)
		if (len(want) == 0) != test.none {
			t.Fatalf("%s: the rows have %d", what, len(want))
		}
		a := s.detail(t, c, "/observe/traces", append(rangeParams(start, end), append(test.params, "limit", "1000")...)...)
		equal(t, what, want, decode[[]model.TraceSummary](t, a.Data))
		if a.Meta.NextCursor != "" {
			t.Errorf("%s: a cursor after the whole list", what)
		}
	}
}

func rangeParams(start, end time.Time) []string {
	return []string{"start_time", start.Format(time.RFC3339), "end_time", end.Format(time.RFC3339)}
}

// testSearchInPart searches parts of the time: two minutes, and ten seconds that
// begin exactly with one trace and end exactly with another.
func testSearchInPart(t *testing.T, s *stack, c cluster) { //nolint:thelper // the body of a subtest
	s.searchPart(t, c, s.end.Add(-6*time.Minute), s.end.Add(-4*time.Minute))
	found := s.searchPart(t, c, s.old, s.old.Add(10*time.Second))
	if !found[traceID(1)] || found[traceID(2)] {
		t.Errorf("half-open: a trace at the start was found: %v, one at the end: %v", found[traceID(1)], found[traceID(2)])
	}
}

// searchPart: traces that lie in the range are found, those outside are not;
// whether one that begins or ends outside belongs to it is not laid down, but it
// must be told whole.
func (s *stack) searchPart(t *testing.T, c cluster, start, end time.Time) map[string]bool {
	t.Helper()
	got := decode[[]model.TraceSummary](t, s.detail(t, c, "/observe/traces", append(rangeParams(start, end), "limit", "1000")...).Data)
	all := map[string]model.TraceSummary{}
	for _, want := range s.rows.Search(reference.Search{Start: start, End: end}) {
		all[want.TraceID] = want
	}
	found := map[string]bool{}
	for _, g := range got {
		if want, ok := all[g.TraceID]; !ok {
			t.Errorf("traces of a part: %s has no span in it", g.TraceID)
		} else {
			equal(t, "traces of a part", want, g)
		}
		found[g.TraceID] = true
	}
	for id, want := range all {
		at, err := want.Timestamp.Parse()
		if err != nil {
			t.Fatal(err)
		}
		if !at.Before(start) && at.Before(end) && !found[id] {
			t.Errorf("traces of a part: %s began in it at %s and is missing", id, want.Timestamp)
		}
	}
	return found
}

// testSearchPages walks through pages, by cursor and by offset, in both orders:
// every trace exactly once, in order.
func testSearchPages(t *testing.T, s *stack, c cluster) { //nolint:thelper // the body of a subtest
	start, end := s.end.Add(-15*time.Minute), s.end.Add(time.Second)
	for _, order := range []string{"time", "duration"} {
		want := s.rows.Search(reference.Search{Start: start, End: end, ByDuration: order == "duration"})
		params := append(rangeParams(start, end), "sort", order, "limit", "150")
		got, cursor := []model.TraceSummary{}, ""
		for range want {
			a := s.detail(t, c, "/observe/traces", append(slices.Clone(params), "cursor", cursor)...)
			got = append(got, decode[[]model.TraceSummary](t, a.Data)...)
			if cursor = a.Meta.NextCursor; cursor == "" {
				break
			}
		}
		equal(t, "traces by cursor, sorted by "+order, ids(want), ids(got))
		got = got[:0]
		for offset := 0; offset <= len(want); offset += 150 {
			a := s.detail(t, c, "/observe/traces", append(slices.Clone(params), "offset", strconv.Itoa(offset))...)
			got = append(got, decode[[]model.TraceSummary](t, a.Data)...)
		}
		equal(t, "traces by offset, sorted by "+order, ids(want), ids(got))
	}
}

func ids(traces []model.TraceSummary) []string {
	out := make([]string, len(traces))
	for i, t := range traces {
		out[i] = fmt.Sprintf("%s %s %.3f", t.TraceID, t.Timestamp, t.DurationMs)
	}
	return out
}

// testTrace reads whole traces: the first and last, some in between, and those
// that lost their root.
func testTrace(t *testing.T, s *stack, c cluster) { //nolint:thelper // the body of a subtest
	all := s.rows.TraceIDs()
	chosen := []string{all[0], all[len(all)/3], all[len(all)/2], all[len(all)-1], traceID(1), traceID(2)}
	failed, rootless := 0, 0
	for _, id := range all {
		want, _ := s.rows.Trace(id)
		switch {
		case !slices.ContainsFunc(want.Spans, func(s model.Span) bool { return s.ParentSpanID == "" }):
			chosen, rootless = append(chosen, id), rootless+1
		case failed < 3 && slices.ContainsFunc(want.Spans, func(s model.Span) bool { return s.Error != nil }):
			chosen, failed = append(chosen, id), failed+1
		}
	}
	if failed != 3 || rootless != 2 {
		t.Fatalf("the rows have %d traces with errors and %d without a root", failed, rootless)
	}
	for _, id := range chosen {
		want, _ := s.rows.Trace(id)
		got := decode[model.Trace](t, s.detail(t, c, "/observe/traces/"+id).Data)
		equal(t, "trace "+id, want, got)
	}
	unknown := strings.Repeat("0", 31) + "1"
	s.masters[0].get(t, "/observe/traces/"+unknown, "cluster_id", c.id).refused(t, "an unknown trace", http.StatusNotFound, "not_found")
	s.masters[0].get(t, "/observe/traces/xyz", "cluster_id", c.id).refused(t, "a trace id that is none", http.StatusBadRequest, "bad_request")
}
