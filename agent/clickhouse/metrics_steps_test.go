package clickhouse

import (
	"slices"
	"testing"
	"time"

	"github.com/atlhyper/observe/loadtest/telemetry"
	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
)

// every15s gives a value for each scrape of ten minutes: a counter that grows
// by i at scrape i and restarts once.
func every15s() []float64 {
	out := make([]float64, 40)
	for i := 1; i < len(out); i++ {
		out[i] = out[i-1] + float64(i)
		if i == 25 {
			out[i] = 3
		}
	}
	return out
}

// referenceRates is rate(name{...}[window]) at the end of each step, by time.
func referenceRates(prom promIndex, name string, match func(map[string]string) bool, r detail.Range, step, length time.Duration) map[model.Time]float64 {
	out := make(map[model.Time]float64)
	for end := r.EndTime(); !end.Add(-step).Before(r.StartTime()); end = end.Add(-step) {
		w := windowBefore(end, length)
		for _, s := range prom {
			if s.name != name || !match(s.labels) {
				continue
			}
			if v, ok := referenceIncrease(s.samples, w.fromMs, w.toMs); ok {
				out[model.NewTime(end)] += v / length.Seconds()
			}
		}
	}
	return out
}

func checkPoints(t *testing.T, what string, got []model.Point, want map[model.Time]float64) {
	t.Helper()
	found := make(map[model.Time]float64)
	for _, p := range got {
		found[p.Timestamp] = p.Value
	}
	checkEqual(t, what, found, want)
	if !slices.IsSortedFunc(got, func(a, b model.Point) int {
		if a.Timestamp < b.Timestamp {
			return -1
		}
		return 1
	}) {
		t.Errorf("%s: the points are not by time", what)
	}
}

func seriesOf(t *testing.T, s *Store, node, metric string, r detail.Range, step int64) model.NodeSeries {
	t.Helper()
	got, meta, err := s.NodeSeries(t.Context(), detail.NodeSeries{Name: node, Metric: metric, Range: r, StepSeconds: step})
	if err != nil {
		t.Fatal(err)
	}
	if meta.WindowSeconds != int64(r.Duration().Seconds()) {
		t.Errorf("window %d s", meta.WindowSeconds)
	}
	return got
}

func TestNodeSeriesOfCountersIsRate(t *testing.T) {
	t.Parallel()
	n1, n2 := exporter("10.0.0.1"), exporter("10.0.0.2")
	values := every15s()
	rows := telemetry.Rows{
		Sums: slices.Concat(
			counter("node_intr_total", n1, pairs{"cpu": "0"}, -2*sec, min15, values...),
			counter("node_intr_total", n1, pairs{"cpu": "1"}, -2*sec, min15, values[20:]...),
			counter("node_intr_total", n2, pairs{"cpu": "0"}, -2*sec, min15, values...),
		),
		Gauges: slices.Concat(
			gauge(bootTime, n1, pairs{}, -sec, min15, 1), gauge(bootTime, n2, pairs{}, -sec, min15, 1),
			gauge("node_vmstat_pgfault", n1, pairs{}, -2*sec, min15, values...),
			gauge("node_load1", n1, pairs{}, -2*sec, min15, values...),
		),
	}
	s, _ := testStore(t, rows)
	prom := promOf(telemetry.Rows{Sums: rows.Sums[:len(values)+20], Gauges: rows.Gauges})
	r := before(9 * time.Minute)

	got := seriesOf(t, s, "10.0.0.1", "node_intr_total", r, 60)
	checkEqual(t, "unit", got.Unit, "1/s")
	checkPoints(t, "sum", got.Points, referenceRates(prom, "node_intr_total", where(), r, time.Minute, time.Minute))
	if len(got.Series) != 2 {
		t.Fatalf("%d series, want one for each cpu", len(got.Series))
	}
	for _, line := range got.Series {
		checkPoints(t, "series", line.Points, referenceRates(prom, "node_intr_total", where("cpu", line.Labels["cpu"]), r, time.Minute, time.Minute))
	}
	// Steps of one scrape: the rate over two steps.
	got = seriesOf(t, s, "10.0.0.1", "node_vmstat_pgfault", r, 15)
	checkPoints(t, "short steps", got.Points, referenceRates(prom, "node_vmstat_pgfault", where(), r, min15, 2*min15))

	got = seriesOf(t, s, "10.0.0.1", "node_load1", before(time.Minute), 60)
	checkEqual(t, "gauge", got.Points, []model.Point{{
		Timestamp: model.NewTime(testNow), Value: (values[36] + values[37] + values[38] + values[39]) / 4,
	}})

	if _, _, err := s.NodeSeries(t.Context(), detail.NodeSeries{Name: "nobody", Metric: "cpu", Range: r}); !fault.Is(err, fault.NotFound) {
		t.Errorf("unknown node: %v", err)
	}
	if _, _, err := s.NodeSeries(t.Context(), detail.NodeSeries{Name: "10.0.0.1", Metric: "no_such_metric", Range: r}); !fault.Is(err, fault.NotFound) {
		t.Errorf("unknown metric: %v", err)
	}
}

// A series that comes back from a gap says nothing about the time before the
// step: its target is scraped often enough for a rate of the step alone.
func TestStepsAreWidenedOnlyForRareScrapes(t *testing.T) {
	t.Parallel()
	n1, n2 := exporter("10.0.0.1"), exporter("10.0.0.2")
	values := every15s()
	gappy := counter("node_intr_total", n1, pairs{"cpu": "1"}, -2*sec, min15, values...)
	// Back with a single sample in the newest step, after 45 s without.
	gappy = append(gappy[:len(gappy)-4], gappy[len(gappy)-1])
	// All of a target is away for a while.
	away := counter("node_forks_total", n1, pairs{}, -2*sec, min15, values...)
	away = append(away[:20], away[23:]...)
	rows := telemetry.Rows{
		Sums: slices.Concat(
			counter("node_intr_total", n1, pairs{"cpu": "0"}, -2*sec, min15, values...), gappy, away,
			counter("node_intr_total", n2, pairs{"cpu": "0"}, -2*sec, time.Minute, values...),
		),
		Gauges: slices.Concat(gauge(bootTime, n1, pairs{}, -sec, min15, 1), gauge(bootTime, n2, pairs{}, -sec, min15, 1)),
	}
	s, _ := testStore(t, rows)
	r := before(9 * time.Minute)
	rates := func(of pairs, metric string, length time.Duration) map[model.Time]float64 {
		var own telemetry.Rows
		for _, p := range rows.Sums {
			if p.Resource["server.address"] == of["server.address"] {
				own.Sums = append(own.Sums, p)
			}
		}
		return referenceRates(promOf(own), metric, where(), r, time.Minute, length)
	}
	for _, metric := range []string{"node_intr_total", "node_forks_total"} {
		checkPoints(t, metric, seriesOf(t, s, "10.0.0.1", metric, r, 60).Points, rates(n1, metric, time.Minute))
	}
	// The same metric of a target that is scraped once a minute.
	checkPoints(t, "scraped once a minute", seriesOf(t, s, "10.0.0.2", "node_intr_total", r, 60).Points, rates(n2, "node_intr_total", 2*time.Minute))
}

func TestNodeSeriesAliases(t *testing.T) {
	t.Parallel()
	r := exporter("10.0.0.1")
	var rows telemetry.Rows
	for _, cpu := range []string{"0", "1"} {
		for mode, values := range map[string][]float64{"idle": {0, 9, 18, 27, 36}, "user": {0, 3, 6, 9, 12}, "system": {0, 3, 6, 9, 12}} {
			rows.Sums = append(rows.Sums, counter(cpuSeconds, r, pairs{"cpu": cpu, "mode": mode}, 0, min15, values...)...)
		}
	}
	for _, metric := range []string{"node_disk_read_bytes_total", "node_disk_written_bytes_total"} {
		rows.Sums = append(rows.Sums, counter(metric, r, pairs{"device": "vda"}, 0, min15, fromZero(150, 150, 150, 150)...)...)
	}
	for _, metric := range []string{"node_network_receive_bytes_total", "node_network_transmit_bytes_total"} {
		for _, device := range []string{"eth0", "lo"} {
			rows.Sums = append(rows.Sums, counter(metric, r, pairs{"device": device}, 0, min15, fromZero(30, 30, 30, 30)...)...)
		}
	}
	rows.Gauges = slices.Concat(
		scraped(r, -sec, map[string]float64{
			"node_memory_MemTotal_bytes": 1000, memAvailable: 400, "node_load1": 1, "node_load5": 5, "node_load15": 15, bootTime: 1,
		}),
		gauge(hwmonTemp, r, pairs{"chip": "a", "sensor": "temp1"}, -sec, min15, 40),
		gauge(hwmonTemp, r, pairs{"chip": "a", "sensor": "temp2"}, -sec, min15, 50),
	)
	s, _ := testStore(t, rows)
	type line struct {
		labels map[string]string
		value  float64
	}
	for _, tc := range []struct {
		metric, unit string
		value        float64
		lines        []line
	}{
		{detail.MetricCPU, "%", 40, []line{{pairs{"mode": "system"}, 20}, {pairs{"mode": "user"}, 20}}},
		{detail.MetricMemory, "%", 60, []line{{pairs{}, 60}}},
		{detail.MetricDisk, "B/s", 20, []line{{pairs{"device": "vda", "direction": "read"}, 10}, {pairs{"device": "vda", "direction": "write"}, 10}}},
		{detail.MetricNetwork, "B/s", 4, []line{{pairs{"interface": "eth0", "direction": "receive"}, 2}, {pairs{"interface": "eth0", "direction": "transmit"}, 2}}},
		{detail.MetricLoad, "", 1, []line{{pairs{"period": "15m"}, 15}, {pairs{"period": "1m"}, 1}, {pairs{"period": "5m"}, 5}}},
		{detail.MetricTemperature, "°C", 45, []line{{pairs{"chip": "a", "sensor": "temp1"}, 40}, {pairs{"chip": "a", "sensor": "temp2"}, 50}}},
	} {
		got := seriesOf(t, s, "10.0.0.1", tc.metric, before(time.Minute), 60)
		at := model.NewTime(testNow)
		want := model.NodeSeries{Metric: tc.metric, Unit: tc.unit, Points: []model.Point{{Timestamp: at, Value: tc.value}}}
		for _, l := range tc.lines {
			want.Series = append(want.Series, model.LabeledPoints{Labels: l.labels, Points: []model.Point{{Timestamp: at, Value: l.value}}})
		}
		checkEqual(t, tc.metric, got, want)
	}
}

func TestStepsOfARange(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		length time.Duration
		asked  int64
		step   time.Duration
		steps  int64
	}{
		{time.Hour, 0, 15 * time.Second, 240},
		{6 * time.Hour, 0, 2 * time.Minute, 180},
		{30 * 24 * time.Hour, 0, 3 * time.Hour, 240},
		{366 * 24 * time.Hour, 0, 24 * time.Hour, 366},
		{5 * time.Second, 0, 5 * time.Second, 1},
		{100 * time.Second, 30, 30 * time.Second, 3},
	} {
		g := newGrid(before(tc.length), tc.asked, smallestNodeStep)
		if g.step != tc.step || g.steps != tc.steps {
			t.Errorf("%v at %d s: %d steps of %v, want %d of %v", tc.length, tc.asked, g.steps, g.step, tc.steps, tc.step)
		}
	}
}

func TestSLOSeries(t *testing.T) {
	t.Parallel()
	const metric, ms = "response_total", "response_latency_ms"
	r := pairs{"service.name": "linkerd-proxy"}
	in := func(namespace, deployment, class string) pairs {
		return pairs{"direction": "inbound", "namespace": namespace, "deployment": deployment, "classification": class}
	}
	values := every15s()
	var observed [][]uint64
	for i := range values {
		observed = append(observed, []uint64{uint64(i * 3), uint64(i * i), uint64(i / 9)})
	}
	rows := telemetry.Rows{
		Sums: slices.Concat(
			counter(metric, r, in("shop", "cart", "success"), -2*sec, min15, values...),
			counter(metric, r, in("shop", "cart", "failure"), -2*sec, min15, values[30:]...),
			counter(metric, r, in("shop", "web", "success"), -2*sec, min15, values...),
			counter(metric, r, in("test", "web", "success"), -2*sec, min15, values...),
			counter("traefik_service_requests_total", r, pairs{"service": "web@docker", "code": "200"}, -2*sec, min15, values...),
			// Requests in the first half only.
			counter(metric, r, in("shop", "quiet", "success"), -2*sec, min15, append(slices.Clone(values[:20]), slices.Repeat([]float64{values[19]}, 20)...)...),
		),
		Histograms: histogram(ms, r, in("shop", "cart", "success"), []float64{10, 100}, -2*sec, min15, values, observed...),
	}
	s, _ := testStore(t, rows)
	prom, rng := promOf(rows), before(9*time.Minute)
	get := func(service string) (model.SLOSeries, error) {
		got, _, err := s.SLOSeries(t.Context(), detail.SLOSeries{Service: service, Range: rng, IntervalSeconds: 60})
		return got, err
	}

	for _, name := range []string{"cart", "shop/cart"} {
		got, err := get(name)
		if err != nil || got.Namespace != "shop" || got.Name != "cart" || len(got.Points) != 9 {
			t.Fatalf("%s: %+v, error %v", name, got, err)
		}
		of := where("deployment", "cart")
		for i, p := range got.Points {
			w := windowBefore(rng.StartTime().Add(time.Duration(i+1)*time.Minute), time.Minute)
			total, failed := prom.increase(w, metric, of), prom.increase(w, metric, and(of, where("classification", "failure")))
			checkEqual(t, "time", p.Timestamp, model.NewTime(time.UnixMilli(w.toMs)))
			checkNear(t, "rps", p.RPS, total/60)
			checkNear(t, "success rate", p.SuccessRate, 100*(1-failed/total))
			checkNear(t, "p99", p.P99Ms, prom.quantile(0.99, w, ms, of))
		}
	}
	if got, err := get("web@docker"); err != nil || got.Name != "web@docker" || len(got.Points) != 9 {
		t.Errorf("ingress: %+v, error %v", got, err)
	}
	if got, err := get("quiet"); err != nil || len(got.Points) == 0 || len(got.Points) > 5 {
		t.Errorf("intervals without requests have points: %+v, error %v", got, err)
	}
	if _, err := get("web"); !fault.Is(err, fault.BadRequest) {
		t.Errorf("a name in two namespaces: %v", err)
	}
	if _, err := get("nobody"); !fault.Is(err, fault.NotFound) {
		t.Errorf("an unknown service: %v", err)
	}
}
