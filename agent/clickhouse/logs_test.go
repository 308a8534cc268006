package clickhouse

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/atlhyper/observe/loadtest/telemetry"
	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
)

// testLog makes a record that is that much older than testNow.
func testLog(age time.Duration, service, body string, change ...func(*telemetry.LogRecord)) telemetry.LogRecord {
	l := telemetry.LogRecord{
		Timestamp: testNow.Add(-age), ServiceName: service, Body: body, SeverityNumber: 9, SeverityText: "Info",
		Resource: telemetry.Attributes{}, ScopeAttributes: telemetry.Attributes{}, Attributes: telemetry.Attributes{},
	}
	for _, f := range change {
		f(&l)
	}
	return l
}

func severity(number uint8, text string) func(*telemetry.LogRecord) {
	return func(l *telemetry.LogRecord) { l.SeverityNumber, l.SeverityText = number, text }
}

func scope(name string) func(*telemetry.LogRecord) {
	return func(l *telemetry.LogRecord) { l.ScopeName = name }
}

func workload(pairs ...string) func(*telemetry.LogRecord) {
	return func(l *telemetry.LogRecord) {
		for i := 0; i < len(pairs); i += 2 {
			l.Resource[pairs[i]] = pairs[i+1]
		}
	}
}

func logs(l ...telemetry.LogRecord) telemetry.Rows { return telemetry.Rows{Logs: l} }

func mustLogs(t *testing.T, s *Store, change func(*detail.Logs)) (model.LogPage, detail.Meta) {
	t.Helper()
	req := detail.Logs{Range: before(time.Hour), Limit: 50}
	if change != nil {
		change(&req)
	}
	page, meta, err := s.Logs(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	return page, meta
}

func bodies(records []model.LogRecord) []string {
	out := []string{}
	for _, r := range records {
		out = append(out, r.Body)
	}
	return out
}

func TestLogRecord(t *testing.T) {
	t.Parallel()
	full := testLog(90*time.Second+1, "cart", "sold out", severity(17, "SEVERE"), scope("stock"), workload("k8s.pod.name", "cart-0"))
	full.TraceID, full.SpanID = traceID(7), spanID(8)
	full.Attributes = telemetry.Attributes{"item": "3"}
	s, _ := testStore(t, logs(full, testLog(2*time.Hour, "cart", "too old"), testLog(0, "cart", "too new")))
	got, meta := mustLogs(t, s, nil)
	want := model.LogPage{
		Logs: []model.LogRecord{{
			Timestamp: model.NewTime(testNow.Add(-90*time.Second - 1)), TraceID: traceID(7), SpanID: spanID(8),
			Severity: "ERROR", SeverityNum: 17, ServiceName: "cart", Body: "sold out", ScopeName: "stock",
			Attributes: map[string]string{"item": "3"}, Resource: map[string]string{"k8s.pod.name": "cart-0"},
		}},
		Total: 1,
		Facets: model.LogFacets{
			Services: []model.FacetValue{{Value: "cart", Count: 1}}, Severities: []model.FacetValue{{Value: "ERROR", Count: 1}},
			Scopes: []model.FacetValue{{Value: "stock", Count: 1}},
		},
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if meta != (detail.Meta{WindowSeconds: 3600}) {
		t.Errorf("meta = %+v", meta)
	}
}

// TestLogFilters names each record by a letter before the colon.
func TestLogFilters(t *testing.T) {
	t.Parallel()
	withTrace := func(l *telemetry.LogRecord) { l.TraceID, l.SpanID = traceID(1), spanID(2) }
	s, _ := testStore(t, logs(
		testLog(1*time.Minute, "cart", "a: 100% done_now", scope("x")),
		testLog(2*time.Minute, "cart", "b: 100 percent donexnow", severity(16, "odd"), withTrace),
		testLog(3*time.Minute, "web", `c: path C:\temp it's {query:String}`, severity(0, "WARNING"), scope("x")),
		testLog(4*time.Minute, "web", "d: STRASSE ÄRGER", severity(0, "severe")),
		testLog(5*time.Minute, "", "e", severity(0, ""), workload("k8s.container.name", "main", "k8s.pod.name", "p-0")),
		testLog(6*time.Minute, "", "f", severity(24, ""), workload("k8s.deployment.name", "cart")),
		testLog(7*time.Minute, "", "g", severity(0, "Chatter")),
		testLog(8*time.Minute, "cart", "h", severity(1, "x"), scope("y")),
		testLog(9*time.Minute, "cart", "i", severity(8, "x")),
	))
	for _, tc := range []struct {
		name   string
		change func(*detail.Logs)
		want   string
	}{
		{"none", nil, "abcdefghi"},
		{"percent is literal", func(r *detail.Logs) { r.Query = "0% D" }, "a"},
		{"underscore is literal", func(r *detail.Logs) { r.Query = "done_now" }, "a"},
		{"backslash is literal", func(r *detail.Logs) { r.Query = `c:\TEMP` }, "c"},
		{"quote and braces are literal", func(r *detail.Logs) { r.Query = "it's {QUERY:string}" }, "c"},
		{"any case beyond ASCII", func(r *detail.Logs) { r.Query = "ärger" }, "d"},
		{"within words", func(r *detail.Logs) { r.Query = "ERCEN" }, "b"},
		{"service, fallback too", func(r *detail.Logs) { r.Service = "cart" }, "abfhi"},
		{"fallback alone", func(r *detail.Logs) { r.Service = "main" }, "e"},
		{"the container goes before the pod", func(r *detail.Logs) { r.Service = "p-0" }, ""},
		{"level by number", func(r *detail.Logs) { r.Level = "WARN" }, "bc"},
		{"level by text", func(r *detail.Logs) { r.Level = "ERROR" }, "d"},
		{"level in lower case", func(r *detail.Logs) { r.Level = "fatal" }, "f"},
		{"level trace", func(r *detail.Logs) { r.Level = "TRACE" }, "h"},
		{"level debug", func(r *detail.Logs) { r.Level = "DEBUG" }, "i"},
		{"scope", func(r *detail.Logs) { r.Scope = "x" }, "ac"},
		{"trace", func(r *detail.Logs) { r.TraceID = traceID(1) }, "b"},
		{"span", func(r *detail.Logs) { r.SpanID = spanID(2) }, "b"},
		{"another span", func(r *detail.Logs) { r.SpanID = spanID(3) }, ""},
		{"together", func(r *detail.Logs) { r.Service, r.Scope, r.Level, r.Query = "cart", "x", "INFO", "done" }, "a"},
		{"offset", func(r *detail.Logs) { r.Offset, r.Limit = 2, 3 }, "cde"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			page, _ := mustLogs(t, s, tc.change)
			var got strings.Builder
			for _, l := range page.Logs {
				got.WriteString(l.Body[:1])
			}
			if got.String() != tc.want {
				t.Errorf("%q, want %q", got.String(), tc.want)
			}
			if tc.name != "offset" && page.Total != int64(len(tc.want)) {
				t.Errorf("total %d, want %d", page.Total, len(tc.want))
			}
		})
	}
	page, _ := mustLogs(t, s, nil)
	var severities []string
	for _, l := range page.Logs {
		severities = append(severities, l.Severity)
	}
	if diff := gocmp.Diff([]string{"INFO", "WARN", "WARNING", "severe", "", "FATAL", "Chatter", "TRACE", "DEBUG"}, severities); diff != "" {
		t.Error(diff)
	}
}

func TestLogFacets(t *testing.T) {
	t.Parallel()
	var rows telemetry.Rows
	for i := range 60 { // sixty services, the first ones busier
		for range 1 + max(0, 5-i) {
			rows.Logs = append(rows.Logs, testLog(time.Minute, fmt.Sprintf("s%02d", i), "many"))
		}
	}
	rows.Logs = append(rows.Logs,
		testLog(time.Minute, "cart", "few", severity(17, "E"), scope("x")),
		testLog(time.Minute, "cart", "few", severity(0, "warning"), scope("y")),
		testLog(time.Minute, "web", "few", severity(0, "Chatter"), scope("x")),
		testLog(time.Minute, "web", "few", severity(18, "E"), scope("")),
		testLog(time.Minute, "", "few", severity(0, "")),
	)
	s, _ := testStore(t, rows)
	few, _ := mustLogs(t, s, func(r *detail.Logs) { r.Query, r.Service, r.Level, r.Scope = "few", "cart", "ERROR", "x" })
	want := model.LogFacets{
		Services:   []model.FacetValue{{Value: "cart", Count: 1}},  // ERROR and x
		Severities: []model.FacetValue{{Value: "ERROR", Count: 1}}, // cart and x
		Scopes:     []model.FacetValue{{Value: "x", Count: 1}},     // cart and ERROR
	}
	if diff := gocmp.Diff(want, few.Facets); diff != "" {
		t.Error(diff)
	}
	few, _ = mustLogs(t, s, func(r *detail.Logs) { r.Query, r.Service = "few", "cart" })
	want = model.LogFacets{
		Services:   []model.FacetValue{{Value: "cart", Count: 2}, {Value: "web", Count: 2}}, // not by service
		Severities: []model.FacetValue{{Value: "ERROR", Count: 1}, {Value: "WARN", Count: 1}},
		Scopes:     []model.FacetValue{{Value: "x", Count: 1}, {Value: "y", Count: 1}},
	}
	if diff := gocmp.Diff(want, few.Facets); diff != "" {
		t.Error(diff)
	}
	few, _ = mustLogs(t, s, func(r *detail.Logs) { r.Query, r.Level = "few", "ERROR" })
	want = model.LogFacets{
		Services:   []model.FacetValue{{Value: "cart", Count: 1}, {Value: "web", Count: 1}},
		Severities: []model.FacetValue{{Value: "ERROR", Count: 2}, {Value: "Chatter", Count: 1}, {Value: "WARN", Count: 1}},
		Scopes:     []model.FacetValue{{Value: "x", Count: 1}},
	}
	if diff := gocmp.Diff(want, few.Facets); diff != "" {
		t.Error(diff)
	}
	all, _ := mustLogs(t, s, func(r *detail.Logs) { r.Query = "many" })
	if got := all.Facets.Services; len(got) != 50 || got[0] != (model.FacetValue{Value: "s00", Count: 6}) || got[49].Value != "s49" {
		t.Errorf("%d services, %v to %v; want the 50 most frequent", len(got), got[0], got[len(got)-1])
	}
}

// TestLogPages walks page by page through records of equal times, copies of one
// record among them, while newer and older ones arrive.
func TestLogPages(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 4))
	var rows telemetry.Rows
	for i := range 60 {
		age := time.Duration(1+i/20) * 10 * time.Minute // twenty at a time
		rows.Logs = append(rows.Logs, testLog(age, "cart", fmt.Sprintf("record %d", i)))
	}
	for range 15 {
		rows.Logs = append(rows.Logs, testLog(20*time.Minute, "cart", "copy"))
	}
	rng.Shuffle(len(rows.Logs), func(i, j int) { rows.Logs[i], rows.Logs[j] = rows.Logs[j], rows.Logs[i] })
	s, insert := testStore(t, rows)
	for _, limit := range []int64{4, 50} {
		first, _ := mustLogs(t, s, func(r *detail.Logs) { r.Limit = 500 })
		want := bodies(first.Logs)
		var got []string
		cursor := ""
		for page := range 100 {
			logs, meta := mustLogs(t, s, func(r *detail.Logs) { r.Limit, r.Cursor = limit, cursor })
			got = append(got, bodies(logs.Logs)...)
			if cursor = meta.NextCursor; cursor == "" {
				break
			}
			if page < 3 { // before what was shown
				insert(telemetry.Rows{Logs: []telemetry.LogRecord{
					testLog(time.Duration(limit)*time.Second, "cart", fmt.Sprintf("new %d %d", limit, page)),
				}})
			}
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("limit %d: %s", limit, diff)
		}
	}
	// Late copies of a record are neither lost nor double what was shown.
	page, meta := mustLogs(t, s, func(r *detail.Logs) { r.Query, r.Limit, r.Offset = "copy", 4, 3 })
	insert(telemetry.Rows{Logs: []telemetry.LogRecord{testLog(20*time.Minute, "cart", "copy")}})
	rest, _ := mustLogs(t, s, func(r *detail.Logs) { r.Query, r.Cursor = "copy", meta.NextCursor })
	if got := 3 + len(page.Logs) + len(rest.Logs); got != 16 {
		t.Errorf("%d copies on all pages, want 16", got)
	}
}

// TestLogOlderArrive: what arrives behind the place of the cursor is on a later page.
func TestLogOlderArrive(t *testing.T) {
	t.Parallel()
	s, insert := testStore(t, logs(
		testLog(1*time.Minute, "a", "1"), testLog(2*time.Minute, "a", "2"), testLog(4*time.Minute, "a", "4"),
	))
	page, meta := mustLogs(t, s, func(r *detail.Logs) { r.Limit = 2 })
	insert(logs(testLog(3*time.Minute, "a", "3"), testLog(90*time.Second, "a", "too late for its page")))
	rest, last := mustLogs(t, s, func(r *detail.Logs) { r.Limit, r.Cursor = 2, meta.NextCursor })
	if diff := gocmp.Diff([]string{"1", "2", "3", "4"}, append(bodies(page.Logs), bodies(rest.Logs)...)); diff != "" {
		t.Error(diff)
	}
	if last.NextCursor != "" || rest.Total != 5 {
		t.Errorf("next cursor %q, total %d; want none and 5", last.NextCursor, rest.Total)
	}
}

func TestLogsWithoutTable(t *testing.T) {
	t.Parallel()
	s, _ := emptyStore(t)
	page, _ := mustLogs(t, s, nil)
	if diff := gocmp.Diff(emptyLogPage(), page); diff != "" {
		t.Error(diff)
	}
}

func TestLogsBadCursor(t *testing.T) {
	t.Parallel()
	s, _ := emptyStore(t)
	for _, cursor := range []string{
		"x", traceKey{1, traceID(1)}.cursor(detail.SortTime),
		logKey{at: nanos(testNow)}.cursor(), logKey{at: nanos(testNow.Add(-2 * time.Hour))}.cursor(),
		encodeCursor(logList, []uint64{1, 2, 1 << 40}, ""), encodeCursor(logList, []uint64{1, 2, 3}, "more"),
	} {
		_, _, err := s.Logs(t.Context(), detail.Logs{Range: before(time.Hour), Limit: 1, Cursor: cursor})
		if !fault.Is(err, fault.BadRequest) {
			t.Errorf("cursor %q: %v, want %s", cursor, err, fault.BadRequest)
		}
	}
}

// TestLogsOfCapture compares the captured records with a search in Go.
func TestLogsOfCapture(t *testing.T) {
	t.Parallel()
	rows := captured(t)
	s, _ := testStore(t, telemetry.Rows{Logs: rows.Logs})
	slices.SortStableFunc(rows.Logs, func(a, b telemetry.LogRecord) int { return b.Timestamp.Compare(a.Timestamp) })
	var want []string
	services := map[string]int64{}
	for _, l := range rows.Logs {
		if strings.Contains(strings.ToLower(l.Body), "code=5") {
			want = append(want, string(model.NewTime(l.Timestamp))+l.Body)
			services[l.ServiceName]++
		}
	}
	page, _ := mustLogs(t, s, func(r *detail.Logs) { r.Query, r.Limit = "CODE=5", 500 })
	var got []string
	for _, l := range page.Logs {
		got = append(got, string(l.Timestamp)+l.Body)
	}
	if diff := gocmp.Diff(want, got); diff != "" || len(want) == 0 {
		t.Error(diff)
	}
	for _, f := range page.Facets.Services {
		if services[f.Value] != f.Count {
			t.Errorf("%s: %d records, want %d", f.Value, f.Count, services[f.Value])
		}
	}
	if page.Total != int64(len(want)) || len(page.Facets.Services) != len(services) {
		t.Errorf("total %d, facets %v; want %d, %v", page.Total, page.Facets.Services, len(want), services)
	}
}

func FuzzLogCursor(f *testing.F) {
	f.Add(logKey{nanos(testNow) - 1, 1 << 63, 3}.cursor())
	f.Add(traceKey{1, "x"}.cursor(detail.SortTime))
	f.Add("AWwA")
	r := before(time.Hour)
	f.Fuzz(func(t *testing.T, cursor string) {
		key, err := decodeLogCursor(cursor, r)
		if err != nil {
			if !fault.Is(err, fault.BadRequest) {
				t.Errorf("%q: %v", cursor, err)
			}
			return
		}
		if key.cursor() != cursor || key.at < nanos(r.StartTime()) || key.at >= nanos(r.EndTime()) {
			t.Errorf("%q decodes to %+v, which is %q", cursor, key, key.cursor())
		}
	})
}
