package reference

import (
	"maps"
	"slices"
	"time"

	"github.com/atlhyper/observe/loadtest/telemetry"
	"github.com/atlhyper/observe/shared/model"
)

// Steps are the ends of the steps of a range whose length they divide.
func Steps(start, end time.Time, step time.Duration) []time.Time {
	var out []time.Time
	for at := start.Add(step); !at.After(end); at = at.Add(step) {
		out = append(out, at)
	}
	return out
}

// NodeRates is a counter of a node over time, by series: rate(metric[step]) at
// the end of each step.
func (d *Data) NodeRates(name, metric string, start, end time.Time, step time.Duration) []model.LabeledPoints {
	return d.nodeSeries(name, metric, start, end, step, func(s *Series, at time.Time) (float64, bool) {
		return s.Rate(at, step)
	})
}

// NodeMeans is a gauge of a node over time, by series: avg_over_time(metric[step])
// at the end of each step.
func (d *Data) NodeMeans(name, metric string, start, end time.Time, step time.Duration) []model.LabeledPoints {
	return d.nodeSeries(name, metric, start, end, step, func(s *Series, at time.Time) (float64, bool) {
		samples := s.Range(at, step)
		sum := 0.0
		for _, sample := range samples {
			sum += sample.V
		}
		return sum / float64(len(samples)), len(samples) > 0
	})
}

func (d *Data) nodeSeries(name, metric string, start, end time.Time, step time.Duration, value func(*Series, time.Time) (float64, bool)) []model.LabeledPoints {
	out := []model.LabeledPoints{}
	for _, s := range (node{Data: d, name: name}).of(metric, nil) {
		line := model.LabeledPoints{Labels: map[string]string{}, Points: []model.Point{}}
		maps.Copy(line.Labels, s.Labels)
		for _, at := range Steps(start, end, step) {
			if v, ok := value(s, at); ok {
				line.Points = append(line.Points, model.Point{Timestamp: model.NewTime(at), Value: v})
			}
		}
		out = append(out, line)
	}
	return out
}

// Total adds the points of series at the same times.
func Total(series ...model.LabeledPoints) []model.Point {
	return combine(series, func(values []float64) float64 {
		sum := 0.0
		for _, v := range values {
			sum += v
		}
		return sum
	})
}

// Mean averages the points of series at the same times.
func Mean(series ...model.LabeledPoints) []model.Point {
	return combine(series, func(values []float64) float64 {
		sum := 0.0
		for _, v := range values {
			sum += v
		}
		return sum / float64(len(values))
	})
}

func combine(series []model.LabeledPoints, fold func([]float64) float64) []model.Point {
	values := map[model.Time][]float64{}
	for _, s := range series {
		for _, p := range s.Points {
			values[p.Timestamp] = append(values[p.Timestamp], p.Value)
		}
	}
	out := []model.Point{}
	for _, at := range slices.SortedFunc(maps.Keys(values), func(a, b model.Time) int { return -later(a, b) }) {
		out = append(out, model.Point{Timestamp: at, Value: fold(values[at])})
	}
	return out
}

// CPUPoints is a node's CPU usage over each step, percent of all cores.
func (d *Data) CPUPoints(name string, start, end time.Time, step time.Duration) []model.Point {
	out := []model.Point{}
	for _, at := range Steps(start, end, step) {
		cpu := node{Data: d, name: name, at: at, window: step}.cpu()
		out = append(out, model.Point{Timestamp: model.NewTime(at), Value: cpu.UsagePct})
	}
	return out
}

// IngressSeries is one service of the ingress over time.
func (d *Data) IngressSeries(key string, start, end time.Time, step time.Duration) model.SLOSeries {
	series := model.SLOSeries{Name: key, Points: []model.SLOPoint{}}
	for _, at := range Steps(start, end, step) {
		for _, in := range ingress() {
			t := d.traffic(in.proxy, at, step, func(a telemetry.Attributes) bool { return in.key(a) == key })
			if t.RPS > 0 {
				series.Points = append(series.Points, sloPoint(at, t))
			}
		}
	}
	return series
}

// MeshSeries is one service of the meshes over time.
func (d *Data) MeshSeries(namespace, name string, start, end time.Time, step time.Duration, meshes ...Mesh) model.SLOSeries {
	series := model.SLOSeries{Namespace: namespace, Name: name, Points: []model.SLOPoint{}}
	for _, at := range Steps(start, end, step) {
		t := newTraffic()
		for _, m := range meshes {
			d.addTraffic(t, m.Services, at, step, func(a telemetry.Attributes) bool {
				return m.callee(a) == workload{namespace, name}
			})
		}
		if t.RPS > 0 {
			series.Points = append(series.Points, sloPoint(at, t))
		}
	}
	return series
}

func sloPoint(at time.Time, t *Traffic) model.SLOPoint {
	return model.SLOPoint{
		Timestamp: model.NewTime(at), RPS: t.RPS, SuccessRate: t.successPct(), ErrorRate: 100 - t.successPct(),
		P50Ms: t.quantile(0.5), P99Ms: t.quantile(0.99),
	}
}
