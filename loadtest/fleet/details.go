package fleet

import (
	"fmt"
	"strings"
	"time"

	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/model"
)

func timeOf(w World, round int64) time.Time { return time.UnixMilli(round * w.Interval.Milliseconds()) }

// detailAt is the version of the nodes that details speak of: always the same, so
// that an answer depends on its request alone.
const detailAt = 1

// Answer is what the cluster answers to a detail request: it says again what was
// asked, and of whom.
func (w World) Answer(request detail.Request) any {
	switch r := request.(type) {
	case detail.Node:
		return w.node(r.Name, detailAt)
	case detail.NodeSeries:
		points := w.points(r.Name+r.Metric, r.Range)
		return model.NodeSeries{Metric: r.Metric, Unit: "percent", Points: points, Series: []model.LabeledPoints{{
			Labels: map[string]string{"cluster": w.Cluster, "node": r.Name}, Points: points,
		}}}
	case detail.Traces:
		return w.traces(r)
	case detail.Trace:
		return w.trace(r.TraceID)
	case detail.Logs:
		return w.logs(r)
	case detail.SLOSeries:
		series := model.SLOSeries{Namespace: w.Cluster, Name: r.Service}
		for _, p := range w.points(r.Service, r.Range) {
			series.Points = append(series.Points, model.SLOPoint{Timestamp: p.Timestamp, RPS: p.Value, SuccessRate: 100, P50Ms: 12, P99Ms: 80})
		}
		return series
	case detail.Section:
		value, err := w.Value(r.Name, w.Version(r.Name, w.Round(r.Range.EndTime())))
		if err != nil {
			return nil // Validate lets only sections of the table through
		}
		return value
	}
	return nil
}

// Detail makes the nth detail request, which is like no other: for a trace, a node or
// logs.
func (w World) Detail(n int64) detail.Request {
	switch n % 3 {
	case 0:
		return detail.Trace{TraceID: fmt.Sprintf("%032x", n)}
	case 1:
		return detail.Node{Name: fmt.Sprintf("node-%d", n)}
	default:
		return detail.Logs{Query: fmt.Sprintf("nonce-%d", n), Limit: 500, Range: detail.Range{Start: 1_700_000_000_000, End: 1_700_000_600_000}}
	}
}

// CheckAnswer tells whether data is the JSON of the answer to a request.
func (w World) CheckAnswer(request detail.Request, data []byte) error {
	return same("the answer to "+string(request.Kind()), w.Answer(request), data)
}

func (w World) points(what string, r detail.Range) []model.Point {
	points := make([]model.Point, w.Items)
	step := r.Duration() / time.Duration(w.Items)
	for i := range points {
		points[i] = model.Point{Timestamp: model.NewTime(r.StartTime().Add(step * time.Duration(i+1))), Value: w.between(0, 100, what, int64(i))}
	}
	return points
}

func (w World) traces(r detail.Traces) []model.TraceSummary {
	n := min(int(r.Limit), w.Items)
	rows := make([]model.TraceSummary, n)
	for i := range rows {
		rows[i] = model.TraceSummary{
			TraceID: fmt.Sprintf("%016x%016x", w.hash("trace", int64(i)), i), RootService: r.Service, RootOperation: r.Operation,
			Services: []string{w.Cluster}, DurationMs: w.between(1, 900, "trace", int64(i)), SpanCount: int64(w.Items), ServiceCount: 1,
			Timestamp: model.NewTime(r.Range.EndTime().Add(-time.Duration(i+1) * time.Millisecond)),
		}
	}
	return rows
}

func (w World) trace(id string) model.Trace {
	at := timeOf(w, detailAt)
	t := model.Trace{TraceID: id, DurationMs: float64(w.Items), ServiceCount: 1, SpanCount: int64(w.Items)}
	parent := ""
	for i := range w.Items {
		span := fmt.Sprintf("%016x", w.hash(id, int64(i)))
		t.Spans = append(t.Spans, model.Span{
			Timestamp: model.NewTime(at.Add(time.Duration(i) * time.Millisecond)), TraceID: id, SpanID: span, ParentSpanID: parent,
			SpanName: "GET /items", SpanKind: "SPAN_KIND_SERVER", ServiceName: w.serviceName(i % w.Services), Duration: 1e6, DurationMs: 1,
			StatusCode: "STATUS_CODE_OK", Resource: model.SpanResource{ClusterName: w.Cluster, NodeName: w.nodeName(i % w.Nodes)},
		})
		parent = span
	}
	return t
}

func (w World) logs(r detail.Logs) model.LogPage {
	page := model.LogPage{Total: int64(w.Items)}
	for i := range min(w.Items, int(r.Limit)) {
		page.Logs = append(page.Logs, model.LogRecord{
			Timestamp: model.NewTime(r.Range.EndTime().Add(-time.Duration(i+1) * time.Millisecond)), Severity: "INFO", SeverityNum: 9,
			ServiceName: w.serviceName(i % w.Services), Body: fmt.Sprintf("%s: line %d with %s", w.Cluster, i, strings.TrimSpace(r.Query)),
			Resource: map[string]string{"k8s.cluster.name": w.Cluster},
		})
	}
	return page
}
