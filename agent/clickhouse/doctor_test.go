package clickhouse

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	gocmp "github.com/google/go-cmp/cmp"

	"github.com/atlhyper/observe/loadtest/chdb/chdbtest"
	"github.com/atlhyper/observe/loadtest/telemetry"
)

var updateDoctor = flag.Bool("update-doctor", false, "rewrite the golden text of the doctor")

// doctorText is the diagnosis's text, with what differs from run to run made plain.
func doctorText(t *testing.T, g *Diagnosis) string {
	t.Helper()
	var b strings.Builder
	if err := g.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	if g.Server == nil {
		return b.String()
	}
	return strings.NewReplacer(g.Server.Version, "VERSION", g.Server.Database, "DATABASE").Replace(b.String())
}

// tableOf and stateOf pick from a diagnosis; zero where there is none.
func tableOf(g *Diagnosis, s signal) TableFound {
	i := slices.IndexFunc(g.Tables, func(t TableFound) bool { return t.Signal == s })
	if i < 0 {
		return TableFound{}
	}
	return g.Tables[i]
}

func stateOf(g *Diagnosis, name string) State {
	for _, v := range slices.Concat(g.Sections, g.Details) {
		if v.Name == name {
			return v.State
		}
	}
	return ""
}

// says tells whether a finding of the level has all of these words.
func says(g *Diagnosis, level Level, words ...string) bool {
	return slices.ContainsFunc(g.Findings, func(f Finding) bool {
		return f.Level == level && !slices.ContainsFunc(words, func(w string) bool {
			return !strings.Contains(f.About+": "+f.Text+" -> "+f.Remedy, w)
		})
	})
}

func wantState(t *testing.T, g *Diagnosis, want State, names ...string) {
	t.Helper()
	for _, name := range names {
		if got := stateOf(g, name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func wantFinding(t *testing.T, g *Diagnosis, level Level, words ...string) {
	t.Helper()
	if !says(g, level, words...) {
		t.Errorf("no %s says %q among %+v", level, words, g.Findings)
	}
}

func allNames() []string {
	return []string{
		"metrics.summary", "metrics.nodes", "traces.services", "traces.topology", "slo.summary", "slo.ingress",
		"slo.services", "slo.edges", detailNode, detailNodeSeries, detailTraces, detailTrace, detailLogs, detailSLOSeries,
	}
}

func TestDoctorOfCapture(t *testing.T) {
	t.Parallel()
	rows := captured(t)
	s, _ := testStore(t, rows)
	g := s.Diagnose(t.Context())
	got := doctorText(t, g)
	const golden = "testdata/doctor_capture.txt"
	if *updateDoctor {
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Error(diff)
	}
	wantState(t, g, Filled, allNames()...)

	// What the golden text says is counted here from the rows.
	for s, n := range map[signal]int{
		signalTraces: len(rows.Spans), signalLogs: len(rows.Logs), signalGauge: len(rows.Gauges), signalSum: len(rows.Sums),
		signalHistogram: len(rows.Histograms), signalSummary: len(rows.Summaries),
	} {
		if found := tableOf(g, s); found.Rows != int64(n) || found.Future != 0 {
			t.Errorf("%s: %d rows, %d of the future; want %d, 0", s, found.Rows, found.Future, n)
		}
	}
	attributes, kinds := map[string]int64{}, map[string]bool{}
	for _, sp := range rows.Spans {
		kinds[sp.Kind] = true
		for name := range sp.Attributes {
			attributes[name]++
		}
	}
	if len(g.Spans.Kinds) != len(kinds) || g.Spans.Spelling != SpellingShort || g.Spans.Looked != int64(len(rows.Spans)) {
		t.Errorf("spans %+v, want kinds %v of %d spans", g.Spans, kinds, len(rows.Spans))
	}
	for _, c := range g.Spans.Conventions {
		for _, a := range c.Attributes {
			if a.Rows != attributes[a.Name] {
				t.Errorf("%s: %d spans, want %d", a.Name, a.Rows, attributes[a.Name])
			}
		}
	}
	sums := map[string]int64{}
	for _, p := range rows.Sums {
		sums[p.MetricName]++
	}
	for _, src := range g.Sources {
		if src.Rows != sums[src.Metric] || src.Path != pathScraped {
			t.Errorf("%s: %d rows %s, want %d scraped", src.Name, src.Rows, src.Path, sums[src.Metric])
		}
	}
	if names := sourceNames(g); !slices.Equal(names, []string{"node_exporter", "Traefik", "ingress-nginx", "Linkerd", "Istio"}) {
		t.Errorf("sources %q", names)
	}
}

func sourceNames(g *Diagnosis) []string {
	var names []string
	for _, s := range g.Sources {
		names = append(names, s.Name)
	}
	return names
}

// olderTables are what the exporter of v0.96 created.
func olderTables() []string {
	const (
		attributes = "Map(LowCardinality(String), String)"
		point      = "ResourceAttributes " + attributes + ", ResourceSchemaUrl String, ScopeName String, ScopeVersion String, " +
			"ScopeAttributes " + attributes + ", ScopeDroppedAttrCount UInt32, ScopeSchemaUrl String, MetricName String, " +
			"MetricDescription String, MetricUnit String, Attributes " + attributes + ", StartTimeUnix DateTime64(9), TimeUnix DateTime64(9), Flags UInt32"
		order = " ENGINE = MergeTree PARTITION BY toDate(TimeUnix) ORDER BY (MetricName, Attributes, toUnixTimestamp64Nano(TimeUnix))"
	)
	return []string{
		`CREATE TABLE otel_traces (Timestamp DateTime64(9), TraceId String, SpanId String, ParentSpanId String, TraceState String,
		SpanName LowCardinality(String), SpanKind LowCardinality(String), ServiceName LowCardinality(String),
		ResourceAttributes ` + attributes + `, ScopeName String, ScopeVersion String, SpanAttributes ` + attributes + `, Duration Int64,
		StatusCode LowCardinality(String), StatusMessage String,
		Events Nested (Timestamp DateTime64(9), Name LowCardinality(String), Attributes ` + attributes + `),
		Links Nested (TraceId String, SpanId String, TraceState String, Attributes ` + attributes + `))
		ENGINE = MergeTree PARTITION BY toDate(Timestamp) ORDER BY (ServiceName, SpanName, toUnixTimestamp(Timestamp), TraceId)`,
		`CREATE TABLE otel_traces_trace_id_ts (TraceId String, Start DateTime64(9), End DateTime64(9))
		ENGINE = MergeTree ORDER BY (TraceId, toUnixTimestamp(Start))`,
		`CREATE TABLE otel_logs (Timestamp DateTime64(9), TraceId String, SpanId String, TraceFlags UInt32,
		SeverityText LowCardinality(String), SeverityNumber Int32, ServiceName LowCardinality(String), Body String,
		ResourceSchemaUrl String, ResourceAttributes ` + attributes + `, ScopeSchemaUrl String, ScopeName String, ScopeVersion String,
		ScopeAttributes ` + attributes + `, LogAttributes ` + attributes + `)
		ENGINE = MergeTree PARTITION BY toDate(Timestamp) ORDER BY (ServiceName, SeverityText, toUnixTimestamp(Timestamp), TraceId)`,
		"CREATE TABLE otel_metrics_gauge (" + point + ", Value Float64)" + order,
		"CREATE TABLE otel_metrics_sum (" + point + ", Value Float64, AggTemp Int32, IsMonotonic Bool)" + order,
		"CREATE TABLE otel_metrics_histogram (" + point + ", Count UInt64, Sum Float64, BucketCounts Array(UInt64), ExplicitBounds Array(Float64), Min Float64, Max Float64)" + order,
		"CREATE TABLE otel_metrics_summary (" + point + ", Count UInt64, Sum Float64, ValueAtQuantiles Nested (Quantile Float64, Value Float64))" + order,
	}
}

func TestDoctorOfOlderTables(t *testing.T) {
	t.Parallel()
	s, exec := emptyStore(t)
	for _, ddl := range olderTables() {
		exec(ddl)
	}
	exec(`INSERT INTO otel_traces (Timestamp, TraceId, SpanId, ParentSpanId, SpanName, SpanKind, ServiceName, ResourceAttributes, SpanAttributes, Duration, StatusCode) VALUES
		('2026-11-23 11:59:00', '` + traceID(1) + `', '` + spanID(1) + `', '', 'GET', 'SPAN_KIND_SERVER', 'web', {'service.name':'web','deployment.environment':'prod'}, {'http.method':'GET','http.status_code':'200'}, 5000000, 'STATUS_CODE_UNSET'),
		('2026-11-23 11:59:00', '` + traceID(1) + `', '` + spanID(2) + `', '` + spanID(1) + `', 'SELECT', 'SPAN_KIND_CLIENT', 'web', {'service.name':'web','deployment.environment.name':'prod'}, {'db.system':'mysql','db.query.text':'SELECT 1'}, 2000000, 'STATUS_CODE_ERROR'),
		('2026-11-23 11:59:01', '` + traceID(2) + `', '` + spanID(3) + `', '', 'publish', 'Producer', 'web', {'service.name':'web'}, {'messaging.system':'kafka','messaging.destination':'orders'}, 1000000, 'Unset')`)
	exec(`INSERT INTO otel_metrics_gauge (ResourceAttributes, MetricName, Attributes, TimeUnix, Value) VALUES
		({'net.host.name':'n1','service.instance.id':'n1:9100'}, 'node_uname_info', {'nodename':'n1'}, '2026-11-23 11:59:50', 1)`)
	exec(`INSERT INTO otel_metrics_sum (ResourceAttributes, MetricName, Attributes, TimeUnix, Value, AggTemp, IsMonotonic) VALUES
		({'net.host.name':'n1','service.instance.id':'n1:9100'}, 'node_cpu_seconds_total', {'cpu':'0','mode':'idle'}, '2026-11-23 11:59:20', 10, 2, true),
		({'net.host.name':'n1','service.instance.id':'n1:9100'}, 'node_cpu_seconds_total', {'cpu':'0','mode':'idle'}, '2026-11-23 11:59:50', 20, 2, true)`)
	g := s.Diagnose(t.Context())
	for s, want := range map[signal]string{
		signalTraces: "v0.110 or earlier", signalTraceIDs: "v0.110 or earlier", signalLogs: "v0.103 or earlier",
		signalGauge: "v0.97 or earlier", signalSum: "v0.97 or earlier", signalHistogram: "v0.97 or earlier", signalSummary: "v0.97 or earlier",
	} {
		if got := tableOf(g, s); got.MadeBy != want || len(got.Missing) > 0 || !got.Found {
			t.Errorf("%s: made by %q, missing %q; want %q and nothing missing", s, got.MadeBy, got.Missing, want)
		}
	}
	want := []ConventionFound{
		{"HTTP", GenerationOld, []AttributeFound{{"http.method", 1}, {"http.status_code", 1}}},
		{"RPC", "", []AttributeFound{}},
		{"database", GenerationBoth, []AttributeFound{{"db.query.text", 1}, {"db.system", 1}}},
		{"messaging", GenerationOld, []AttributeFound{{"messaging.destination", 1}, {"messaging.system", 1}}},
		{"environment", GenerationBoth, []AttributeFound{{"deployment.environment.name", 1}, {"deployment.environment", 1}}},
	}
	if diff := gocmp.Diff(want, g.Spans.Conventions); diff != "" || g.Spans.Spelling != SpellingBoth {
		t.Errorf("spelling %q; conventions %s", g.Spans.Spelling, diff)
	}
	if diff := gocmp.Diff([]AttributeFound{{"net.host.name", 1}, {"service.instance.id", 1}}, g.NodeIdentity); diff != "" {
		t.Error("node identity", diff)
	}
	wantState(t, g, Filled, "traces.services", "traces.topology", detailTraces, detailTrace)
	wantState(t, g, Unused, detailLogs)
	// The doctor says of node metrics what the agent makes of them.
	nodes, err := s.Round(t.Context(), testNow).MetricsNodes()
	wantNodes := Filled
	if err != nil || len(nodes) == 0 {
		wantNodes = Unreadable
	}
	wantState(t, g, wantNodes, "metrics.nodes", detailNode)
	if g.OK != (wantNodes == Filled) {
		t.Errorf("OK %v while the nodes are %s: %s", g.OK, wantNodes, doctorText(t, g))
	}
}

// TestDoctorElsewhere looks in wrong places of a server of its own.
func TestDoctorElsewhere(t *testing.T) {
	t.Parallel()
	srv := chdbtest.Start(t)
	db, other := srv.Database(t), srv.Database(t)
	open := func(database string, change func(*Tables)) *Store {
		tables := DefaultTables()
		change(&tables)
		s, err := Open(Config{DSN: srv.DSN(database), Tables: tables, Clock: func() time.Time { return testNow }})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		return s
	}
	same := func(*Tables) {}

	empty := open(db, same).Diagnose(t.Context())
	wantFinding(t, empty, Problem, "none of the exporter's tables is here", "--database")
	wantState(t, empty, Unused, allNames()...)
	if empty.OK {
		t.Error("an empty database is fine")
	}

	gone := open("no_such_database", same).Diagnose(t.Context())
	wantFinding(t, gone, Problem, "code 81", "--database")
	wantState(t, gone, Unknown, allNames()...)
	if gone.OK || gone.Server != nil {
		t.Errorf("a database that is not there: OK %v, server %+v", gone.OK, gone.Server)
	}

	conn := srv.Open(t, other)
	if err := telemetry.CreateTables(t.Context(), conn, ""); err != nil {
		t.Fatal(err)
	}
	srv.Exec(t, "DROP TABLE "+other+".otel_metrics_exponential_histogram")
	wrong := open(db, same).Diagnose(t.Context())
	for _, name := range []string{"otel_traces", "otel_traces_trace_id_ts", "otel_logs", "otel_metrics_gauge", "otel_metrics_sum", "otel_metrics_histogram", "otel_metrics_summary"} {
		wantFinding(t, wrong, Problem, name+": ", other+"."+name+" looks like")
	}
	if says(wrong, Problem, "otel_metrics_exponential_histogram") {
		t.Error("a table was found that does not exist")
	}

	srv.Exec(t, "RENAME TABLE "+other+".otel_logs TO "+other+".app_logs")
	renamed := open(other, same).Diagnose(t.Context())
	wantFinding(t, renamed, Problem, "app_logs looks like a table of logs", "give --logs-table app_logs")
	wantState(t, renamed, Unused, allNames()...)
	if found := tableOf(renamed, signalTraces); !found.Found || !found.Empty || found.MadeBy != "v0.111 or later" {
		t.Errorf("spans %+v, want an empty table of v0.111 or later", found)
	}
	named := open(db, func(tables *Tables) {
		*tables = Tables{
			Traces: other + ".otel_traces", TraceIDs: other + ".otel_traces_trace_id_ts", Logs: other + ".app_logs",
			Gauge: other + ".otel_metrics_gauge", Sum: other + ".otel_metrics_sum", Histogram: other + ".otel_metrics_histogram",
			ExpHistogram: other + ".none", Summary: other + ".otel_metrics_summary",
		}
	}).Diagnose(t.Context())
	if !named.OK || !tableOf(named, signalLogs).Found {
		t.Errorf("tables of another database, named: %+v", named.Findings)
	}
}

func TestDoctorUnreachable(t *testing.T) {
	t.Parallel()
	s := openStore(t, "http://medicus:hunter2@127.0.0.1:1/otel")
	g := s.Diagnose(t.Context())
	wantState(t, g, Unknown, allNames()...)
	wantFinding(t, g, Problem, "cannot be reached", "check the host")
	encoded, err := json.Marshal(g)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"hunter2", "medicus", "127.0.0.1"} {
		if text := string(encoded) + doctorText(t, g); strings.Contains(text, secret) {
			t.Errorf("%q is in %s", secret, text)
		}
	}
	if g.OK {
		t.Error("OK without a server")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if g := s.Diagnose(ended); g.OK || len(g.Sections) != 8 || len(g.Details) != 6 {
		t.Errorf("told to end: %+v", g)
	}
}

func TestDoctorErrors(t *testing.T) {
	t.Parallel()
	for code, words := range map[int32][2]string{
		516: {"refused user or password", "check user and password"},
		497: {"Not enough privileges", "GRANT SELECT"},
		159: {"in time", "overloaded"},
		288: {"Double-distributed", "distributed_product_mode"},
		999: {"code 999", ""},
	} {
		err := chError(t.Context(), "doctor_rows", &clickhouse.Exception{Code: code, Message: "medicus: Not enough privileges, Double-distributed"})
		text, remedy := publicMessage(err), remedyFor(err)
		if !strings.Contains(text, words[0]) || !strings.Contains(remedy, words[1]) || (words[1] == "") != (remedy == "") {
			t.Errorf("code %d: %q, remedy %q; want %q", code, text, remedy, words)
		}
		if code == 516 && strings.Contains(text, "medicus") {
			t.Errorf("the user's name is in %q", text)
		}
	}
}

func TestDoctorViewsAndMissingTables(t *testing.T) {
	t.Parallel()
	at := testNow.Add(-time.Minute)
	rows := telemetry.Rows{
		Spans: []telemetry.Span{testSpan(1, 1, 0, "web", "Server", -time.Minute, time.Second)},
		Logs:  []telemetry.LogRecord{{Timestamp: at, ServiceName: "web", Body: "hello", SeverityText: "Info", SeverityNumber: 9}},
	}
	s, insert := testStore(t, telemetry.Rows{})
	exec := func(sql string) {
		t.Helper()
		if err := s.conn.Exec(context.WithoutCancel(t.Context()), sql); err != nil {
			t.Fatal(err)
		}
	}
	insert(rows)
	exec("DROP TABLE otel_traces_trace_id_ts_mv")
	exec("DROP TABLE otel_traces_trace_id_ts")
	exec("RENAME TABLE otel_traces TO spans_local")
	exec("CREATE VIEW otel_traces AS SELECT * FROM spans_local")
	exec("RENAME TABLE otel_logs TO logs_local")
	exec("CREATE VIEW otel_logs AS SELECT * EXCEPT (LogAttributes) FROM logs_local")
	g := s.Diagnose(t.Context())
	if v := tableOf(g, signalTraces); v.Engine != "View" || v.MadeBy != "v0.111 or later" || v.Rows != 1 {
		t.Errorf("a view over spans: %+v", v)
	}
	wantState(t, g, Filled, "traces.services", detailTrace)
	wantFinding(t, g, Warning, "otel_traces_trace_id_ts", "30 days", "create_schema")
	if v := tableOf(g, signalLogs); !strings.Contains(v.MadeBy, "your own") || !slices.Equal(v.Missing, []string{"LogAttributes"}) {
		t.Errorf("a view without LogAttributes: %+v", v)
	}
	wantFinding(t, g, Warning, "otel_logs", "LogAttributes", "--logs-table")
	wantState(t, g, Unreadable, detailLogs)
	if g.OK {
		t.Error("OK while logs cannot be read")
	}

	// A view over what is gone is there and cannot be read.
	exec("DROP TABLE spans_local")
	g = s.Diagnose(t.Context())
	wantFinding(t, g, Problem, "otel_traces", "code 60")
	if g.OK {
		t.Error("OK while a view reads from nothing")
	}
}

func TestDoctorOfJSONAttributes(t *testing.T) {
	t.Parallel()
	newest, d := newDatabase(t), newDatabase(t)
	newest.exporterTables(telemetry.Rows{
		Spans: []telemetry.Span{
			testSpan(1, 1, 0, "web", "Server", -time.Minute, time.Second, resource("deployment.environment.name", "prod"),
				attrs("http.request.method", "GET", "http.response.status_code", "200", "rpc.system", "grpc")),
			testSpan(1, 2, 1, "web", "Client", -time.Minute, time.Second, attrs("db.system", "mysql")),
		},
		Logs: []telemetry.LogRecord{testLog(time.Minute, "web", "hello")},
	})
	d.create("traces_json", "logs_json")
	d.fill("otel_traces", newest)
	d.fill("otel_logs", newest)
	g := d.store().Diagnose(t.Context())
	for _, s := range []signal{signalTraces, signalLogs} {
		if v := tableOf(g, s); v.MadeBy != "v0.141 or later with json: true" || v.Rows == 0 || len(v.Missing) > 0 {
			t.Errorf("%s: %+v", s, v)
		}
	}
	wantFinding(t, g, Note, "otel_logs", "JSON")
	wantFinding(t, g, Warning, "otel_traces_trace_id_ts", "30 days")
	wantState(t, g, Filled, "traces.services", "traces.topology", detailTraces, detailTrace, detailLogs)
	want := []ConventionFound{
		{"HTTP", GenerationNew, []AttributeFound{{"http.request.method", 1}, {"http.response.status_code", 1}}},
		{"RPC", GenerationOld, []AttributeFound{{"rpc.system", 1}}},
		{"database", GenerationOld, []AttributeFound{{"db.system", 1}}},
		{"messaging", "", []AttributeFound{}},
		{"environment", GenerationNew, []AttributeFound{{"deployment.environment.name", 1}}},
	}
	if diff := gocmp.Diff(want, g.Spans.Conventions); diff != "" || !g.OK {
		t.Errorf("OK %v; conventions %s", g.OK, diff)
	}
	if text := doctorText(t, g); !strings.Contains(text, "SpanAttributes JSON") {
		t.Errorf("the text does not show the type:\n%s", text)
	}
}

// A Distributed table is what the doctor says that it is, and all of it is read.
func TestDoctorOfDistributedAndOwnTables(t *testing.T) {
	t.Parallel()
	newest, d := newDatabase(t), newDatabase(t)
	newest.exporterTables(telemetry.Rows{
		Spans: []telemetry.Span{
			testSpan(1, 1, 0, "web", "Client", -time.Minute, time.Second),
			testSpan(1, 2, 1, "cart", "Server", -time.Minute, time.Second),
		},
		Logs: []telemetry.LogRecord{testLog(time.Minute, "web", "hello")},
	})
	d.distribute("otel_traces", newest)
	d.distribute("otel_traces_trace_id_ts", newest)
	d.create("logs_custom")
	d.fill("otel_logs", newest)
	g := d.store().Diagnose(t.Context())
	if v := tableOf(g, signalTraces); v.Engine != "Distributed" || v.Over != d.name+".shard_otel_traces" || v.MadeBy != "v0.111 or later" || v.Rows != 2 {
		t.Errorf("spans %+v", v)
	}
	wantFinding(t, g, Note, "otel_logs", "NULL", "Body, ScopeName, ServiceName")
	own := newDatabase(t)
	own.create("traces_custom")
	own.fill("otel_traces", newest)
	own.exec("CREATE TABLE otel_logs ENGINE = MergeTree ORDER BY Timestamp AS SELECT * REPLACE (toJSONString(LogAttributes) AS LogAttributes) FROM " + newest.name + ".otel_logs")
	found := own.store().Diagnose(t.Context())
	wantState(t, found, Filled, "traces.services", "traces.topology", detailTraces, detailTrace)
	wantFinding(t, found, Problem, "otel_logs", "LogAttributes", "Map or JSON", "--logs-table")
	if found.OK || found.Spans.Looked != 2 || !slices.Equal(found.Spans.Kinds, []string{"Client", "Server"}) {
		t.Errorf("OK %v, spans %+v", found.OK, found.Spans)
	}
	wantState(t, g, Filled, "traces.services", "traces.topology", detailTraces, detailTrace, detailLogs)
	if text := doctorText(t, g); !strings.Contains(text, "Distributed over") || !g.OK {
		t.Errorf("OK %v: %s", g.OK, text)
	}
}

func TestDoctorClocks(t *testing.T) {
	t.Parallel()
	ahead := testSpan(1, 1, 0, "web", "Server", 10*time.Minute, time.Second)
	s, insert := testStore(t, telemetry.Rows{Spans: []telemetry.Span{ahead}})
	insert(telemetry.Rows{Logs: []telemetry.LogRecord{{Timestamp: testNow.Add(-72 * time.Hour), ServiceName: "web", Body: "old"}}})
	g := s.Diagnose(t.Context())
	wantFinding(t, g, Warning, "otel_traces", "1 row from the future", "10m after now", "NTP")
	if v := tableOf(g, signalTraces); v.Rows != 0 || v.Future != 1 || v.NewestSeconds == nil || *v.NewestSeconds != -600 {
		t.Errorf("spans %+v, want one 600 s ahead", v)
	}
	if v := tableOf(g, signalLogs); v.Rows != 0 || v.Empty || v.NewestSeconds == nil || *v.NewestSeconds != 72*3600 {
		t.Errorf("logs %+v, want the newest three days old", v)
	}
	wantState(t, g, Quiet, detailLogs, "traces.services")
	if g.OK || !strings.Contains(doctorText(t, g), "newest 3 days ago") {
		t.Error(doctorText(t, g))
	}
	if g.Server.ClockAheadSeconds != 0 {
		t.Errorf("this machine's clock is %g s ahead of itself", g.Server.ClockAheadSeconds)
	}
}

func TestDoctorSources(t *testing.T) {
	t.Parallel()
	proxy := pairs{"service.name": "proxy", "service.instance.id": "10.0.0.1:9100"}
	web := pairs{"service": "web@docker", "code": "200", "method": "GET", "protocol": "http"}
	sums := func(metric string, labels pairs, end time.Duration, values ...float64) telemetry.Rows {
		return telemetry.Rows{Sums: counter(metric, proxy, labels, end, 15*time.Second, values...)}
	}
	gauges := func(metric string, resource, labels pairs, values ...float64) telemetry.Rows {
		return telemetry.Rows{Gauges: gauge(metric, resource, labels, -5*time.Second, 15*time.Second, values...)}
	}
	edge := pairs{"direction": "inbound", "namespace": "shop", "deployment": "web", "classification": "success", "status_code": "200"}
	for name, tc := range map[string]struct {
		rows    telemetry.Rows
		sources []string
		ok      bool
		states  map[string]State
		level   Level
		words   []string
	}{
		"entrypoints alone": {
			rows:  sums("traefik_entrypoint_requests_total", pairs{"entrypoint": "web", "code": "200"}, -5*time.Second, 1, 2, 3),
			level: Problem, words: []string{"Traefik", "addServicesLabels"},
			states: map[string]State{"slo.ingress": Unused},
		},
		"no durations": {
			rows: sums("traefik_service_requests_total", web, -5*time.Second, 1, 2, 3), sources: []string{"Traefik"}, ok: true,
			level: Warning, words: []string{"Traefik", "no durations"},
			states: map[string]State{"slo.ingress": Filled, "slo.summary": Filled, "slo.services": Unused, detailSLOSeries: Filled},
		},
		"no requests": {
			rows: sums("traefik_service_requests_total", web, -5*time.Second, 7, 7, 7), sources: []string{"Traefik"}, ok: true,
			states: map[string]State{"slo.ingress": Idle, "slo.summary": Idle, "slo.edges": Unused, detailSLOSeries: Idle},
		},
		"stopped": {
			rows: sums("traefik_service_requests_total", web, -9*time.Minute, 7, 8, 9), sources: []string{"Traefik"},
			states: map[string]State{"slo.ingress": Quiet, "slo.summary": Quiet},
		},
		"labels gone": {
			rows: sums("response_total", pairs{"direction": "inbound"}, -5*time.Second, 1, 2, 3), sources: []string{"Linkerd"},
			states: map[string]State{"slo.services": Unreadable, "slo.ingress": Unused, "slo.summary": Unreadable},
		},
		"federated": {
			rows: gauges("response_total", proxy, edge, 1, 2, 3), sources: []string{"Linkerd"}, ok: true,
			states: map[string]State{"slo.services": Filled, "slo.edges": Idle},
		},
		"Envoy alone": {
			rows:  sums("envoy_cluster_upstream_rq_total", pairs{}, -5*time.Second, 1, 2, 3),
			level: Problem, words: []string{"Envoy", "istio_requests_total"},
		},
		"ztunnel alone": {
			rows:  sums("istio_tcp_sent_bytes_total", pairs{}, -5*time.Second, 1, 2, 3),
			level: Problem, words: []string{"Istio", "waypoint"},
		},
		"two nodes in one resource": {
			rows: telemetry.Rows{
				Sums: counter(cpuSeconds, exporter("n1"), pairs{"cpu": "0", "mode": "idle"}, -5*time.Second, 15*time.Second, 1, 2, 3),
				Gauges: slices.Concat(gauge(unameInfo, exporter("n1"), pairs{"nodename": "a"}, -5*time.Second, 0, 1),
					gauge(unameInfo, exporter("n1"), pairs{"nodename": "b"}, -5*time.Second, 0, 1)),
			},
			sources: []string{"node_exporter"}, level: Problem, words: []string{"nodes", "several machines report as one node, as n1: ", "resourcedetection"},
			states: map[string]State{"metrics.nodes": Filled},
		},
		"two nodes that one scrape takes for one": {
			rows: telemetry.Rows{
				Sums: counter(cpuSeconds, exporter("n1"), pairs{"cpu": "0", "mode": "idle"}, -5*time.Second, 15*time.Second, 1, 2, 3),
				Gauges: slices.Concat(gauge(unameInfo, exporter("n1").with("pod", "x"), pairs{"nodename": "a"}, -5*time.Second, 0, 1),
					gauge(unameInfo, exporter("n1").with("pod", "y"), pairs{"nodename": "b"}, -5*time.Second, 0, 1)),
			},
			sources: []string{"node_exporter"}, level: Problem, words: []string{"nodes", "several machines report as one node, as n1: "},
			states: map[string]State{"metrics.nodes": Filled},
		},
		"the host.name of a central collector": {
			rows: telemetry.Rows{
				Sums: counter(cpuSeconds, exporter("n1").with("host.name", "otelcol-0"), pairs{"cpu": "0", "mode": "idle"}, -5*time.Second, 15*time.Second, 1, 2, 3),
				Gauges: slices.Concat(gauge(unameInfo, exporter("n1").with("host.name", "otelcol-0"), pairs{"nodename": "a"}, -5*time.Second, 0, 1),
					gauge(unameInfo, exporter("n2").with("host.name", "otelcol-0"), pairs{"nodename": "b"}, -5*time.Second, 0, 1)),
			},
			sources: []string{"node_exporter"}, ok: true, level: Warning, words: []string{"nodes", "one host.name, otelcol-0: ", "resourcedetection"},
			states: map[string]State{"metrics.nodes": Filled},
		},
		"ports of one host": {
			rows: telemetry.Rows{
				Sums: counter(cpuSeconds, pairs{"service.instance.id": "nat:1"}, pairs{"cpu": "0", "mode": "idle"}, -5*time.Second, 15*time.Second, 1, 2, 3),
				Gauges: slices.Concat(gauge(unameInfo, pairs{"service.instance.id": "nat:1"}, pairs{"nodename": "a"}, -5*time.Second, 0, 1),
					gauge(unameInfo, pairs{"service.instance.id": "nat:2"}, pairs{"nodename": "b"}, -5*time.Second, 0, 1)),
			},
			sources: []string{"node_exporter"}, ok: true, states: map[string]State{"metrics.nodes": Filled},
		},
		"hostmetrics": {
			rows: telemetry.Rows{
				Sums:   counter("system.cpu.time", pairs{"host.name": "n1"}, pairs{"cpu": "cpu0", "state": "idle"}, -5*time.Second, 15*time.Second, 1, 2, 3),
				Gauges: gauge("system.cpu.load_average.1m", pairs{"host.name": "n1"}, pairs{}, -5*time.Second, 0, 1),
			},
			sources: []string{"hostmetrics receiver"}, ok: true,
			states: map[string]State{"metrics.summary": Filled, "metrics.nodes": Filled, detailNode: Filled, detailNodeSeries: Filled},
		},
		"nodes without a name": {
			rows: telemetry.Rows{
				Sums:   counter(cpuSeconds, pairs{"service.name": "node"}, pairs{"cpu": "0", "mode": "idle"}, -5*time.Second, 15*time.Second, 1, 2, 3),
				Gauges: gauge("node_load1", pairs{"service.name": "node"}, pairs{}, -5*time.Second, 0, 1),
			},
			sources: []string{"node_exporter"}, level: Problem, words: []string{"nodes", "nothing tells which node"},
			states: map[string]State{"metrics.nodes": Unreadable, "metrics.summary": Unreadable},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := testStore(t, tc.rows)
			g := s.Diagnose(t.Context())
			if got := sourceNames(g); !slices.Equal(got, tc.sources) {
				t.Errorf("sources %q, want %q", got, tc.sources)
			}
			for name, want := range tc.states {
				wantState(t, g, want, name)
			}
			if tc.level != "" {
				wantFinding(t, g, tc.level, tc.words...)
			}
			if g.OK != tc.ok {
				t.Errorf("OK %v, want %v: %s", g.OK, tc.ok, doctorText(t, g))
			}
		})
	}
}

func TestDoctorGenerations(t *testing.T) {
	t.Parallel()
	for want, tc := range map[string]struct {
		madeBy  func(columnTypes) string
		columns columnTypes
	}{
		"v0.129 or later with json: true": {tracesMadeBy, columnTypes{"Duration": "UInt64", "SpanAttributes": "JSON(max_dynamic_paths=100)"}},
		"v0.141 or later with json: true": {logsMadeBy, columnTypes{"LogAttributes": "JSON", "ResourceAttributesKeys": "Array(LowCardinality(String))"}},
		"v0.111 or later":                 {tracesMadeBy, columnTypes{"Duration": "Nullable(UInt64)"}},
		"v0.104 to v0.106":                {logsMadeBy, columnTypes{"TimestampTime": "DateTime", "TimestampDate": "Date", "SeverityNumber": "Int32"}},
		"v0.107 to v0.150":                {logsMadeBy, columnTypes{"TimestampTime": "DateTime", "SeverityNumber": "UInt8"}},
		"v0.141 to v0.150":                {logsMadeBy, columnTypes{"TimestampTime": "DateTime", "SeverityNumber": "UInt8", "EventName": "String"}},
		"v0.151 or later":                 {logsMadeBy, columnTypes{"SeverityNumber": "UInt8", "EventName": "String"}},
		"v0.157 or later":                 {pointsMadeBy, columnTypes{"TimeUnix": "DateTime('UTC')", "ServiceName": "LowCardinality(String)"}},
		"v0.104 to v0.156":                {histogramsMadeBy, columnTypes{"TimeUnix": "DateTime64(9)", "ServiceName": "String", "AggregationTemporality": "Int32"}},
		"v0.98 to v0.103":                 {histogramsMadeBy, columnTypes{"TimeUnix": "DateTime64(9)", "ServiceName": "String"}},
		"v0.98 to v0.156":                 {pointsMadeBy, columnTypes{"TimeUnix": "DateTime64(9)", "ServiceName": "String"}},
		"":                                {pointsMadeBy, columnTypes{"TimeUnix": "Int64"}},
	} {
		if got := tc.madeBy(tc.columns); got != want {
			t.Errorf("%v: made by %q, want %q", tc.columns, got, want)
		}
	}
	for engine, want := range map[string]string{
		"Distributed('prod', 'otel', 'otel_traces_local', rand())":    "otel.otel_traces_local",
		"Distributed('prod', '', 'spans')":                            "spans",
		"Distributed(prod, otel, spans, cityHash64(TraceId), 'tier')": "otel.spans",
		"MergeTree ORDER BY x":                                        "",
		"":                                                            "",
	} {
		if got := distributedOver(engine); got != want {
			t.Errorf("%s is over %q, want %q", engine, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		40 * time.Second: "40s", 15 * time.Minute: "15m", 2 * time.Hour: "2h", 125 * time.Minute: "2h5m", 72 * time.Hour: "3 days", -time.Minute: "-1m",
	} {
		if got := spoken(d); got != want {
			t.Errorf("%s is spoken %q, want %q", d, got, want)
		}
	}
}
