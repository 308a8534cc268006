package clickhouse

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/template"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/atlhyper/observe/loadtest/telemetry"
	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/fault"
)

// counted counts the statements of a store from now on.
func counted(s *Store) *statementCounter {
	c := &statementCounter{Handler: slog.DiscardHandler}
	s.cfg.Logger = slog.New(c)
	return c
}

func (c *statementCounter) count(name string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, other := range c.names {
		if other == name {
			n++
		}
	}
	return n
}

// All tables are looked at in one statement, before the first that reads one and
// every ten minutes, however many sections ask at once; no section pays for it.
func TestTablesAreLookedAtInOneStatement(t *testing.T) {
	t.Parallel()
	s, _ := testStore(t, captured(t))
	var mu sync.Mutex
	now := testNow
	s.cfg.Clock = func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}
	names := counted(s)
	for _, step := range []struct {
		after time.Duration
		looks int
	}{{0, 1}, {schemaAge - 1, 1}, {1, 2}, {1, 2}} {
		mu.Lock()
		now = now.Add(step.after)
		mu.Unlock()
		r := s.Round(t.Context(), testNow)
		var group sync.WaitGroup
		for _, ask := range []func() error{
			func() error { _, err := r.Overview(); return err },
			func() error { _, err := r.TracesTopology(); return err },
			func() error {
				_, _, err := s.Logs(t.Context(), detail.Logs{Range: before(time.Hour), Limit: 1})
				return err
			},
		} {
			group.Go(func() {
				if err := ask(); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		if got := names.count("columns"); got != step.looks {
			t.Errorf("at %s: looked %d times, want %d", now, got, step.looks)
		}
	}
	if n := names.count("describe"); n > 0 {
		t.Errorf("%d tables were described", n)
	}
}

// replaceColumns has the server answer something else about the columns.
func replaceColumns(t *testing.T, s *Store, sql string) {
	t.Helper()
	template.Must(s.schemas.templates.New("columns.sql").Parse(sql))
	found, err := s.schemas.with(time.Time{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.schemas.current.Store(found)
}

// Where system.columns may not be read, or says nothing of a table, tables that
// turn out to be of another shape are described.
func TestTablesThatAreNotListedAreDescribed(t *testing.T) {
	t.Parallel()
	for name, sql := range map[string]string{
		"nothing is listed": "SELECT '', true, '', '', '' WHERE {databases:Array(String)} = {names:Array(String)}",
		"it fails":          "SELECT forbidden, {databases:Array(String)}, {names:Array(String)}",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			newest, d := newDatabase(t), newDatabase(t)
			newest.exporterTables(telemetry.Rows{
				Spans: []telemetry.Span{testSpan(1, 1, 0, "web", "Server", -time.Minute, time.Second, attrs("http.method", "GET"))},
				Logs:  []telemetry.LogRecord{testLog(time.Minute, "web", "hello", workload("k8s.pod.name", "p"))},
			})
			d.create("traces_json", "logs_json")
			d.fill("otel_traces", newest)
			d.fill("otel_logs", newest)
			s := d.store()
			replaceColumns(t, s, sql)
			names := counted(s)
			for range 3 {
				trace, _, err := s.Trace(t.Context(), detail.Trace{TraceID: traceID(1)})
				if err != nil || trace.Spans[0].HTTP == nil || trace.Spans[0].HTTP.Method != http.MethodGet {
					t.Fatalf("trace %+v, error %v", trace, err)
				}
				page, _ := mustLogs(t, s, nil)
				if diff := gocmp.Diff(map[string]string{"k8s.pod.name": "p"}, page.Logs[0].Resource); diff != "" {
					t.Error(diff)
				}
			}
			// Five statements about logs side by side may each find them described.
			if n := names.count("describe"); n == 0 || n > 2 {
				t.Errorf("described %d times, want each table once", n)
			}
		})
	}
}

// A table's shape is no reason to look for ever: what nobody can read fails, and
// says why.
func TestTablesOfNoShapeFail(t *testing.T) {
	t.Parallel()
	s, exec := emptyStore(t)
	exec("CREATE TABLE otel_logs (Timestamp DateTime64(9), Body String) ENGINE = MergeTree ORDER BY Timestamp")
	now := testNow
	s.cfg.Clock = func() time.Time { return now }
	names := counted(s)
	ask := func() {
		t.Helper()
		rows, err := query(t.Context(), s, "log_total", logParams(detail.Logs{Range: before(time.Hour)}), scanNothing)
		if !hasCode(err, codeUnknownIdentifier) {
			t.Errorf("rows %v, error %v, want code %d", rows, err, codeUnknownIdentifier)
		}
	}
	for range 3 {
		ask()
		// Nor do others that do not fit have it looked for again.
		if _, err := query(t.Context(), s, "log_scopes", logParams(detail.Logs{Range: before(time.Hour)}), scanNothing); !hasCode(err, codeUnknownIdentifier) {
			t.Errorf("error %v, want code %d", err, codeUnknownIdentifier)
		}
	}
	if n := names.count("columns"); n != 3 { // before the first statement, and after each that did not fit
		t.Errorf("looked %d times, want 3", n)
	}
	now = now.Add(schemaAge)
	ask()
	if n := names.count("columns"); n != 5 {
		t.Errorf("looked %d times once it was due, want 5", n)
	}
}

// A request that ends while it looks changes nothing for those that follow.
func TestLookThatEnds(t *testing.T) {
	t.Parallel()
	s, exec := emptyStore(t)
	exec("CREATE TABLE otel_logs (Timestamp DateTime64(9), Body String) ENGINE = MergeTree ORDER BY Timestamp")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	first := s.schemas.current.Load()
	if got := s.schema(ended); got != first || s.schemas.current.Load() != first {
		t.Error("a request that had ended changed what is known")
	}
	s.schemas.looking <- struct{}{} // another looks
	if got := s.schema(ended); got != first {
		t.Error("a request that had ended waited")
	}
	<-s.schemas.looking
	if got := s.schema(t.Context()); got.types[signalLogs]["Body"] != "String" || got.types[signalTraces] != nil {
		t.Errorf("found %v", got.types)
	}
}

func TestPlainColumns(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]string{
		"String": "", "LowCardinality(String)": "", "UInt64": "", "DateTime64(9)": "", "Nullable(DateTime64(9))": "",
		"Map(LowCardinality(String), String)": "", "JSON": "", "Array(Nullable(String))": "",
		"Nullable(String)": "ifNull(x, '')", "LowCardinality(Nullable(String))": "ifNull(x, '')", "Nullable(FixedString(32))": "ifNull(x, '')",
		"Nullable(UInt64)": "ifNull(x, 0)", "Nullable(Int32)": "ifNull(x, 0)", "Nullable(Float64)": "ifNull(x, nan)", "Nullable(Bool)": "ifNull(x, false)",
		"Enum8('a' = 1, 'b)' = 2)": "ifNull(toString(x), '')", "Nullable(Enum16('a' = 1))": "ifNull(toString(x), '')",
	} {
		if got := plainColumn("x", kind); got != want {
			t.Errorf("%s: %q, want %q", kind, got, want)
		}
	}
	d := dialectOf(columnTypes{"b": "Nullable(String)", "a`\\": "String"})
	if got, want := d.from("t"), "(SELECT `a\\`\\\\`, ifNull(`b`, '') AS `b` FROM t)"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// NULL is no sample, neither one of 0 nor an error.
func TestPointsThatAreNULL(t *testing.T) {
	t.Parallel()
	rows := olderRows()
	s, exec := metricsStore(t, rows)
	for table, columns := range map[string]string{
		"otel_metrics_sum": "Value", "otel_metrics_gauge": "Value", "otel_metrics_histogram": "Sum",
	} {
		exec("RENAME TABLE " + table + " TO own_" + table)
		exec("CREATE TABLE " + table + " ENGINE = MergeTree ORDER BY TimeUnix AS SELECT * REPLACE (toNullable(" + columns + ") AS " + columns +
			", toNullable(Flags) AS Flags) FROM own_" + table)
		exec("INSERT INTO " + table + " SELECT * REPLACE (NULL AS " + columns + ", TimeUnix + 1 AS TimeUnix) FROM " + table)
	}
	checkOlderRows(t, s, rows)
	if slices.ContainsFunc(s.schema(t.Context()).types[signalSum].wrapped(), func(c string) bool { return c != "Value" && c != "Flags" }) {
		t.Error("other columns are wrapped")
	}
}

// A table that is not there is no reason to look again, but one that goes is.
func TestAbsentTablesAreNotLookedFor(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	s := d.store()
	names := counted(s)
	for range 3 {
		everything(t, s)
	}
	if looks, described := names.count("columns"), names.count("describe"); looks != 1 || described != 0 {
		t.Errorf("looked %d times and described %d tables, want once and none", looks, described)
	}
	d.exporterTables(telemetry.Rows{Logs: []telemetry.LogRecord{testLog(time.Minute, "web", "hello")}})
	if page, _ := mustLogs(t, s, nil); page.Total != 1 {
		t.Errorf("%d logs of a table that has come, want 1", page.Total)
	}
	s = d.store()
	if page, _ := mustLogs(t, s, nil); page.Total != 1 {
		t.Errorf("%d logs, want 1", page.Total)
	}
	d.exec("DROP TABLE otel_logs")
	if page, _ := mustLogs(t, s, nil); page.Total != 0 || s.schema(t.Context()).types[signalLogs] != nil {
		t.Errorf("%d logs of a table that has gone", page.Total)
	}
}

// The server lists no table that the user may not read. That of exponential
// histograms, which few clusters have, is not taken for absent before it was asked.
func TestTablesThatAreHiddenAreNotAbsent(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		create string
		absent bool
		words  string
	}{
		"absent":    {"", true, ""},
		"hidden":    {"CREATE VIEW %s AS SELECT * FROM stored", false, ""},
		"forbidden": {"CREATE VIEW %s AS SELECT * FROM stored WHERE (SELECT count() FROM system.users) >= 0", false, "code 497"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const table = "otel_metrics_exponential_histogram"
			d := newDatabase(t)
			d.exporterTables(traefikExponential())
			d.exec("RENAME TABLE " + table + " TO stored")
			if tc.create != "" {
				d.exec(fmt.Sprintf(tc.create, table))
			}
			s := d.store()
			replaceColumns(t, s, "SELECT database, true, table, name, type FROM system.columns WHERE database = currentDatabase() AND table != '"+table+
				"' AND table IN {names:Array(String)} AND notEmpty({databases:Array(String)})")
			names := counted(s)
			for range 2 {
				rows, err := s.Round(t.Context(), testNow).SLOIngress()
				if tc.words != "" {
					if text := fault.From(err).Message; !strings.Contains(text, tc.words) || !strings.Contains(text, table) {
						t.Errorf("error %v, want it to name %s and %s", err, table, tc.words)
					}
				} else if err != nil || len(rows) != 1 || tc.absent != (rows[0].P50Ms == 0) {
					t.Errorf("rows %+v, error %v", rows, err)
				}
			}
			if n := names.count("probe"); n != 1 {
				t.Errorf("asked %d times, want once", n)
			}
			if n := names.count(exponentialSeries); tc.absent != (n == 0) {
				t.Errorf("read %d times", n)
			}
		})
	}
}
