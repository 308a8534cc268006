package clickhouse

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/atlhyper/observe/loadtest/telemetry"
	"github.com/atlhyper/observe/shared/fault"
)

const (
	sec   = time.Second
	min15 = 15 * time.Second
)

func fiveMinutes() window { return windowBefore(testNow, 5*time.Minute) }

// increases reads a metric and adds up the increases of its series by a label.
func increases(t *testing.T, s *Store, statement, metric, by string, w window) map[string]float64 {
	t.Helper()
	rows, err := s.readSeries(t.Context(), statement, seriesQuery{metrics: []string{metric}, window: w})
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string]float64)
	for _, inc := range increments(rows, w) {
		out[inc.attributes[by]] += inc.vector[0]
	}
	return out
}

func TestCountersAreReducedAsPromQLDoes(t *testing.T) {
	t.Parallel()
	a, b := pairs{"service.name": "x", "service.instance.id": "a"}, pairs{"service.name": "x", "service.instance.id": "b"}
	var rows telemetry.Rows
	add := func(points []telemetry.SumPoint) { rows.Sums = append(rows.Sums, points...) }
	label := func(name string) pairs { return pairs{"case": name} }
	add(counter("c", a, label("plain"), -5*sec, min15, 100, 110, 120, 130, 140))
	add(counter("c", a, label("reset"), -5*sec, min15, 100, 120, 5, 15, 3, 4))
	add(counter("c", a, label("one sample"), -5*sec, min15, 100))
	add(counter("c", a, label("zero point"), -5*sec, min15, 1, 50, 100, 150))
	add(counter("c", a, label("outside"), -301*sec, min15, 1, 50, 100))
	add(counter("c", a, label("on the edges"), 0, 60*sec, 10, 20, 30, 40, 50, 60))
	add(counter("c", a, label("two replicas"), -5*sec, min15, 1000, 1010, 1020))
	add(counter("c", b, label("two replicas"), -7*sec, min15, 50, 40, 60))
	twice := counter("c", a, label("written twice"), -5*sec, min15, 7, 8, 30)
	add(append(twice, twice[0], twice[1], twice[1]))
	gone := counter("c", a, label("stale"), -5*sec, min15, 100, 110, 0, 120, 130)
	gone[2] = stale(gone[2])
	add(gone)
	s, exec := metricsStore(t, rows)
	// Collectors before v0.116 wrote the keys of a map in random order.
	for i, m := range []string{"map('case','order','b','2')", "map('b','2','case','order')", "map('case','order','b','2')"} {
		exec("INSERT INTO otel_metrics_sum (MetricName, ResourceAttributes, Attributes, TimeUnix, Value, AggregationTemporality, IsMonotonic) VALUES " +
			"('c', map('service.name','x'), " + m + ", " + unixText(testNow.Add(time.Duration(i-3)*min15)) + ", " + []string{"10", "20", "30"}[i] + ", 2, true)")
	}
	rows.Sums = append(rows.Sums, counter("c", pairs{"service.name": "x"}, pairs{"case": "order", "b": "2"}, -15*sec, min15, 10, 20, 30)...)

	w, prom := fiveMinutes(), promOf(rows)
	got := increases(t, s, sumSeries, "c", "case", w)
	for _, name := range []string{"plain", "reset", "zero point", "on the edges", "two replicas", "written twice", "stale", "order"} {
		want := prom.increase(w, "c", where("case", name))
		if want == 0 {
			t.Errorf("%s: the reference says nothing", name)
		}
		checkNear(t, name, got[name], want)
		delete(got, name)
	}
	if len(got) > 0 {
		t.Errorf("series that PromQL has no value for: %v", got)
	}
}

func unixText(t time.Time) string {
	return "toDateTime('" + t.UTC().Format(time.DateTime) + "', 'UTC')"
}

func TestDeltaCountersAreSummed(t *testing.T) {
	t.Parallel()
	points := counter("c", pairs{"service.name": "x"}, pairs{"case": "delta"}, -5*sec, min15, 3, 4, 1, 9)
	for i := range points {
		points[i].Temporality = telemetry.TemporalityDelta
	}
	s, _ := testStore(t, telemetry.Rows{Sums: append(points, points[3])})
	checkEqual(t, "sum", increases(t, s, sumSeries, "c", "case", fiveMinutes()), map[string]float64{"delta": 17})
}

// Two processes without an instance id may export in the same second: both
// increments count, and one that was delivered twice counts once.
func TestIncrementsOfOneTimeAllCount(t *testing.T) {
	t.Parallel()
	x, at := pairs{"service.name": "x"}, -5*sec
	sums := slices.Concat(counter("c", x, pairs{"case": "delta"}, at, min15, 3), counter("c", x, pairs{"case": "delta"}, at, min15, 7),
		counter("c", x, pairs{"case": "delta"}, at, min15, 7))
	histograms := slices.Concat(histogram("h", x, pairs{}, []float64{1}, at, min15, []float64{2}, []uint64{1, 2}),
		histogram("h", x, pairs{}, []float64{1}, at, min15, []float64{5}, []uint64{4, 0}),
		histogram("h", x, pairs{}, []float64{1}, at, min15, []float64{2}, []uint64{1, 2}))
	for i := range sums {
		sums[i].Temporality = telemetry.TemporalityDelta
	}
	for i := range histograms {
		histograms[i].Temporality = telemetry.TemporalityDelta
	}
	s, _ := testStore(t, telemetry.Rows{Sums: sums, Histograms: histograms})
	checkEqual(t, "sum", increases(t, s, sumSeries, "c", "case", fiveMinutes()), map[string]float64{"delta": 10})
	checkEqual(t, "count", increases(t, s, histogramSeries, "h", "case", fiveMinutes()), map[string]float64{"": 7})
}

func TestHistogramsAreReducedBucketByBucket(t *testing.T) {
	t.Parallel()
	x, y := pairs{"service.name": "x"}, pairs{"service.name": "y"}
	bounds := []float64{1, 2.5, 10}
	rows := telemetry.Rows{Histograms: slices.Concat(
		// The first bucket began at zero a moment before, the last has a reset.
		histogram("h", x, pairs{}, bounds, -5*sec, min15, []float64{5, 50, 70, 8, 30},
			[]uint64{0, 3, 7, 0}, []uint64{1, 6, 20, 2}, []uint64{1, 9, 24, 4}, []uint64{0, 1, 2, 0}, []uint64{0, 3, 9, 1}),
		histogram("h", y, pairs{}, bounds, -9*sec, min15, []float64{1, 2, 3},
			[]uint64{1, 0, 0, 0}, []uint64{2, 0, 0, 0}, []uint64{3, 0, 0, 5}),
	)}
	s, _ := testStore(t, rows)
	w := fiveMinutes()
	read, err := s.readSeries(t.Context(), histogramSeries, seriesQuery{metrics: []string{"h"}, window: w})
	if err != nil {
		t.Fatal(err)
	}
	var l latency
	for _, inc := range increments(read, w) {
		l.add(inc.bounds, inc.vector, 1)
	}
	prom, all := promOf(rows), where()
	checkNear(t, "count", l.count, prom.increase(w, "h_count", all))
	checkNear(t, "sum", l.sumMs, prom.increase(w, "h_sum", all))
	for _, q := range []float64{0.5, 0.9, 0.95, 0.99} {
		got, ok := quantile(q, l.buckets())
		if !ok {
			t.Fatal("no quantile")
		}
		checkNear(t, "quantile", got, prom.quantile(q, w, "h", all))
	}
}

// A process that restarts with other bounds goes on counting in what PromQL has
// as the same series: count, sum, and the buckets that both have.
func TestHistogramsWhoseBoundsChangeGoOn(t *testing.T) {
	t.Parallel()
	x := pairs{"service.name": "x"}
	old, young := []float64{1, 2, 5}, []float64{2, 3}
	rows := telemetry.Rows{Histograms: slices.Concat(
		histogram("h", x, pairs{}, old, -50*sec, min15, []float64{500, 510}, []uint64{20, 30, 7, 2}, []uint64{26, 33, 7, 4}),
		histogram("h", x, pairs{}, young, -5*sec, min15, []float64{5, 50, 80}, []uint64{3, 7, 0}, []uint64{6, 20, 2}, []uint64{9, 29, 9}),
		// One sample before the change and one after it: no le but the shared has a value.
		histogram("h1", x, pairs{}, old, -20*sec, min15, []float64{21}, []uint64{211, 0, 10, 862}),
		histogram("h1", x, pairs{}, young, -5*sec, min15, []float64{9}, []uint64{2, 0, 5}),
	)}
	s, _ := testStore(t, rows)
	w, prom := fiveMinutes(), promOf(rows)
	for _, metric := range []string{"h", "h1"} {
		read, err := s.readSeries(t.Context(), histogramSeries, seriesQuery{metrics: []string{metric}, window: w})
		if err != nil {
			t.Fatal(err)
		}
		list := increments(read, w)
		if len(list) != 1 {
			t.Fatalf("%s: %d series, want 1", metric, len(list))
		}
		got := map[string]float64{"count": list[0].vector[0], "sum": list[0].vector[1]}
		for i, n := range list[0].vector[2:] {
			got[fmt.Sprint(append(list[0].bounds, math.Inf(1))[i])] = n
		}
		want := map[string]float64{
			"count": prom.increase(w, metric+"_count", where()), "sum": prom.increase(w, metric+"_sum", where()),
		}
		for _, le := range []string{"1", "2", "3", "5", "+Inf"} {
			if v := prom.increase(w, metric+"_bucket", where("le", le)); v != 0 {
				want[le] = v
			}
		}
		checkEqual(t, metric, got, want)
	}
}

func TestHistogramsWithOtherBoundsMeetAtSharedOnes(t *testing.T) {
	t.Parallel()
	var l latency
	l.add([]float64{1, 2, 4}, []float64{10, 0, 1, 5, 9, 10}, 1)
	l.add([]float64{2, 4, 8}, []float64{20, 0, 4, 10, 20, 20}, 1)
	got := l.buckets()
	want := []bucket{{2, 9}, {4, 19}, {got[len(got)-1].le, 30}}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestLongWindowsAreReadInChunks(t *testing.T) {
	t.Parallel()
	values := make([]float64, 0, 74)
	for i := range 74 {
		values = append(values, float64(i*i%700))
	}
	rows := telemetry.Rows{Sums: counter("c", pairs{"service.name": "x"}, pairs{"case": "long"}, -20*time.Minute, time.Hour, values...)}
	s, _ := testStore(t, rows)
	w := windowBefore(testNow, 80*time.Hour)
	want := promOf(rows).increase(w, "c", where("case", "long"))
	checkNear(t, "increase over 80 hours", increases(t, s, sumSeries, "c", "case", w)["long"], want)
}

func TestTooManySeriesAreAnError(t *testing.T) {
	t.Parallel()
	var rows telemetry.Rows
	for _, name := range []string{"a", "b", "c"} {
		rows.Sums = append(rows.Sums, counter("c", pairs{"service.name": "x"}, pairs{"case": name}, -5*sec, min15, 1, 2)...)
	}
	s, _ := testStore(t, rows)
	q := seriesQuery{metrics: []string{"c"}, window: fiveMinutes(), maxRows: 3}
	if got, err := s.readSeries(t.Context(), sumSeries, q); err != nil || len(got) != 3 {
		t.Errorf("%d series, error %v; want 3", len(got), err)
	}
	q.maxRows = 2
	if _, err := s.readSeries(t.Context(), sumSeries, q); !fault.Is(err, fault.ResultTooLarge) {
		t.Errorf("error %v, want result_too_large", err)
	}
}

func TestMissingTables(t *testing.T) {
	t.Parallel()
	s, exec := emptyStore(t)
	round := s.Round(t.Context(), testNow)
	if nodes, err := round.MetricsNodes(); err != nil || nodes == nil || len(nodes) != 0 {
		t.Errorf("without any table: %v, %v", nodes, err)
	}
	if ingress, err := round.SLOIngress(); err != nil || ingress == nil || len(ingress) != 0 {
		t.Errorf("without any table: %v, %v", ingress, err)
	}
	if services, err := round.TracesServices(); err != nil || len(services) != 0 {
		t.Errorf("without traces: %v, %v", services, err)
	}

	exec("CREATE TABLE otel_metrics_gauge (MetricName String, ResourceAttributes Map(String, String), Attributes Map(String, String), " +
		"MetricUnit String, TimeUnix DateTime64(9), Value Float64, Flags UInt32) ORDER BY MetricName")
	exec("INSERT INTO otel_metrics_gauge VALUES ('node_load1', map('host.name','n1'), map(), '', " + unixText(testNow.Add(-sec)) + ", 3, 0)")
	round = s.Round(t.Context(), testNow)
	nodes, err := round.MetricsNodes()
	if err != nil || len(nodes) != 1 || nodes[0].NodeName != "n1" || nodes[0].CPU.Load1 != 3 {
		t.Errorf("with a gauge table of the older layout: %+v, %v", nodes, err)
	}
	if edges, err := round.SLOEdges(); err != nil || edges == nil || len(edges) != 0 {
		t.Errorf("edges %v, error %v; want an empty list", edges, err)
	}
}

func TestFailuresAreErrorsAndNotEmpty(t *testing.T) {
	t.Parallel()
	srv := engine.Server(t)
	s := openStore(t, srv.DSN("no_such_database"))
	_, err := s.Round(t.Context(), testNow).MetricsNodes()
	if f := fault.From(err); f.Code != fault.AgentError || !strings.Contains(f.Message, "database does not exist") {
		t.Errorf("missing database: %v", err)
	}

	s, exec := emptyStore(t)
	exec("CREATE TABLE otel_metrics_sum (Something String) ORDER BY Something")
	_, err = s.Round(t.Context(), testNow).SLOSummary()
	f := fault.From(err)
	if f.Code != fault.AgentError || !strings.Contains(f.Message, "code 47") {
		t.Errorf("foreign columns: %v", err)
	}
	for _, secret := range []string{"SELECT", "127.0.0.1", "http"} {
		if strings.Contains(f.Message, secret) {
			t.Errorf("the message %q gives %q away", f.Message, secret)
		}
	}

	expired, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	if _, err := s.Round(expired, testNow).MetricsNodes(); !fault.Is(err, fault.Timeout) {
		t.Errorf("past deadline: %v", err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.nodes(cancelled, testNow); !strings.Contains(err.Error(), context.Canceled.Error()) || fault.Is(err, fault.AgentError) {
		t.Errorf("cancelled: %v", err)
	}
	away := openStore(t, "http://127.0.0.1:1/otel")
	if _, err := away.Round(t.Context(), testNow).SLOEdges(); !fault.Is(err, fault.AgentError) || strings.Contains(fault.From(err).Message, "127.0.0.1") {
		t.Errorf("server away: %v", err)
	}
}
