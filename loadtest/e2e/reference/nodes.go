package reference

import (
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/atlhyper/observe/shared/model"
)

// nodeAddress is the resource attribute that tells the captured nodes apart:
// there is no node name in the capture, and node_uname_info says "vm" for all.
const nodeAddress = "server.address"

// node is one node at one instant.
type node struct {
	*Data
	name   string
	at     time.Time
	window time.Duration
}

// Nodes is the section metrics.nodes at an instant, rates over window.
func (d *Data) Nodes(at time.Time, window time.Duration) []model.NodeMetrics {
	var out []model.NodeMetrics
	for _, name := range d.nodeNames(at) {
		out = append(out, node{Data: d, name: name, at: at, window: window}.metrics())
	}
	return out
}

// nodeNames lists the nodes that sent something within the lookback.
func (d *Data) nodeNames(at time.Time) []string {
	names := map[string]bool{}
	for _, s := range d.series["node_uname_info"] {
		if _, ok := s.Last(at); ok {
			names[s.Resource[nodeAddress]] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// of lists the node's series of a metric with the given labels.
func (n node) of(metric string, want labels) []*Series {
	var out []*Series
	for _, s := range n.series[metric] {
		if s.Resource[nodeAddress] == n.name && want.match(s.Labels) {
			out = append(out, s)
		}
	}
	return out
}

// gauge is the newest value of a metric that the node has once; 0 when absent.
func (n node) gauge(metric string, want labels) float64 {
	for _, s := range n.of(metric, want) {
		if v, ok := s.Last(n.at); ok {
			return v.V
		}
	}
	return 0
}

// count is a gauge that is a whole number.
func (n node) count(metric string, want labels) int64 { return int64(n.gauge(metric, want)) }

// rate is sum(rate(metric{want}[window])).
func (n node) rate(metric string, want labels) float64 {
	sum := 0.0
	for _, s := range n.of(metric, want) {
		if r, ok := s.Rate(n.at, n.window); ok {
			sum += r
		}
	}
	return sum
}

func (n node) metrics() model.NodeMetrics {
	m := model.NodeMetrics{
		NodeName:    n.name,
		NodeIP:      n.name,
		Timestamp:   model.NewTime(time.Unix(n.newest(), 0)),
		CPU:         n.cpu(),
		Memory:      n.memory(),
		Disks:       n.disks(),
		Networks:    n.networks(),
		Temperature: model.NodeTemperature{Sensors: []model.NodeSensor{}}, // the capture has no hwmon
		PSI: model.NodePSI{
			CPUSomePct: 100 * n.rate("node_pressure_cpu_waiting_seconds_total", nil),
			MemSomePct: 100 * n.rate("node_pressure_memory_waiting_seconds_total", nil),
			MemFullPct: 100 * n.rate("node_pressure_memory_stalled_seconds_total", nil),
			IOSomePct:  100 * n.rate("node_pressure_io_waiting_seconds_total", nil),
			IOFullPct:  100 * n.rate("node_pressure_io_stalled_seconds_total", nil),
		},
		TCP: model.NodeTCP{
			CurrEstab:   n.count("node_netstat_Tcp_CurrEstab", nil),
			Alloc:       n.count("node_sockstat_TCP_alloc", nil),
			InUse:       n.count("node_sockstat_TCP_inuse", nil),
			TimeWait:    n.count("node_sockstat_TCP_tw", nil),
			SocketsUsed: n.count("node_sockstat_sockets_used", nil),
		},
		System: model.NodeSystem{
			ConntrackEntries: n.count("node_nf_conntrack_entries", nil),
			ConntrackLimit:   n.count("node_nf_conntrack_entries_limit", nil),
			FilefdAllocated:  n.count("node_filefd_allocated", nil),
			FilefdMax:        n.count("node_filefd_maximum", nil),
			EntropyBits:      n.count("node_entropy_available_bits", nil),
		},
		VMStat: model.NodeVMStat{
			PgFaultPerSec:    n.rate("node_vmstat_pgfault", nil),
			PgMajFaultPerSec: n.rate("node_vmstat_pgmajfault", nil),
			PswpInPerSec:     n.rate("node_vmstat_pswpin", nil),
			PswpOutPerSec:    n.rate("node_vmstat_pswpout", nil),
		},
		Softnet: model.NodeSoftnet{
			DroppedPerSec:  n.rate("node_softnet_dropped_total", nil),
			SqueezedPerSec: n.rate("node_softnet_times_squeezed_total", nil),
		},
		Uptime: int64(math.Round(n.gauge("node_time_seconds", nil) - n.gauge("node_boot_time_seconds", nil))),
	}
	for _, s := range n.of("node_uname_info", nil) {
		m.Kernel = s.Labels["release"]
	}
	return m
}

// newest is the time of the node's newest sample.
func (n node) newest() int64 {
	newest := int64(0)
	for metric := range n.series {
		for _, s := range n.of(metric, nil) {
			if last, ok := s.Last(n.at); ok {
				newest = max(newest, last.T)
			}
		}
	}
	return newest
}

func (n node) cpu() model.NodeCPU {
	cores, all := map[string]bool{}, n.rate("node_cpu_seconds_total", nil)
	for _, s := range n.of("node_cpu_seconds_total", labels{"mode": {"idle"}}) {
		cores[s.Labels["cpu"]] = true
	}
	share := func(modes ...string) float64 {
		return 100 * n.rate("node_cpu_seconds_total", labels{"mode": modes}) / all
	}
	return model.NodeCPU{
		UsagePct:  100 - share("idle", "iowait", "steal"), // of the time that the samples cover
		UserPct:   share("user"),
		SystemPct: share("system"),
		IOWaitPct: share("iowait"),
		Load1:     n.gauge("node_load1", nil),
		Load5:     n.gauge("node_load5", nil),
		Load15:    n.gauge("node_load15", nil),
		Cores:     int64(len(cores)),
	}
}

func (n node) memory() model.NodeMemory {
	m := model.NodeMemory{
		TotalBytes:     n.count("node_memory_MemTotal_bytes", nil),
		AvailableBytes: n.count("node_memory_MemAvailable_bytes", nil),
		FreeBytes:      n.count("node_memory_MemFree_bytes", nil),
		CachedBytes:    n.count("node_memory_Cached_bytes", nil),
		BuffersBytes:   n.count("node_memory_Buffers_bytes", nil),
		SwapTotalBytes: n.count("node_memory_SwapTotal_bytes", nil),
		SwapFreeBytes:  n.count("node_memory_SwapFree_bytes", nil),
	}
	m.UsagePct = usedPct(m.AvailableBytes, m.TotalBytes)
	m.SwapUsagePct = usedPct(m.SwapFreeBytes, m.SwapTotalBytes)
	return m
}

// disks lists the mounted devices; what is in memory alone is no disk.
func (n node) disks() []model.NodeDisk {
	out := []model.NodeDisk{}
	for _, s := range n.of("node_filesystem_size_bytes", nil) {
		if s.Labels["fstype"] == "tmpfs" {
			continue
		}
		mount := labels{"device": {s.Labels["device"]}, "mountpoint": {s.Labels["mountpoint"]}}
		device := labels{"device": {strings.TrimPrefix(s.Labels["device"], "/dev/")}}
		disk := model.NodeDisk{
			Device:           s.Labels["device"],
			MountPoint:       s.Labels["mountpoint"],
			FSType:           s.Labels["fstype"],
			TotalBytes:       n.count("node_filesystem_size_bytes", mount),
			AvailBytes:       n.count("node_filesystem_avail_bytes", mount),
			ReadBytesPerSec:  n.rate("node_disk_read_bytes_total", device),
			WriteBytesPerSec: n.rate("node_disk_written_bytes_total", device),
			ReadIOPS:         n.rate("node_disk_reads_completed_total", device),
			WriteIOPS:        n.rate("node_disk_writes_completed_total", device),
			IOUtilPct:        100 * n.rate("node_disk_io_time_seconds_total", device),
		}
		disk.UsagePct = usedPct(disk.AvailBytes, disk.TotalBytes)
		out = append(out, disk)
	}
	slices.SortFunc(out, func(a, b model.NodeDisk) int { return strings.Compare(a.Device, b.Device) })
	return out
}

// networks lists the interfaces but loopback.
func (n node) networks() []model.NodeNetwork {
	out := []model.NodeNetwork{}
	for _, s := range n.of("node_network_up", nil) {
		name := s.Labels["device"]
		if name == "lo" {
			continue
		}
		device := labels{"device": {name}}
		out = append(out, model.NodeNetwork{
			Interface:     name,
			Up:            n.gauge("node_network_up", device) == 1,
			SpeedBps:      max(0, 8*n.count("node_network_speed_bytes", device)), // negative means unknown
			MTU:           n.count("node_network_mtu_bytes", device),
			RxBytesPerSec: n.rate("node_network_receive_bytes_total", device),
			TxBytesPerSec: n.rate("node_network_transmit_bytes_total", device),
			RxPktPerSec:   n.rate("node_network_receive_packets_total", device),
			TxPktPerSec:   n.rate("node_network_transmit_packets_total", device),
			RxErrPerSec:   n.rate("node_network_receive_errs_total", device),
			TxErrPerSec:   n.rate("node_network_transmit_errs_total", device),
			RxDropPerSec:  n.rate("node_network_receive_drop_total", device),
			TxDropPerSec:  n.rate("node_network_transmit_drop_total", device),
		})
	}
	slices.SortFunc(out, func(a, b model.NodeNetwork) int { return strings.Compare(a.Interface, b.Interface) })
	return out
}

func usedPct(free, total int64) float64 {
	if total == 0 {
		return 0
	}
	return 100 * (1 - float64(free)/float64(total))
}

// Summary is the section metrics.summary made of nodes, without a Kubernetes
// node list. All of them count as online: their samples are seconds old.
func Summary(nodes []model.NodeMetrics) model.MetricsSummary {
	s := model.MetricsSummary{TotalNodes: int64(len(nodes)), OnlineNodes: int64(len(nodes))}
	for _, n := range nodes {
		s.AvgCPUPct += n.CPU.UsagePct / float64(len(nodes))
		s.AvgMemPct += n.Memory.UsagePct / float64(len(nodes))
		s.MaxCPUPct = math.Max(s.MaxCPUPct, n.CPU.UsagePct)
		s.MaxMemPct = math.Max(s.MaxMemPct, n.Memory.UsagePct)
		s.MaxCPUTemp = math.Max(s.MaxCPUTemp, n.Temperature.CPUTempC)
	}
	return s
}
