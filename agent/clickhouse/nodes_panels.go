package clickhouse

import (
	"cmp"
	"strings"

	"github.com/atlhyper/observe/shared/detail"
)

// panel says what a metric of a node series is made of.
type panel struct {
	metrics []string
	// unit of the points, which may depend on what was found.
	unit func([]track) string
	// build gives the combined values by step and the series.
	build func([]track) (map[int64]float64, []track)
}

func fixed(unit string) func([]track) string { return func([]track) string { return unit } }

// nodePanels are the aliases of package detail.
func nodePanels() map[string]panel {
	return map[string]panel{
		// Usage as in NodeCPU; the series are the shares of the modes but idle.
		detail.MetricCPU: {[]string{cpuSeconds}, fixed("%"), buildCPU},
		// Usage as in NodeMemory, its only series.
		detail.MetricMemory: {
			[]string{"node_memory_MemTotal_bytes", memAvailable, "node_memory_MemFree_bytes", "node_memory_Buffers_bytes", "node_memory_Cached_bytes", memSlab},
			fixed("%"), buildMemory,
		},
		// Bytes per second by device and direction (read, write), and their sum.
		detail.MetricDisk: {
			[]string{"node_disk_read_bytes_total", "node_disk_written_bytes_total"}, fixed("B/s"),
			buildTransfer("device", map[string]string{"node_disk_read_bytes_total": "read", "node_disk_written_bytes_total": "write"}, nil),
		},
		// Bytes per second by interface and direction (receive, transmit), and
		// their sum, of the interfaces that NodeMetrics has.
		detail.MetricNetwork: {
			[]string{"node_network_receive_bytes_total", "node_network_transmit_bytes_total"}, fixed("B/s"),
			buildTransfer("interface", map[string]string{"node_network_receive_bytes_total": "receive", "node_network_transmit_bytes_total": "transmit"}, skipInterface),
		},
		// The load averages by period; the points are those of one minute.
		detail.MetricLoad: {[]string{"node_load1", "node_load5", "node_load15"}, fixed(""), buildLoad},
		// By chip and sensor, and their mean.
		detail.MetricTemperature: {[]string{hwmonTemp, thermalZone}, fixed("°C"), buildMean},
	}
}

// rawPanel is a metric by its own name: the sum of rates, or the mean of gauges.
func rawPanel(metric string) panel {
	return panel{
		metrics: []string{metric},
		unit: func(tracks []track) string {
			return unitOf(metric, len(tracks) > 0 && tracks[0].counter)
		},
		build: func(tracks []track) (map[int64]float64, []track) {
			if len(tracks) > 0 && tracks[0].counter {
				return sumOf(tracks), tracks
			}
			return buildMean(tracks)
		},
	}
}

// unitOf reads the unit from a name after Prometheus's conventions.
func unitOf(metric string, counter bool) string {
	name := strings.TrimSuffix(metric, "_total")
	unit := ""
	for _, u := range []struct{ suffix, unit string }{
		{"_bytes", "B"}, {"_seconds", "s"}, {"_celsius", "°C"}, {"_hertz", "Hz"}, {"_volts", "V"}, {"_amperes", "A"},
		{"_watts", "W"}, {"_joules", "J"}, {"_rpm", "rpm"}, {"_bits", "bit"},
	} {
		if strings.HasSuffix(name, u.suffix) {
			unit = u.unit
		}
	}
	if counter {
		return cmp.Or(unit, "1") + "/s"
	}
	return unit
}

func sumOf(tracks []track) map[int64]float64 {
	out := make(map[int64]float64)
	for _, t := range tracks {
		for slot, v := range t.values {
			out[slot] += v
		}
	}
	return out
}

func buildMean(tracks []track) (map[int64]float64, []track) {
	out, count := sumOf(tracks), make(map[int64]float64)
	for _, t := range tracks {
		for slot := range t.values {
			count[slot]++
		}
	}
	for slot := range out {
		out[slot] /= count[slot]
	}
	return out, tracks
}

// buildCPU is in percent of the time that the samples of all cores cover.
func buildCPU(tracks []track) (map[int64]float64, []track) {
	shares := make(map[int64]cpuShares)
	modes := make(map[string]map[int64]bool) // the steps that a mode has a rate in
	for _, t := range tracks {
		mode := t.labels.get("mode")
		if modes[mode] == nil {
			modes[mode] = make(map[int64]bool)
		}
		for slot, v := range t.values {
			if shares[slot] == nil {
				shares[slot] = make(cpuShares)
			}
			shares[slot][mode] += v
			modes[mode][slot] = true
		}
	}
	usage := make(map[int64]float64)
	for slot, s := range shares {
		if s.total() > 0 {
			usage[slot] = s.usage()
		}
	}
	var lines []track
	for mode, slots := range modes {
		if mode == "idle" {
			continue
		}
		values := make(map[int64]float64)
		for slot := range slots {
			if s := shares[slot]; s.total() > 0 {
				values[slot] = s.of(mode)
			}
		}
		lines = append(lines, track{labels: labels{"mode": mode}, values: values})
	}
	return usage, lines
}

func buildMemory(tracks []track) (map[int64]float64, []track) {
	of := make(map[string]map[int64]float64)
	for _, t := range tracks {
		of[t.metric] = t.values
	}
	usage := make(map[int64]float64)
	for slot, total := range of["node_memory_MemTotal_bytes"] {
		available, ok := of[memAvailable][slot]
		if !ok {
			for _, part := range []string{"node_memory_MemFree_bytes", "node_memory_Buffers_bytes", "node_memory_Cached_bytes", memSlab} {
				v, found := of[part][slot]
				available, ok = available+v, ok || found
			}
		}
		if ok && total > 0 {
			usage[slot] = percentage(1 - available/total)
		}
	}
	if len(usage) == 0 {
		return usage, nil
	}
	return usage, []track{{labels: labels{}, values: usage}}
}

// buildTransfer labels each series with its device, under the given name, and
// its direction, by metric.
func buildTransfer(name string, directions map[string]string, skip func(string) bool) func([]track) (map[int64]float64, []track) {
	return func(tracks []track) (map[int64]float64, []track) {
		var lines []track
		for _, t := range tracks {
			device := t.labels.get("device")
			if skip != nil && skip(device) {
				continue
			}
			t.labels = labels{name: device, "direction": directions[t.metric]}
			lines = append(lines, t)
		}
		return sumOf(lines), lines
	}
}

func buildLoad(tracks []track) (map[int64]float64, []track) {
	periods := map[string]string{"node_load1": "1m", "node_load5": "5m", "node_load15": "15m"}
	combined := make(map[int64]float64)
	var lines []track
	for _, t := range tracks {
		if t.metric == "node_load1" {
			combined = t.values
		}
		t.labels = labels{"period": periods[t.metric]}
		lines = append(lines, t)
	}
	return combined, lines
}
