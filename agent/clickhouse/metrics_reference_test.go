package clickhouse

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/atlhyper/observe/loadtest/telemetry"
)

// What PromQL would say about rows, computed from the rows themselves: nothing
// here is shared with the code under test.

// promSeries is a series as Prometheus has it: histograms are many of them.
type promSeries struct {
	name     string
	resource map[string]string
	labels   map[string]string
	samples  []sample
}

type promIndex map[string]*promSeries

func (x promIndex) add(name string, p *telemetry.Point, labels map[string]string, value float64) {
	if p.Stale() {
		return
	}
	// fmt prints maps by their keys.
	key := fmt.Sprint(name, p.Resource, labels)
	if x[key] == nil {
		x[key] = &promSeries{name: name, resource: p.Resource, labels: labels}
	}
	s := x[key]
	at := sample{p.Time.UnixMilli(), value}
	if !slices.Contains(s.samples, at) { // a row written twice
		s.samples = append(s.samples, at)
	}
}

// promOf turns rows into Prometheus series.
func promOf(rows telemetry.Rows) promIndex {
	x := make(promIndex)
	for i := range rows.Sums {
		p := &rows.Sums[i]
		x.add(p.MetricName, &p.Point, p.Attributes, p.Value)
	}
	for i := range rows.Gauges {
		p := &rows.Gauges[i]
		x.add(p.MetricName, &p.Point, p.Attributes, p.Value)
	}
	for i := range rows.Histograms {
		p := &rows.Histograms[i]
		x.add(p.MetricName+"_count", &p.Point, p.Attributes, float64(p.Count))
		x.add(p.MetricName+"_sum", &p.Point, p.Attributes, p.Sum)
		below := uint64(0)
		for b, n := range p.BucketCounts {
			below += n
			le := "+Inf"
			if b < len(p.Bounds) {
				le = strconv.FormatFloat(p.Bounds[b], 'g', -1, 64)
			}
			x.add(p.MetricName+"_bucket", &p.Point, pairs(p.Attributes).with("le", le), float64(below))
		}
	}
	return x
}

// increase is sum(increase(name{...}[w])) over the series that match.
func (x promIndex) increase(w window, name string, match func(labels map[string]string) bool) float64 {
	total := 0.0
	for _, s := range x {
		if s.name != name || !match(s.labels) {
			continue
		}
		if v, ok := referenceIncrease(s.samples, w.fromMs, w.toMs); ok {
			total += v
		}
	}
	return total
}

// quantile is histogram_quantile(q, sum by (le) (increase(name_bucket{...}[w]))).
func (x promIndex) quantile(q float64, w window, name string, match func(labels map[string]string) bool) float64 {
	byLE := make(map[float64]float64)
	for _, s := range x {
		if s.name != name+"_bucket" || !match(s.labels) {
			continue
		}
		le, err := strconv.ParseFloat(s.labels["le"], 64)
		if err != nil {
			panic(err)
		}
		if v, ok := referenceIncrease(s.samples, w.fromMs, w.toMs); ok {
			byLE[le] += v
		}
	}
	var les, perBucket []float64
	below := 0.0
	for _, le := range slices.Sorted(maps.Keys(byLE)) {
		if !math.IsInf(le, 1) {
			les = append(les, le)
		}
		n := max(byLE[le], below)
		perBucket = append(perBucket, n-below)
		below = n
	}
	return referenceQuantile(q, les, perBucket)
}

// where matches labels by name and value.
func where(pairs ...string) func(map[string]string) bool {
	return func(labels map[string]string) bool {
		for i := 0; i < len(pairs); i += 2 {
			if labels[pairs[i]] != pairs[i+1] {
				return false
			}
		}
		return true
	}
}

func and(all ...func(map[string]string) bool) func(map[string]string) bool {
	return func(labels map[string]string) bool {
		return !slices.ContainsFunc(all, func(f func(map[string]string) bool) bool { return !f(labels) })
	}
}

// prefix matches a label whose value begins with the text.
func prefix(name, text string) func(map[string]string) bool {
	return func(labels map[string]string) bool {
		return len(labels[name]) >= len(text) && labels[name][:len(text)] == text
	}
}

// checkNear fails unless got is want to nine digits.
func checkNear(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.IsNaN(want) || !near(got, want) {
		t.Errorf("%s = %v, want %v", what, got, want)
	}
}

func checkEqual(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got, almost()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// Builders of rows.

type pairs map[string]string

// with is a copy with one more pair.
func (p pairs) with(name, value string) pairs {
	c := maps.Clone(p)
	c[name] = value
	return c
}

// point is the common part of a row, at that time relative to testNow.
func point(metric string, resource, labels pairs, at time.Duration) telemetry.Point {
	return telemetry.Point{
		Resource: telemetry.Attributes(resource), ServiceName: resource["service.name"], MetricName: metric, Attributes: telemetry.Attributes(labels),
		StartTime: time.Unix(0, 0).UTC(), Time: testNow.Add(at),
	}
}

// counter makes rows of a cumulative counter, one for each value, so far apart,
// the last one at end relative to testNow.
func counter(metric string, resource, labels pairs, end, apart time.Duration, values ...float64) []telemetry.SumPoint {
	var out []telemetry.SumPoint
	for i, v := range values {
		at := end - time.Duration(len(values)-1-i)*apart
		out = append(out, telemetry.SumPoint{
			Point: point(metric, resource, labels, at), Value: v,
			Temporality: telemetry.TemporalityCumulative, Monotonic: true,
		})
	}
	return out
}

// gauge is counter for the gauge table.
func gauge(metric string, resource, labels pairs, end, apart time.Duration, values ...float64) []telemetry.GaugePoint {
	var out []telemetry.GaugePoint
	for _, p := range counter(metric, resource, labels, end, apart, values...) {
		out = append(out, telemetry.GaugePoint{Point: p.Point, Value: p.Value})
	}
	return out
}

// histogram is counter for histograms: observed gives the observations per
// bucket that each scrape has seen since the process began.
func histogram(metric string, resource, labels pairs, bounds []float64, end, apart time.Duration, sums []float64, observed ...[]uint64) []telemetry.HistogramPoint {
	var out []telemetry.HistogramPoint
	for i, p := range counter(metric, resource, labels, end, apart, sums...) {
		h := telemetry.HistogramPoint{
			Point: p.Point, Sum: p.Value, BucketCounts: observed[i], Bounds: bounds,
			Temporality: telemetry.TemporalityCumulative,
		}
		for _, n := range observed[i] {
			h.Count += n
		}
		out = append(out, h)
	}
	return out
}

// stale is the row that marks an absent series.
func stale(p telemetry.SumPoint) telemetry.SumPoint {
	p.Flags, p.Value = telemetry.FlagNoRecordedValue, 0
	return p
}

// metricsStore is testStore that can also run statements in the database.
func metricsStore(t *testing.T, rows telemetry.Rows) (s *Store, exec func(sql string)) {
	t.Helper()
	s, exec = emptyStore(t)
	if err := telemetry.CreateTables(t.Context(), s.conn, ""); err != nil {
		t.Fatal(err)
	}
	if err := rows.Insert(t.Context(), s.conn, ""); err != nil {
		t.Fatal(err)
	}
	return s, exec
}
