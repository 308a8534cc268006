package detail

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/atlhyper/observe/agent/clickhouse"
	request "github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
)

// target is the share of its tables that the page of a node, a series or a trace
// may read.
const target = 0.05

// rawMetric is a counter that is asked for by its own name.
const rawMetric = "node_context_switches_total"

// query is one request of a user; run fails when its answer is wrong.
type query struct {
	name   string
	table  int64 // rows of the tables that it is about
	target float64
	run    func(context.Context, *clickhouse.Store) error
}

func (d *Data) queries() []query {
	out := []query{{"node", d.Samples, target, d.node}}
	for _, length := range []time.Duration{15 * time.Minute, 6 * time.Hour, 24 * time.Hour} {
		for _, metric := range []string{request.MetricCPU, request.MetricMemory, request.MetricDisk, request.MetricNetwork, rawMetric} {
			out = append(out, query{
				"series " + metric + " " + strings.TrimSuffix(length.String(), "0m0s"), d.Samples, target,
				func(ctx context.Context, s *clickhouse.Store) error { return d.series(ctx, s, metric, length) },
			})
		}
	}
	for _, t := range []struct {
		name string
		part float64
	}{{"the newest", 1}, {"one in the middle", 0.5}, {"the oldest", 0}} {
		out = append(out, query{"trace by id, " + t.name, d.Spans, target, func(ctx context.Context, s *clickhouse.Store) error {
			return d.traceByID(ctx, s, t.part)
		}})
	}
	out = append(out, query{"trace by id, unknown", d.Spans, target, unknownTrace})
	for _, sort := range []request.TraceSort{request.SortTime, request.SortDuration} {
		out = append(out, query{
			"traces of a service by " + string(sort) + ", 1h", d.Spans, 0,
			func(ctx context.Context, s *clickhouse.Store) error { return d.traces(ctx, s, sort) },
		})
	}
	return out
}

func (d *Data) node(ctx context.Context, s *clickhouse.Store) error {
	n, _, err := s.Node(ctx, request.Node{Name: nodeName(0)})
	if err != nil {
		return err
	}
	if n.NodeName != nodeName(0) || n.CPU.Cores != cores || !near(n.CPU.UsagePct, cpuUsage) || n.Memory.TotalBytes == 0 {
		return fmt.Errorf("got %s with %d cores at %g%% and %d bytes of memory, want %s with %d at %g%%",
			n.NodeName, n.CPU.Cores, n.CPU.UsagePct, n.Memory.TotalBytes, nodeName(0), cores, cpuUsage)
	}
	return nil
}

func (d *Data) series(ctx context.Context, s *clickhouse.Store, metric string, length time.Duration) error {
	from := d.Until.Add(-length)
	got, _, err := s.NodeSeries(ctx, request.NodeSeries{Name: nodeName(0), Metric: metric, Range: request.NewRange(from, d.Until)})
	if err != nil {
		return err
	}
	if err := d.covers(got.Points, from); err != nil {
		return err
	}
	switch value := middle(got.Points); metric {
	case request.MetricCPU:
		if !near(value, cpuUsage) {
			return fmt.Errorf("usage is %g%%, want %g%%", value, cpuUsage)
		}
	case request.MetricMemory:
		if value <= 0 || value >= 100 {
			return fmt.Errorf("usage is %g%%", value)
		}
	case rawMetric:
		if want := float64(counterSpeed * d.rawSeries(metric)); !near(value, want) {
			return fmt.Errorf("%g a second, want %g", value, want)
		}
	default: // every device reads and writes, or receives and sends, at the same speed
		if want := float64(counterSpeed * len(got.Series)); want == 0 || !near(value, want) {
			return fmt.Errorf("%g a second, want %g", value, want)
		}
	}
	return nil
}

// covers checks that points go from the start of the range, or of all time, to
// its end, but for two steps and what rates need and lies outside.
func (d *Data) covers(points []model.Point, from time.Time) error {
	if from.Before(d.Begin) {
		from = d.Begin
	}
	times := make([]time.Time, 0, len(points))
	for _, p := range points {
		at, err := p.Timestamp.Parse()
		if err != nil {
			return err
		}
		times = append(times, at)
	}
	if len(times) < 2 {
		return fmt.Errorf("%d points, want them from %s", len(times), from)
	}
	first, step, last := times[0], times[1].Sub(times[0]), times[len(times)-1]
	if length := d.Until.Sub(from); last.Sub(first) < length*8/10-2*step {
		return fmt.Errorf("points from %s to %s, want them over %s", first, last, length)
	}
	return nil
}

// middle is the median of the values.
func middle(points []model.Point) float64 {
	values := make([]float64, 0, len(points))
	for _, p := range points {
		values = append(values, p.Value)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

func near(got, want float64) bool { return math.Abs(got-want) <= 1e-6*want }

func (d *Data) traceByID(ctx context.Context, s *clickhouse.Store, part float64) error {
	id, spans := d.trace(part)
	got, _, err := s.Trace(ctx, request.Trace{TraceID: id})
	if err != nil {
		return err
	}
	if len(got.Spans) != spans || got.SpanCount != int64(spans) {
		return fmt.Errorf("%d spans, counted as %d, want %d", len(got.Spans), got.SpanCount, spans)
	}
	return nil
}

func unknownTrace(ctx context.Context, s *clickhouse.Store) error {
	_, _, err := s.Trace(ctx, request.Trace{TraceID: strings.Repeat("0f", 16)})
	if fault.From(err).Code != fault.NotFound {
		return fmt.Errorf("got %w, want %s", err, fault.NotFound)
	}
	return nil
}

func (d *Data) traces(ctx context.Context, s *clickhouse.Store, sort request.TraceSort) error {
	const limit = 20
	found, _, err := s.Traces(ctx, request.Traces{
		Range: request.NewRange(d.Until.Add(-time.Hour), d.Until), Service: d.seed.Spans[0].ServiceName + "-0", Sort: sort, Limit: limit,
	})
	if err != nil {
		return err
	}
	if len(found) == 0 || len(found) > limit {
		return fmt.Errorf("found %d traces, want some, at most %d", len(found), limit)
	}
	return nil
}
