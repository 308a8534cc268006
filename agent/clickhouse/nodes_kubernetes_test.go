package clickhouse

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/atlhyper/observe/loadtest/telemetry"
	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/fault"
)

// workers are three nodes as Kubernetes knows them.
func workers() (map[string]string, error) {
	return map[string]string{
		"worker-1": "worker-1", "10.0.0.1": "worker-1",
		"worker-2": "worker-2", "10.0.0.2": "worker-2", "two.example.com": "worker-2", "fd00::2": "worker-2",
		"worker-3": "worker-3", "10.0.0.3": "worker-3",
	}, nil
}

// kubeStore is a store of the rows that knows the nodes of Kubernetes.
func kubeStore(t *testing.T, rows telemetry.Rows, names func() (map[string]string, error)) *Store {
	t.Helper()
	s, _ := testStore(t, rows)
	s.cfg.NodeNames = names
	return s
}

func rowsOfScrapes(scrapes ...scrape) telemetry.Rows {
	var rows telemetry.Rows
	for _, s := range scrapes {
		rows.Gauges = append(rows.Gauges, s.rows().Gauges...)
	}
	return rows
}

func TestNodesGoByTheNamesOfKubernetes(t *testing.T) {
	t.Parallel()
	at := func(address string, more ...string) pairs {
		r := pairs{"service.instance.id": address + ":9100", "server.address": address}
		for i := 0; i+1 < len(more); i += 2 {
			r[more[i]] = more[i+1]
		}
		return r
	}
	for name, c := range map[string]struct {
		scrapes []scrape
		want    map[string]float64 // load by the name that is shown
		called  map[string]float64 // load by what else the node is called
	}{
		"an address": {
			scrapes: []scrape{{resource: at("10.0.0.1"), load: 1}},
			want:    map[string]float64{"worker-1": 1},
			called:  map[string]float64{"10.0.0.1": 1, "10.0.0.1:9100": 1},
		},
		"an address in another spelling": {
			scrapes: []scrape{{resource: pairs{"service.instance.id": "[FD00:0::2]:9100"}, load: 2}},
			want:    map[string]float64{"worker-2": 2},
			called:  map[string]float64{"FD00:0::2": 2, "10.0.0.2": 2, "two.example.com": 2},
		},
		"a host name in capitals": {
			scrapes: []scrape{{resource: pairs{"host.name": "TWO.example.com"}, load: 2}},
			want:    map[string]float64{"worker-2": 2},
			called:  map[string]float64{"TWO.example.com": 2, "two.example.com": 2},
		},
		"the kernel's host name": {
			scrapes: []scrape{
				{resource: pairs{"service.instance.id": "localhost:9100"}, machine: "two.example.com", boot: 5000, load: 2},
				{resource: pairs{"service.instance.id": "localhost:9101"}, machine: "worker-3", boot: 7000, load: 3},
			},
			want:   map[string]float64{"worker-2": 2, "worker-3": 3},
			called: map[string]float64{"localhost:9100": 2, "two.example.com": 2, "localhost:9101": 3},
		},
		"an address and a host name": {
			scrapes: []scrape{
				{resource: at("10.0.0.2"), load: 2},
				{resource: pairs{"host.name": "two.example.com"}, load: 2},
			},
			want:   map[string]float64{"worker-2": 2},
			called: map[string]float64{"10.0.0.2": 2, "two.example.com": 2},
		},
		"hostmetrics beside node_exporter": {
			scrapes: []scrape{
				{resource: at("10.0.0.2"), load: 2},
				{resource: pairs{"host.name": "two.example.com"}, load: 9, metric: hostLoad1},
			},
			want: map[string]float64{"worker-2": 2},
		},
		"exporters on two ports of a node": {
			scrapes: []scrape{
				{resource: at("10.0.0.1"), load: 1},
				{resource: at("10.0.0.1", "service.instance.id", "10.0.0.1:9101"), load: 1},
			},
			want:   map[string]float64{"worker-1": 1},
			called: map[string]float64{"10.0.0.1:9101": 1},
		},
		"a central collector on a node": {
			scrapes: []scrape{
				{resource: at("10.0.0.1", "host.name", "worker-3"), load: 1},
				{resource: at("10.0.0.2", "host.name", "worker-3"), load: 2},
			},
			want: map[string]float64{"worker-1": 1, "worker-2": 2},
		},
		"a central collector with one target": {
			scrapes: []scrape{{resource: at("10.0.0.1", "host.name", "worker-3"), load: 1}},
			want:    map[string]float64{"worker-1": 1},
			called:  map[string]float64{"worker-3": 1}, // so the telemetry calls it
		},
		"a machine behind a node's address": {
			scrapes: []scrape{
				{resource: at("10.0.0.1"), machine: "worker-1", boot: 5000, load: 1},
				{resource: at("10.0.0.1", "service.instance.id", "10.0.0.1:9101"), machine: "vm", boot: 7000, load: 4},
			},
			want:   map[string]float64{"worker-1": 1, "vm": 4},
			called: map[string]float64{"10.0.0.1:9100": 1, "10.0.0.1:9101": 4},
		},
		"a machine with a node's host name": {
			scrapes: []scrape{
				{resource: at("10.9.9.9"), machine: "worker-1", boot: 7000, load: 4},
				{resource: at("10.0.0.1"), machine: "worker-1", boot: 5000, load: 1},
			},
			want: map[string]float64{"worker-1": 1, "10.9.9.9": 4},
		},
		"a machine with a node's name for its own": {
			scrapes: []scrape{
				{resource: pairs{"host.name": "worker-1"}, machine: "db", boot: 7000, load: 4},
				{resource: at("10.0.0.1"), machine: "worker-1", boot: 5000, load: 1},
			},
			want: map[string]float64{"worker-1": 1, "db": 4},
		},
		"a node that Kubernetes has no more": {
			scrapes: []scrape{{resource: at("10.0.0.1", "k8s.node.name", "worker-0"), load: 4}, {resource: at("10.0.0.1"), load: 1}},
			want:    map[string]float64{"worker-0": 4, "worker-1": 1},
		},
		"a machine beside the cluster": {
			scrapes: []scrape{{resource: at("10.9.9.9"), load: 4}},
			want:    map[string]float64{"10.9.9.9": 4},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := kubeStore(t, rowsOfScrapes(c.scrapes...), workers)
			got := loadByNode(t, s)
			checkEqual(t, "load by node", got, c.want)
			for _, names := range []map[string]float64{c.want, c.called} {
				for called, load := range names {
					series := seriesOf(t, s, called, detail.MetricLoad, before(time.Minute), 60)
					if len(series.Points) != 1 || series.Points[0].Value != load {
						t.Errorf("series of %q: %+v, want %v", called, series.Points, load)
					}
					if n, _, err := s.Node(t.Context(), detail.Node{Name: called}); err != nil || n.CPU.Load1 != load || got[n.NodeName] != load {
						t.Errorf("Node(%q) = %s with %v, %v; want %v", called, n.NodeName, n.CPU.Load1, err, load)
					}
				}
			}
			if _, _, err := s.Node(t.Context(), detail.Node{Name: "nobody"}); !fault.Is(err, fault.NotFound) {
				t.Errorf("a node that nobody has: %v", err)
			}
		})
	}
}

// A node that is scraped by its address and by its name counts once.
func TestCountersOfANodeOfTwoNamesCountOnce(t *testing.T) {
	t.Parallel()
	const metric = "node_vmstat_pgfault"
	disk := pairs{"device": "sda"}
	var rows telemetry.Rows
	for _, resource := range []pairs{exporter("10.0.0.2"), {"host.name": "two.example.com"}} {
		rows.Sums = append(rows.Sums, slices.Concat(
			counter(metric, resource, pairs{}, -5*sec, min15, 0, 100, 200),
			counter("node_disk_read_bytes_total", resource, disk, -5*sec, min15, 0, 500, 900),
			counter(cpuSeconds, resource, pairs{"cpu": "0", "mode": "idle"}, -5*sec, min15, 0, 3, 6),
			counter(cpuSeconds, resource, pairs{"cpu": "0", "mode": "user"}, -5*sec, min15, 0, 9, 18))...)
		rows.Gauges = append(rows.Gauges, gauge(bootTime, resource, pairs{}, -sec, min15, 5000)...)
	}
	once := promOf(telemetry.Rows{Sums: rows.Sums[:12]})
	faults := once.increase(fiveMinutes(), metric, where()) / 300
	bytes := once.increase(fiveMinutes(), "node_disk_read_bytes_total", where()) / 300

	s := kubeStore(t, rows, workers)
	nodes, err := s.Round(t.Context(), testNow).MetricsNodes()
	if err != nil || len(nodes) != 1 {
		t.Fatalf("%d nodes, error %v; want one", len(nodes), err)
	}
	n := nodes[0]
	if n.NodeName != "worker-2" || n.NodeIP != "10.0.0.2" || n.CPU.Cores != 1 || len(n.Disks) != 1 {
		t.Fatalf("node %+v", n)
	}
	checkNear(t, "page faults", n.VMStat.PgFaultPerSec, faults)
	checkNear(t, "bytes read", n.Disks[0].ReadBytesPerSec, bytes)
	checkNear(t, "busy", n.CPU.UsagePct, 75)
	for metric, want := range map[string]float64{metric: faults, detail.MetricDisk: bytes, detail.MetricCPU: 75} {
		got := seriesOf(t, s, "worker-2", metric, before(5*time.Minute), 300)
		if len(got.Points) != 1 || len(got.Series) != 1 {
			t.Fatalf("%s: %+v, want one series with one point", metric, got)
		}
		checkNear(t, metric, got.Points[0].Value, want)
	}
}

func TestSummaryCountsTheNodesOfKubernetes(t *testing.T) {
	t.Parallel()
	rows := rowsOfScrapes(
		scrape{resource: exporter("10.0.0.1"), load: 1},
		scrape{resource: exporter("10.0.0.2"), load: 1, ended: 3 * time.Minute},
		scrape{resource: exporter("10.9.9.9"), load: 1},
	)
	known, err := workers()
	if err != nil {
		t.Fatal(err)
	}
	away := errors.New("the API server is away")
	for name, c := range map[string]struct {
		names         map[string]string
		err           error
		total, online int64
		first         string // of the nodes that are shown
	}{
		"known":             {known, nil, 3, 1, "10.9.9.9"},
		"of before":         {known, away, 3, 1, "10.9.9.9"},
		"not known":         {nil, away, 3, 2, "10.0.0.1"},
		"not asked for yet": {nil, nil, 3, 2, "10.0.0.1"},
		"none":              {map[string]string{}, nil, 0, 0, "10.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := 0
			s := kubeStore(t, rows, func() (map[string]string, error) { asked++; return c.names, c.err })
			round := s.Round(t.Context(), testNow)
			summary, err := round.MetricsSummary()
			if err != nil || summary.TotalNodes != c.total || summary.OnlineNodes != c.online {
				t.Errorf("summary %+v, error %v; want %d of %d online", summary, err, c.online, c.total)
			}
			nodes, err := round.MetricsNodes()
			if err != nil || len(nodes) != 3 || nodes[0].NodeName != c.first {
				t.Errorf("nodes %+v, error %v; want %s first", nodes, err, c.first)
			}
			overview, err := round.Overview()
			if err != nil || overview.MonitoredNodes != 3 {
				t.Errorf("overview %+v, error %v; want 3 nodes that send metrics", overview, err)
			}
			if asked != 1 {
				t.Errorf("a round asked %d times for the nodes", asked)
			}
		})
	}
}
