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

// exporter is the resource of a node_exporter, as collectors from v0.126 write it.
func exporter(address string) pairs {
	return pairs{"service.name": "node", "service.instance.id": address + ":9100", "server.address": address}
}

// scraped makes gauges of one scrape, by metric.
func scraped(resource pairs, at time.Duration, values map[string]float64) []telemetry.GaugePoint {
	var out []telemetry.GaugePoint
	for metric, v := range values {
		out = append(out, gauge(metric, resource, pairs{}, at, 0, v)...)
	}
	return out
}

func oneNode(t *testing.T, rows telemetry.Rows) model.NodeMetrics {
	t.Helper()
	s, _ := testStore(t, rows)
	nodes, err := s.Round(t.Context(), testNow).MetricsNodes()
	if err != nil || len(nodes) != 1 {
		t.Fatalf("%d nodes, error %v; want 1", len(nodes), err)
	}
	return nodes[0]
}

func TestNodeCPUAndCounters(t *testing.T) {
	t.Parallel()
	n1 := exporter("10.0.0.1")
	var rows telemetry.Rows
	for cpu, modes := range map[string]map[string][]float64{
		"0": {"idle": {100, 106, 112}, "user": {50, 53, 56}, "system": {5, 6, 7}, "iowait": {1, 2, 3}, "steal": {0, 1, 2}},
		"1": {"idle": {200, 203, 206}, "user": {70, 79, 88}, "system": {5, 6, 7}, "iowait": {1, 1, 1}, "steal": {0, 0, 0}},
	} {
		for mode, values := range modes {
			rows.Sums = append(rows.Sums, counter(cpuSeconds, n1, pairs{"cpu": cpu, "mode": mode}, -5*sec, min15, values...)...)
		}
	}
	// A core that has just appeared has no rate.
	rows.Sums = append(rows.Sums, counter(cpuSeconds, n1, pairs{"cpu": "2", "mode": "idle"}, -5*sec, min15, 1)...)
	rows.Sums = append(rows.Sums, counter("node_pressure_io_waiting_seconds_total", n1, pairs{}, -5*sec, min15, 10, 11, 12)...)
	rows.Sums = append(rows.Sums, counter("node_softnet_dropped_total", n1, pairs{"cpu": "0"}, -5*sec, min15, 100, 130, 2)...)
	rows.Sums = append(rows.Sums, counter("node_softnet_dropped_total", n1, pairs{"cpu": "1"}, -5*sec, min15, 100, 130, 160)...)
	rows.Gauges = slices.Concat(
		// An untyped counter, and two real gauges beside it.
		gauge("node_vmstat_pgfault", n1, pairs{}, -5*sec, min15, 1000, 1300, 200),
		gauge("node_netstat_Tcp_CurrEstab", n1, pairs{}, -5*sec, min15, 9, 40, 17),
		gauge(cpuFrequency, n1, pairs{"cpu": "10"}, -5*sec, min15, 3e9),
		gauge(cpuFrequency, n1, pairs{"cpu": "9"}, -5*sec, min15, 2e9),
		gauge(nodeTime, n1, pairs{}, -5*sec, min15, 5000, 5015), gauge(bootTime, n1, pairs{}, -5*sec, min15, 15),
		gauge(unameInfo, n1, pairs{"release": "6.1", "nodename": "worker-1"}, -5*sec, min15, 1),
	)
	n := oneNode(t, rows)
	w, prom := fiveMinutes(), promOf(rows)
	rate := func(metric string, match func(map[string]string) bool) float64 {
		return prom.increase(w, metric, match) / 300
	}
	share := func(mode string) float64 {
		return 100 * rate(cpuSeconds, where("mode", mode)) / rate(cpuSeconds, where())
	}
	checkNear(t, "usage", n.CPU.UsagePct, 100-share("idle")-share("iowait")-share("steal"))
	checkNear(t, "user", n.CPU.UserPct, share("user"))
	checkNear(t, "system", n.CPU.SystemPct, share("system"))
	checkNear(t, "iowait", n.CPU.IOWaitPct, share("iowait"))
	checkNear(t, "psi", n.PSI.IOSomePct, 100*rate("node_pressure_io_waiting_seconds_total", where()))
	checkNear(t, "softnet", n.Softnet.DroppedPerSec, rate("node_softnet_dropped_total", where()))
	checkNear(t, "page faults", n.VMStat.PgFaultPerSec, rate("node_vmstat_pgfault", where()))
	checkEqual(t, "the rest", []any{n.CPU.Cores, n.TCP.CurrEstab, n.CPU.FreqHz, n.Uptime, n.Kernel, n.NodeName, n.NodeIP, n.Timestamp},
		[]any{int64(3), int64(17), []float64{2e9, 3e9}, int64(5000), "6.1", "worker-1", "10.0.0.1", model.NewTime(testNow.Add(-5 * sec))})
}

// A node that was seen in the last minute of the window alone is as busy as it
// was in that minute, at every moment and over time.
func TestNodeCPUOfAPartOfTheWindow(t *testing.T) {
	t.Parallel()
	r := exporter("10.0.0.1")
	rows := telemetry.Rows{Gauges: gauge(bootTime, r, pairs{}, 0, min15, 1)}
	for mode, per15s := range map[string]float64{"idle": 11, "user": 2, "system": 1, "iowait": 0.5, "steal": 0.5} {
		for _, cpu := range []string{"0", "1"} {
			values := []float64{1000}
			for range 4 {
				values = append(values, values[len(values)-1]+per15s)
			}
			rows.Sums = append(rows.Sums, counter(cpuSeconds, r, pairs{"cpu": cpu, "mode": mode}, 0, min15, values...)...)
		}
	}
	n := oneNode(t, rows)
	checkEqual(t, "cpu", n.CPU, model.NodeCPU{Cores: 2, UsagePct: 20, UserPct: 100 * 2 / 15.0, SystemPct: 100 / 15.0, IOWaitPct: 50 / 15.0})

	s, _ := testStore(t, rows)
	at := model.NewTime(testNow)
	got := seriesOf(t, s, "10.0.0.1", detail.MetricCPU, before(time.Hour), 600)
	checkEqual(t, "points", got.Points, []model.Point{{Timestamp: at, Value: 20}})
	line := func(mode string, v float64) model.LabeledPoints {
		return model.LabeledPoints{Labels: pairs{"mode": mode}, Points: []model.Point{{Timestamp: at, Value: v}}}
	}
	checkEqual(t, "series", got.Series, []model.LabeledPoints{
		line("iowait", 50/15.0), line("steal", 50/15.0), line("system", 100/15.0), line("user", 200/15.0),
	})
}

// All of the time is 100 %, however the ends of the window are extrapolated: a
// clock that was set forward between two scrapes makes it look like more.
func TestNodePercentagesEndAt100(t *testing.T) {
	t.Parallel()
	r := exporter("10.0.0.1")
	values := make([]float64, 21)
	for i := range values {
		values[i] = 1000 + 15.5*float64(i) // of 15 s
	}
	var rows telemetry.Rows
	for _, f := range pressures() {
		rows.Sums = append(rows.Sums, counter(f.metric, r, pairs{}, 0, min15, values...)...)
	}
	rows.Sums = append(rows.Sums, counter("node_disk_io_time_seconds_total", r, pairs{"device": "vda"}, 0, min15, values...)...)
	n := oneNode(t, rows)
	checkEqual(t, "pressure", n.PSI, model.NodePSI{CPUSomePct: 100, MemSomePct: 100, MemFullPct: 100, IOSomePct: 100, IOFullPct: 100})
	checkEqual(t, "disks", n.Disks, []model.NodeDisk{{Device: "vda", IOUtilPct: 100}})
}

func TestNodeMemory(t *testing.T) {
	t.Parallel()
	values := map[string]float64{
		"node_memory_MemTotal_bytes": 1000, "node_memory_MemFree_bytes": 100, "node_memory_Buffers_bytes": 50,
		"node_memory_Cached_bytes": 200, "node_memory_Slab_bytes": 30, "node_memory_MemAvailable_bytes": 400,
		"node_memory_SwapTotal_bytes": 80, "node_memory_SwapFree_bytes": 20,
	}
	got := oneNode(t, telemetry.Rows{Gauges: scraped(exporter("10.0.0.1"), -sec, values)}).Memory
	checkEqual(t, "memory", got, model.NodeMemory{
		TotalBytes: 1000, AvailableBytes: 400, FreeBytes: 100, CachedBytes: 200, BuffersBytes: 50, UsagePct: 60,
		SwapTotalBytes: 80, SwapFreeBytes: 20, SwapUsagePct: 75,
	})
	delete(values, "node_memory_MemAvailable_bytes")
	got = oneNode(t, telemetry.Rows{Gauges: scraped(exporter("10.0.0.1"), -sec, values)}).Memory
	checkNear(t, "usage without MemAvailable", got.UsagePct, 62)
}

func TestNodeDisks(t *testing.T) {
	t.Parallel()
	r := exporter("10.0.0.1")
	var rows telemetry.Rows
	mount := func(device, mountPoint, fsType string, size, avail float64) {
		l := pairs{"device": device, "mountpoint": mountPoint, "fstype": fsType}
		rows.Gauges = append(rows.Gauges, gauge(fsSize, r, l, -sec, min15, size)...)
		rows.Gauges = append(rows.Gauges, gauge(fsAvail, r, l, -sec, min15, avail)...)
	}
	mount("/dev/vda1", "/", "ext4", 1000, 250)
	mount("/dev/vda1", "/var/lib/kubelet/pods/1/volumes/x", "ext4", 1000, 250) // a bind mount
	mount("/dev/vda1", "/data", "ext4", 1000, 250)                             // another
	mount("/dev/vda2", "/logs", "xfs", 500, 500)
	mount("/dev/nvme0n1p3", "/fast", "xfs", 100, 10)
	mount("/dev/mapper/vg-home", "/home", "ext4", 10, 5)
	mount("tmpfs", "/run", "tmpfs", 10, 5)
	mount("shm", "/run/containerd/x/shm", "tmpfs", 10, 5)
	mount("overlay", "/var/lib/docker/overlay2/x", "overlay", 10, 5)
	mount("/dev/vda15", "/boot/efi", "vfat", 10, 5)
	mount("/dev/loop3", "/snap/core/1", "squashfs", 10, 0)
	rows.Gauges = append(rows.Gauges, gauge(mapperInfo, r, pairs{"device": "dm-0", "name": "vg-home"}, -sec, min15, 1)...)
	for device, written := range map[string][]float64{"vda": {0, 300}, "nvme0n1": {10, 40}, "dm-0": {5, 8}, "sdz": {7, 7}} {
		rows.Sums = append(rows.Sums, counter("node_disk_written_bytes_total", r, pairs{"device": device}, -sec, min15, written...)...)
	}
	rows.Sums = append(rows.Sums, counter("node_disk_io_time_seconds_total", r, pairs{"device": "vda"}, -sec, min15, 100, 101)...)

	prom, w := promOf(rows), fiveMinutes()
	write := func(device string) float64 {
		return prom.increase(w, "node_disk_written_bytes_total", where("device", device)) / 300
	}
	busy := 100 * prom.increase(w, "node_disk_io_time_seconds_total", where()) / 300
	checkEqual(t, "disks", oneNode(t, rows).Disks, []model.NodeDisk{
		{Device: "/dev/mapper/vg-home", MountPoint: "/home", FSType: "ext4", TotalBytes: 10, AvailBytes: 5, UsagePct: 50, WriteBytesPerSec: write("dm-0")},
		{Device: "/dev/nvme0n1p3", MountPoint: "/fast", FSType: "xfs", TotalBytes: 100, AvailBytes: 10, UsagePct: 90, WriteBytesPerSec: write("nvme0n1")},
		{Device: "/dev/vda1", MountPoint: "/", FSType: "ext4", TotalBytes: 1000, AvailBytes: 250, UsagePct: 75, WriteBytesPerSec: write("vda"), IOUtilPct: busy},
		{Device: "/dev/vda2", MountPoint: "/logs", FSType: "xfs", TotalBytes: 500, AvailBytes: 500, WriteBytesPerSec: write("vda"), IOUtilPct: busy},
		{Device: "sdz"},
	})
}

func TestContainerisedExporterSeesTheHostElsewhere(t *testing.T) {
	t.Parallel()
	r := exporter("10.0.0.1")
	var rows telemetry.Rows
	for device, mountPoint := range map[string]string{"/dev/sda1": "/host/root", "/dev/sda2": "/host/root/home", "/dev/sda3": "/host/root/run/x"} {
		l := pairs{"device": device, "mountpoint": mountPoint, "fstype": "ext4"}
		rows.Gauges = append(rows.Gauges, gauge(fsSize, r, l, -sec, min15, 10)...)
		rows.Gauges = append(rows.Gauges, gauge(fsAvail, r, l, -sec, min15, 10)...)
	}
	var mounts []string
	for _, d := range oneNode(t, rows).Disks {
		mounts = append(mounts, d.MountPoint)
	}
	checkEqual(t, "mount points", mounts, []string{"/", "/home"})
}

func TestNodeNetworks(t *testing.T) {
	t.Parallel()
	r := exporter("10.0.0.1")
	var rows telemetry.Rows
	for _, device := range []string{"eth0", "lo", "veth1a2b", "cali7", "cni0", "flannel.1", "docker0", "br-77", "eth1"} {
		l := pairs{"device": device}
		rows.Sums = append(rows.Sums, counter("node_network_receive_bytes_total", r, l, -sec, min15, 0, 1500)...)
		rows.Gauges = append(rows.Gauges, gauge(netUp, r, l, -sec, min15, map[string]float64{"eth0": 1}[device])...)
		rows.Gauges = append(rows.Gauges, gauge(netSpeed, r, l, -sec, min15, map[string]float64{"eth0": 1.25e9, "eth1": -125000}[device])...)
		rows.Gauges = append(rows.Gauges, gauge(netMTU, r, l, -sec, min15, 1500)...)
	}
	rx := promOf(rows).increase(fiveMinutes(), "node_network_receive_bytes_total", where("device", "eth0")) / 300
	checkEqual(t, "networks", oneNode(t, rows).Networks, []model.NodeNetwork{
		{Interface: "eth0", Up: true, SpeedBps: 1e10, MTU: 1500, RxBytesPerSec: rx},
		{Interface: "eth1", MTU: 1500, RxBytesPerSec: rx},
	})
}

func TestNodeTemperature(t *testing.T) {
	t.Parallel()
	r, chip := exporter("10.0.0.1"), "platform_coretemp_0"
	core := func(n string) pairs { return pairs{"chip": chip, "sensor": n} }
	rows := telemetry.Rows{Gauges: slices.Concat(
		gauge(hwmonTemp, r, core("temp1"), -sec, min15, 50), gauge(hwmonTemp, r, core("temp2"), -sec, min15, 61),
		gauge(hwmonMax, r, core("temp2"), -sec, min15, 80), gauge(hwmonCrit, r, core("temp2"), -sec, min15, 100),
		gauge(hwmonLabels, r, core("temp2").with("label", "Core 0"), -sec, min15, 1),
		gauge(hwmonChips, r, pairs{"chip": chip, "chip_name": "coretemp"}, -sec, min15, 1),
		gauge(hwmonTemp, r, pairs{"chip": "nvme", "sensor": "temp1"}, -sec, min15, 70),
		gauge(thermalZone, r, pairs{"zone": "0", "type": "acpitz"}, -sec, min15, 30),
	)}
	checkEqual(t, "hwmon", oneNode(t, rows).Temperature, model.NodeTemperature{
		CPUTempC: 61, CPUMaxC: 80, CPUCritC: 100, Sensors: []model.NodeSensor{
			{Chip: "coretemp", Sensor: "Core 0", CurrentC: 61, MaxC: 80, CritC: 100},
			{Chip: "coretemp", Sensor: "temp1", CurrentC: 50},
			{Chip: "nvme", Sensor: "temp1", CurrentC: 70},
		},
	})
	rows = telemetry.Rows{Gauges: gauge(thermalZone, r, pairs{"zone": "0", "type": "cpu-thermal"}, -sec, min15, 42)}
	checkEqual(t, "thermal zones", oneNode(t, rows).Temperature, model.NodeTemperature{
		CPUTempC: 42, Sensors: []model.NodeSensor{{Chip: "cpu-thermal", Sensor: "zone0", CurrentC: 42}},
	})
}

func TestNodeIdentity(t *testing.T) {
	t.Parallel()
	load := func(resource, labels pairs, at time.Duration) []telemetry.GaugePoint {
		return gauge("node_load1", resource, labels, at, min15, 1)
	}
	uname := func(resource pairs, name string) []telemetry.GaugePoint {
		return gauge(unameInfo, resource, pairs{"nodename": name}, -sec, min15, 1)
	}
	rows := telemetry.Rows{Gauges: slices.Concat(
		load(pairs{"k8s.node.name": "worker-1", "server.address": "10.0.0.1"}, pairs{}, -sec),
		load(pairs{"net.host.name": "10.0.0.2"}, pairs{}, -sec),
		load(pairs{"service.instance.id": "node3.example.com:9100"}, pairs{}, -110*sec),
		load(pairs{"service.instance.id": "[fd00::4]:9100"}, pairs{}, -130*sec),
		load(pairs{"service.name": "federate", "server.address": "10.9.9.9"}, pairs{"exported_instance": "10.0.0.5:9100"}, -sec),
		load(pairs{"service.name": "federate", "server.address": "10.9.9.9"}, pairs{"exported_instance": "10.0.0.6:9100"}, -sec),
		// One name for two nodes tells neither; one for one names it.
		uname(pairs{"net.host.name": "10.0.0.2"}, "vm"), uname(pairs{"service.instance.id": "[fd00::4]:9100"}, "vm"),
		uname(pairs{"service.instance.id": "node3.example.com:9100"}, "three"),
		load(pairs{"server.address": "10.0.0.7"}, pairs{}, -301*sec), // before the window
	)}
	s, _ := testStore(t, rows)
	round := s.Round(t.Context(), testNow)
	nodes, err := round.MetricsNodes()
	if err != nil {
		t.Fatal(err)
	}
	var got [][2]string
	for _, n := range nodes {
		got = append(got, [2]string{n.NodeName, n.NodeIP})
	}
	checkEqual(t, "names and addresses", got, [][2]string{
		{"10.0.0.2", "10.0.0.2"}, {"10.0.0.5", "10.0.0.5"}, {"10.0.0.6", "10.0.0.6"},
		{"fd00::4", "fd00::4"}, {"three", ""}, {"worker-1", "10.0.0.1"},
	})
	summary, err := round.MetricsSummary()
	if err != nil || summary.TotalNodes != 6 || summary.OnlineNodes != 6 {
		t.Errorf("summary %+v, error %v; want 6 nodes, all online", summary, err)
	}
	for _, name := range []string{"three", "worker-1", "10.0.0.1"} {
		if n, _, err := s.Node(t.Context(), detail.Node{Name: name}); err != nil || n.CPU.Load1 != 1 {
			t.Errorf("Node(%q) = %+v, %v", name, n, err)
		}
	}
	if _, _, err := s.Node(t.Context(), detail.Node{Name: "nobody"}); !fault.Is(err, fault.NotFound) {
		t.Errorf("an unknown node: %v", err)
	}
}

func TestMetricsSummary(t *testing.T) {
	t.Parallel()
	node := func(age time.Duration, cpu, mem, temp float64) model.NodeMetrics {
		n := model.NodeMetrics{Timestamp: model.NewTime(testNow.Add(-age))}
		n.CPU.UsagePct, n.Memory.UsagePct, n.Temperature.CPUTempC = cpu, mem, temp
		n.Memory.TotalBytes = 1
		return n
	}
	tooNew := node(sec, 0, 0, 0) // one sample, and none of its memory
	tooNew.CPU.Unknown, tooNew.Memory.TotalBytes = true, 0
	got, err := nodesNow{list: []model.NodeMetrics{
		node(sec, 10, 30, 40), tooNew, node(2*time.Minute, 30, 50, 60), node(121*sec, 99, 99, 99),
	}}.summarize(testNow, 2*time.Minute)
	want := model.MetricsSummary{
		TotalNodes: 4, OnlineNodes: 3, AvgCPUPct: 20, AvgMemPct: 40, MaxCPUPct: 30, MaxMemPct: 50, MaxCPUTemp: 60,
	}
	if err != nil {
		t.Fatal(err)
	}
	checkEqual(t, "summary", got, want)
}

// One sample makes no rate: the node's CPU is unknown, and no average counts it
// as idle. A core that does nothing at all is known, and is 0 % busy.
func TestNodeOfOneSample(t *testing.T) {
	t.Parallel()
	cpu := func(host string, values ...float64) []telemetry.SumPoint {
		return counter(cpuSeconds, exporter(host), pairs{"cpu": "0", "mode": "idle"}, -5*sec, min15, values...)
	}
	busy := counter(cpuSeconds, exporter("busy"), pairs{"cpu": "0", "mode": "user"}, -5*sec, min15, 0, 15, 30)
	s, _ := testStore(t, telemetry.Rows{Sums: slices.Concat(cpu("new", 7), cpu("idle", 0, 15, 30), cpu("busy", 0, 0, 0), busy)})
	round := s.Round(t.Context(), testNow)
	nodes, err := round.MetricsNodes()
	if err != nil || len(nodes) != 3 {
		t.Fatalf("%d nodes, error %v", len(nodes), err)
	}
	for i, want := range []model.NodeCPU{{Cores: 1, UsagePct: 100, UserPct: 100}, {Cores: 1}, {Cores: 1, Unknown: true}} {
		checkEqual(t, nodes[i].NodeName, nodes[i].CPU, want)
	}
	summary, err := round.MetricsSummary()
	if err != nil || summary.OnlineNodes != 3 || summary.AvgCPUPct != 50 || summary.MaxCPUPct != 100 || summary.AvgMemPct != 0 {
		t.Errorf("summary %+v, error %v; want 50 %% of two nodes", summary, err)
	}
}

// An exporter that moved to another pod goes on where it was; one scraped by
// two collectors counts once.
func TestOneNodeInTwoResources(t *testing.T) {
	t.Parallel()
	pod := func(name string) pairs { return pairs{"k8s.node.name": "n1", "k8s.pod.name": name} }
	moved := telemetry.Rows{Sums: slices.Concat(
		counter("node_vmstat_pgfault", pod("a"), pairs{}, -200*sec, min15, 0, 100, 200),
		counter("node_vmstat_pgfault", pod("b"), pairs{}, -5*sec, min15, 0, 50, 100))}
	want := promOf(moved).increase(fiveMinutes(), "node_vmstat_pgfault", where()) / 300
	checkNear(t, "moved", oneNode(t, moved).VMStat.PgFaultPerSec, want)

	twice := telemetry.Rows{Sums: slices.Concat(
		counter("node_vmstat_pgfault", pod("a"), pairs{}, -5*sec, min15, 0, 100, 200),
		counter("node_vmstat_pgfault", pod("b"), pairs{}, -7*sec, min15, 0, 100, 200, 300))}
	longer := promOf(telemetry.Rows{Sums: twice.Sums[3:]}).increase(fiveMinutes(), "node_vmstat_pgfault", where()) / 300
	checkNear(t, "scraped twice", oneNode(t, twice).VMStat.PgFaultPerSec, longer)
}

// Federation takes the types and the resource away; the node is the same.
func TestFederatedNodeReadsAsItself(t *testing.T) {
	t.Parallel()
	direct := exporter("10.0.0.1")
	rows := telemetry.Rows{
		Sums: slices.Concat(
			counter(cpuSeconds, direct, pairs{"cpu": "0", "mode": "idle"}, -5*sec, min15, 100, 106, 112),
			counter(cpuSeconds, direct, pairs{"cpu": "0", "mode": "user"}, -5*sec, min15, 10, 16, 3),
			counter("node_network_receive_bytes_total", direct, pairs{"device": "eth0"}, -5*sec, min15, 0, 500, 900)),
		Gauges: gauge("node_load1", direct, pairs{}, -5*sec, min15, 2),
	}
	var federated telemetry.Rows
	again := func(p telemetry.Point, v float64) {
		p.Resource = telemetry.Attributes{"service.name": "federate", "server.address": "10.9.9.9"}
		p.Attributes = telemetry.Attributes(pairs(p.Attributes).with("exported_instance", "10.0.0.1:9100"))
		federated.Gauges = append(federated.Gauges, telemetry.GaugePoint{Point: p, Value: v})
	}
	for _, p := range rows.Sums {
		again(p.Point, p.Value)
	}
	for _, p := range rows.Gauges {
		again(p.Point, p.Value)
	}
	want := oneNode(t, rows)
	if want.CPU.UsagePct == 0 || want.Networks[0].RxBytesPerSec == 0 {
		t.Fatalf("node %+v has holes", want)
	}
	checkEqual(t, "federated", oneNode(t, federated), want)
	both := telemetry.Rows{Sums: rows.Sums, Gauges: slices.Concat(rows.Gauges, federated.Gauges)}
	checkEqual(t, "both ways at once", oneNode(t, both), want)
}
