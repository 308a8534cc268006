// Package spantest is for tests of traces: it keeps the spans that ended, as the SDK hands
// them to an exporter, and shows them as trees.
package spantest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

// patience is how long Await waits; no test that passes comes near it.
const patience = 2 * time.Minute

// Recorder is a trace.TracerProvider that keeps what ended. It is safe for concurrent use.
type Recorder struct {
	*sdktrace.TracerProvider
	exporter *tracetest.InMemoryExporter
	ended    chan struct{} // holds one when there is something new
}

// New returns a Recorder that samples everything; options may say otherwise.
func New(tb testing.TB, options ...sdktrace.TracerProviderOption) *Recorder {
	tb.Helper()
	r := &Recorder{exporter: tracetest.NewInMemoryExporter(), ended: make(chan struct{}, 1)}
	options = append([]sdktrace.TracerProviderOption{
		sdktrace.WithSampler(sdktrace.AlwaysSample()), sdktrace.WithSyncer(r.exporter), sdktrace.WithSpanProcessor(signal{r.ended}),
	}, options...)
	r.TracerProvider = sdktrace.NewTracerProvider(options...)
	return r
}

// signal tells that a span ended.
type signal struct{ ended chan struct{} }

func (signal) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (signal) Shutdown(context.Context) error                  { return nil }
func (signal) ForceFlush(context.Context) error                { return nil }

func (s signal) OnEnd(sdktrace.ReadOnlySpan) {
	select {
	case s.ended <- struct{}{}:
	default:
	}
}

// Spans are those that ended, by their start.
func (r *Recorder) Spans() Spans {
	all := r.exporter.GetSpans()
	slices.SortStableFunc(all, func(a, b tracetest.SpanStub) int { return a.StartTime.Compare(b.StartTime) })
	return Spans(all)
}

// Reset forgets what ended.
func (r *Recorder) Reset() { r.exporter.Reset() }

// Await returns the spans when cond is true of them; it fails the test when it never is.
// One goroutine may wait at a time.
func (r *Recorder) Await(tb testing.TB, what string, cond func(Spans) bool) Spans {
	tb.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for {
		if all := r.Spans(); cond(all) {
			return all
		}
		select {
		case <-r.ended:
		case <-limit.C:
			tb.Fatalf("gave up waiting: %s; there is\n%s", what, r.Spans().Tree())
		case <-tb.Context().Done():
			tb.Fatalf("the test ended before: %s", what)
		}
	}
}

// Spans are spans that ended.
type Spans tracetest.SpanStubs

// Named are those of a name.
func (s Spans) Named(name string) Spans {
	return slices.DeleteFunc(slices.Clone(s), func(stub tracetest.SpanStub) bool { return stub.Name != name })
}

// Of are those of the kind.
func (s Spans) Of(kind trace.SpanKind) Spans {
	return slices.DeleteFunc(slices.Clone(s), func(stub tracetest.SpanStub) bool { return stub.SpanKind != kind })
}

// In are those of a trace.
func (s Spans) In(id trace.TraceID) Spans {
	return slices.DeleteFunc(slices.Clone(s), func(stub tracetest.SpanStub) bool { return stub.SpanContext.TraceID() != id })
}

// One returns the only span there is.
func (s Spans) One(tb testing.TB) tracetest.SpanStub {
	tb.Helper()
	if len(s) != 1 {
		tb.Fatalf("want one span, there are %d:\n%s", len(s), s.Tree())
	}
	return s[0]
}

// Attributes are those of a span by their keys, as int64, float64, string, bool or slices
// of these.
func Attributes(s tracetest.SpanStub) map[string]any {
	all := make(map[string]any, len(s.Attributes))
	for _, a := range s.Attributes {
		all[string(a.Key)] = a.Value.AsInterface()
	}
	return all
}

// Tree shows the spans one a line, those of a parent below it and indented by a space:
// the kind, the name, and ERROR with its description for one that failed. A span whose
// parent is not among them is a root.
func (s Spans) Tree() string {
	var out strings.Builder
	known := make(map[trace.SpanID]bool)
	for _, stub := range s {
		known[stub.SpanContext.SpanID()] = true
	}
	var show func(parent trace.SpanID, depth int)
	show = func(parent trace.SpanID, depth int) {
		for _, stub := range s {
			of := stub.Parent.SpanID()
			if !known[of] {
				of = trace.SpanID{}
			}
			if of != parent {
				continue
			}
			fmt.Fprintf(&out, "%s%s %s", strings.Repeat(" ", depth), strings.ToUpper(stub.SpanKind.String()), stub.Name)
			if stub.Status.Code == codes.Error {
				fmt.Fprintf(&out, " ERROR %q", stub.Status.Description)
			}
			out.WriteByte('\n')
			show(stub.SpanContext.SpanID(), depth+1)
		}
	}
	show(trace.SpanID{}, 0)
	return out.String()
}
