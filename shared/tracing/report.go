package tracing

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// quiet is how long nothing is said of failures after one was logged.
const quiet = time.Minute

// report logs failures at most once in quiet, with how many there were.
type report struct {
	logger *slog.Logger
	now    func() time.Time

	mu     sync.Mutex
	said   time.Time // when a failure was logged
	failed int       // since then
	down   bool      // a failure was logged, and no success since
}

// failure counts one failure and logs it, if it is time.
func (r *report) failure(ctx context.Context, err error, args ...any) {
	r.mu.Lock()
	r.failed++
	now, failed := r.now(), r.failed
	due := r.said.IsZero() || now.Sub(r.said) >= quiet
	if due {
		r.said, r.failed, r.down = now, 0, true
	}
	r.mu.Unlock()
	if due {
		r.logger.WarnContext(ctx, "traces are lost", append(args, "failures", failed, "error", err)...)
	}
}

// success says that it works again, if it was said that it did not.
func (r *report) success(ctx context.Context) {
	r.mu.Lock()
	back := r.down
	r.down = false
	r.mu.Unlock()
	if back {
		r.logger.InfoContext(ctx, "traces are exported again")
	}
}

// reporting is an exporter whose failures go to a log and not to the SDK, which would
// hand each of them to a handler that is global to the process.
type reporting struct {
	sdktrace.SpanExporter
	report *report
}

func newReporting(e sdktrace.SpanExporter, logger *slog.Logger) *reporting {
	return &reporting{e, &report{logger: logger, now: time.Now}}
}

// ExportSpans implements sdktrace.SpanExporter.
func (e *reporting) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	if err := e.SpanExporter.ExportSpans(ctx, spans); err != nil {
		e.report.failure(ctx, err, "spans", len(spans))
		return nil // it is reported
	}
	e.report.success(ctx)
	return nil
}

// LibraryLog makes logger the one that OpenTelemetry itself logs to, in the whole
// process: for main functions only.
func LibraryLog(ctx context.Context, logger *slog.Logger) {
	otel.SetLogger(logr.FromSlogHandler(logger.Handler()))
	r := &report{logger: logger, now: time.Now}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { r.failure(ctx, err) }))
}
