package clickhouse

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/atlhyper/observe/loadtest/telemetry"
	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
)

func TestTraceByID(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	start := -40 * 24 * time.Hour // beyond the fallback: only the index can know
	at := func(d time.Duration) model.Time { return model.NewTime(testNow.Add(start + d)) }
	s, _ := testStore(t, spans(
		testSpan(1, 1, 0, "web", "SPAN_KIND_SERVER", start, 90*ms, named("GET /cart"),
			attrs("http.method", "GET", "http.status_code", "503", "http.route", "/cart/{id}", "http.target", "/cart/7?x=1",
				"net.host.name", "shop.example.com", "net.host.port", "8080"),
			resource("service.version", "1.2", "service.instance.id", "i-1", "k8s.pod.name", "web-0", "k8s.node.name", "n1",
				"k8s.deployment.name", "web", "k8s.namespace.name", "shop", "k8s.cluster.name", "prod"),
			failed("STATUS_CODE_ERROR", "upstream away")),
		testSpan(1, 2, 1, "web", "Client", start+5*ms, 70*ms,
			attrs("http.request.method", "POST", "http.response.status_code", "200", "url.full", "http://cart:81/a",
				"server.address", "cart", "server.port", "81", "http.method", "OLD", "http.url", "old")),
		// The last span starts 0.9 s into a later second than the index knows.
		testSpan(1, 3, 2, "cart", "Server", start+1900*ms, 300*ms, failed("Error", "no stock"),
			exception("StockError", "sold out", "at cart.go:1"),
			attrs("rpc.system", "grpc", "rpc.service", "shop.Cart", "rpc.method", "Add", "server.address", "cart")),
		testSpan(1, 4, 3, "cart", "Client", start+1901*ms, 10*ms,
			attrs("db.system", "mysql", "db.name", "carts", "db.operation", "SELECT", "db.sql.table", "items", "db.statement", "SELECT 1")),
		testSpan(1, 5, 3, "cart", "Client", start+1902*ms, 10*ms, failed("Error", ""),
			attrs("db.system.name", "postgresql", "db.namespace", "n", "db.operation.name", "INSERT",
				"db.collection.name", "c", "db.query.text", "INSERT 1", "db.statement", "old", "error.type", "timeout")),
		testSpan(1, 6, 3, "cart", "", start+1903*ms, 0),
		testSpan(2, 1, 0, "other", "Server", start, 1*ms),
	))
	got, meta, err := s.Trace(t.Context(), detail.Trace{TraceID: traceID(1)})
	if err != nil {
		t.Fatal(err)
	}
	base := func(id, parent int, service, kind, status string, from, lasts time.Duration) model.Span {
		sp := model.Span{
			Timestamp: at(from), TraceID: traceID(1), SpanID: spanID(id), SpanName: "op", ServiceName: service,
			SpanKind: kind, StatusCode: status, Duration: int64(lasts), DurationMs: float64(lasts) / float64(ms),
			Events: []model.SpanEvent{},
		}
		if parent != 0 {
			sp.ParentSpanID = spanID(parent)
		}
		return sp
	}
	want := model.Trace{TraceID: traceID(1), SpanCount: 6, ServiceCount: 2, DurationMs: 2200}
	server := base(1, 0, "web", "SPAN_KIND_SERVER", "STATUS_CODE_ERROR", 0, 90*ms)
	server.SpanName, server.StatusMessage = "GET /cart", "upstream away"
	server.HTTP = &model.SpanHTTP{
		Method: "GET", Route: "/cart/{id}", URL: "/cart/7?x=1", StatusCode: 503, Server: "shop.example.com", ServerPort: 8080,
	}
	server.Error = &model.SpanError{Message: "upstream away"}
	server.Resource = model.SpanResource{
		ServiceVersion: "1.2", InstanceID: "i-1", PodName: "web-0", NodeName: "n1", DeploymentName: "web",
		NamespaceName: "shop", ClusterName: "prod",
	}
	client := base(2, 1, "web", "SPAN_KIND_CLIENT", "STATUS_CODE_UNSET", 5*ms, 70*ms)
	client.HTTP = &model.SpanHTTP{Method: "POST", URL: "http://cart:81/a", StatusCode: 200, Server: "cart", ServerPort: 81}
	rpc := base(3, 2, "cart", "SPAN_KIND_SERVER", "STATUS_CODE_ERROR", 1900*ms, 300*ms)
	rpc.StatusMessage = "no stock"
	rpc.Events = []model.SpanEvent{{Timestamp: at(1900 * ms), Name: "exception", Attributes: map[string]string{
		"exception.type": "StockError", "exception.message": "sold out", "exception.stacktrace": "at cart.go:1",
	}}}
	rpc.Error = &model.SpanError{Type: "StockError", Message: "sold out", Stacktrace: "at cart.go:1"}
	mysql := base(4, 3, "cart", "SPAN_KIND_CLIENT", "STATUS_CODE_UNSET", 1901*ms, 10*ms)
	mysql.DB = &model.SpanDB{System: "mysql", Name: "carts", Operation: "SELECT", Table: "items", Statement: "SELECT 1"}
	postgres := base(5, 3, "cart", "SPAN_KIND_CLIENT", "STATUS_CODE_ERROR", 1902*ms, 10*ms)
	postgres.DB = &model.SpanDB{System: "postgresql", Name: "n", Operation: "INSERT", Table: "c", Statement: "INSERT 1"}
	postgres.Error = &model.SpanError{Type: "timeout"}
	want.Spans = []model.Span{
		server, client, rpc, mysql, postgres,
		base(6, 3, "cart", "SPAN_KIND_UNSPECIFIED", "STATUS_CODE_UNSET", 1903*ms, 0),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if meta != (detail.Meta{}) {
		t.Errorf("meta = %+v, want none", meta)
	}
	_, _, err = s.Trace(t.Context(), detail.Trace{TraceID: traceID(99)})
	if !fault.Is(err, fault.NotFound) {
		t.Errorf("an unknown trace: %v, want %s", err, fault.NotFound)
	}
}

// TestTraceByIDWithoutIndex finds recent traces where the index has no row of
// them and where it is not there at all.
func TestTraceByIDWithoutIndex(t *testing.T) {
	t.Parallel()
	for _, statement := range []string{
		"TRUNCATE TABLE otel_traces_trace_id_ts",
		"DROP TABLE otel_traces_trace_id_ts",
	} {
		srv := engine.Server(t)
		db := srv.Database(t)
		conn := srv.Open(t, db)
		if err := telemetry.CreateTables(t.Context(), conn, ""); err != nil {
			t.Fatal(err)
		}
		rows := spans(testSpan(1, 1, 0, "web", "Server", -5*24*time.Hour, time.Second))
		if err := rows.Insert(t.Context(), conn, ""); err != nil {
			t.Fatal(err)
		}
		if err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
		got, _, err := openStore(t, srv.DSN(db)).Trace(t.Context(), detail.Trace{TraceID: traceID(1)})
		if err != nil || got.SpanCount != 1 || got.DurationMs != 1000 {
			t.Errorf("after %s: %+v, %v; want one span of 1000 ms", statement, got, err)
		}
	}
}

func TestTraceByIDWithoutTables(t *testing.T) {
	t.Parallel()
	s, _ := emptyStore(t)
	if _, _, err := s.Trace(t.Context(), detail.Trace{TraceID: traceID(1)}); !fault.Is(err, fault.NotFound) {
		t.Errorf("%v, want %s", err, fault.NotFound)
	}
}

// TestTraceByIDTruncated has one span more than fits; that one is of another
// service, ends last and still counts.
func TestTraceByIDTruncated(t *testing.T) {
	t.Parallel()
	var all []telemetry.Span
	for i := range maxTraceSpans + 1 {
		service := "web"
		if i == maxTraceSpans {
			service = "last"
		}
		all = append(all, testSpan(1, i+1, i, service, "Internal", time.Duration(i-20_000)*time.Millisecond, time.Second))
	}
	s, _ := testStore(t, spans(all...))
	got, meta, err := s.Trace(t.Context(), detail.Trace{TraceID: traceID(1)})
	if err != nil {
		t.Fatal(err)
	}
	if !meta.Truncated || len(got.Spans) != maxTraceSpans {
		t.Errorf("%d spans, truncated %t; want %d, true", len(got.Spans), meta.Truncated, maxTraceSpans)
	}
	if got.Spans[0].SpanID != spanID(1) || got.Spans[maxTraceSpans-1].SpanID != spanID(maxTraceSpans) {
		t.Errorf("spans %s to %s, want the first ones", got.Spans[0].SpanID, got.Spans[maxTraceSpans-1].SpanID)
	}
	if got.SpanCount != maxTraceSpans+1 || got.ServiceCount != 2 || got.DurationMs != maxTraceSpans+1000 {
		t.Errorf("%d spans, %d services, %v ms; want %d, 2, %d",
			got.SpanCount, got.ServiceCount, got.DurationMs, maxTraceSpans+1, maxTraceSpans+1000)
	}
}
