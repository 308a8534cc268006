package clickhouse

import (
	"slices"
	"testing"
	"time"

	"github.com/atlhyper/observe/loadtest/telemetry"
	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/model"
)

// level is a sum that goes up and down, as hostmetrics has them.
func level(metric string, resource, labels pairs, values ...float64) []telemetry.SumPoint {
	out := counter(metric, resource, labels, -5*sec, min15, values...)
	for i := range out {
		out[i].Monotonic = false
	}
	return out
}

// hostNode are rows of the hostmetrics receiver with its default metrics and
// the uptime.
func hostNode(host string) telemetry.Rows {
	r := pairs{"host.name": host, "os.type": "linux"}
	var rows telemetry.Rows
	count := func(metric string, labels pairs, values ...float64) {
		rows.Sums = append(rows.Sums, counter(metric, r, labels, -5*sec, min15, values...)...)
	}
	for cpu, states := range map[string]map[string][]float64{
		"cpu0": {"idle": {100, 106, 112}, "user": {50, 53, 56}, "system": {5, 6, 7}, "wait": {1, 2, 3}, "steal": {0, 1, 2}, "interrupt": {9, 9, 9}},
		"cpu1": {"idle": {200, 203, 206}, "user": {70, 79, 88}, "system": {5, 6, 7}, "wait": {1, 1, 1}, "steal": {0, 0, 0}, "interrupt": {9, 9, 9}},
	} {
		for state, values := range states {
			count("system.cpu.time", pairs{"cpu": cpu, "state": state}, values...)
		}
	}
	for state, v := range map[string]float64{"used": 600, "free": 100, "buffered": 50, "cached": 250, "slab_reclaimable": 30, "slab_unreclaimable": 20, "inactive": 70} {
		rows.Sums = append(rows.Sums, level(hostMemory, r, pairs{"state": state}, 1, v)...)
	}
	for state, v := range map[string]float64{"used": 60, "free": 20} {
		rows.Sums = append(rows.Sums, level("system.paging.usage", r, pairs{"device": "/dev/vda3", "state": state}, v)...)
	}
	count("system.paging.faults", pairs{"type": "major"}, 100, 130, 160)
	count("system.paging.faults", pairs{"type": "minor"}, 1000, 1900, 2500)
	for mount, fsType := range map[string]string{"/": "ext4", "/run": "tmpfs"} {
		for state, v := range map[string]float64{"used": 700, "free": 200, "reserved": 100} {
			rows.Sums = append(rows.Sums, level("system.filesystem.usage", r,
				pairs{"device": map[string]string{"/": "/dev/vda1", "/run": "tmpfs"}[mount], "mountpoint": mount, "type": fsType, "mode": "rw", "state": state}, v)...)
		}
	}
	for i, way := range []string{"read", "write"} {
		count("system.disk.io", pairs{"device": "vda1", "direction": way}, 1000, 1600+300*float64(i), 5000)
		count("system.disk.operations", pairs{"device": "vda1", "direction": way}, 100, 160+30*float64(i), 500)
	}
	count("system.disk.io_time", pairs{"device": "vda1"}, 50, 53, 56)
	for i, way := range []string{"receive", "transmit"} {
		for j, metric := range []string{"system.network.io", "system.network.packets", "system.network.errors", "system.network.dropped"} {
			count(metric, pairs{"device": "eth0", "direction": way}, 1000, 1000+float64(7*i+3*j+1), 1100)
			count(metric, pairs{"device": "lo", "direction": way}, 1000, 2000, 3000)
		}
	}
	for state, v := range map[string]float64{"ESTABLISHED": 40, "TIME_WAIT": 7, "LISTEN": 9} {
		rows.Sums = append(rows.Sums, level("system.network.connections", r, pairs{"protocol": "tcp", "state": state}, 3, v)...)
	}
	rows.Gauges = slices.Concat(
		gauge(hostLoad1, r, pairs{}, -5*sec, min15, 2, 1), gauge("system.cpu.load_average.5m", r, pairs{}, -5*sec, min15, 5),
		gauge("system.cpu.load_average.15m", r, pairs{}, -5*sec, min15, 15), gauge(hostUptime, r, pairs{}, -5*sec, min15, 4000))
	return rows
}

func TestNodeOfHostMetrics(t *testing.T) {
	t.Parallel()
	rows := hostNode("worker-1")
	n := oneNode(t, rows)
	w, prom := fiveMinutes(), promOf(rows)
	rate := func(metric string, labels ...string) float64 { return prom.increase(w, metric, where(labels...)) / 300 }
	share := func(state string) float64 {
		return 100 * rate("system.cpu.time", "state", state) / rate("system.cpu.time")
	}
	way := func(metric, device, direction string) float64 {
		return rate(metric, "device", device, "direction", direction)
	}
	want := model.NodeMetrics{
		NodeName: "worker-1", Timestamp: model.NewTime(testNow.Add(-5 * sec)), Uptime: 4000,
		CPU: model.NodeCPU{
			Cores: 2, UsagePct: 100 - share("idle") - share("wait") - share("steal"), UserPct: share("user"),
			SystemPct: share("system"), IOWaitPct: share("wait"), Load1: 1, Load5: 5, Load15: 15,
		},
		Memory: model.NodeMemory{
			TotalBytes: 1000, AvailableBytes: 400, FreeBytes: 100, CachedBytes: 250, BuffersBytes: 50, UsagePct: 60,
			SwapTotalBytes: 80, SwapFreeBytes: 20, SwapUsagePct: 75,
		},
		Disks: []model.NodeDisk{{
			Device: "/dev/vda1", MountPoint: "/", FSType: "ext4", TotalBytes: 1000, AvailBytes: 200, UsagePct: 80,
			ReadBytesPerSec: way("system.disk.io", "vda1", "read"), WriteBytesPerSec: way("system.disk.io", "vda1", "write"),
			ReadIOPS: way("system.disk.operations", "vda1", "read"), WriteIOPS: way("system.disk.operations", "vda1", "write"),
			IOUtilPct: 100 * rate("system.disk.io_time"),
		}},
		Networks: []model.NodeNetwork{{
			Interface: "eth0", Up: true,
			RxBytesPerSec: way("system.network.io", "eth0", "receive"), TxBytesPerSec: way("system.network.io", "eth0", "transmit"),
			RxPktPerSec: way("system.network.packets", "eth0", "receive"), TxPktPerSec: way("system.network.packets", "eth0", "transmit"),
			RxErrPerSec: way("system.network.errors", "eth0", "receive"), TxErrPerSec: way("system.network.errors", "eth0", "transmit"),
			RxDropPerSec: way("system.network.dropped", "eth0", "receive"), TxDropPerSec: way("system.network.dropped", "eth0", "transmit"),
		}},
		TCP:         model.NodeTCP{CurrEstab: 40, TimeWait: 7},
		VMStat:      model.NodeVMStat{PgFaultPerSec: rate("system.paging.faults"), PgMajFaultPerSec: rate("system.paging.faults", "type", "major")},
		Temperature: model.NodeTemperature{Sensors: []model.NodeSensor{}},
	}
	checkEqual(t, "node", n, want)
}

// Newer receivers say the total and what is available themselves.
func TestNodeMemoryOfNewerHostMetrics(t *testing.T) {
	t.Parallel()
	rows, r := hostNode("worker-1"), pairs{"host.name": "worker-1", "os.type": "linux"}
	rows.Sums = append(rows.Sums, level("system.memory.limit", r, pairs{}, 2000)...)
	rows.Sums = append(rows.Sums, level("system.linux.memory.available", r, pairs{}, 500)...)
	checkNear(t, "usage", oneNode(t, rows).Memory.UsagePct, 75)
}

func TestNodeExporterWinsOverHostMetrics(t *testing.T) {
	t.Parallel()
	r := pairs{"k8s.node.name": "worker-1", "server.address": "10.0.0.1"}
	own := telemetry.Rows{
		Sums: slices.Concat(
			counter(cpuSeconds, r, pairs{"cpu": "0", "mode": "idle"}, -5*sec, min15, 100, 114, 120),
			counter(cpuSeconds, r, pairs{"cpu": "0", "mode": "user"}, -5*sec, min15, 10, 11, 19),
			counter("node_network_receive_bytes_total", r, pairs{"device": "eth0"}, -5*sec, min15, 7, 8, 9)),
		Gauges: append(gauge("node_load1", r, pairs{}, -5*sec, min15, 9), gauge(bootTime, r, pairs{}, -5*sec, min15, 9)...),
	}
	want := oneNode(t, own)
	host := hostNode("worker-1")
	both := telemetry.Rows{Sums: slices.Concat(host.Sums, own.Sums), Gauges: slices.Concat(host.Gauges, own.Gauges)}
	got := oneNode(t, both)
	if got.CPU.Load1 != 9 {
		t.Errorf("load %v, want node_exporter's", got.CPU.Load1)
	}
	want.Uptime = got.Uptime // node_exporter did not send its own here
	checkEqual(t, "both", got, want)

	s, _ := testStore(t, both)
	alone, _ := testStore(t, own)
	for _, metric := range []string{detail.MetricCPU, detail.MetricNetwork, detail.MetricLoad} {
		checkEqual(t, metric, nodeSeriesOf(t, s, metric), nodeSeriesOf(t, alone, metric))
	}
}

func nodeSeriesOf(t *testing.T, s *Store, metric string) model.NodeSeries {
	t.Helper()
	got, _, err := s.NodeSeries(t.Context(), detail.NodeSeries{Name: "worker-1", Metric: metric, Range: before(time.Minute), StepSeconds: 60})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// The series of a node of hostmetrics are those of the values in NodeMetrics.
func TestNodeSeriesOfHostMetrics(t *testing.T) {
	t.Parallel()
	rows := hostNode("worker-1")
	s, _ := testStore(t, rows)
	prom, w := promOf(rows), windowBefore(testNow, time.Minute)
	rate := func(metric string, labels ...string) float64 { return prom.increase(w, metric, where(labels...)) / 60 }
	idle := rate("system.cpu.time", "state", "idle") + rate("system.cpu.time", "state", "wait") + rate("system.cpu.time", "state", "steal")
	for metric, want := range map[string]float64{
		detail.MetricCPU:       100 * (1 - idle/rate("system.cpu.time")),
		detail.MetricMemory:    100 * (1 - (50.5+25.5+125.5)/(300.5+50.5+25.5+125.5)), // means of 1 and each value
		detail.MetricDisk:      rate("system.disk.io"),
		detail.MetricNetwork:   rate("system.network.io", "device", "eth0"),
		detail.MetricLoad:      1.5,
		"system.paging.faults": rate("system.paging.faults"),
	} {
		got := nodeSeriesOf(t, s, metric)
		if len(got.Points) != 1 || len(got.Series) == 0 {
			t.Fatalf("%s: %+v, want one point", metric, got)
		}
		checkNear(t, metric, got.Points[0].Value, want)
	}
	modes := make(map[string]bool)
	for _, line := range nodeSeriesOf(t, s, detail.MetricCPU).Series {
		modes[line.Labels["mode"]] = true
	}
	checkEqual(t, "modes", modes, map[string]bool{"user": true, "system": true, "iowait": true, "irq": true, "steal": true})
	if _, _, err := s.Node(t.Context(), detail.Node{Name: "worker-1"}); err != nil {
		t.Error(err)
	}
}
