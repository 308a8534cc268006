package e2e_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/atlhyper/observe/loadtest/e2e/reference"
	"github.com/atlhyper/observe/shared/model"
)

const seriesNode = "10.0.1.12"

// seriesRange is five minutes before the end of the rows, on whole minutes.
func (s *stack) seriesRange() (start, end time.Time) {
	end = s.end.Truncate(time.Minute).Add(-time.Minute)
	return end.Add(-5 * time.Minute), end
}

// testNode asks for each node alone: the same as in the list.
func testNode(t *testing.T, s *stack, c cluster) { //nolint:thelper // the body of a subtest
	for _, want := range s.rows.Nodes(c.at, rateWindow) {
		got := decode[model.NodeMetrics](t, s.detail(t, c, "/observe/metrics/nodes/"+want.NodeName).Data)
		equal(t, "node "+want.NodeName, want, got)
	}
}

// testRawSeries reads metrics by their own names: a counter with several series,
// an untyped counter, a gauge, a gauge with labels.
func testRawSeries(t *testing.T, s *stack, c cluster) { //nolint:thelper // the body of a subtest
	start, end := s.seriesRange()
	for _, step := range []time.Duration{time.Minute, 30 * time.Second} {
		for metric, read := range map[string]func(string, string, time.Time, time.Time, time.Duration) []model.LabeledPoints{
			"node_cpu_seconds_total":         s.rows.NodeRates,
			"node_context_switches_total":    s.rows.NodeRates,
			"node_vmstat_pgfault":            s.rows.NodeRates, // untyped: a counter in the gauge table
			"node_load1":                     s.rows.NodeMeans,
			"node_memory_MemAvailable_bytes": s.rows.NodeMeans,
			"node_netstat_Tcp_CurrEstab":     s.rows.NodeMeans, // untyped too, and a gauge
			"node_filesystem_avail_bytes":    s.rows.NodeMeans,
		} {
			what := fmt.Sprint("series ", metric, " by ", step)
			want := read(seriesNode, metric, start, end, step)
			got := s.nodeSeries(t, c, metric, start, end, step)
			if len(want) == 0 || len(want[0].Points) < 5 {
				t.Fatalf("%s: the rows have too little: %v", what, want)
			}
			sortSeries(want)
			sortSeries(got.Series)
			equal(t, what, want, got.Series)
			combined := reference.Total(want...)
			if strings.HasPrefix(metric, "node_load") || strings.Contains(metric, "_bytes") || strings.Contains(metric, "CurrEstab") {
				combined = reference.Mean(want...)
			}
			equal(t, what+": combined", combined, got.Points)
		}
	}
}

func (s *stack) nodeSeries(t *testing.T, c cluster, metric string, start, end time.Time, step time.Duration) model.NodeSeries {
	t.Helper()
	a := s.detail(t, c, "/observe/metrics/nodes/"+seriesNode+"/series",
		append(rangeParams(start, end), "metric", metric, "step", step.String())...)
	got := decode[model.NodeSeries](t, a.Data)
	if got.Metric != metric {
		t.Errorf("series %s says it is %s", metric, got.Metric)
	}
	return got
}

func sortSeries(series []model.LabeledPoints) {
	slices.SortFunc(series, func(a, b model.LabeledPoints) int { return cmp.Compare(fmt.Sprint(a.Labels), fmt.Sprint(b.Labels)) })
}

// testAliases compares the combined line of what people ask for by a short name.
func testAliases(t *testing.T, s *stack, c cluster) { //nolint:thelper // the body of a subtest
	start, end := s.seriesRange()
	step := time.Minute
	rates := func(metric string, keep func(map[string]string) bool) []model.LabeledPoints {
		return slices.DeleteFunc(s.rows.NodeRates(seriesNode, metric, start, end, step),
			func(l model.LabeledPoints) bool { return !keep(l.Labels) })
	}
	means := func(metric string) []model.Point {
		return reference.Mean(s.rows.NodeMeans(seriesNode, metric, start, end, step)...)
	}
	disk := func(map[string]string) bool { return true }
	network := func(l map[string]string) bool { return l["device"] != "lo" }
	available, total := means("node_memory_MemAvailable_bytes"), means("node_memory_MemTotal_bytes")
	memory := []model.Point{}
	for i := range available {
		memory = append(memory, model.Point{
			Timestamp: available[i].Timestamp, Value: 100 * (1 - available[i].Value/total[i].Value),
		})
	}
	for alias, want := range map[string]struct {
		unit   string
		points []model.Point
	}{
		"cpu":    {"%", s.rows.CPUPoints(seriesNode, start, end, step)},
		"memory": {"%", memory},
		"load":   {"", means("node_load1")},
		"disk": {"B/s", reference.Total(append(
			rates("node_disk_read_bytes_total", disk), rates("node_disk_written_bytes_total", disk)...)...)},
		"network": {"B/s", reference.Total(append(
			rates("node_network_receive_bytes_total", network), rates("node_network_transmit_bytes_total", network)...)...)},
	} {
		got := s.nodeSeries(t, c, alias, start, end, step)
		equal(t, "series "+alias, want.points, got.Points)
		if got.Unit != want.unit || len(got.Series) == 0 {
			t.Errorf("series %s: unit %q and %d series, want %q and some", alias, got.Unit, len(got.Series), want.unit)
		}
	}
}

// testSLOSeries compares a service of each kind over eight minutes, restarts of
// the proxies included: on whole minutes, and so that some series have a single
// sample in a step, which makes no rate.
func testSLOSeries(t *testing.T, s *stack, c cluster) { //nolint:thelper // the body of a subtest
	minute := s.end.Truncate(time.Minute)
	for _, end := range []time.Time{minute.Add(-time.Minute), minute.Add(-78 * time.Second)} {
		start, step := end.Add(-8*time.Minute), time.Minute
		mesh := func(namespace, name string) model.SLOSeries {
			return s.rows.MeshSeries(namespace, name, start, end, step, reference.Linkerd(), reference.Istio())
		}
		traefik, nginx := "shop-frontend-80@kubernetes", "media/thumbnail/thumbnail"
		for service, want := range map[string]model.SLOSeries{
			traefik:         s.rows.IngressSeries(traefik, start, end, step),
			nginx:           s.rows.IngressSeries(nginx, start, end, step),
			"shop/checkout": mesh("shop", "checkout"),
			"stream":        mesh("media", "stream"),
		} {
			if len(want.Points) != 8 {
				t.Fatalf("%s: the rows have %d points, want 8", service, len(want.Points))
			}
			a := s.detail(t, c, "/observe/slo/timeseries", append(rangeParams(start, end), "service", service, "interval", "1m")...)
			equal(t, fmt.Sprint("slo/timeseries ", service, " until ", end), want, decode[model.SLOSeries](t, a.Data))
		}
	}
}
