package clickhouse

import (
	"maps"
	"slices"

	"github.com/atlhyper/observe/shared/model"
)

// The tables below say which metric of node_exporter fills which field.

// intField and floatField are filled from a metric without labels of its own.
type intField struct {
	metric string
	field  func(*model.NodeMetrics) *int64
}

type floatField struct {
	metric string
	scale  float64
	field  func(*model.NodeMetrics) *float64
}

// deviceField is filled from the series of a metric with that device label.
type deviceField[T any] struct {
	metric string
	scale  float64
	field  func(*T) *float64
}

func gaugeInts() []intField {
	return []intField{
		{"node_memory_MemTotal_bytes", func(n *model.NodeMetrics) *int64 { return &n.Memory.TotalBytes }},
		{"node_memory_MemAvailable_bytes", func(n *model.NodeMetrics) *int64 { return &n.Memory.AvailableBytes }},
		{"node_memory_MemFree_bytes", func(n *model.NodeMetrics) *int64 { return &n.Memory.FreeBytes }},
		{"node_memory_Cached_bytes", func(n *model.NodeMetrics) *int64 { return &n.Memory.CachedBytes }},
		{"node_memory_Buffers_bytes", func(n *model.NodeMetrics) *int64 { return &n.Memory.BuffersBytes }},
		{"node_memory_SwapTotal_bytes", func(n *model.NodeMetrics) *int64 { return &n.Memory.SwapTotalBytes }},
		{"node_memory_SwapFree_bytes", func(n *model.NodeMetrics) *int64 { return &n.Memory.SwapFreeBytes }},
		{"node_netstat_Tcp_CurrEstab", func(n *model.NodeMetrics) *int64 { return &n.TCP.CurrEstab }},
		{"node_sockstat_TCP_alloc", func(n *model.NodeMetrics) *int64 { return &n.TCP.Alloc }},
		{"node_sockstat_TCP_inuse", func(n *model.NodeMetrics) *int64 { return &n.TCP.InUse }},
		{"node_sockstat_TCP_tw", func(n *model.NodeMetrics) *int64 { return &n.TCP.TimeWait }},
		{"node_sockstat_sockets_used", func(n *model.NodeMetrics) *int64 { return &n.TCP.SocketsUsed }},
		{"node_nf_conntrack_entries", func(n *model.NodeMetrics) *int64 { return &n.System.ConntrackEntries }},
		{"node_nf_conntrack_entries_limit", func(n *model.NodeMetrics) *int64 { return &n.System.ConntrackLimit }},
		{"node_filefd_allocated", func(n *model.NodeMetrics) *int64 { return &n.System.FilefdAllocated }},
		{"node_filefd_maximum", func(n *model.NodeMetrics) *int64 { return &n.System.FilefdMax }},
		{"node_entropy_available_bits", func(n *model.NodeMetrics) *int64 { return &n.System.EntropyBits }},
	}
}

func gaugeFloats() []floatField {
	return []floatField{
		{"node_load1", 1, func(n *model.NodeMetrics) *float64 { return &n.CPU.Load1 }},
		{"node_load5", 1, func(n *model.NodeMetrics) *float64 { return &n.CPU.Load5 }},
		{"node_load15", 1, func(n *model.NodeMetrics) *float64 { return &n.CPU.Load15 }},
	}
}

// pressures are shares of time: seconds that tasks waited, per second.
func pressures() []floatField {
	return []floatField{
		{"node_pressure_cpu_waiting_seconds_total", 1, func(n *model.NodeMetrics) *float64 { return &n.PSI.CPUSomePct }},
		{"node_pressure_memory_waiting_seconds_total", 1, func(n *model.NodeMetrics) *float64 { return &n.PSI.MemSomePct }},
		{"node_pressure_memory_stalled_seconds_total", 1, func(n *model.NodeMetrics) *float64 { return &n.PSI.MemFullPct }},
		{"node_pressure_io_waiting_seconds_total", 1, func(n *model.NodeMetrics) *float64 { return &n.PSI.IOSomePct }},
		{"node_pressure_io_stalled_seconds_total", 1, func(n *model.NodeMetrics) *float64 { return &n.PSI.IOFullPct }},
	}
}

// rateFloats are rates over all series of a counter.
func rateFloats() []floatField {
	return []floatField{
		{"node_vmstat_pgfault", 1, func(n *model.NodeMetrics) *float64 { return &n.VMStat.PgFaultPerSec }},
		{"node_vmstat_pgmajfault", 1, func(n *model.NodeMetrics) *float64 { return &n.VMStat.PgMajFaultPerSec }},
		{"node_vmstat_pswpin", 1, func(n *model.NodeMetrics) *float64 { return &n.VMStat.PswpInPerSec }},
		{"node_vmstat_pswpout", 1, func(n *model.NodeMetrics) *float64 { return &n.VMStat.PswpOutPerSec }},
		{"node_softnet_dropped_total", 1, func(n *model.NodeMetrics) *float64 { return &n.Softnet.DroppedPerSec }},
		{"node_softnet_times_squeezed_total", 1, func(n *model.NodeMetrics) *float64 { return &n.Softnet.SqueezedPerSec }},
	}
}

func diskRates() []deviceField[model.NodeDisk] {
	return []deviceField[model.NodeDisk]{
		{"node_disk_read_bytes_total", 1, func(d *model.NodeDisk) *float64 { return &d.ReadBytesPerSec }},
		{"node_disk_written_bytes_total", 1, func(d *model.NodeDisk) *float64 { return &d.WriteBytesPerSec }},
		{"node_disk_reads_completed_total", 1, func(d *model.NodeDisk) *float64 { return &d.ReadIOPS }},
		{"node_disk_writes_completed_total", 1, func(d *model.NodeDisk) *float64 { return &d.WriteIOPS }},
		{"node_disk_io_time_seconds_total", 100, func(d *model.NodeDisk) *float64 { return &d.IOUtilPct }},
	}
}

func networkRates() []deviceField[model.NodeNetwork] {
	return []deviceField[model.NodeNetwork]{
		{"node_network_receive_bytes_total", 1, func(i *model.NodeNetwork) *float64 { return &i.RxBytesPerSec }},
		{"node_network_transmit_bytes_total", 1, func(i *model.NodeNetwork) *float64 { return &i.TxBytesPerSec }},
		{"node_network_receive_packets_total", 1, func(i *model.NodeNetwork) *float64 { return &i.RxPktPerSec }},
		{"node_network_transmit_packets_total", 1, func(i *model.NodeNetwork) *float64 { return &i.TxPktPerSec }},
		{"node_network_receive_errs_total", 1, func(i *model.NodeNetwork) *float64 { return &i.RxErrPerSec }},
		{"node_network_transmit_errs_total", 1, func(i *model.NodeNetwork) *float64 { return &i.TxErrPerSec }},
		{"node_network_receive_drop_total", 1, func(i *model.NodeNetwork) *float64 { return &i.RxDropPerSec }},
		{"node_network_transmit_drop_total", 1, func(i *model.NodeNetwork) *float64 { return &i.TxDropPerSec }},
	}
}

const (
	cpuSeconds   = "node_cpu_seconds_total"
	cpuFrequency = "node_cpu_scaling_frequency_hertz"
	bootTime     = "node_boot_time_seconds"
	nodeTime     = "node_time_seconds"
	unameInfo    = "node_uname_info"
	fsSize       = "node_filesystem_size_bytes"
	fsAvail      = "node_filesystem_avail_bytes"
	mapperInfo   = "node_disk_device_mapper_info"
	netUp        = "node_network_up"
	netSpeed     = "node_network_speed_bytes"
	netMTU       = "node_network_mtu_bytes"
	memSlab      = "node_memory_Slab_bytes"
	memAvailable = "node_memory_MemAvailable_bytes"
)

// nodeCounters are the counters that a round reads.
func nodeCounters() []string {
	names := []string{cpuSeconds}
	for _, f := range append(pressures(), rateFloats()...) {
		names = append(names, f.metric)
	}
	for _, f := range diskRates() {
		names = append(names, f.metric)
	}
	for _, f := range networkRates() {
		names = append(names, f.metric)
	}
	return names
}

// nodeGauges are the gauges that a round reads, and all counters: untyped and
// federated ones are in the gauge table.
func nodeGauges() []string {
	names := append(nodeCounters(), cpuFrequency, bootTime, nodeTime, unameInfo, fsSize, fsAvail, mapperInfo,
		netUp, netSpeed, netMTU, memSlab)
	for _, f := range gaugeInts() {
		names = append(names, f.metric)
	}
	for _, f := range gaugeFloats() {
		names = append(names, f.metric)
	}
	return append(names, slices.Sorted(maps.Keys(temperatureMetrics()))...)
}

// nodeLabels are the labels that the fields need.
func nodeLabels() []string {
	return []string{
		"exported_instance", "cpu", "mode", "device", "mountpoint", "fstype", "name",
		"state", "direction", "protocol", // of hostmetrics
		"chip", "chip_name", "sensor", "label", "zone", "type", "nodename", "release",
	}
}
