package detail_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/model"
)

func hour() detail.Range {
	end := time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)
	return detail.NewRange(end.Add(-time.Hour), end)
}

func traces(change func(*detail.Traces)) detail.Traces {
	r := detail.Traces{Range: hour(), Sort: detail.SortTime, Limit: 50}
	change(&r)
	return r
}

func logs(change func(*detail.Logs)) detail.Logs {
	r := detail.Logs{Range: hour(), Limit: 50}
	change(&r)
	return r
}

func TestValidateTakesWhatIsRight(t *testing.T) {
	t.Parallel()
	yes := true
	for _, r := range []detail.Request{
		detail.Node{Name: "10.0.1.11"},
		detail.NodeSeries{Name: "n", Metric: detail.MetricCPU, Range: hour()},
		detail.NodeSeries{Name: "n", Metric: "node_load1", Range: hour(), StepSeconds: 15},
		traces(func(*detail.Traces) {}),
		traces(func(r *detail.Traces) {
			r.HasError, r.MinDurationMs, r.Limit, r.Offset = &yes, 1.5, 1000, 100
		}),
		detail.Trace{TraceID: strings.Repeat("0a", 16)},
		logs(func(*detail.Logs) {}),
		logs(func(r *detail.Logs) { r.Level, r.SpanID, r.Query = "ERROR", strings.Repeat("f", 16), "100% _done_" }),
		detail.SLOSeries{Service: "shop/cart", Range: hour(), IntervalSeconds: 60},
		detail.Section{Name: model.SectionSLOIngress, Range: hour()},
	} {
		if err := r.Validate(); err != nil {
			t.Errorf("%s %+v: %v", r.Kind(), r, err)
		}
	}
}

func TestValidateNamesTheParameter(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", detail.MaxText+1)
	for _, c := range []struct {
		request detail.Request
		name    string
	}{
		{detail.Node{}, "name"},
		{detail.Node{Name: long}, "name"},
		{detail.Node{Name: "\xff"}, "name"},
		{detail.NodeSeries{Name: "n", Range: hour()}, "metric"},
		{detail.NodeSeries{Name: "n", Metric: "cpu"}, "time range"},
		{detail.NodeSeries{Name: "n", Metric: "cpu", Range: hour(), StepSeconds: -1}, "step"},
		{detail.NodeSeries{Name: "n", Metric: "cpu", Range: detail.Range{Start: 0, End: 86_400_000}, StepSeconds: 1}, "step"},
		{traces(func(r *detail.Traces) { r.Range.End = r.Range.Start }), "time range"},
		{traces(func(r *detail.Traces) { r.Range.Start = -1 }), "time range"},
		{traces(func(r *detail.Traces) { r.Range.End = math.MaxInt64 }), "time range"},
		{traces(func(r *detail.Traces) { r.Range.Start = 0 }), "time range"},
		{traces(func(r *detail.Traces) { r.Limit = 0 }), "limit"},
		{traces(func(r *detail.Traces) { r.Limit = 1001 }), "limit"},
		{traces(func(r *detail.Traces) { r.Sort = "name" }), "sort"},
		{traces(func(r *detail.Traces) { r.MinDurationMs = math.NaN() }), "min_duration"},
		{traces(func(r *detail.Traces) { r.MaxDurationMs = -1 }), "max_duration"},
		{traces(func(r *detail.Traces) { r.Offset = -1 }), "offset"},
		{traces(func(r *detail.Traces) { r.Offset, r.Cursor = 1, "c" }), "offset"},
		{traces(func(r *detail.Traces) { r.Cursor = long }), "cursor"},
		{traces(func(r *detail.Traces) { r.Service = long }), "service"},
		{detail.Trace{}, "trace_id"},
		{detail.Trace{TraceID: strings.Repeat("G", 32)}, "trace_id"},
		{logs(func(r *detail.Logs) { r.Limit = 501 }), "limit"},
		{logs(func(r *detail.Logs) { r.Level = "LOUD" }), "level"},
		{logs(func(r *detail.Logs) { r.TraceID = "1" }), "trace_id"},
		{logs(func(r *detail.Logs) { r.SpanID = "1" }), "span_id"},
		{detail.SLOSeries{Range: hour()}, "service"},
		{detail.SLOSeries{Service: "s", Range: hour(), IntervalSeconds: 90_000}, "interval"},
		{detail.Section{Name: model.SectionMetricsNodes, Range: hour()}, "section"},
	} {
		err := c.request.Validate()
		if err == nil || !strings.HasPrefix(err.Error(), c.name+": ") {
			t.Errorf("%s %.80v: error %v, want one that names %s", c.request.Kind(), c.request, err, c.name)
		}
	}
}
