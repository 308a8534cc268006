package clickhouse

import (
	"fmt"
	"time"

	"github.com/atlhyper/observe/loadtest/telemetry"
)

func traceID(n int) string { return fmt.Sprintf("%032x", n) }
func spanID(n int) string  { return fmt.Sprintf("%016x", n) }

// testSpan makes the span id of a trace; parent 0 makes it a root. It starts at
// that time relative to testNow.
func testSpan(trace, id, parent int, service, kind string, at, lasts time.Duration, change ...func(*telemetry.Span)) telemetry.Span {
	s := telemetry.Span{
		Timestamp: testNow.Add(at), TraceID: traceID(trace), SpanID: spanID(id), Name: "op", Kind: kind,
		ServiceName: service, Resource: telemetry.Attributes{"service.name": service},
		Attributes: telemetry.Attributes{}, Duration: lasts, StatusCode: "Unset",
	}
	if parent != 0 {
		s.ParentSpanID = spanID(parent)
	}
	for _, f := range change {
		f(&s)
	}
	return s
}

func attrs(pairs ...string) func(*telemetry.Span) {
	return func(s *telemetry.Span) {
		for i := 0; i < len(pairs); i += 2 {
			s.Attributes[pairs[i]] = pairs[i+1]
		}
	}
}

func resource(pairs ...string) func(*telemetry.Span) {
	return func(s *telemetry.Span) {
		for i := 0; i < len(pairs); i += 2 {
			s.Resource[pairs[i]] = pairs[i+1]
		}
	}
}

func named(name string) func(*telemetry.Span) { return func(s *telemetry.Span) { s.Name = name } }

// failed gives the span the status Error in the spelling asked for.
func failed(code, message string) func(*telemetry.Span) {
	return func(s *telemetry.Span) { s.StatusCode, s.StatusText = code, message }
}

func exception(typ, message, stack string) func(*telemetry.Span) {
	return func(s *telemetry.Span) {
		s.Events = append(s.Events, telemetry.SpanEvent{
			Timestamp: s.Timestamp, Name: "exception", Attributes: telemetry.Attributes{
				"exception.type": typ, "exception.message": message, "exception.stacktrace": stack,
			},
		})
	}
}

func spans(s ...telemetry.Span) telemetry.Rows { return telemetry.Rows{Spans: s} }
