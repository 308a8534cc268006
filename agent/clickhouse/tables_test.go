package clickhouse

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	gocmp "github.com/google/go-cmp/cmp"

	"github.com/atlhyper/observe/loadtest/telemetry"
	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/model"
)

// testDatabase is a database of the test's own on the shared engine.
type testDatabase struct {
	name string
	conn driver.Conn
	t    *testing.T
}

func newDatabase(t *testing.T) testDatabase {
	t.Helper()
	srv := engine.Server(t)
	db := srv.Database(t)
	return testDatabase{db, srv.Open(t, db), t}
}

func (d testDatabase) exec(sql string) {
	d.t.Helper()
	if err := d.conn.Exec(context.WithoutCancel(d.t.Context()), sql); err != nil {
		d.t.Fatalf("%s: %v", sql, err)
	}
}

// store opens a store on the database.
func (d testDatabase) store() *Store {
	d.t.Helper()
	return openStore(d.t, engine.Server(d.t).DSN(d.name))
}

// create makes the tables of testdata/tables with these names.
func (d testDatabase) create(files ...string) {
	d.t.Helper()
	for _, file := range files {
		ddl, err := os.ReadFile("testdata/tables/" + file + ".sql")
		if err != nil {
			d.t.Fatal(err)
		}
		d.exec(string(ddl))
	}
}

// types are the columns of a table.
func (d testDatabase) types(table string) columnTypes {
	d.t.Helper()
	out := make(columnTypes)
	rows, err := d.conn.Query(d.t.Context(), `SELECT name, type FROM system.columns
		WHERE database = currentDatabase() AND table = '`+table+`' AND default_kind = ''`)
	if err != nil {
		d.t.Fatal(err)
	}
	for rows.Next() {
		var name, kind string
		if err := rows.Scan(&name, &kind); err != nil {
			d.t.Fatal(err)
		}
		out[name] = kind
	}
	if err := rows.Err(); err != nil {
		d.t.Fatal(err)
	}
	return out
}

// exporterTables makes the newest exporter's tables and fills them.
func (d testDatabase) exporterTables(rows telemetry.Rows) {
	d.t.Helper()
	if err := telemetry.CreateTables(d.t.Context(), d.conn, ""); err != nil {
		d.t.Fatal(err)
	}
	if err := rows.Insert(d.t.Context(), d.conn, ""); err != nil {
		d.t.Fatal(err)
	}
}

// fill copies the rows of the newest exporter's table into one of another shape:
// as JSON with numbers and true and false for the texts that look like it, and
// NULL where there is no text.
func (d testDatabase) fill(table string, from testDatabase) {
	d.t.Helper()
	theirs := from.types(table)
	var columns, values []string
	for name, kind := range d.types(table) {
		if !theirs.has(name) {
			continue
		}
		column := "`" + name + "`"
		columns = append(columns, column)
		switch {
		case strings.HasPrefix(kind, "JSON"):
			column = asJSON(column)
		case strings.HasPrefix(kind, "Array(Map("):
			column = "CAST(" + column + ", '" + kind + "')"
		case strings.HasPrefix(kind, "Array(JSON"):
			column = "arrayMap(m -> " + asJSON("m") + ", " + column + ")"
		case strings.HasPrefix(kind, "Map(") && strings.Contains(kind, "Nullable("):
			column = "CAST(" + column + ", '" + kind + "')"
			// A value that is NULL is none.
			column = "mapConcat(" + column + ", map('null', CAST(NULL, 'Nullable(String)')))"
		case strings.Contains(kind, "Nullable(String"):
			column = "nullIf(" + column + ", '')"
		case strings.Contains(kind, "Nullable("):
			column = "nullIf(" + column + ", 0)"
		}
		values = append(values, column)
	}
	d.exec("INSERT INTO " + table + " (" + strings.Join(columns, ", ") + ") SELECT " + strings.Join(values, ", ") + " FROM " + from.name + "." + table)
}

func asJSON(m string) string {
	return `CAST(replaceRegexpAll(toJSONString(` + m + `), '":"(-?[1-9][0-9]{0,8}|true|false)"', '":\\1') AS JSON)`
}

// richRows are some of the capture, and spans and logs of what it has not: the
// old conventions and spellings, causes of errors, services without a name.
func richRows(t *testing.T) telemetry.Rows {
	t.Helper()
	const ms = time.Millisecond
	all := captured(t)
	rows := telemetry.Rows{Logs: slices.Clone(all.Logs[len(all.Logs)-200:])}
	chosen := make(map[string]bool)
	for _, sp := range all.Spans {
		if len(chosen) < 20 {
			chosen[sp.TraceID] = true
		}
		if chosen[sp.TraceID] {
			rows.Spans = append(rows.Spans, sp)
		}
	}
	shop := resource("service.namespace", "shop", "deployment.environment", "prod", "k8s.pod.name", "p-1", "service.version", "7")
	rows.Spans = append(rows.Spans,
		testSpan(1, 1, 0, "web", "SPAN_KIND_SERVER", -5*time.Minute, 90*ms, shop, failed("STATUS_CODE_ERROR", "upstream away"),
			attrs("http.method", "GET", "http.status_code", "503", "http.target", "/cart?x=1", "net.host.name", "shop", "net.host.port", "8080", "retry", "true")),
		testSpan(1, 2, 1, "web", "Client", -5*time.Minute+ms, 70*ms, shop, attrs("http.request.method", "POST", "url.full", "http://cart:81/ü")),
		testSpan(1, 3, 2, "cart", "Server", -5*time.Minute+2*ms, 60*ms, shop, failed("Error", "no stock"),
			exception("StockError", "sold \"out\"\n", "at cart.go:1")),
		testSpan(1, 4, 3, "cart", "Client", -5*time.Minute+3*ms, 10*ms, shop, attrs("db.system", "mssql", "db.name", "carts", "db.statement", "SELECT 1")),
		testSpan(1, 5, 3, "cart", "Producer", -5*time.Minute+4*ms, 1*ms, shop, attrs("messaging.system", "kafka", "messaging.destination", "mails")),
		testSpan(2, 1, 0, "", "Server", -4*time.Minute, 5*ms, failed("Error", ""), attrs("error.type", "timeout")),
		testSpan(3, 1, 0, "lone", "", -3*time.Minute, 0, attrs("http.route", "/", "http.request.method", "GET")),
	)
	structured := testLog(2*time.Minute, "cart", "structured", severity(0, "warning"), scope("x"), workload("k8s.pod.name", "p-1"))
	structured.Attributes = telemetry.Attributes{"code": "42", "ok": "true", "exception.type": "E", "text": "a\"b\\", "zero": "07"}
	structured.TraceID, structured.SpanID = traceID(1), spanID(3)
	rows.Logs = append(rows.Logs, structured,
		testLog(3*time.Minute, "", "nameless", severity(0, ""), workload("k8s.deployment.name", "jobs", "k8s.pod.name", "jobs-1")),
		testLog(4*time.Minute, "", "", severity(24, "")),
	)
	return rows
}

// answers are what a store says of the rows in all the ways that there are.
func answers(t *testing.T, s *Store) map[string]any {
	t.Helper()
	out := make(map[string]any)
	say := func(name string, answer any, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		out[name] = answer
	}
	round := s.Round(t.Context(), testNow)
	services, err := round.TracesServices()
	say("services", services, err)
	topology, err := round.TracesTopology()
	say("topology", topology, err)
	yes := true
	for name, change := range map[string]func(*detail.Traces){
		"all":        nil,
		"errors":     func(r *detail.Traces) { r.HasError = &yes },
		"service":    func(r *detail.Traces) { r.Service = "cart" },
		"no service": func(r *detail.Traces) { r.Service = unknownService },
		"operation":  func(r *detail.Traces) { r.Method, r.Sort = "GET", detail.SortDuration },
		"status":     func(r *detail.Traces) { r.StatusCode = "503" },
		"by time":    func(r *detail.Traces) { r.MinDurationMs, r.MaxDurationMs = 4, 80 },
	} {
		found, _, err := s.Traces(t.Context(), search(change))
		say("traces: "+name, found, err)
		if len(found) == 0 {
			t.Errorf("traces: %s: nothing was found", name)
		}
	}
	all, _ := mustSearch(t, s, search(nil))
	for _, id := range []string{traceID(1), traceID(2), traceID(3), all[len(all)-1].TraceID} {
		trace, _, err := s.Trace(t.Context(), detail.Trace{TraceID: id})
		say("trace "+id, trace, err)
	}
	for name, change := range map[string]func(*detail.Logs){
		"all":       func(r *detail.Logs) { r.Limit = 500 },
		"warnings":  func(r *detail.Logs) { r.Level = "WARN" },
		"workload":  func(r *detail.Logs) { r.Service = "jobs" },
		"scope":     func(r *detail.Logs) { r.Scope = "x" },
		"of a span": func(r *detail.Logs) { r.TraceID, r.SpanID = traceID(1), spanID(3) },
		"text":      func(r *detail.Logs) { r.Query = "NAMEless" },
	} {
		page, _ := mustLogs(t, s, change)
		if page.Total == 0 {
			t.Errorf("logs: %s: nothing was found", name)
		}
		sortEqualTimes(page.Logs)
		say("logs: "+name, page, nil)
	}
	return out
}

// sortEqualTimes puts records of one time in an order that no table decides.
func sortEqualTimes(records []model.LogRecord) {
	slices.SortStableFunc(records, func(a, b model.LogRecord) int {
		return cmp.Or(strings.Compare(string(b.Timestamp), string(a.Timestamp)),
			strings.Compare(fmt.Sprint(a), fmt.Sprint(b)))
	})
}

// Every shape of table says the same of the same rows as the newest exporter's.
func TestTablesOfEveryShape(t *testing.T) {
	t.Parallel()
	rows := richRows(t)
	newest := newDatabase(t)
	newest.exporterTables(rows)
	want := answers(t, newest.store())
	const traces, ids, logs = "otel_traces", "otel_traces_trace_id_ts", "otel_logs"
	for _, tc := range []struct {
		name string
		make func(d testDatabase)
	}{
		{"v0.110 and v0.103", func(d testDatabase) {
			d.create("traces_v0.110", "trace_ids_v0.110", "logs_v0.103")
			d.fill(traces, newest)
			d.fill(ids, newest)
			d.fill(logs, newest)
		}},
		{"logs of v0.104 to v0.106, no trace ids", func(d testDatabase) {
			d.create("traces_v0.110", "logs_v0.104")
			d.fill(traces, newest)
			d.fill(logs, newest)
		}},
		{"logs of v0.107 to v0.150", func(d testDatabase) {
			d.create("traces_v0.110", "trace_ids_v0.110", "logs_v0.107")
			d.fill(traces, newest)
			d.fill(ids, newest)
			d.fill(logs, newest)
		}},
		{"JSON", func(d testDatabase) {
			d.create("traces_json", "trace_ids_v0.110", "logs_json")
			d.fill(traces, newest)
			d.fill(ids, newest)
			d.fill(logs, newest)
		}},
		{"NULLs, enums, time zones and columns of one's own", func(d testDatabase) {
			d.create("traces_custom", "logs_custom")
			d.fill(traces, newest)
			d.fill(logs, newest)
		}},
		{"views", func(d testDatabase) {
			d.create("traces_json", "logs_v0.107")
			d.fill(traces, newest)
			d.fill(logs, newest)
			for _, table := range []string{traces, logs} {
				d.exec("RENAME TABLE " + table + " TO stored_" + table)
				d.exec("CREATE VIEW " + table + " AS SELECT * FROM stored_" + table)
			}
		}},
		{"Distributed", func(d testDatabase) {
			for _, table := range []string{traces, ids, logs} {
				d.distribute(table, newest)
			}
		}},
		{"Distributed over JSON and custom", func(d testDatabase) {
			stored := newDatabase(t)
			stored.create("traces_json", "logs_custom")
			stored.fill(traces, newest)
			stored.fill(logs, newest)
			d.distribute(traces, stored)
			d.distribute(logs, stored)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			d := newDatabase(t)
			tc.make(d)
			if diff := gocmp.Diff(want, answers(t, d.store()), almost()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// distribute puts a Distributed table over two shards that have the rows of a
// table between them: spans of one trace lie on both.
func (d testDatabase) distribute(table string, from testDatabase) {
	d.t.Helper()
	d.exec("CREATE VIEW shard_" + table + " AS SELECT * FROM " + from.name + "." + table +
		" WHERE cityHash64(" + map[string]string{"otel_traces": "SpanId", "otel_logs": "Timestamp", "otel_traces_trace_id_ts": "TraceId, Start"}[table] +
		") % 2 = shardNum() - 1")
	d.exec("CREATE TABLE " + table + " AS shard_" + table + " ENGINE = Distributed('shards', currentDatabase(), 'shard_" + table + "')")
}

// Tables of one's own may hold whole seconds.
func TestTablesOfWholeSeconds(t *testing.T) {
	t.Parallel()
	newest, d := newDatabase(t), newDatabase(t)
	newest.exporterTables(telemetry.Rows{
		Spans: []telemetry.Span{testSpan(1, 1, 0, "web", "Server", -time.Minute, 5*time.Millisecond)},
		Logs:  []telemetry.LogRecord{testLog(time.Minute, "web", "1"), testLog(2*time.Minute, "web", "2")},
	})
	for _, table := range []string{"otel_traces", "otel_logs"} {
		d.exec("CREATE TABLE " + table + " ENGINE = MergeTree ORDER BY Timestamp AS SELECT * REPLACE (toDateTime(Timestamp) AS Timestamp) FROM " +
			newest.name + "." + table)
	}
	s := d.store()
	if found, _ := mustSearch(t, s, search(nil)); len(found) != 1 || found[0].DurationMs != 5 || found[0].Timestamp != model.NewTime(testNow.Add(-time.Minute)) {
		t.Errorf("found %+v", found)
	}
	if trace, _, err := s.Trace(t.Context(), detail.Trace{TraceID: traceID(1)}); err != nil || trace.DurationMs != 5 {
		t.Errorf("trace %+v, %v", trace, err)
	}
	first, meta := mustLogs(t, s, func(r *detail.Logs) { r.Limit = 1 })
	second, _ := mustLogs(t, s, func(r *detail.Logs) { r.Limit, r.Cursor = 1, meta.NextCursor })
	if diff := gocmp.Diff([]string{"1", "2"}, append(bodies(first.Logs), bodies(second.Logs)...)); diff != "" {
		t.Error(diff)
	}
}

// GLOBAL, which Distributed tables need, changes neither what rows are read of
// others nor how many answer.
func TestGlobalCostsNothing(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	d.exporterTables(captured(t))
	s := d.store()
	queries := s.schema(t.Context()).queries
	page := searchParams(search(func(r *detail.Traces) { r.Service = "driver" }), searchSlices(search(nil), firstTraceKey())[2])
	page["after_key"], page["after_id"], page["limit"] = firstTraceKey().key, "", 50
	calls := topologyParams(before(15 * time.Minute))
	calls["settled"], calls["max_rows"] = nanos(testNow), maxCallers+1
	calls["old_systems"], calls["new_systems"] = renamedDatabases()
	for name, p := range map[string]params{"trace_page": page, "topology_calls": calls} {
		cost := func(sql string) (Reads, int) {
			m := new(meter)
			rows, err := queryText(metered(t.Context(), m), s, name, sql, p, func(driver.Rows) (int, error) { return 0, nil })
			if err != nil {
				t.Fatal(err)
			}
			return m.total(), len(rows)
		}
		global := queries[name]
		local := strings.ReplaceAll(global, "GLOBAL ", "")
		if local == global {
			t.Fatalf("%s has no GLOBAL", name)
		}
		reads, rows := cost(global)
		localReads, localRows := cost(local)
		// The rows that GLOBAL sends around may be counted when they are read again.
		more := reads.Rows - localReads.Rows
		if more < 0 || more > int64(rows) || rows != localRows || rows == 0 {
			t.Errorf("%s: %d rows for %+v, without GLOBAL %d for %+v", name, rows, reads, localRows, localReads)
		}
	}
}

// Every table has a name of its own, in any database.
func TestTablesOfOtherNames(t *testing.T) {
	t.Parallel()
	rows := richRows(t)
	rows.Sums, rows.Gauges, rows.Histograms = olderRows().Sums, olderRows().Gauges, olderRows().Histograms
	newest, elsewhere := newDatabase(t), newDatabase(t)
	newest.exporterTables(rows)
	elsewhere.exporterTables(rows)
	want := answers(t, newest.store())
	tables := DefaultTables()
	for _, name := range []*string{
		&tables.Traces, &tables.TraceIDs, &tables.Logs, &tables.Gauge, &tables.Sum, &tables.Histogram, &tables.ExpHistogram, &tables.Summary,
	} {
		if *name == tables.Traces {
			elsewhere.exec("DROP TABLE otel_traces_trace_id_ts_mv") // it knows the table by its name
		}
		elsewhere.exec("RENAME TABLE " + *name + " TO own_" + *name)
		*name = elsewhere.name + ".own_" + *name
	}
	// The connection's own database has none of them.
	s, err := Open(Config{DSN: engine.Server(t).DSN(newDatabase(t).name), Tables: tables, Clock: func() time.Time { return testNow }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if diff := gocmp.Diff(want, answers(t, s), almost()); diff != "" {
		t.Error(diff)
	}
	checkOlderRows(t, s, olderRows())
	for _, k := range tableKinds(tables) {
		if s.schema(t.Context()).types[k.signal] == nil {
			t.Errorf("nothing is known of %s", k.name)
		}
	}
}
