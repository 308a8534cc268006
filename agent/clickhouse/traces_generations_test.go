package clickhouse

import (
	"fmt"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/atlhyper/observe/loadtest/telemetry"
	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/model"
)

// TestOlderTables reads what the exporter of v0.96 to v0.103 created: Int64
// durations, an index to the nanosecond, logs without a five-minute key.
func TestOlderTables(t *testing.T) {
	t.Parallel()
	s, exec := emptyStore(t)
	exec(`CREATE TABLE otel_traces (
		Timestamp DateTime64(9), TraceId String, SpanId String, ParentSpanId String, TraceState String,
		SpanName LowCardinality(String), SpanKind LowCardinality(String), ServiceName LowCardinality(String),
		ResourceAttributes Map(LowCardinality(String), String), ScopeName String, ScopeVersion String,
		SpanAttributes Map(LowCardinality(String), String), Duration Int64,
		StatusCode LowCardinality(String), StatusMessage String,
		Events Nested (Timestamp DateTime64(9), Name LowCardinality(String), Attributes Map(LowCardinality(String), String)),
		Links Nested (TraceId String, SpanId String, TraceState String, Attributes Map(LowCardinality(String), String)),
		INDEX idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1
	) ENGINE = MergeTree PARTITION BY toDate(Timestamp)
	ORDER BY (ServiceName, SpanName, toUnixTimestamp(Timestamp), TraceId)`)
	exec(`CREATE TABLE otel_traces_trace_id_ts (TraceId String, Start DateTime64(9), End DateTime64(9))
	ENGINE = MergeTree ORDER BY (TraceId, toUnixTimestamp(Start))`)
	exec(`CREATE TABLE otel_logs (
		Timestamp DateTime64(9), TraceId String, SpanId String, TraceFlags UInt32, SeverityText LowCardinality(String),
		SeverityNumber Int32, ServiceName LowCardinality(String), Body String, ResourceSchemaUrl String,
		ResourceAttributes Map(LowCardinality(String), String), ScopeSchemaUrl String, ScopeName String, ScopeVersion String,
		ScopeAttributes Map(LowCardinality(String), String), LogAttributes Map(LowCardinality(String), String)
	) ENGINE = MergeTree PARTITION BY toDate(Timestamp)
	ORDER BY (ServiceName, SeverityText, toUnixTimestamp(Timestamp), TraceId)`)
	start := testNow.Add(-time.Minute)
	exec(fmt.Sprintf(`INSERT INTO otel_traces (Timestamp, TraceId, SpanId, SpanName, SpanKind, ServiceName, Duration, StatusCode)
		VALUES (%d, '%s', '%s', 'op', 'SPAN_KIND_SERVER', 'web', 5000000, 'STATUS_CODE_OK')`, start.UnixNano(), traceID(1), spanID(1)))
	exec(fmt.Sprintf(`INSERT INTO otel_traces_trace_id_ts VALUES ('%s', %d, %[2]d)`, traceID(1), start.UnixNano()))
	exec(fmt.Sprintf(`INSERT INTO otel_logs (Timestamp, ServiceName, Body, SeverityNumber) VALUES (%d, 'web', 'hello', 13)`, start.UnixNano()))

	services, err := s.services(t.Context(), before(15*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	want := []model.Service{{Name: "web", SpanCount: 1, SuccessRate: 1, AvgDurationMs: 5, P50Ms: 5, P99Ms: 5, RPS: 1.0 / 900}}
	if diff := gocmp.Diff(want, services, almost()); diff != "" {
		t.Error(diff)
	}
	if topology, err := s.topologyOf(t.Context(), before(15*time.Minute), services); err != nil || len(topology.Nodes) != 1 {
		t.Errorf("topology %v, %v; want one node", topology, err)
	}
	if found, _ := mustSearch(t, s, search(nil)); len(found) != 1 || found[0].DurationMs != 5 {
		t.Errorf("found %v, want one trace of 5 ms", found)
	}
	trace, _, err := s.Trace(t.Context(), detail.Trace{TraceID: traceID(1)})
	if err != nil || len(trace.Spans) != 1 || trace.Spans[0].StatusCode != "STATUS_CODE_OK" {
		t.Errorf("trace %v, %v; want one span with STATUS_CODE_OK", trace, err)
	}
	page, _ := mustLogs(t, s, nil)
	if len(page.Logs) != 1 || page.Logs[0].Severity != "WARN" || page.Logs[0].SeverityNum != 13 {
		t.Errorf("logs %v, want one WARN, 13", page.Logs)
	}
}

// TestTracesOfCapture counts the capture's traces in Go.
func TestTracesOfCapture(t *testing.T) {
	t.Parallel()
	rows := captured(t)
	s, _ := testStore(t, telemetry.Rows{Spans: rows.Spans})
	spanCount, errorCount := map[string]int64{}, map[string]int64{}
	for _, sp := range rows.Spans {
		spanCount[sp.TraceID]++
		if sp.StatusCode == "Error" {
			errorCount[sp.TraceID]++
		}
	}
	yes := true
	found, meta := mustSearch(t, s, search(func(r *detail.Traces) { r.HasError, r.Service, r.Limit = &yes, "driver", 1000 }))
	if len(found) != len(errorCount) || meta.NextCursor != "" {
		t.Errorf("%d traces, next %q; want %d", len(found), meta.NextCursor, len(errorCount))
	}
	for _, tr := range found {
		if tr.SpanCount != spanCount[tr.TraceID] || errorCount[tr.TraceID] == 0 || !tr.HasError ||
			tr.ErrorType != "*errors.errorString" || tr.ErrorMessage != "redis timeout" {
			t.Errorf("%+v: want %d spans and the error of redis", tr, spanCount[tr.TraceID])
		}
	}
	got, _, err := s.Trace(t.Context(), detail.Trace{TraceID: found[0].TraceID})
	if err != nil {
		t.Fatal(err)
	}
	if got.SpanCount != found[0].SpanCount || got.DurationMs != found[0].DurationMs || got.ServiceCount != found[0].ServiceCount {
		t.Errorf("trace by id and search disagree: %+v, %+v", found[0], got)
	}
	failed := int64(0)
	for _, sp := range got.Spans {
		if sp.Error != nil {
			failed++
		}
	}
	if failed != errorCount[got.TraceID] {
		t.Errorf("%d spans with an error, want %d", failed, errorCount[got.TraceID])
	}
}
