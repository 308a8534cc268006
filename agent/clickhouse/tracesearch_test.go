package clickhouse

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/atlhyper/observe/loadtest/telemetry"
	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
)

// search is the default request over the hour before now, changed.
func search(change func(*detail.Traces)) detail.Traces {
	req := detail.Traces{Range: before(time.Hour), Sort: detail.SortTime, Limit: 50}
	if change != nil {
		change(&req)
	}
	return req
}

func mustSearch(t *testing.T, s *Store, req detail.Traces) ([]model.TraceSummary, detail.Meta) {
	t.Helper()
	got, meta, err := s.Traces(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	return got, meta
}

func ids(traces []model.TraceSummary) []string {
	out := []string{}
	for _, tr := range traces {
		out = append(out, tr.TraceID)
	}
	return out
}

// TestTracesWhole has one trace that crosses both edges of the range and shows
// through a filter on a child of it.
func TestTracesWhole(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	s, _ := testStore(t, spans(
		testSpan(1, 1, 0, "web", "Server", -90*time.Minute, 200*time.Minute, named("GET /")),
		testSpan(1, 2, 1, "cart", "Server", -30*time.Minute, 5*ms, named("GET /cart")),
		testSpan(1, 3, 2, "db", "Client", -29*time.Minute, 5*ms, failed("STATUS_CODE_ERROR", "second")),
		testSpan(1, 4, 2, "db", "Client", -29*time.Minute-1, 5*ms, failed("Error", "first"), exception("E", "thrown", "")),
		testSpan(1, 5, 1, "late", "Server", 90*time.Minute, 60*time.Minute),
		// No root among its spans: the first stands in.
		testSpan(2, 2, 1, "web", "Client", -10*time.Minute, 5*ms, named("second")),
		testSpan(2, 3, 1, "web", "Client", -11*time.Minute, 7*ms, named("first")),
		// Not in the range.
		testSpan(3, 1, 0, "cart", "Server", -61*time.Minute, 5*ms),
		testSpan(4, 1, 0, "cart", "Server", 0, 5*ms),
	))
	got, meta := mustSearch(t, s, search(func(r *detail.Traces) { r.Service = "cart" }))
	want := []model.TraceSummary{{
		TraceID: traceID(1), RootService: "web", RootOperation: "GET /", Services: []string{"cart", "db", "late", "web"},
		DurationMs: 240 * 60_000, SpanCount: 5, ServiceCount: 4, HasError: true, ErrorType: "E", ErrorMessage: "thrown",
		Timestamp: model.NewTime(testNow.Add(-90 * time.Minute)),
	}}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if meta != (detail.Meta{WindowSeconds: 3600}) {
		t.Errorf("meta = %+v", meta)
	}
	got, _ = mustSearch(t, s, search(nil))
	want = []model.TraceSummary{{
		TraceID: traceID(2), RootService: "web", RootOperation: "first", Services: []string{"web"},
		DurationMs: 60_005, SpanCount: 2, ServiceCount: 1, Timestamp: model.NewTime(testNow.Add(-11 * time.Minute)),
	}, want[0]}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestTracesFilters asks for spans that hold all filters together, in both
// generations of the conventions.
func TestTracesFilters(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	older := attrs("http.method", "POST", "http.status_code", "500")
	newer := attrs("http.request.method", "POST", "http.response.status_code", "500")
	s, _ := testStore(t, spans(
		testSpan(1, 1, 0, "cart", "Server", -1*time.Minute, 10*ms, named("add"), older),
		testSpan(2, 1, 0, "cart", "Server", -2*time.Minute, 20*ms, named("add"), newer, failed("Error", "down")),
		// Each filter holds for some span of it, not all for one.
		testSpan(3, 1, 0, "cart", "Server", -3*time.Minute, 30*ms, named("add"), attrs("http.request.method", "GET", "http.status_code", "500")),
		testSpan(3, 2, 1, "web", "Server", -3*time.Minute, 30*ms, named("add"), newer),
		testSpan(3, 3, 1, "cart", "Server", -3*time.Minute, 30*ms, named("drop"), newer),
		testSpan(4, 1, 0, "", "Server", -4*time.Minute, 40*ms, failed("STATUS_CODE_ERROR", "")),
		testSpan(5, 1, 0, "o'hare\\ {x:String} %", "Server", -5*time.Minute, 50*ms),
	))
	yes, no := true, false
	for _, tc := range []struct {
		name   string
		change func(*detail.Traces)
		want   []int
	}{
		{"together", func(r *detail.Traces) { r.Service, r.Operation, r.Method, r.StatusCode = "cart", "add", "post", "500" }, []int{1, 2}},
		{"service", func(r *detail.Traces) { r.Service = "web" }, []int{3}},
		{"operation", func(r *detail.Traces) { r.Operation = "drop" }, []int{3}},
		{"method", func(r *detail.Traces) { r.Method = "GET" }, []int{3}},
		{"status", func(r *detail.Traces) { r.StatusCode = "404" }, []int{}},
		{"error", func(r *detail.Traces) { r.HasError = &yes }, []int{2, 4}},
		{"no error", func(r *detail.Traces) { r.HasError = &no }, []int{1, 3, 5}},
		{"error and service", func(r *detail.Traces) { r.HasError, r.Service = &yes, "cart" }, []int{2}},
		{"duration", func(r *detail.Traces) { r.MinDurationMs, r.MaxDurationMs = 20, 40 }, []int{2, 3, 4}},
		{"longest", func(r *detail.Traces) { r.Sort, r.Limit = detail.SortDuration, 2 }, []int{5, 4}},
		{"longest, further", func(r *detail.Traces) { r.Sort, r.Limit, r.Offset = detail.SortDuration, 2, 2 }, []int{3, 2}},
		{"unknown service", func(r *detail.Traces) { r.Service = unknownService }, []int{4}},
		{"a name like SQL", func(r *detail.Traces) { r.Service = "o'hare\\ {x:String} %" }, []int{5}},
		{"a beginning is no match", func(r *detail.Traces) { r.Service = "car" }, []int{}},
		{"beyond the end", func(r *detail.Traces) { r.Offset = 5 }, []int{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			want := []string{}
			for _, n := range tc.want {
				want = append(want, traceID(n))
			}
			got, _ := mustSearch(t, s, search(tc.change))
			if diff := gocmp.Diff(want, ids(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestTracesPages walks through pages of equal start times and durations, while
// newer traces arrive.
func TestTracesPages(t *testing.T) {
	t.Parallel()
	for _, sort := range []detail.TraceSort{detail.SortTime, detail.SortDuration} {
		t.Run(string(sort), func(t *testing.T) {
			t.Parallel()
			var rows telemetry.Rows
			for i := range 40 {
				at := -time.Duration(i/4*7+1) * time.Minute // four at a time, over an hour and more
				rows.Spans = append(rows.Spans, testSpan(i+1, 1, 0, "web", "Server", at, time.Duration(1+i%3)*time.Second))
			}
			s, insert := testStore(t, rows)
			req := search(func(r *detail.Traces) { r.Sort, r.Range = sort, before(3*time.Hour) })
			whole, _ := mustSearch(t, s, req)
			if len(whole) != 40 {
				t.Fatalf("%d traces, want 40", len(whole))
			}
			req.Limit = 7
			var paged []string
			for page := range 6 {
				got, meta := mustSearch(t, s, req)
				paged = append(paged, ids(got)...)
				if last := page == 5; last != (meta.NextCursor == "") {
					t.Errorf("page %d: next cursor %q", page, meta.NextCursor)
				}
				req.Cursor = meta.NextCursor
				if sort == detail.SortTime { // new ones come before what was shown
					insert(spans(testSpan(100+page, 1, 0, "web", "Server", -time.Second, time.Second)))
				}
			}
			if diff := gocmp.Diff(ids(whole), paged); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestSearchSlices: the slices are few, join without a gap and reach back to the
// margin before the range.
func TestSearchSlices(t *testing.T) {
	t.Parallel()
	month := before(detail.MaxRange)
	oldest := month.StartTime().Add(-traceMargin)
	for _, tc := range []struct {
		name   string
		change func(*detail.Traces)
		after  traceKey
		newest time.Time
		most   int
	}{
		{"time", nil, firstTraceKey(), testNow, 7},
		{"filtered", func(r *detail.Traces) { r.Service = "web" }, firstTraceKey(), testNow, 7},
		{"from a cursor", nil, traceKey{nanos(testNow.Add(-time.Hour)), "x"}, testNow.Add(-time.Hour + 1), 7},
		{"from a cursor in the margin", nil, traceKey{nanos(oldest) + 4, "x"}, oldest.Add(5), 1},
		{"duration", func(r *detail.Traces) { r.Sort = detail.SortDuration }, firstTraceKey(), testNow, 1},
	} {
		req := search(tc.change)
		req.Range = month
		slices := searchSlices(req, tc.after)
		if len(slices) == 0 || len(slices) > tc.most {
			t.Errorf("%s: %d slices, want 1 to %d", tc.name, len(slices), tc.most)
			continue
		}
		to := tc.newest
		for _, s := range slices {
			if !s.to.Equal(to) || !s.from.Before(s.to) || s.match.start.Before(month.StartTime()) || s.match.end.After(testNow) ||
				s.read.start.After(s.from) || s.read.end.Before(s.to) {
				t.Errorf("%s: slice %+v after one that begins at %s", tc.name, s, to)
			}
			to = s.from
		}
		if !to.Equal(oldest) {
			t.Errorf("%s: reaches back to %s, want %s", tc.name, to, oldest)
		}
	}
	if slices := searchSlices(search(nil), traceKey{nanos(testNow.Add(-2 * time.Hour)), "x"}); len(slices) != 0 {
		t.Errorf("a cursor from before the range: %d slices, want none", len(slices))
	}
}

func TestTracesWithoutTable(t *testing.T) {
	t.Parallel()
	s, _ := emptyStore(t)
	got, _ := mustSearch(t, s, search(nil))
	if got == nil || len(got) != 0 {
		t.Errorf("%v, want an empty list", got)
	}
}

func TestTracesBadCursor(t *testing.T) {
	t.Parallel()
	s, _ := emptyStore(t)
	other := traceKey{1, traceID(1)}.cursor(detail.SortDuration)
	for _, cursor := range []string{"x", "AQ", other, other[:len(other)-1] + "!", encodeCursor('t', []uint64{1 << 63}, "a")} {
		_, _, err := s.Traces(t.Context(), search(func(r *detail.Traces) { r.Cursor = cursor }))
		if !fault.Is(err, fault.BadRequest) {
			t.Errorf("cursor %q: %v, want %s", cursor, err, fault.BadRequest)
		}
	}
}

// TestTracesRandom compares searches over random traces with a search in Go.
func TestTracesRandom(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	var rows telemetry.Rows
	for trace := range 300 {
		start := -time.Duration(rng.IntN(6*3600)) * time.Second
		for id := range 1 + rng.IntN(5) {
			span := testSpan(trace+1, id+1, rng.IntN(id+1), fmt.Sprintf("s%d", rng.IntN(4)), "Server",
				start+time.Duration(rng.IntN(600))*time.Second, time.Duration(rng.IntN(60_000))*time.Millisecond,
				named(fmt.Sprintf("op%d", rng.IntN(3))), attrs("http.request.method", []string{"GET", "PUT"}[rng.IntN(2)]))
			if rng.IntN(6) == 0 {
				failed("Error", "m")(&span)
			}
			rows.Spans = append(rows.Spans, span)
		}
	}
	s, _ := testStore(t, rows)
	shown := 0
	for range 25 {
		from := time.Duration(rng.IntN(5*3600)) * time.Second
		req := detail.Traces{
			Range: detail.NewRange(testNow.Add(-from-time.Duration(1+rng.IntN(3*3600))*time.Second), testNow.Add(-from)),
			Sort:  []detail.TraceSort{detail.SortTime, detail.SortDuration}[rng.IntN(2)], Limit: 1 + rng.Int64N(60), Offset: rng.Int64N(10),
		}
		if rng.IntN(2) == 0 {
			req.Service = fmt.Sprintf("s%d", rng.IntN(4))
		}
		if rng.IntN(2) == 0 {
			req.Operation, req.Method = fmt.Sprintf("op%d", rng.IntN(3)), "GET"
		}
		if rng.IntN(2) == 0 {
			yes := rng.IntN(2) == 0
			req.HasError = &yes
		}
		if rng.IntN(2) == 0 {
			req.MinDurationMs = float64(rng.IntN(100_000))
		}
		want, all := searchInGo(rows.Spans, req)
		got, meta := mustSearch(t, s, req)
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Fatalf("%+v:\n%s", req, diff)
		}
		shown += len(got)
		if more := all > int(req.Offset+req.Limit); more != (meta.NextCursor != "") {
			t.Errorf("%+v: next cursor %q of %d", req, meta.NextCursor, all)
		}
	}
	if shown < 100 {
		t.Errorf("only %d traces were compared", shown)
	}
}

// searchInGo is the meaning of a search: a page and how many there are in all.
func searchInGo(spans []telemetry.Span, req detail.Traces) ([]model.TraceSummary, int) {
	whole, chosen := map[string][]telemetry.Span{}, map[string]bool{}
	for _, sp := range spans {
		whole[sp.TraceID] = append(whole[sp.TraceID], sp)
		chosen[sp.TraceID] = chosen[sp.TraceID] ||
			!sp.Timestamp.Before(req.Range.StartTime()) && sp.Timestamp.Before(req.Range.EndTime()) &&
				(req.Service == "" || sp.ServiceName == req.Service) && (req.Operation == "" || sp.Name == req.Operation) &&
				(req.Method == "" || sp.Attributes["http.request.method"] == req.Method)
	}
	found := []model.TraceSummary{}
	for id, all := range whole {
		slices.SortFunc(all, func(a, b telemetry.Span) int {
			return cmp.Or(a.Timestamp.Compare(b.Timestamp), cmp.Compare(a.SpanID, b.SpanID))
		})
		sum := model.TraceSummary{TraceID: id, SpanCount: int64(len(all)), Timestamp: model.NewTime(all[0].Timestamp)}
		var end time.Time
		for _, sp := range all {
			if e := sp.Timestamp.Add(sp.Duration); e.After(end) {
				end = e
			}
			if sp.StatusCode == "Error" {
				sum.HasError, sum.ErrorMessage = true, "m"
			}
			if sp.ParentSpanID == "" && sum.RootService == "" {
				sum.RootService, sum.RootOperation = sp.ServiceName, sp.Name
			}
			sum.Services = append(sum.Services, sp.ServiceName)
		}
		slices.Sort(sum.Services)
		sum.Services = slices.Compact(sum.Services)
		sum.ServiceCount = int64(len(sum.Services))
		sum.DurationMs = float64(end.Sub(all[0].Timestamp).Milliseconds())
		if chosen[id] && sum.DurationMs >= req.MinDurationMs && (req.HasError == nil || *req.HasError == sum.HasError) {
			found = append(found, sum)
		}
	}
	slices.SortFunc(found, func(a, b model.TraceSummary) int {
		ordered := strings.Compare(string(b.Timestamp), string(a.Timestamp))
		if req.Sort == detail.SortDuration {
			ordered = cmp.Compare(b.DurationMs, a.DurationMs)
		}
		return cmp.Or(ordered, strings.Compare(b.TraceID, a.TraceID))
	})
	page := found[min(int(req.Offset), len(found)):]
	return page[:min(int(req.Limit), len(page))], len(found)
}

func FuzzTraceCursor(f *testing.F) {
	f.Add(traceKey{1, traceID(1)}.cursor(detail.SortTime))
	f.Add(traceKey{1 << 62, "x"}.cursor(detail.SortDuration))
	f.Add("AQ")
	f.Fuzz(func(t *testing.T, cursor string) {
		for _, sort := range []detail.TraceSort{detail.SortTime, detail.SortDuration} {
			key, err := decodeTraceCursor(cursor, sort)
			if err != nil {
				if !fault.Is(err, fault.BadRequest) {
					t.Errorf("%q: %v", cursor, err)
				}
				continue
			}
			if key.key < 0 || key.id == "" || key.cursor(sort) != cursor {
				t.Errorf("%q decodes to %+v, which is %q", cursor, key, key.cursor(sort))
			}
		}
	})
}

// Of more traces than are kept in memory, any could be the longest: the search
// fails and says how to narrow it, and does not answer with some.
func TestTooManyTracesAreAnError(t *testing.T) {
	t.Parallel()
	s, exec := emptyStore(t)
	for _, part := range []struct {
		service string
		traces  int
	}{{"many", maxTraces}, {"other", 1}} {
		sql := `SELECT ` + unixText(testNow.Add(-time.Minute)) + `::DateTime64(9) AS Timestamp, '` + part.service + `' || toString(number) AS TraceId,
			'1' AS SpanId, '' AS ParentSpanId, '' AS TraceState, 'op' AS SpanName, 'Server' AS SpanKind, '` + part.service + `' AS ServiceName,
			map('service.name', 'x') AS ResourceAttributes, map('a', 'b') AS SpanAttributes, toUInt64(number + 1) AS Duration, 'Error' AS StatusCode,
			'' AS StatusMessage, [] :: Array(String) AS "Events.Name", [] :: Array(Map(String, String)) AS "Events.Attributes",
			[] :: Array(DateTime64(9)) AS "Events.Timestamp" FROM numbers(` + strconv.Itoa(part.traces) + `)`
		exec("CREATE TABLE IF NOT EXISTS otel_traces ENGINE = MergeTree ORDER BY (ServiceName, Timestamp) EMPTY AS " + sql)
		exec("INSERT INTO otel_traces " + sql)
	}
	failed := true
	req := detail.Traces{Range: before(time.Hour), Sort: detail.SortDuration, Limit: 1, Service: "many", HasError: nil}
	got, _, err := s.Traces(t.Context(), req)
	if err != nil || len(got) != 1 || got[0].TraceID != "many"+strconv.Itoa(maxTraces-1) {
		t.Errorf("%d traces: %v, error %v; want the longest", maxTraces, got, err)
	}
	for name, change := range map[string]func(*detail.Traces){
		"all of them":       func(r *detail.Traces) { r.Service = "" },
		"those that failed": func(r *detail.Traces) { r.HasError = &failed },
		"by time":           func(r *detail.Traces) { r.Service, r.Sort = "", detail.SortTime },
	} {
		wide := req
		change(&wide)
		if _, _, err := s.Traces(t.Context(), wide); !fault.Is(err, fault.ResultTooLarge) || !strings.Contains(fault.From(err).Message, "shorter") {
			t.Errorf("%s: error %v, want result_too_large", name, err)
		}
	}
}
