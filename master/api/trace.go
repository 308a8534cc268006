package api

import (
	"context"
	"net/http"
	"strings"
	"unicode/utf8"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/atlhyper/observe/shared/span"
)

// tracerName is the import path, as the scope of the spans.
const tracerName = "github.com/atlhyper/observe/master/api"

// maxTracedPath is how much of a path a span shows, in bytes.
const maxTracedPath = 256

// isTraced tells whether requests for a route make spans: probes and Prometheus come
// around every few seconds and nobody looks.
func isTraced(pattern string) bool { return pattern == "" || strings.HasPrefix(pattern, Prefix+"/") }

// trace begins the span of a request, in the caller's trace if there is one. The span
// ends in endTrace; the request that is returned carries it.
func (e *endpoint) trace(x *exchange, r *http.Request) *http.Request {
	ctx := span.Continue(r.Context(), r.Header.Get("Traceparent"))
	method, known := tracedMethod(r.Method)
	name := method
	if !known {
		name = "HTTP"
	}
	if route := e.metrics.route; route != "" {
		name += " " + route
	}
	ctx, s := e.api.tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindServer))
	x.note().span = s
	r = r.WithContext(ctx)
	if !s.IsRecording() {
		return r
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	s.SetAttributes(
		semconv.HTTPRequestMethodKey.String(method), semconv.URLScheme(scheme), semconv.URLPath(tracedPath(r.URL.Path)),
		span.RequestID.String(x.requestID()),
	)
	if route := e.metrics.route; route != "" {
		s.SetAttributes(semconv.HTTPRoute(route))
	}
	return r
}

// span is that of the request, nil when it makes none.
func (x *exchange) span() trace.Span {
	if x.noted == nil {
		return nil
	}
	return x.noted.span
}

// within returns ctx, that of the request as it came, with the span.
func (x *exchange) within(ctx context.Context) context.Context {
	if s := x.span(); s != nil {
		return trace.ContextWithSpan(ctx, s)
	}
	return ctx
}

// tracedMethod is how spans call a method; false for one that is none of HTTP's.
func tracedMethod(method string) (name string, known bool) {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodOptions, http.MethodConnect, http.MethodTrace:
		return method, true
	}
	return "_OTHER", false
}

// tracedPath is the path without what follows it: a query holds what people search for.
func tracedPath(path string) string {
	if len(path) > maxTracedPath {
		for path = path[:maxTracedPath]; len(path) > 0 && !utf8.ValidString(path); {
			path = path[:len(path)-1]
		}
	}
	return strings.ToValidUTF8(path, "\uFFFD")
}

// endTrace ends the span of a request with what came of it.
func (x *exchange) endTrace() {
	s := x.span()
	if s == nil {
		return
	}
	if s.IsRecording() {
		if x.status != 0 {
			s.SetAttributes(semconv.HTTPResponseStatusCode(x.status), semconv.HTTPResponseBodySize(int(x.bytes)))
		}
		if x.cluster != "" {
			s.SetAttributes(span.Cluster.String(string(x.cluster)))
		}
	}
	s.End()
}

// traceFailure says on the span of a request what is answered. What the caller did wrong
// is no error of the server.
func (x *exchange) traceFailure(code int, err error) {
	s := x.span()
	if s == nil {
		return
	}
	if code >= http.StatusInternalServerError {
		span.Fail(s, err)
		return
	}
	s.SetAttributes(semconv.ErrorTypeKey.String(span.ErrorType(err)))
}

// traceID is the trace that a request belongs to: ours, or that of the caller; "" for none.
func (x *exchange) traceID(r *http.Request) string {
	if s := x.span(); s != nil {
		return s.SpanContext().TraceID().String()
	}
	return span.TraceID(span.Continue(r.Context(), r.Header.Get("Traceparent")))
}
