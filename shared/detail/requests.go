package detail

import (
	"errors"
	"fmt"
	"math"

	"github.com/atlhyper/observe/shared/model"
)

// Node asks for one node: model.NodeMetrics.
type Node struct {
	Name string `json:"name"`
}

// NodeSeries asks for one metric of one node over time: model.NodeSeries.
type NodeSeries struct {
	Name string `json:"name"`
	// Metric is a raw metric name or one of the aliases of this package (MetricCPU …).
	Metric string `json:"metric"`
	Range  Range  `json:"range"`
	// StepSeconds is the distance of the points; 0 lets the agent choose.
	StepSeconds int64 `json:"stepSeconds,omitempty"`
}

// TraceSort is the order of a trace search.
type TraceSort string

// The orders of a trace search, newest or longest first.
const (
	SortTime     TraceSort = "time"
	SortDuration TraceSort = "duration"
)

// Traces searches traces: []model.TraceSummary. The filters choose traces that
// have a matching span; the answer is about whole traces.
type Traces struct {
	Range     Range  `json:"range"`
	Service   string `json:"service,omitempty"`
	Operation string `json:"operation,omitempty"`
	// MinDurationMs and MaxDurationMs bound the whole trace; 0 means no bound.
	MinDurationMs float64   `json:"minDurationMs,omitempty"`
	MaxDurationMs float64   `json:"maxDurationMs,omitempty"`
	StatusCode    string    `json:"statusCode,omitempty"` // HTTP status code of a span, e.g. "500"
	Method        string    `json:"method,omitempty"`     // HTTP method of a span
	HasError      *bool     `json:"hasError,omitempty"`
	Sort          TraceSort `json:"sort"`
	Limit         int64     `json:"limit"`
	Offset        int64     `json:"offset,omitempty"`
	Cursor        string    `json:"cursor,omitempty"` // from Meta.NextCursor; excludes Offset
}

// Trace asks for one trace by its id: model.Trace.
type Trace struct {
	TraceID string `json:"traceId"` // 32 lower-case hex digits
}

// Logs queries logs: model.LogPage, newest first.
type Logs struct {
	Range   Range  `json:"range"`
	Query   string `json:"query,omitempty"` // substring of the body, any case; % and _ are literal
	Service string `json:"service,omitempty"`
	Level   string `json:"level,omitempty"` // TRACE, DEBUG, INFO, WARN, ERROR or FATAL, any case
	Scope   string `json:"scope,omitempty"`
	TraceID string `json:"traceId,omitempty"`
	SpanID  string `json:"spanId,omitempty"`
	Limit   int64  `json:"limit"`
	Offset  int64  `json:"offset,omitempty"`
	Cursor  string `json:"cursor,omitempty"` // from Meta.NextCursor; excludes Offset
}

// SLOSeries asks for one service over time: model.SLOSeries.
type SLOSeries struct {
	// Service is a name, namespace/name or an ingress service key.
	Service string `json:"service"`
	Range   Range  `json:"range"`
	// IntervalSeconds is the distance of the points; 0 lets the agent choose.
	IntervalSeconds int64 `json:"intervalSeconds,omitempty"`
}

// Section asks for a dashboard section over another time range than the
// snapshot's own: the type of that section.
type Section struct {
	Name  model.Section `json:"name"`
	Range Range         `json:"range"`
}

// Kind implements Request.
func (Node) Kind() Kind { return KindNode }

// Kind implements Request.
func (NodeSeries) Kind() Kind { return KindNodeSeries }

// Kind implements Request.
func (Traces) Kind() Kind { return KindTraces }

// Kind implements Request.
func (Trace) Kind() Kind { return KindTrace }

// Kind implements Request.
func (Logs) Kind() Kind { return KindLogs }

// Kind implements Request.
func (SLOSeries) Kind() Kind { return KindSLOSeries }

// Kind implements Request.
func (Section) Kind() Kind { return KindSection }

// Validate implements Request.
func (r Node) Validate() error { return text("name", r.Name, true) }

// Validate implements Request.
func (r NodeSeries) Validate() error {
	return first(
		text("name", r.Name, true),
		text("metric", r.Metric, true),
		r.Range.validate(),
		steps("step", r.StepSeconds, r.Range),
	)
}

// Validate implements Request.
func (r Traces) Validate() error {
	return first(
		r.Range.validate(),
		text("service", r.Service, false),
		text("operation", r.Operation, false),
		text("method", r.Method, false),
		text("status_code", r.StatusCode, false),
		duration("min_duration", r.MinDurationMs),
		duration("max_duration", r.MaxDurationMs),
		oneOf("sort", r.Sort, SortTime, SortDuration),
		between("limit", r.Limit, 1, 1000),
		page(r.Offset, r.Cursor),
	)
}

// Validate implements Request.
func (r Trace) Validate() error { return hexID("trace_id", r.TraceID, 32) }

// Validate implements Request.
func (r Logs) Validate() error {
	errs := []error{
		r.Range.validate(),
		text("query", r.Query, false),
		text("service", r.Service, false),
		text("scope", r.Scope, false),
		oneOf("level", r.Level, "", "TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"),
		between("limit", r.Limit, 1, 500),
		page(r.Offset, r.Cursor),
	}
	if r.TraceID != "" {
		errs = append(errs, hexID("trace_id", r.TraceID, 32))
	}
	if r.SpanID != "" {
		errs = append(errs, hexID("span_id", r.SpanID, 16))
	}
	return first(errs...)
}

// Validate implements Request.
func (r SLOSeries) Validate() error {
	return first(
		text("service", r.Service, true),
		r.Range.validate(),
		steps("interval", r.IntervalSeconds, r.Range),
	)
}

// Validate implements Request.
func (r Section) Validate() error {
	return first(
		oneOf("section", r.Name,
			model.SectionTracesServices, model.SectionTracesTopology, model.SectionSLOSummary,
			model.SectionSLOIngress, model.SectionSLOServices, model.SectionSLOEdges),
		r.Range.validate(),
	)
}

// steps bounds the number of points.
func steps(name string, seconds int64, r Range) error {
	if seconds == 0 {
		return nil
	}
	if err := between(name, seconds, 1, 86_400); err != nil {
		return err
	}
	if points := (r.End - r.Start) / 1000 / seconds; points > MaxPoints {
		return fmt.Errorf("%s: %d points are more than %d; use a longer %s or a shorter range", name, points, MaxPoints, name)
	}
	return nil
}

func duration(name string, ms float64) error {
	if math.IsNaN(ms) || ms < 0 || ms > 86_400_000 {
		return fmt.Errorf("%s: %v is not between 0 and 86400000 ms", name, ms)
	}
	return nil
}

func page(offset int64, cursor string) error {
	if cursor != "" && offset != 0 {
		return errors.New("offset: cannot be given together with cursor")
	}
	if len(cursor) > MaxCursor {
		return fmt.Errorf("cursor: %d bytes are more than %d", len(cursor), MaxCursor)
	}
	return between("offset", offset, 0, MaxOffset)
}

func oneOf[T ~string](name string, value T, allowed ...T) error {
	for _, a := range allowed {
		if value == a {
			return nil
		}
	}
	return fmt.Errorf("%s: %.40q is not one of %q", name, string(value), allowed)
}

// hexID checks a trace or span id as the exporter writes them: lower-case hex.
func hexID(name, value string, digits int) error {
	if len(value) != digits {
		return fmt.Errorf("%s: must be %d hex digits", name, digits)
	}
	for _, c := range []byte(value) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return fmt.Errorf("%s: must be %d lower-case hex digits", name, digits)
		}
	}
	return nil
}
