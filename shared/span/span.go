// Package span is what the traces that the product makes of itself have in common: the
// attributes of its own, how a failure looks, how a trace goes on in another process,
// and which log lines belong to it. It needs OpenTelemetry's API only; package tracing
// has the SDK.
//
// One detail request is one trace:
//
//	SERVER    GET /api/v2/observe/traces/{id}   master/api
//	PRODUCER  send commands                     redis/bus, Client: until the reply is there
//	CONSUMER  process commands                  redis/bus, Server: until the reply is delivered
//	CLIENT    SELECT trace_spans                agent/clickhouse, one for each statement
//
// and each collection of a section one of its own: "collect metrics.nodes" and the
// statements that it sent.
package span

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/atlhyper/observe/shared/fault"
)

// Attributes that no semantic convention has.
const (
	Cluster   = attribute.Key("atlhyper.cluster")       // id of the cluster
	Kind      = attribute.Key("atlhyper.kind")          // of a detail request
	Section   = attribute.Key("atlhyper.section")       // that is collected
	Agent     = attribute.Key("atlhyper.agent")         // instance that answered
	RequestID = attribute.Key("atlhyper.request_id")    // as in the header X-Request-Id
	QueueWait = attribute.Key("atlhyper.queue_wait_ms") // from the push to the start of the run
	Joined    = attribute.Key("atlhyper.joined")        // true: waited for the reply to an identical request, which is linked
	Shared    = attribute.Key("atlhyper.shared")        // true: the reply was made for an equal request before
	Bytes     = attribute.Key("atlhyper.bytes")         // of a section, encoded
)

// canceled is the error type of what ended because nobody waits any more.
const canceled = "canceled"

// Tracer returns the tracer of a package, named by its import path; without a provider
// one that records nothing.
func Tracer(provider trace.TracerProvider, name string) trace.Tracer {
	if provider == nil {
		provider = noop.NewTracerProvider()
	}
	return provider.Tracer(name)
}

// Join says on the span of ctx that it waited for what another one, of, did for both; of
// may be unknown.
func Join(ctx context.Context, of trace.SpanContext) {
	s := trace.SpanFromContext(ctx)
	if !s.IsRecording() || s.SpanContext().Equal(of) {
		return
	}
	s.SetAttributes(Joined.Bool(true))
	if of.IsValid() {
		s.AddLink(trace.Link{SpanContext: of})
	}
}

// Fail says on a span what came of it, nothing when err is nil. What it shows of an error
// is its code and the sentence that users may read; of a malformed request the code
// alone, since such sentences quote the request.
func Fail(s trace.Span, err error) {
	if err == nil || !s.IsRecording() {
		return
	}
	s.SetAttributes(semconv.ErrorTypeKey.String(ErrorType(err)))
	var f *fault.Error
	if errors.As(err, &f) && f.Code != fault.BadRequest {
		s.SetStatus(codes.Error, f.Message)
		return
	}
	s.SetStatus(codes.Error, "")
}

// ErrorType is what the attribute error.type says of an error: its code.
func ErrorType(err error) string {
	var f *fault.Error
	switch {
	case errors.Is(err, context.Canceled):
		return canceled
	case errors.As(err, &f):
		return string(f.Code)
	case errors.Is(err, context.DeadlineExceeded):
		return string(fault.Timeout)
	default:
		return string(fault.Internal)
	}
}
