package reference

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/atlhyper/observe/loadtest/telemetry"
	"github.com/atlhyper/observe/shared/model"
)

// spansIn lists the spans that start in [start, end).
func (d *Data) spansIn(start, end time.Time) []*telemetry.Span {
	var out []*telemetry.Span
	for i := range d.spans {
		if s := &d.spans[i]; !s.Timestamp.Before(start) && s.Timestamp.Before(end) {
			out = append(out, s)
		}
	}
	return out
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func failed(s *telemetry.Span) bool { return status(s) == "Error" }

// Calls is what a group of spans comes to.
type Calls struct {
	Namespace, Environment string // of the service, where it says so
	Count, Errors          int64
	AvgMs                  float64
	DurationsMs            []float64 // ascending
}

func callsOf(spans []*telemetry.Span) Calls {
	var c Calls
	sum := 0.0
	for _, s := range spans {
		c.Count++
		if failed(s) {
			c.Errors++
		}
		sum += ms(s.Duration)
		c.DurationsMs = append(c.DurationsMs, ms(s.Duration))
	}
	if c.Count > 0 {
		c.AvgMs = sum / float64(c.Count)
	}
	slices.Sort(c.DurationsMs)
	return c
}

// ServiceCalls groups the spans of [start, end) by service. As a service's rate
// of failure is that of what it was asked to do, the Server and Consumer spans
// count where a service has any, else all.
func (d *Data) ServiceCalls(start, end time.Time) map[string]Calls {
	all, served := map[string][]*telemetry.Span{}, map[string][]*telemetry.Span{}
	for _, s := range d.spansIn(start, end) {
		all[s.ServiceName] = append(all[s.ServiceName], s)
		if kind(s) == "Server" || kind(s) == "Consumer" {
			served[s.ServiceName] = append(served[s.ServiceName], s)
		}
	}
	maps.Copy(all, served)
	out := map[string]Calls{}
	for name, spans := range all {
		c := callsOf(spans)
		c.Namespace = spans[0].Resource["service.namespace"]
		c.Environment = oneOf(spans[0].Resource, "deployment.environment.name", "deployment.environment")
		out[name] = c
	}
	return out
}

// Edge is a pair of services, caller first.
type Edge struct{ Source, Target string }

// ServiceEdges finds, for each span of [start, end), the span it is a child of;
// where their services differ, that is a call from one to the other. A parent
// may have started before the range.
func (d *Data) ServiceEdges(start, end time.Time) map[Edge]Calls {
	parents := map[[2]string]*telemetry.Span{}
	for i := range d.spans {
		parents[[2]string{d.spans[i].TraceID, d.spans[i].SpanID}] = &d.spans[i]
	}
	children := map[Edge][]*telemetry.Span{}
	for _, s := range d.spansIn(start, end) {
		parent := parents[[2]string{s.TraceID, s.ParentSpanID}]
		if parent != nil && parent.ServiceName != s.ServiceName {
			e := Edge{Source: parent.ServiceName, Target: s.ServiceName}
			children[e] = append(children[e], s)
		}
	}
	out := map[Edge]Calls{}
	for e, spans := range children {
		out[e] = callsOf(spans)
	}
	return out
}

// DatabaseCalls groups the client spans of [start, end) that call a database and
// that no other service answers, by caller and database system.
func (d *Data) DatabaseCalls(start, end time.Time) map[Edge]Calls {
	answered := map[[2]string]bool{}
	for i := range d.spans {
		if k := kind(&d.spans[i]); k == "Server" || k == "Consumer" {
			answered[[2]string{d.spans[i].TraceID, d.spans[i].ParentSpanID}] = true
		}
	}
	calls := map[Edge][]*telemetry.Span{}
	for _, s := range d.spansIn(start, end) {
		if db := dbOf(s); db != nil && kind(s) == "Client" && !answered[[2]string{s.TraceID, s.SpanID}] {
			e := Edge{Source: s.ServiceName, Target: db.System}
			calls[e] = append(calls[e], s)
		}
	}
	out := map[Edge]Calls{}
	for e, spans := range calls {
		out[e] = callsOf(spans)
	}
	return out
}

// traces groups spans by trace.
func (d *Data) traces() map[string][]*telemetry.Span {
	out := map[string][]*telemetry.Span{}
	for i := range d.spans {
		out[d.spans[i].TraceID] = append(out[d.spans[i].TraceID], &d.spans[i])
	}
	return out
}

// Search is what a trace search asks for; see detail.Traces.
type Search struct {
	Start, End                   time.Time
	Service, Operation           string
	StatusCode, Method           string
	MinDurationMs, MaxDurationMs float64
	HasError                     *bool
	ByDuration                   bool
}

// matches says whether a span in the range passes the filters on spans.
func (q Search) matches(s *telemetry.Span) bool {
	return !s.Timestamp.Before(q.Start) && s.Timestamp.Before(q.End) &&
		(q.Service == "" || q.Service == s.ServiceName) &&
		(q.Operation == "" || q.Operation == s.Name) &&
		(q.StatusCode == "" || q.StatusCode == httpStatus(s)) &&
		(q.Method == "" || q.Method == method(s))
}

// Search finds the traces that have a matching span, as whole traces, in the
// order of the API: newest or longest first.
func (d *Data) Search(q Search) []model.TraceSummary {
	out := []model.TraceSummary{}
	for id, spans := range d.traces() {
		if !slices.ContainsFunc(spans, q.matches) {
			continue
		}
		t := summarise(id, spans)
		if (q.MinDurationMs > 0 && t.DurationMs < q.MinDurationMs) || (q.MaxDurationMs > 0 && t.DurationMs > q.MaxDurationMs) ||
			(q.HasError != nil && *q.HasError != t.HasError) {
			continue
		}
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b model.TraceSummary) int {
		if q.ByDuration {
			return cmp.Compare(b.DurationMs, a.DurationMs)
		}
		return later(a.Timestamp, b.Timestamp)
	})
	return out
}

// later orders by time, newest first. The text drops trailing zeros, so it does
// not sort as it stands.
func later(a, b model.Time) int {
	ta, errA := a.Parse()
	tb, errB := b.Parse()
	if errA != nil || errB != nil {
		panic("reference: a time of our own does not parse")
	}
	return tb.Compare(ta)
}

// summarise tells of a whole trace; spans are in the order of their start.
func summarise(id string, spans []*telemetry.Span) model.TraceSummary {
	first, root := spans[0], rootOf(spans)
	t := model.TraceSummary{
		TraceID: id, RootService: root.ServiceName, RootOperation: root.Name,
		DurationMs: ms(wholeDuration(spans)), SpanCount: int64(len(spans)),
		Timestamp: model.NewTime(first.Timestamp),
	}
	services := map[string]bool{}
	for _, s := range spans {
		services[s.ServiceName] = true
		if failed(s) && !t.HasError {
			t.HasError = true
			if e := spanError(s); e != nil {
				t.ErrorType, t.ErrorMessage = e.Type, e.Message
			}
		}
	}
	t.Services = slices.Sorted(maps.Keys(services))
	t.ServiceCount = int64(len(services))
	return t
}

// rootOf is the span without a parent, or the first of a trace that lost it.
func rootOf(spans []*telemetry.Span) *telemetry.Span {
	for _, s := range spans {
		if s.ParentSpanID == "" {
			return s
		}
	}
	return spans[0]
}

// wholeDuration is from the first start to the last end.
func wholeDuration(spans []*telemetry.Span) time.Duration {
	end := spans[0].Timestamp
	for _, s := range spans {
		if e := s.Timestamp.Add(s.Duration); e.After(end) {
			end = e
		}
	}
	return end.Sub(spans[0].Timestamp)
}
