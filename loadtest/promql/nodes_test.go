package promql

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/atlhyper/observe/shared/model"
)

// TestNodes compares metrics.nodes with the queries of node dashboards.
func TestNodes(t *testing.T) {
	t.Parallel()
	s := suite{moments: genMoment, generate: genNode, report: reportNodes, queries: nodeQueries(), size: 60}
	s.run(t)
}

// nodeRates are the counters without a device, and what a second of them counts.
type nodeRate struct {
	metric, field string
	scale         float64
	of            func(*model.NodeMetrics) float64
}

func nodeRates() []nodeRate {
	return []nodeRate{
		{"node_pressure_cpu_waiting_seconds_total", "psi.cpuSomePct", 100, func(n *model.NodeMetrics) float64 { return n.PSI.CPUSomePct }},
		{"node_pressure_memory_waiting_seconds_total", "psi.memSomePct", 100, func(n *model.NodeMetrics) float64 { return n.PSI.MemSomePct }},
		{"node_pressure_memory_stalled_seconds_total", "psi.memFullPct", 100, func(n *model.NodeMetrics) float64 { return n.PSI.MemFullPct }},
		{"node_pressure_io_waiting_seconds_total", "psi.ioSomePct", 100, func(n *model.NodeMetrics) float64 { return n.PSI.IOSomePct }},
		{"node_pressure_io_stalled_seconds_total", "psi.ioFullPct", 100, func(n *model.NodeMetrics) float64 { return n.PSI.IOFullPct }},
		{"node_vmstat_pgfault", "vmstat.pgFaultPerSec", 1, func(n *model.NodeMetrics) float64 { return n.VMStat.PgFaultPerSec }},
		{"node_vmstat_pgmajfault", "vmstat.pgMajFaultPerSec", 1, func(n *model.NodeMetrics) float64 { return n.VMStat.PgMajFaultPerSec }},
		{"node_vmstat_pswpin", "vmstat.pswpInPerSec", 1, func(n *model.NodeMetrics) float64 { return n.VMStat.PswpInPerSec }},
		{"node_vmstat_pswpout", "vmstat.pswpOutPerSec", 1, func(n *model.NodeMetrics) float64 { return n.VMStat.PswpOutPerSec }},
		{"node_softnet_dropped_total", "softnet.droppedPerSec", 1, func(n *model.NodeMetrics) float64 { return n.Softnet.DroppedPerSec }},
		{"node_softnet_times_squeezed_total", "softnet.squeezedPerSec", 1, func(n *model.NodeMetrics) float64 { return n.Softnet.SqueezedPerSec }},
	}
}

type deviceRate[T any] struct {
	metric, field string
	scale         float64
	of            func(*T) float64
}

func diskRates() []deviceRate[model.NodeDisk] {
	return []deviceRate[model.NodeDisk]{
		{"node_disk_read_bytes_total", "disk.readBytesPerSec", 1, func(d *model.NodeDisk) float64 { return d.ReadBytesPerSec }},
		{"node_disk_written_bytes_total", "disk.writeBytesPerSec", 1, func(d *model.NodeDisk) float64 { return d.WriteBytesPerSec }},
		{"node_disk_reads_completed_total", "disk.readIOPS", 1, func(d *model.NodeDisk) float64 { return d.ReadIOPS }},
		{"node_disk_writes_completed_total", "disk.writeIOPS", 1, func(d *model.NodeDisk) float64 { return d.WriteIOPS }},
		{"node_disk_io_time_seconds_total", "disk.ioUtilPct", 100, func(d *model.NodeDisk) float64 { return d.IOUtilPct }},
	}
}

func networkRates() []deviceRate[model.NodeNetwork] {
	return []deviceRate[model.NodeNetwork]{
		{"node_network_receive_bytes_total", "network.rxBytesPerSec", 1, func(n *model.NodeNetwork) float64 { return n.RxBytesPerSec }},
		{"node_network_transmit_bytes_total", "network.txBytesPerSec", 1, func(n *model.NodeNetwork) float64 { return n.TxBytesPerSec }},
		{"node_network_receive_packets_total", "network.rxPktPerSec", 1, func(n *model.NodeNetwork) float64 { return n.RxPktPerSec }},
		{"node_network_transmit_packets_total", "network.txPktPerSec", 1, func(n *model.NodeNetwork) float64 { return n.TxPktPerSec }},
		{"node_network_receive_errs_total", "network.rxErrPerSec", 1, func(n *model.NodeNetwork) float64 { return n.RxErrPerSec }},
		{"node_network_transmit_errs_total", "network.txErrPerSec", 1, func(n *model.NodeNetwork) float64 { return n.TxErrPerSec }},
		{"node_network_receive_drop_total", "network.rxDropPerSec", 1, func(n *model.NodeNetwork) float64 { return n.RxDropPerSec }},
		{"node_network_transmit_drop_total", "network.txDropPerSec", 1, func(n *model.NodeNetwork) float64 { return n.TxDropPerSec }},
	}
}

// nodeQueries are the queries of a node's panels. Instances are the cases'
// names, without a port. Every number is one that a row may be left out for.
func nodeQueries() []query {
	row := []string{"instance"}
	out := []query{
		// As Grafana's Node Exporter Full has it.
		{field: "cpu.usagePct", row: row, presence: true,
			expr: `100 * (1 - sum by (instance) (rate(node_cpu_seconds_total{mode=~"idle|iowait|steal"}[$w])) / (sum by (instance) (rate(node_cpu_seconds_total[$w])) > 0))`},
	}
	for _, mode := range []string{"user", "system", "iowait"} {
		out = append(out, query{field: "cpu." + mode + "Pct", row: row, presence: true,
			expr: fmt.Sprintf(`100 * sum by (instance) (rate(node_cpu_seconds_total{mode=%q}[$w])) / (sum by (instance) (rate(node_cpu_seconds_total[$w])) > 0)`, mode)})
	}
	for _, r := range nodeRates() {
		out = append(out, query{field: r.field, row: row, presence: true,
			expr: bounded(r.scale, fmt.Sprintf("%v * sum by (instance) (rate(%s[$w]))", r.scale, r.metric))})
	}
	device := func(field, metric string, scale float64) {
		out = append(out, query{field: field, row: row, part: []string{"device"}, presence: true,
			expr: bounded(scale, fmt.Sprintf("%v * sum by (instance, device) (rate(%s[$w]))", scale, metric))})
	}
	for _, r := range diskRates() {
		device(r.field, r.metric, r.scale)
	}
	for _, r := range networkRates() {
		device(r.field, r.metric, r.scale)
	}
	return out
}

// bounded is the expression of a rate. A percentage, which is what is scaled, ends at
// 100: extrapolation takes the rate of a whole second beyond it.
func bounded(scale float64, expr string) string {
	if scale == 1 {
		return expr
	}
	return "clamp_max(" + expr + ", 100)"
}

func reportNodes(ctx context.Context, w *world) (reported, error) {
	nodes, err := w.store.Round(ctx, w.at).MetricsNodes()
	if err != nil {
		return reported{}, err
	}
	out := newReported()
	for i := range nodes {
		n := &nodes[i]
		out.set(n.NodeName, "cpu.usagePct", "", n.CPU.UsagePct)
		out.set(n.NodeName, "cpu.userPct", "", n.CPU.UserPct)
		out.set(n.NodeName, "cpu.systemPct", "", n.CPU.SystemPct)
		out.set(n.NodeName, "cpu.iowaitPct", "", n.CPU.IOWaitPct)
		for _, r := range nodeRates() {
			out.set(n.NodeName, r.field, "", r.of(n))
		}
		for j := range n.Disks {
			for _, r := range diskRates() {
				out.set(n.NodeName, r.field, n.Disks[j].Device, r.of(&n.Disks[j]))
			}
		}
		for j := range n.Networks {
			for _, r := range networkRates() {
				out.set(n.NodeName, r.field, n.Networks[j].Interface, r.of(&n.Networks[j]))
			}
		}
	}
	return out, nil
}

// genNode draws a node. Which attribute names it, and whether its counters came
// through federation into the gauge table, differ from node to node.
func genNode(t *rapid.T, m moment) testCase {
	times := genSchedule(t, m)
	base := series{job: "node-exporter", instance: caseName}
	name := rapid.SampledFrom([]string{"server.address", "net.host.name", "host.name", "k8s.node.name", ""}).Draw(t, "named by")
	if name != "" {
		base.resource = map[string]string{name: caseName, "url.scheme": "http"}
	}
	if rapid.SampledFrom([]bool{false, false, false, true}).Draw(t, "federated") {
		base.table = gaugeTable
	}
	c := testCase{series: genCores(t, base, times)}
	add := func(metric string, table table, labels map[string]string) {
		if rarely(t, 4, "never there") {
			return
		}
		s := base
		s.metric, s.labels = metric, labels
		if table == gaugeTable {
			s.table = gaugeTable
		}
		c.series = append(c.series, counter(t, s, times))
	}
	for _, r := range nodeRates() {
		switch {
		case strings.HasPrefix(r.metric, "node_vmstat_"):
			add(r.metric, gaugeTable, map[string]string{})
		case strings.HasPrefix(r.metric, "node_softnet_"):
			add(r.metric, sumTable, map[string]string{"cpu": "0"})
			add(r.metric, sumTable, map[string]string{"cpu": "1"})
		default:
			add(r.metric, sumTable, map[string]string{})
		}
	}
	for _, device := range []string{"sda", "nvme0n1"} {
		for _, r := range diskRates() {
			add(r.metric, sumTable, map[string]string{"device": device})
		}
	}
	for _, r := range networkRates() {
		add(r.metric, sumTable, map[string]string{"device": "eth0"})
	}
	return c
}

// genCores draws the time that cores spent in each mode: together as long as
// passed between two scrapes. All modes of a core come and go together.
func genCores(t *rapid.T, base series, times []int64) []series {
	modes := []string{"idle", "user", "system", "iowait", "steal"}
	var out []series
	for core := range rapid.IntRange(1, 3).Draw(t, "cores") {
		life := genFate(t, len(times))
		points := make([][]point, len(modes))
		spent := make([]float64, len(modes))
		for i := range spent {
			spent[i] = float64(rapid.Uint64Range(0, 1<<30).Draw(t, "spent")) * unit
		}
		resets := rapid.SampledFrom([]int{0, 0, 3}).Draw(t, "how rarely reset")
		for i, at := range times {
			if resets > 0 && rarely(t, resets, "reboot") {
				clear(spent)
			}
			left := uint64(0)
			if i > 0 {
				left = uint64(at-times[i-1]) * 64
			}
			for mode := len(modes) - 1; mode > 0; mode-- {
				used := rapid.Uint64Range(0, left).Draw(t, modes[mode])
				spent[mode] += float64(used) * unit
				left -= used
			}
			spent[0] += float64(left) * unit
			if rarely(t, 6, "the kernel takes iowait back") {
				spent[3] = max(0, spent[3]-1)
			}
			for mode := range modes {
				points[mode] = append(points[mode], point{at: at, value: spent[mode]})
			}
		}
		for mode, name := range modes {
			s := base
			s.metric = "node_cpu_seconds_total"
			s.labels = map[string]string{"cpu": strconv.Itoa(core), "mode": name}
			s.points = lived(points[mode], life)
			out = append(out, s)
		}
	}
	return out
}
