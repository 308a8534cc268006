// Package audit writes who asked what, and who was refused: one JSON line each. What the
// lines say of a request is what a table of harmless parameters names, never what people
// search for and never a credential.
package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/atlhyper/observe/master/access"
	"github.com/atlhyper/observe/master/limit"
	"github.com/atlhyper/observe/redis/metric"
	"github.com/atlhyper/observe/shared/detail"
)

// Where lines can go beside a file.
const (
	ToStderr = "stderr"
	Off      = "off"
)

// Refusals cost who causes them nothing, and must not fill a disk: of each caller, or of
// each address where it is not known who calls, so many are written.
const (
	refusalsPerSecond = 10
	refusalsAtOnce    = 20
)

// Config is what a Log needs.
type Config struct {
	// To is where the lines go: stderr, off, or the path of a file, which is appended
	// to and made for its owner alone. "" means off.
	To string
	// Metrics gets how many lines were written, and how many could not be. nil means none.
	Metrics prometheus.Registerer
	// Now is the clock by which refusals are limited; nil means time.Now.
	Now func() time.Time
	// Logger is told when lines cannot be written, and when they can again. Required.
	Logger *slog.Logger
}

// Log writes entries. A nil one writes nothing. It is safe for concurrent use.
type Log struct {
	handler    slog.Handler
	file       io.Closer // nil: standard error stays open
	logger     *slog.Logger
	refusals   *limit.Buckets[party]
	forms      map[string]form
	written    atomic.Int64
	failed     atomic.Int64
	suppressed atomic.Int64
	failing    atomic.Bool
}

// party is who is refused: a caller by name, or an address.
type party struct {
	caller string
	from   netip.Addr
}

func (e *Entry) party() party {
	if e.Caller == "" || e.Auth == string(access.ModeNone) { // where all have one name
		return party{from: limit.Network(e.Remote)}
	}
	return party{caller: e.Caller}
}

// Entry is one request: one that ran on a cluster's agent, or one that was refused.
type Entry struct {
	Begun  time.Time
	Caller string // "" while it is not known who calls
	Role   string
	Auth   string // how callers are told apart: none, tokens, oidc
	// Cluster is what the request is about; "" when it is about none, or that was not
	// looked at.
	Cluster string
	Method  string // of HTTP
	Route   string // the pattern, not the path
	// Detail is what was asked of an agent; nil when it did not come to that.
	Detail    detail.Request
	Outcome   string // ok, or why not
	Refused   bool   // it did not come to what was asked: such lines are limited
	Status    int    // of HTTP; 0 when the caller hung up before the answer
	Bytes     int64  // of the answer's body
	Took      time.Duration
	RequestID string
	TraceID   string
	Remote    netip.Addr
}

// Open opens a log; nil when it is off. The error says which file cannot be written.
func Open(cfg Config) (*Log, error) {
	switch cfg.To {
	case "", Off:
		return nil, nil //nolint:nilnil // a nil Log is one that is off
	case ToStderr:
		return newLog(cfg, os.Stderr, nil)
	}
	file, err := os.OpenFile(cfg.To, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("audit log: %w", err)
	}
	l, err := newLog(cfg, file, file)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return l, nil
}

func newLog(cfg Config, to io.Writer, file io.Closer) (*Log, error) {
	// Its own handler: --log-level says nothing of these lines.
	l := &Log{handler: slog.NewJSONHandler(to, nil), file: file, logger: cfg.Logger, forms: forms()}
	var err error
	if l.refusals, err = limit.New[party](limit.Config{Rate: refusalsPerSecond, Burst: refusalsAtOnce, Now: cfg.Now}); err != nil {
		return nil, fmt.Errorf("audit log: %w", err)
	}
	err = metric.Register(cfg.Metrics, []metric.Row{
		{Name: "audit_lines_total", Help: "Lines written to the audit log.", Counter: &l.written},
		{Name: "audit_lines_suppressed_total", Help: "Lines about refusals that were left out: their caller, or address, was refused too often.", Counter: &l.suppressed},
		{Name: "audit_failures_total", Help: "Lines that could not be written to the audit log.", Counter: &l.failed},
	})
	if err != nil {
		return nil, fmt.Errorf("audit log: %w", err)
	}
	return l, nil
}

// Close ends the log.
func (l *Log) Close() error {
	if l == nil || l.file == nil {
		return nil
	}
	return l.file.Close()
}

// Write writes an entry as one line, unless its party is refused too often. What cannot
// be written is counted, and the first time logged: requests are answered all the same.
func (l *Log) Write(ctx context.Context, e *Entry) {
	if l == nil {
		return
	}
	if e.Refused && l.refusals.Take(e.party(), 1) > 0 {
		l.suppressed.Add(1)
		return
	}
	record := slog.NewRecord(e.Begun, slog.LevelInfo, "audit", 0)
	record.AddAttrs(e.attrs(l.forms)...)
	if err := l.handler.Handle(ctx, record); err != nil {
		l.failed.Add(1)
		if !l.failing.Swap(true) {
			l.logger.ErrorContext(ctx, "the audit log cannot be written", "error", err)
		}
		return
	}
	l.written.Add(1)
	if l.failing.Swap(false) {
		l.logger.InfoContext(ctx, "the audit log is written again", "lines_lost", l.failed.Load())
	}
}

// attrs are what the line says, in the order of the question who, what, and how it went.
func (e *Entry) attrs(known map[string]form) []slog.Attr {
	var attrs []slog.Attr
	text := func(key, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(key, strings.ToValidUTF8(value, "\uFFFD")))
		}
	}
	text("caller", e.Caller)
	text("role", e.Role)
	text("auth", e.Auth)
	if e.Remote.IsValid() {
		text("remote", e.Remote.String())
	}
	text("cluster", e.Cluster)
	text("method", e.Method)
	text("route", e.Route)
	if e.Detail != nil {
		text("kind", string(e.Detail.Kind()))
		shown, withheld := params(e.Detail, known)
		attrs = append(attrs, slog.Attr{Key: "params", Value: slog.GroupValue(shown...)})
		if len(withheld) > 0 {
			attrs = append(attrs, slog.Any("withheld", withheld))
		}
	}
	text("outcome", e.Outcome)
	attrs = append(attrs, slog.Int("status", e.Status), slog.Int64("bytes", e.Bytes),
		slog.Float64("took_ms", float64(e.Took.Microseconds())/1000))
	text("request_id", e.RequestID)
	text("trace_id", e.TraceID)
	return attrs
}
