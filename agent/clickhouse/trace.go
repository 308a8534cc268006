package clickhouse

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strconv"

	"github.com/ClickHouse/clickhouse-go/v2"
	attr "go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	tracespan "github.com/atlhyper/observe/shared/span"
)

// tracerName is the import path, as the scope of the spans.
const tracerName = "github.com/atlhyper/observe/agent/clickhouse"

// Attributes that no semantic convention has: those of system.query_log.
const (
	attrQueryID   = attr.Key("clickhouse.query_id")
	attrReadRows  = attr.Key("clickhouse.read_rows")
	attrReadBytes = attr.Key("clickhouse.read_bytes")
)

// operation is that of all statements.
const operation = "SELECT"

// tracing makes the spans of a Store's statements.
type tracing struct {
	tracer trace.Tracer
	server []attr.KeyValue // the same for all
}

func newTracing(provider trace.TracerProvider, options *clickhouse.Options) tracing {
	t := tracing{tracer: tracespan.Tracer(provider, tracerName)}
	t.server = []attr.KeyValue{
		semconv.DBSystemNameClickHouse, semconv.DBNamespace(options.Auth.Database), semconv.DBOperationName(operation),
	}
	if len(options.Addr) != 1 {
		return t // which of them the driver takes is not known
	}
	if host, port, err := net.SplitHostPort(options.Addr[0]); err == nil {
		t.server = append(t.server, semconv.ServerAddress(host))
		if n, err := strconv.Atoi(port); err == nil {
			t.server = append(t.server, semconv.ServerPort(n))
		}
	}
	return t
}

// begin starts the span of one run of the statement name. What it is called by says where
// its text is, sql/<name>.sql; the text itself, with the values of this run, has the
// server in system.query_log, under the query id.
func (t tracing) begin(ctx context.Context, name string) (context.Context, trace.Span) {
	summary := operation + " " + name
	ctx, s := t.tracer.Start(ctx, summary, trace.WithSpanKind(trace.SpanKindClient))
	if s.IsRecording() {
		s.SetAttributes(t.server...)
		s.SetAttributes(semconv.DBQuerySummary(summary))
	}
	return ctx, s
}

// endStatement ends the span with what came of the run.
func endStatement(s trace.Span, id string, answered int, reads Reads, err error) {
	if s.IsRecording() {
		s.SetAttributes(attrQueryID.String(id), attrReadRows.Int64(reads.Rows), attrReadBytes.Int64(reads.Bytes))
		if err == nil {
			s.SetAttributes(semconv.DBResponseReturnedRows(answered))
		}
		var exception *clickhouse.Exception
		if errors.As(err, &exception) {
			s.SetAttributes(semconv.DBResponseStatusCode(strconv.Itoa(int(exception.Code))))
		}
		tracespan.Fail(s, err)
	}
	s.End()
}

// recorded is the span of ctx, if it will be exported by this process. The server is told
// of no other: it keeps spans of its own for each trace that it hears of, which callers
// must not make it do.
func recorded(ctx context.Context) (trace.SpanContext, bool) {
	s := trace.SpanFromContext(ctx)
	return s.SpanContext(), s.IsRecording() && s.SpanContext().IsSampled()
}

// traceTransport tells the server over HTTP what the driver tells it over the native
// protocol only: which span a statement belongs to.
type traceTransport struct{ next http.RoundTripper }

// RoundTrip sends the request.
func (t traceTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	if _, ok := recorded(ctx); ok {
		r = r.Clone(ctx)
		r.Header.Set("Traceparent", tracespan.Traceparent(ctx))
	}
	return t.next.RoundTrip(r)
}
