package span_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/span"
)

const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestTraceparent(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ in, out string }{
		"valid":         {parent, parent},
		"not sampled":   {strings.TrimSuffix(parent, "01") + "00", strings.TrimSuffix(parent, "01") + "00"},
		"none":          {"", ""},
		"upper case":    {strings.ToUpper(parent), ""},
		"no trace id":   {"00-00000000000000000000000000000000-b7ad6b7169203331-01", ""},
		"no span id":    {"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", ""},
		"version ff":    {"ff" + parent[2:], ""},
		"more parts":    {parent + "-00", ""},
		"later version": {"01" + parent[2:] + "-what-is-new", parent},
		"too long":      {"01" + parent[2:] + "-" + strings.Repeat("0", span.MaxTraceparent), ""},
		"not hex":       {strings.Replace(parent, "a", "g", 1), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := span.Continue(t.Context(), c.in)
			if got := span.Traceparent(ctx); got != c.out {
				t.Errorf("%q went on as %q, want %q", c.in, got, c.out)
			}
			if c.out == "" {
				return
			}
			if got := span.TraceID(ctx); got != parent[3:35] {
				t.Errorf("trace id %q", got)
			}
		})
	}
}

// What goes on is what was read, and it fits a command.
func FuzzContinue(f *testing.F) {
	f.Add(parent)
	f.Add("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-ff-x")
	f.Add("--")
	f.Fuzz(func(t *testing.T, in string) {
		ctx := span.Continue(context.Background(), in)
		out := span.Traceparent(ctx)
		if out == "" {
			return
		}
		if len(out) != len(parent) || len(in) < 52 || out[2:52] != in[2:52] {
			t.Errorf("%q went on as %q", in, out)
		}
		if again := span.Traceparent(span.Continue(context.Background(), out)); again != out {
			t.Errorf("%q, and then as %q", out, again)
		}
	})
}

// Without a provider a trace goes through: others may record it.
func TestNoProvider(t *testing.T) {
	t.Parallel()
	ctx, s := span.Tracer(nil, "test").Start(span.Continue(t.Context(), parent), "name")
	defer s.End()
	if got := span.Traceparent(ctx); got != parent {
		t.Errorf("goes on as %q, want %q", got, parent)
	}
	if s.IsRecording() {
		t.Error("something is recorded")
	}
}

func TestFail(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err  error
		kind string
		want sdktrace.Status
	}{
		"nothing":   {want: sdktrace.Status{}},
		"known":     {fault.Wrap(errors.New("secret"), fault.AgentOffline, "nobody is there"), "agent_offline", sdktrace.Status{Code: codes.Error, Description: "nobody is there"}},
		"malformed": {fault.New(fault.BadRequest, "q: %q", "what a user wrote"), "bad_request", sdktrace.Status{Code: codes.Error}},
		"unknown":   {errors.New("secret"), "internal", sdktrace.Status{Code: codes.Error}},
		"too late":  {context.DeadlineExceeded, "timeout", sdktrace.Status{Code: codes.Error}},
		"canceled":  {context.Canceled, "canceled", sdktrace.Status{Code: codes.Error}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			recorder := tracetest.NewSpanRecorder()
			provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
			_, s := span.Tracer(provider, "test").Start(t.Context(), name)
			span.Fail(s, c.err)
			s.End()
			got := recorder.Ended()[0]
			if diff := cmp.Diff(c.want, got.Status()); diff != "" {
				t.Error(diff)
			}
			kind := ""
			for _, a := range got.Attributes() {
				if a.Key == "error.type" {
					kind = a.Value.AsString()
				}
			}
			if kind != c.kind {
				t.Errorf("error.type %q, want %q", kind, c.kind)
			}
		})
	}
}

func TestLogHandler(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	text := slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})
	logger := slog.New(span.LogHandler(text)).With("replica", "a")
	traced := span.Continue(t.Context(), parent)
	for _, ctx := range []context.Context{t.Context(), traced, span.WithRequest(t.Context(), "r-1"), span.WithRequest(traced, "r-2"), span.WithRequest(traced, "")} {
		logger.InfoContext(ctx, "line", "n", 1)
	}
	logger.WithGroup("group").InfoContext(traced, "line")
	const ids = "trace_id=0af7651916cd43dd8448eb211c80319c span_id=b7ad6b7169203331"
	want := `level=INFO msg=line replica=a n=1
level=INFO msg=line replica=a n=1 ` + ids + `
level=INFO msg=line replica=a n=1 request_id=r-1
level=INFO msg=line replica=a n=1 request_id=r-2 ` + ids + `
level=INFO msg=line replica=a n=1 ` + ids + `
level=INFO msg=line replica=a group.trace_id=0af7651916cd43dd8448eb211c80319c group.span_id=b7ad6b7169203331
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}
