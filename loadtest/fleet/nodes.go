package fleet

import (
	"fmt"
	"math"

	"github.com/atlhyper/observe/shared/model"
)

func metricsSummary(w World, v int64) model.MetricsSummary {
	return model.MetricsSummary{
		TotalNodes: int64(w.Nodes), OnlineNodes: int64(w.Nodes), AvgCPUPct: w.between(10, 60, "cpu", v), AvgMemPct: mark(40, v),
		MaxCPUPct: w.between(60, 99, "max cpu", v), MaxMemPct: w.between(60, 99, "max mem", v), MaxCPUTemp: w.between(50, 90, "temp", v),
	}
}

func metricsNodes(w World, v int64) []model.NodeMetrics {
	nodes := make([]model.NodeMetrics, w.Nodes)
	for i := range nodes {
		nodes[i] = w.node(w.nodeName(i), v)
	}
	return nodes
}

// gauges are the numbers of one thing as of a version.
type gauges struct {
	world World
	name  string
	v     int64
}

// upTo is from 0 to top with all the digits that a quotient has.
func (g gauges) upTo(top float64, what string) float64 {
	return g.world.between(0, top, g.name+what, g.v)
}

// read is from low to high as a sensor or the kernel prints it: with two decimals.
func (g gauges) read(low, high float64, what string) float64 {
	return math.Round(g.world.between(low, high, g.name+what, g.v)*100) / 100
}

const gib = int64(1) << 30

// node is one node as of a version; its uptime is the version. It is a machine of
// 8 cores with two disks, an interface and two sensors, as node_exporter shows it.
func (w World) node(name string, v int64) model.NodeMetrics {
	g := gauges{w, name, v}
	user, system, memory := g.upTo(60, "user"), g.upTo(30, "system"), g.upTo(1, "memory")
	return model.NodeMetrics{
		NodeName: name, NodeIP: fmt.Sprintf("10.%d.0.%d", w.hash(w.Cluster, 0)%250, w.hash(name, 0)%250),
		Timestamp: model.NewTime(timeOf(w, v)),
		CPU: model.NodeCPU{
			UsagePct: user + system, UserPct: user, SystemPct: system, IOWaitPct: g.upTo(10, "wait"),
			Load1: g.read(0, 8, "load"), Load5: g.read(0, 8, "load5"), Load15: g.read(0, 8, "load15"), Cores: 8,
		},
		Memory: model.NodeMemory{
			TotalBytes: 32 * gib, AvailableBytes: 32*gib - int64(memory*float64(32*gib)), FreeBytes: int64(g.upTo(2, "free") * float64(gib)),
			CachedBytes: int64(g.upTo(9, "cached") * float64(gib)), BuffersBytes: gib, UsagePct: 100 * memory,
		},
		Disks:       []model.NodeDisk{g.disk("/dev/nvme0n1p1", "/", 200*gib), g.disk("/dev/nvme1n1", "/var/lib/containerd", 500*gib)},
		Networks:    []model.NodeNetwork{g.network("eth0")},
		Temperature: g.temperature(),
		PSI: model.NodePSI{
			CPUSomePct: g.upTo(20, "psi cpu"), MemSomePct: g.upTo(5, "psi mem"), MemFullPct: g.upTo(2, "psi mem full"),
			IOSomePct: g.upTo(9, "psi io"), IOFullPct: g.upTo(4, "psi io full"),
		},
		TCP:     model.NodeTCP{CurrEstab: int64(g.upTo(900, "est")), Alloc: 1000, InUse: 950, TimeWait: int64(g.upTo(400, "tw")), SocketsUsed: 1200},
		System:  model.NodeSystem{ConntrackEntries: int64(g.upTo(9000, "ct")), ConntrackLimit: 262_144, FilefdAllocated: 4000, FilefdMax: 1 << 20, EntropyBits: 256},
		VMStat:  model.NodeVMStat{PgFaultPerSec: g.upTo(4000, "pf"), PgMajFaultPerSec: g.upTo(3, "pmf")},
		Softnet: model.NodeSoftnet{SqueezedPerSec: g.upTo(1, "squeezed")},
		Kernel:  "6.8.0 of " + w.Cluster, Uptime: v,
	}
}

func (g gauges) disk(device, mount string, bytes int64) model.NodeDisk {
	used := g.upTo(1, device)
	return model.NodeDisk{
		Device: device, MountPoint: mount, FSType: "ext4", TotalBytes: bytes, AvailBytes: bytes - int64(used*float64(bytes)), UsagePct: 100 * used,
		ReadBytesPerSec: g.upTo(5e7, device+"read"), WriteBytesPerSec: g.upTo(5e7, device+"write"),
		ReadIOPS: g.upTo(500, device+"riops"), WriteIOPS: g.upTo(500, device+"wiops"), IOUtilPct: g.upTo(100, device+"util"),
	}
}

func (g gauges) network(name string) model.NodeNetwork {
	return model.NodeNetwork{
		Interface: name, Up: true, SpeedBps: 10_000_000_000, MTU: 1500,
		RxBytesPerSec: g.upTo(1e8, name+"rx"), TxBytesPerSec: g.upTo(1e8, name+"tx"),
		RxPktPerSec: g.upTo(1e5, name+"rxp"), TxPktPerSec: g.upTo(1e5, name+"txp"),
	}
}

func (g gauges) temperature() model.NodeTemperature {
	t := model.NodeTemperature{CPUTempC: g.read(30, 80, "temp"), CPUMaxC: 90, CPUCritC: 100}
	t.Sensors = []model.NodeSensor{
		{Chip: "coretemp", Sensor: "temp1", CurrentC: t.CPUTempC, MaxC: t.CPUMaxC, CritC: t.CPUCritC},
		{Chip: "nvme", Sensor: "temp1", CurrentC: g.read(30, 70, "nvme"), MaxC: 82, CritC: 85},
	}
	return t
}
