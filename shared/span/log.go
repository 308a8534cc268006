package span

import (
	"context"
	"log/slog"

	"go.opentelemetry.io/otel/trace"
)

// LogHandler returns a handler that adds to each line of h what it belongs to, as its
// context says: trace_id and span_id, and request_id when WithRequest named one. The
// ids of a trace are there too when it is not sampled, or traces are off here: whoever
// began it may have them.
func LogHandler(h slog.Handler) slog.Handler { return logHandler{h} }

type logHandler struct{ slog.Handler }

// Handle implements slog.Handler.
func (h logHandler) Handle(ctx context.Context, line slog.Record) error {
	sc, request := trace.SpanContextFromContext(ctx), Request(ctx)
	if sc.IsValid() || request != "" {
		line = line.Clone()
	}
	if request != "" {
		line.AddAttrs(slog.String("request_id", request))
	}
	if sc.IsValid() {
		line.AddAttrs(slog.String("trace_id", sc.TraceID().String()), slog.String("span_id", sc.SpanID().String()))
	}
	return h.Handler.Handle(ctx, line)
}

// WithAttrs implements slog.Handler.
func (h logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return logHandler{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h logHandler) WithGroup(name string) slog.Handler {
	return logHandler{h.Handler.WithGroup(name)}
}
