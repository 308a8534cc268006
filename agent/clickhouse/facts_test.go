package clickhouse

import (
	"fmt"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/atlhyper/observe/loadtest/telemetry"
	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
)

// A newer collector leaves the tables of an older one as they are, so that each
// table has a generation of its own.
func TestFactEachTableHasAGenerationOfItsOwn(t *testing.T) {
	t.Parallel()
	rows := richRows(t)
	rows.Sums = olderRows().Sums
	rows.Gauges = olderRows().Gauges
	newest, d := newDatabase(t), newDatabase(t)
	newest.exporterTables(rows)
	d.create("traces_json", "trace_ids_v0.110", "logs_v0.107")
	for _, table := range []string{"otel_traces", "otel_traces_trace_id_ts", "otel_logs"} {
		d.fill(table, newest)
	}
	d.exec("CREATE TABLE otel_metrics_gauge AS " + newest.name + ".otel_metrics_gauge")
	d.fill("otel_metrics_gauge", newest)
	d.exec("CREATE TABLE otel_metrics_sum " + metricColumns(false, sumColumns+"AggTemp Int32"))
	d.exec("INSERT INTO otel_metrics_sum (ResourceAttributes, Attributes, MetricName, TimeUnix, Flags, Value, IsMonotonic, AggTemp) " +
		"SELECT ResourceAttributes, Attributes, MetricName, TimeUnix, Flags, Value, IsMonotonic, AggregationTemporality FROM " + newest.name + ".otel_metrics_sum")
	want, got := newest.store(), d.store()
	if diff := gocmp.Diff(answers(t, want), answers(t, got), almost()); diff != "" {
		t.Error(diff)
	}
	for statement, metric := range map[string]string{sumSeries: "c", gaugeSeries: "g"} {
		series, err := got.readSeries(t.Context(), statement, seriesQuery{metrics: []string{metric}, window: fiveMinutes()})
		if err != nil || len(series) == 0 {
			t.Errorf("%s: %d series, error %v", statement, len(series), err)
		}
	}
}

// Logs of v0.107 to v0.150 are partitioned by TimestampTime: a search that says
// nothing of it reads every day that there is.
func TestFactLogsArePartitionedByTimestampTime(t *testing.T) {
	t.Parallel()
	const perDay, days = 20_000, 10
	for _, table := range []string{"logs_v0.107", "logs_v0.104"} {
		t.Run(table, func(t *testing.T) {
			t.Parallel()
			d := newDatabase(t)
			d.create(table)
			// A month before the rest: v0.104 has a partition for each month.
			d.exec(fmt.Sprintf(`INSERT INTO otel_logs (Timestamp, ServiceName, SeverityNumber, Body)
				SELECT toDateTime64('2026-11-23 11:59:59', 9, 'UTC') - INTERVAL 32 * intDiv(number, %[1]d) DAY - INTERVAL number %% 600 SECOND,
				concat('s', toString(number %% 7)), 9, 'line' FROM numbers(%[1]d * %[2]d)`, perDay, days))
			s := d.store()
			s.schema(t.Context())
			m := new(meter)
			page, _, err := s.Logs(metered(t.Context(), m), detail.Logs{Range: before(15 * time.Minute), Limit: 10})
			if err != nil || page.Total != perDay || len(page.Logs) != 10 {
				t.Fatalf("%d of %d records, error %v", len(page.Logs), page.Total, err)
			}
			// Five statements; the page reads twice.
			if most := int64(6 * perDay); m.total().Rows > most {
				t.Errorf("read %d rows in %d statements, want at most %d", m.total().Rows, m.total().Statements, most)
			}
		})
	}
}

// One table holds both spellings of kinds and status codes: each count, list and
// filter has those of both.
func TestFactOneTableHoldsBothSpellings(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	s, _ := testStore(t, spans(
		testSpan(1, 1, 0, "web", "SPAN_KIND_CLIENT", -60*time.Second, 9*ms),
		testSpan(1, 2, 1, "cart", "SPAN_KIND_SERVER", -60*time.Second, 8*ms, failed("STATUS_CODE_ERROR", "old")),
		testSpan(2, 1, 0, "web", "Client", -50*time.Second, 9*ms),
		testSpan(2, 2, 1, "cart", "Server", -50*time.Second, 8*ms, failed("Error", "new")),
		testSpan(3, 1, 0, "web", "SPAN_KIND_PRODUCER", -50*time.Second, 9*ms, attrs("messaging.system", "kafka", "messaging.destination.name", "a")),
		testSpan(4, 1, 0, "web", "Producer", -50*time.Second, 9*ms, attrs("messaging.system", "kafka", "messaging.destination", "a")),
		testSpan(5, 1, 0, "cart", "SPAN_KIND_CONSUMER", -50*time.Second, 8*ms, failed("STATUS_CODE_OK", "")),
		testSpan(6, 1, 0, "cart", "Consumer", -50*time.Second, 8*ms, failed("Ok", "")),
	))
	services, err := s.services(t.Context(), before(15*time.Minute))
	if err != nil || len(services) != 2 || services[0].SpanCount != 4 || services[0].ErrorCount != 2 {
		t.Errorf("services %+v, error %v; want 4 spans of cart, 2 failed", services, err)
	}
	topology, err := s.topologyOf(t.Context(), before(15*time.Minute), services)
	if err != nil {
		t.Fatal(err)
	}
	want := []model.TopologyEdge{
		{Source: "web", Target: "cart", CallCount: 2, AvgMs: 8, ErrorRate: 1},
		{Source: "web", Target: "messaging:kafka/a", CallCount: 2, AvgMs: 9},
	}
	if diff := gocmp.Diff(want, topology.Edges, almost()); diff != "" {
		t.Error(diff)
	}
	yes := true
	found, _ := mustSearch(t, s, search(func(r *detail.Traces) { r.HasError = &yes }))
	if diff := gocmp.Diff([]string{traceID(2), traceID(1)}, ids(found)); diff != "" {
		t.Error(diff)
	}
	for _, f := range found {
		if !f.HasError || f.ErrorMessage == "" {
			t.Errorf("%+v is not told to have failed", f)
		}
		trace, _, err := s.Trace(t.Context(), detail.Trace{TraceID: f.TraceID})
		if err != nil || trace.Spans[0].SpanKind != "SPAN_KIND_CLIENT" || trace.Spans[1].StatusCode != "STATUS_CODE_ERROR" || trace.Spans[1].Error == nil {
			t.Errorf("trace %+v, error %v", trace, err)
		}
	}
}

// The time index says when the last span of a trace starts, in whole seconds: a
// range that ends there loses it, and all others of its second.
func TestFactTheIndexEndsAtTheStartOfTheLastSpan(t *testing.T) {
	t.Parallel()
	var all []telemetry.Span
	const n = 10
	start := -40 * 24 * time.Hour // only the index can know
	for i := range n {
		all = append(all, testSpan(1, i+1, i, "web", "Server", start+time.Duration(i)*99*time.Millisecond, time.Hour))
	}
	s, _ := testStore(t, spans(all...))
	trace, _, err := s.Trace(t.Context(), detail.Trace{TraceID: traceID(1)})
	if err != nil || len(trace.Spans) != n || trace.SpanCount != n || trace.DurationMs != 3600_000+(n-1)*99 {
		t.Errorf("%d spans, count %d, %v ms, error %v; want %d", len(trace.Spans), trace.SpanCount, trace.DurationMs, err, n)
	}
	// A search tells of the whole trace by the same index.
	found, _ := mustSearch(t, s, search(func(r *detail.Traces) {
		r.Range = detail.NewRange(testNow.Add(start-time.Minute), testNow.Add(start+time.Minute))
	}))
	if len(found) != 1 || found[0].SpanCount != n || found[0].DurationMs != trace.DurationMs {
		t.Errorf("found %+v", found)
	}
}

// An id that nobody knows costs the time that the index is not about.
func TestUnknownTraceIsCheap(t *testing.T) {
	t.Parallel()
	const perHour, hours = 1000, 24 * 10
	d := newDatabase(t)
	d.exporterTables(telemetry.Rows{})
	d.exec(fmt.Sprintf(`INSERT INTO otel_traces (Timestamp, TraceId, SpanId, ServiceName, SpanName)
		SELECT toDateTime64('2026-11-23 12:00:00', 9, 'UTC') - INTERVAL number * 3600 / %[1]d SECOND, lower(hex(MD5(toString(number)))), 'a', 'web', 'op'
		FROM numbers(%[1]d * %[2]d) SETTINGS max_partitions_per_insert_block = 100`, perHour, hours))
	d.exec("OPTIMIZE TABLE otel_traces FINAL") // a part for each day
	s := d.store()
	s.schema(t.Context())
	m := new(meter)
	_, _, err := s.Trace(metered(t.Context(), m), detail.Trace{TraceID: traceID(1)})
	if !fault.Is(err, fault.NotFound) {
		t.Fatalf("error %v, want %s", err, fault.NotFound)
	}
	// Half of the last day and what the index itself is: not the ten days.
	if got := m.total(); got.Rows > perHour*hours/4 {
		t.Errorf("read %+v of %d spans", got, perHour*hours)
	}
}

// Where the index does not reach, or is not there, spans are found all the same.
func TestTracesThatTheIndexDoesNotKnow(t *testing.T) {
	t.Parallel()
	day := 24 * time.Hour
	for name, change := range map[string]func(d testDatabase){
		"no index": func(d testDatabase) { d.exec("DROP TABLE otel_traces_trace_id_ts") },
		"a new one": func(d testDatabase) {
			d.exec("ALTER TABLE otel_traces_trace_id_ts DELETE WHERE Start < '2026-11-21 00:00:00' SETTINGS mutations_sync = 1")
		},
		"one that is not filled any more": func(d testDatabase) {
			d.exec("ALTER TABLE otel_traces_trace_id_ts DELETE WHERE Start > '2026-11-01 00:00:00' SETTINGS mutations_sync = 1")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDatabase(t)
			var all []telemetry.Span
			ages := []time.Duration{29 * day, 5 * day, 3 * time.Hour, time.Minute, 40 * time.Second}
			for i, age := range ages {
				all = append(all, testSpan(i+1, 1, 0, "web", "Server", -age, time.Second), testSpan(i+1, 2, 1, "web", "Internal", -age+14*time.Second, time.Second))
			}
			d.exporterTables(spans(all...))
			d.exec("DROP TABLE otel_traces_trace_id_ts_mv")
			change(d)
			s := d.store()
			for i, age := range ages {
				trace, _, err := s.Trace(t.Context(), detail.Trace{TraceID: traceID(i + 1)})
				if err != nil || trace.SpanCount != 2 || trace.DurationMs != 15_000 {
					t.Errorf("%s old: %d spans, %v ms, error %v", age, trace.SpanCount, trace.DurationMs, err)
				}
			}
		})
	}
}

func TestUnindexedTime(t *testing.T) {
	t.Parallel()
	at := func(age time.Duration) int64 { return testNow.Add(-age).Unix() }
	hour, day := time.Hour, 24*time.Hour
	for name, tc := range map[string]struct {
		index extent
		want  []time.Duration // ages: from, to, from, to …
	}{
		"no index":   {extent{}, []time.Duration{hour, -traceSlack, day, hour, 7 * day, day, 30 * day, 7 * day}},
		"full":       {extent{9, at(40 * day), at(0)}, []time.Duration{traceMargin, -traceSlack}},
		"new":        {extent{9, at(2 * day), at(0)}, []time.Duration{traceMargin, -traceSlack, 7 * day, 2*day - traceSlack, 30 * day, 7 * day}},
		"gone":       {extent{9, at(40 * day), at(3 * hour)}, []time.Duration{hour, -traceSlack, 3*hour + traceMargin, hour}},
		"just begun": {extent{9, at(0), at(0)}, []time.Duration{hour, -traceSlack, day, hour, 7 * day, day, 30 * day, 7 * day}},
	} {
		var got []time.Duration
		for _, w := range unindexed(testNow, tc.index) {
			got = append(got, testNow.Sub(w.start), testNow.Sub(w.end))
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}
