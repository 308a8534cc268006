package span

import (
	"context"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// MaxTraceparent is the longest traceparent that is read: version 00 has 55 bytes.
const MaxTraceparent = 128

// header is a carrier of a traceparent and of nothing else: a tracestate, which callers
// may fill with what they like, ends here.
type header struct{ traceparent string }

const traceparentName = "traceparent"

// Get implements propagation.TextMapCarrier.
func (h *header) Get(key string) string {
	if key == traceparentName {
		return h.traceparent
	}
	return ""
}

// Set implements propagation.TextMapCarrier.
func (h *header) Set(key, value string) {
	if key == traceparentName {
		h.traceparent = value
	}
}

// Keys implements propagation.TextMapCarrier.
func (h *header) Keys() []string { return []string{traceparentName} }

// Continue returns a context whose spans go on with the trace of a W3C traceparent; ctx
// itself when there is none, or one that is not valid.
func Continue(ctx context.Context, traceparent string) context.Context {
	if traceparent == "" || len(traceparent) > MaxTraceparent {
		return ctx
	}
	return propagation.TraceContext{}.Extract(ctx, &header{traceparent})
}

// Traceparent is the W3C traceparent of the span in ctx, "" for none.
func Traceparent(ctx context.Context) string {
	var h header
	propagation.TraceContext{}.Inject(ctx, &h)
	return h.traceparent
}

// TraceID is the id of the trace that ctx belongs to, 32 hexadecimal digits; "" for none.
func TraceID(ctx context.Context) string {
	if sc := trace.SpanContextFromContext(ctx); sc.HasTraceID() {
		return sc.TraceID().String()
	}
	return ""
}

type requestKey struct{}

// WithRequest returns a context whose log lines carry the id of the HTTP request; ctx
// itself when the id is "".
func WithRequest(ctx context.Context, id string) context.Context {
	if id == "" {
		return ctx
	}
	return context.WithValue(ctx, requestKey{}, id)
}

// Request is the id that WithRequest put into ctx, "" for none.
func Request(ctx context.Context) string {
	id, ok := ctx.Value(requestKey{}).(string)
	if !ok {
		return ""
	}
	return id
}
