package clickhouse

import (
	"testing"
	"time"

	"github.com/atlhyper/observe/loadtest/telemetry"
	"github.com/atlhyper/observe/shared/detail"
)

// scrape is what one scraped exporter says of its machine.
type scrape struct {
	resource, labels pairs
	machine          string  // its nodename; "" sends none
	boot             float64 // 0 sends none
	load             float64
	ended            time.Duration // how long before now it was last scraped
	metric           string        // of the load; "" is node_load1
}

func (s scrape) rows() telemetry.Rows {
	var rows telemetry.Rows
	add := func(metric string, more pairs, v float64) {
		labels := pairs{}
		for _, of := range []pairs{s.labels, more} {
			for name, value := range of {
				labels[name] = value
			}
		}
		rows.Gauges = append(rows.Gauges, gauge(metric, s.resource, labels, -s.ended-sec, min15, v, v, v)...)
	}
	metric := s.metric
	if metric == "" {
		metric = "node_load1"
	}
	add(metric, nil, s.load)
	if s.machine != "" {
		add(unameInfo, pairs{"nodename": s.machine}, 1)
	}
	if s.boot > 0 {
		add(bootTime, nil, s.boot)
	}
	return rows
}

func TestOneKeyOfSeveralMachines(t *testing.T) {
	t.Parallel()
	instance := func(of string, more ...string) pairs {
		r := pairs{"service.name": "node", "service.instance.id": of}
		for i := 0; i+1 < len(more); i += 2 {
			r[more[i]] = more[i+1]
		}
		return r
	}
	central := func(address string) pairs {
		return instance(address+":9100", "host.name", "otelcol-0", "server.address", address)
	}
	federated := func(of string) scrape {
		return scrape{resource: pairs{"server.address": "10.9.9.9"}, labels: pairs{"exported_instance": of}}
	}
	for name, c := range map[string]struct {
		scrapes []scrape
		want    map[string]float64 // load by the name that is shown
	}{
		"ports of one host": {
			[]scrape{{resource: instance("localhost:9100"), load: 1}, {resource: instance("localhost:9101"), load: 2}},
			map[string]float64{"localhost:9100": 1, "localhost:9101": 2},
		},
		"ports of one address": {
			[]scrape{
				{resource: instance("10.0.0.1:9100", "server.address", "10.0.0.1", "server.port", "9100"), load: 1},
				{resource: pairs{"server.address": "10.0.0.1", "server.port": "9101"}, load: 2},
			},
			map[string]float64{"10.0.0.1:9100": 1, "10.0.0.1:9101": 2},
		},
		"ports, with names": {
			[]scrape{{resource: instance("localhost:9100"), machine: "a", load: 1}, {resource: instance("localhost:9101"), machine: "b", load: 2}},
			map[string]float64{"a": 1, "b": 2},
		},
		"ports, one name, other boots": {
			[]scrape{
				{resource: instance("nat:9100"), machine: "vm", boot: 5000, load: 1},
				{resource: instance("nat:9101"), machine: "vm", boot: 7000, load: 2},
			},
			map[string]float64{"nat:9100": 1, "nat:9101": 2},
		},
		"federated ports": {
			func() []scrape {
				a, b := federated("nat:9100"), federated("nat:9101")
				a.load, b.load = 1, 2
				return []scrape{a, b}
			}(),
			map[string]float64{"nat:9100": 1, "nat:9101": 2},
		},
		"host.name of a central collector": {
			[]scrape{{resource: central("10.0.0.1"), load: 1}, {resource: central("10.0.0.2"), load: 2}},
			map[string]float64{"10.0.0.1": 1, "10.0.0.2": 2},
		},
		"host.name of a central collector, with names": {
			[]scrape{
				{resource: central("10.0.0.1"), machine: "a", boot: 5000, load: 1},
				{resource: central("10.0.0.2"), machine: "b", boot: 5001, load: 2},
			},
			map[string]float64{"a": 1, "b": 2},
		},
		"two exporters of one machine": {
			[]scrape{
				{resource: instance("localhost:9100"), machine: "a", boot: 5000, load: 2},
				{resource: instance("localhost:9101"), machine: "a", boot: 5001, load: 2},
			},
			map[string]float64{"a": 2},
		},
		"one exporter of two jobs": {
			[]scrape{
				{resource: instance("10.0.0.1:9100", "service.name", "a"), load: 3},
				{resource: instance("10.0.0.1:9100", "service.name", "b"), load: 3},
			},
			map[string]float64{"10.0.0.1": 3},
		},
		"one that moved to another port": {
			[]scrape{{resource: instance("10.0.0.1:9100"), load: 1, ended: 2 * time.Minute}, {resource: instance("10.0.0.1:9101"), load: 2}},
			map[string]float64{"10.0.0.1": 2},
		},
		"exporters of different metrics": {
			[]scrape{{resource: instance("10.0.0.1:9100"), load: 4}, {resource: instance("10.0.0.1:9400"), load: 5, metric: hwmonTemp}},
			map[string]float64{"10.0.0.1": 4},
		},
		"hostmetrics beside node_exporter": {
			[]scrape{
				{resource: pairs{"host.name": "w1"}, load: 9, metric: hostLoad1},
				{resource: instance("10.0.0.1:9100", "host.name", "w1", "server.address", "10.0.0.1"), machine: "w1", load: 4},
			},
			map[string]float64{"w1": 4},
		},
		"pods of one Kubernetes node": {
			[]scrape{
				{resource: instance("10.42.0.5:9100", "k8s.node.name", "w1"), machine: "pod-a", boot: 5000, load: 4},
				{resource: instance("10.42.0.6:9100", "k8s.node.name", "w1"), machine: "pod-b", boot: 5000, load: 4},
			},
			map[string]float64{"w1": 4},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var rows telemetry.Rows
			for _, s := range c.scrapes {
				rows.Gauges = append(rows.Gauges, s.rows().Gauges...)
			}
			s, _ := testStore(t, rows)
			checkEqual(t, "load by node", loadByNode(t, s), c.want)
			for name, load := range c.want {
				series := seriesOf(t, s, name, detail.MetricLoad, before(time.Minute), 60)
				if len(series.Points) != 1 || series.Points[0].Value != load {
					t.Errorf("series of %q: %+v, want %v", name, series.Points, load)
				}
				if n, _, err := s.Node(t.Context(), detail.Node{Name: name}); err != nil || n.CPU.Load1 != load {
					t.Errorf("Node(%q) = %v, %v; want %v", name, n.CPU.Load1, err, load)
				}
			}
		})
	}
}

// A host that is alone now was not an hour ago: its plain name means the one that
// is left, and each goes by its endpoint.
func TestSeriesOfAHostThatIsAloneNow(t *testing.T) {
	t.Parallel()
	at := func(port string, load float64, ended time.Duration) telemetry.Rows {
		return scrape{resource: pairs{"service.instance.id": "nat:" + port}, load: load, ended: ended}.rows()
	}
	rows := at("9100", 1, 0)
	for _, more := range []telemetry.Rows{at("9100", 1, 30*time.Minute), at("9101", 2, 30*time.Minute)} {
		rows.Gauges = append(rows.Gauges, more.Gauges...)
	}
	s, _ := testStore(t, rows)
	nodes, err := s.Round(t.Context(), testNow).MetricsNodes()
	if err != nil || len(nodes) != 1 || nodes[0].NodeName != "nat" {
		t.Fatalf("nodes %+v, error %v; want nat", nodes, err)
	}
	for name, want := range map[string]float64{"nat": 1, "nat:9100": 1, "nat:9101": 2} {
		got := seriesOf(t, s, name, detail.MetricLoad, before(time.Hour), 600)
		for _, p := range got.Points {
			if p.Value != want {
				t.Errorf("%s: %+v, want %v alone", name, got.Points, want)
			}
		}
		if len(got.Points) == 0 {
			t.Errorf("%s has no points", name)
		}
	}
}

// What one node's series say does not depend on which of two with equal labels
// comes first: in one step, too, the one that goes on from the other adds to it,
// and of two side by side that with more samples counts.
func TestSeriesWithEqualLabelsBecomeOne(t *testing.T) {
	t.Parallel()
	const metric = "node_vmstat_pgfault"
	type part struct {
		end    time.Duration
		values []float64
	}
	for name, c := range map[string]struct {
		parts [2]part
		adds  bool // else parts[1] counts
	}{
		"one after the other": {[2]part{{-200 * sec, []float64{0, 100, 200}}, {-5 * sec, []float64{0, 50, 100}}}, true},
		"side by side":        {[2]part{{-5 * sec, []float64{0, 100, 200}}, {-7 * sec, []float64{0, 100, 200, 300}}}, false},
		"with as many":        {[2]part{{-7 * sec, []float64{0, 100, 200}}, {-5 * sec, []float64{0, 70, 90}}}, false},
	} {
		for _, names := range [][2]string{{"a", "b"}, {"b", "a"}} {
			t.Run(name+", "+names[0]+" first", func(t *testing.T) {
				t.Parallel()
				var (
					rows telemetry.Rows
					each [2]float64
				)
				for i, p := range c.parts {
					sums := counter(metric, pairs{"k8s.node.name": "n1", "k8s.pod.name": names[i]}, pairs{}, p.end, min15, p.values...)
					each[i] = promOf(telemetry.Rows{Sums: sums}).increase(fiveMinutes(), metric, where()) / 300
					rows.Sums = append(rows.Sums, sums...)
				}
				want := each[1]
				if c.adds {
					want += each[0]
				}
				rows.Gauges = gauge(bootTime, pairs{"k8s.node.name": "n1"}, pairs{}, -sec, min15, 1)
				s, _ := testStore(t, rows)
				got := seriesOf(t, s, "n1", metric, before(10*time.Minute), 300)
				if len(got.Points) != 1 || len(got.Series) != 1 {
					t.Fatalf("%+v, want one series with one point", got)
				}
				checkNear(t, "series", got.Points[0].Value, want)
				checkNear(t, "now", oneNode(t, rows).VMStat.PgFaultPerSec, want)
			})
		}
	}
}

// loadByNode is the load of each node that the section shows.
func loadByNode(t *testing.T, s *Store) map[string]float64 {
	t.Helper()
	nodes, err := s.Round(t.Context(), testNow).MetricsNodes()
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]float64)
	for _, n := range nodes {
		got[n.NodeName] = n.CPU.Load1
	}
	return got
}
