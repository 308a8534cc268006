package detail

import (
	"context"
	"log/slog"
	"sync"
)

// reads adds up what the Store logs of its statements. It is safe for concurrent
// use.
type reads struct {
	mu                      sync.Mutex
	statements, rows, bytes int64
}

// take returns what was added since last time.
func (r *reads) take() Cost {
	r.mu.Lock()
	defer r.mu.Unlock()
	cost := Cost{Statements: r.statements, Rows: r.rows, Bytes: r.bytes}
	r.statements, r.rows, r.bytes = 0, 0, 0
	return cost
}

// Enabled implements slog.Handler.
func (r *reads) Enabled(context.Context, slog.Level) bool { return true }

// WithAttrs implements slog.Handler.
func (r *reads) WithAttrs([]slog.Attr) slog.Handler { return r }

// WithGroup implements slog.Handler.
func (r *reads) WithGroup(string) slog.Handler { return r }

// Handle implements slog.Handler.
func (r *reads) Handle(_ context.Context, record slog.Record) error {
	if record.Message != "statement" {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.statements++
	record.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "rows_read":
			r.rows += a.Value.Int64()
		case "bytes_read":
			r.bytes += a.Value.Int64()
		}
		return true
	})
	return nil
}
