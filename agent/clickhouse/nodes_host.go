package clickhouse

import (
	"cmp"
	"slices"
	"strings"
)

// The collector's own hostmetrics receiver says of a node much of what
// node_exporter does, by other names. Where a node has the one and not the
// other, its metrics are turned into node_exporter's here, once they are gauges
// and rates. A node that sends both is what node_exporter says.

// hostRule makes a metric of node_exporter from one of hostmetrics: the sum of
// its series, by the labels that are kept.
type hostRule struct {
	metric string
	only   map[string][]string // what attributes must be; nil takes all series
	target string
	labels map[string]string // attribute by the target's label
}

const (
	hostUptime = "system.uptime"
	hostLoad1  = "system.cpu.load_average.1m"
	hostMemory = "system.memory.usage"
)

// hostRules are by target; of several with one target the first that has series
// is taken.
func hostRules() []hostRule {
	state := func(values ...string) map[string][]string { return map[string][]string{"state": values} }
	direction := func(value string) map[string][]string { return map[string][]string{"direction": {value}} }
	tcp := func(state string) map[string][]string {
		return map[string][]string{"protocol": {"tcp"}, "state": {state}}
	}
	device := map[string]string{"device": "device"}
	mount := map[string]string{"device": "device", "mountpoint": "mountpoint", "fstype": "type"}
	rules := []hostRule{
		{"system.cpu.time", nil, cpuSeconds, map[string]string{"cpu": "cpu", "mode": "state"}},
		{"system.cpu.frequency", nil, cpuFrequency, map[string]string{"cpu": "cpu"}},
		{hostLoad1, nil, "node_load1", nil},
		{"system.cpu.load_average.5m", nil, "node_load5", nil},
		{"system.cpu.load_average.15m", nil, "node_load15", nil},
		{"system.memory.limit", nil, "node_memory_MemTotal_bytes", nil},
		{hostMemory, state("total"), "node_memory_MemTotal_bytes", nil},
		// What is used is the rest of the total; slab and inactive are parts of others.
		{hostMemory, state("used", "free", "buffered", "cached"), "node_memory_MemTotal_bytes", nil},
		{"system.linux.memory.available", nil, memAvailable, nil},
		{hostMemory, state("free"), "node_memory_MemFree_bytes", nil},
		{hostMemory, state("buffered"), "node_memory_Buffers_bytes", nil},
		{hostMemory, state("cached"), "node_memory_Cached_bytes", nil}, // with the reclaimable slab
		{"system.paging.usage", state("used", "free"), "node_memory_SwapTotal_bytes", nil},
		{"system.paging.usage", state("free"), "node_memory_SwapFree_bytes", nil},
		{"system.paging.faults", nil, "node_vmstat_pgfault", nil},
		{"system.paging.faults", map[string][]string{"type": {"major"}}, "node_vmstat_pgmajfault", nil},
		{"system.filesystem.usage", state("used", "free", "reserved"), fsSize, mount},
		{"system.filesystem.usage", state("free"), fsAvail, mount},
		{"system.disk.io", direction("read"), "node_disk_read_bytes_total", device},
		{"system.disk.io", direction("write"), "node_disk_written_bytes_total", device},
		{"system.disk.operations", direction("read"), "node_disk_reads_completed_total", device},
		{"system.disk.operations", direction("write"), "node_disk_writes_completed_total", device},
		{"system.disk.io_time", nil, "node_disk_io_time_seconds_total", device},
		{"system.network.connections", tcp("ESTABLISHED"), "node_netstat_Tcp_CurrEstab", nil},
		{"system.network.connections", tcp("TIME_WAIT"), "node_sockstat_TCP_tw", nil},
		{"system.network.conntrack.count", nil, "node_nf_conntrack_entries", nil},
		{"system.network.conntrack.max", nil, "node_nf_conntrack_entries_limit", nil},
	}
	for metric, word := range map[string]string{
		"system.network.io": "bytes", "system.network.packets": "packets", "system.network.errors": "errs", "system.network.dropped": "drop",
	} {
		for _, way := range []string{"receive", "transmit"} {
			rules = append(rules, hostRule{metric, direction(way), "node_network_" + way + "_" + word + "_total", device})
		}
	}
	return rules
}

// hostMetrics are all metrics of hostmetrics that are read. Some are gauges and
// some sums, which changed with versions.
func hostMetrics() []string {
	out := []string{hostUptime}
	for _, r := range hostRules() {
		out = append(out, r.metric)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// hostMetricsOf are those that the targets are made of.
func hostMetricsOf(targets []string) []string {
	var out []string
	for _, r := range hostRules() {
		if slices.Contains(targets, r.target) {
			out = append(out, r.metric)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// apply gives the target's labels of a series, false where it is no part of it.
func (r *hostRule) apply(metric string, of labels) (labels, bool) {
	if metric != r.metric {
		return nil, false
	}
	for name, values := range r.only {
		if !slices.Contains(values, of[name]) {
			return nil, false
		}
	}
	out := make(labels, len(r.labels))
	for label, attribute := range r.labels {
		value := of[attribute]
		switch label {
		case "cpu": // cpu0 is 0
			value = strings.TrimPrefix(value, "cpu")
		case "mode":
			value = cmp.Or(map[string]string{"wait": "iowait", "interrupt": "irq"}[value], value)
		}
		out[label] = value
	}
	return out, true
}

// isNodeExporter tells by its name whether a metric is of node_exporter.
func isNodeExporter(metric string) bool { return strings.HasPrefix(metric, "node_") }

// translate adds node_exporter's metrics to a node that has none.
func (n *nodeSamples) translate() {
	for metric := range n.values {
		if isNodeExporter(metric) {
			return
		}
	}
	for _, r := range hostRules() {
		if len(n.values[r.target]) > 0 {
			continue
		}
		var (
			out   []labelled
			index = make(map[string]int)
		)
		for _, v := range n.values[r.metric] {
			kept, ok := r.apply(r.metric, v.labels)
			if !ok {
				continue
			}
			v.labels = kept
			at, ok := index[kept.key()]
			if !ok {
				index[kept.key()] = len(out)
				out = append(out, v)
				continue
			}
			sum := &out[at]
			sum.value += v.value
			sum.known = sum.known && v.known
			sum.lastMs = max(sum.lastMs, v.lastMs)
		}
		if len(out) > 0 {
			n.values[r.target] = out
		}
	}
}

// translateTracks turns what hostmetrics sent into node_exporter's metrics where
// node_exporter sent nothing.
func translateTracks(tracks []track) []track {
	own := slices.DeleteFunc(slices.Clone(tracks), func(t track) bool { return !isNodeExporter(t.metric) })
	if len(own) > 0 {
		return own
	}
	var out []track
	made := make(map[string]bool) // targets
	for _, r := range hostRules() {
		if made[r.target] {
			continue
		}
		index := make(map[string]int)
		for _, t := range tracks {
			kept, ok := r.apply(t.metric, t.labels)
			if !ok {
				continue
			}
			made[r.target] = true
			at, ok := index[kept.key()]
			if !ok {
				at = len(out)
				index[kept.key()] = at
				out = append(out, track{metric: r.target, labels: kept, values: make(map[int64]float64), counter: t.counter})
			}
			for slot, v := range t.values {
				out[at].values[slot] += v
			}
		}
	}
	return out
}
