package fleet

import (
	"fmt"

	"github.com/atlhyper/observe/shared/model"
)

func (w World) nodeName(i int) string    { return fmt.Sprintf("%s-node-%02d", w.Cluster, i) }
func (w World) serviceName(i int) string { return fmt.Sprintf("service-%03d", i) }
func namespace(i int) string             { return [...]string{"cart", "media", "payment"}[i%3] }

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

// node is one node as of a version; its uptime is the version.
func (w World) node(name string, v int64) model.NodeMetrics {
	rate := func(what string, top float64) float64 { return w.between(0, top, name+what, v) }
	const gib = int64(1) << 30
	return model.NodeMetrics{
		NodeName: name, NodeIP: fmt.Sprintf("10.%d.0.%d", w.hash(w.Cluster, 0)%250, w.hash(name, 0)%250),
		Timestamp: model.NewTime(timeOf(w, v)),
		CPU: model.NodeCPU{
			UsagePct: rate("cpu", 100), UserPct: rate("user", 60), SystemPct: rate("system", 30), IOWaitPct: rate("wait", 10),
			Load1: rate("load", 8), Load5: rate("load5", 8), Load15: rate("load15", 8), Cores: 8,
		},
		Memory: model.NodeMemory{
			TotalBytes: 32 * gib, AvailableBytes: int64(rate("mem", 32) * float64(gib)), FreeBytes: 2 * gib, CachedBytes: 9 * gib,
			BuffersBytes: gib, UsagePct: rate("mem%", 100),
		},
		Disks: []model.NodeDisk{{
			Device: "/dev/nvme0n1p1", MountPoint: "/", FSType: "ext4", TotalBytes: 200 * gib, AvailBytes: 90 * gib, UsagePct: 55,
			ReadBytesPerSec: rate("read", 5e7), WriteBytesPerSec: rate("write", 5e7), ReadIOPS: rate("riops", 500), WriteIOPS: rate("wiops", 500),
		}},
		Networks: []model.NodeNetwork{{
			Interface: "eth0", Up: true, SpeedBps: 10_000_000_000, MTU: 1500,
			RxBytesPerSec: rate("rx", 1e8), TxBytesPerSec: rate("tx", 1e8), RxPktPerSec: rate("rxp", 1e5), TxPktPerSec: rate("txp", 1e5),
		}},
		Temperature: model.NodeTemperature{CPUTempC: rate("temp", 80), CPUMaxC: 90, CPUCritC: 100},
		TCP:         model.NodeTCP{CurrEstab: int64(rate("est", 900)), Alloc: 1000, InUse: 950, TimeWait: int64(rate("tw", 400)), SocketsUsed: 1200},
		System:      model.NodeSystem{ConntrackEntries: int64(rate("ct", 9000)), ConntrackLimit: 262_144, FilefdAllocated: 4000, FilefdMax: 1 << 20, EntropyBits: 256},
		VMStat:      model.NodeVMStat{PgFaultPerSec: rate("pf", 4000)},
		Kernel:      "6.8.0 of " + w.Cluster, Uptime: v,
	}
}

func tracesServices(w World, v int64) []model.Service {
	services := make([]model.Service, w.Services)
	for i := range services {
		name := w.serviceName(i)
		services[i] = model.Service{
			Name: name, Namespace: namespace(i), Environment: w.Cluster, SpanCount: v + int64(i), ErrorCount: int64(i),
			SuccessRate: w.between(0.9, 1, name, v), AvgDurationMs: w.between(1, 90, name+"avg", v),
			P50Ms: w.between(1, 60, name+"p50", v), P99Ms: w.between(60, 900, name+"p99", v), RPS: w.between(0, 300, name+"rps", v),
		}
	}
	return services
}

func tracesTopology(w World, v int64) model.Topology {
	var t model.Topology
	for i := range w.Services {
		name := w.serviceName(i)
		t.Nodes = append(t.Nodes, model.TopologyNode{
			ID: name, Name: name, Namespace: namespace(i), Type: model.TypeService, Status: model.StatusHealthy,
			RPS: w.between(0, 300, name+"rps", v), SuccessRate: w.between(0.9, 1, name, v), P99Ms: w.between(60, 900, name+"p99", v),
		})
		t.Edges = append(t.Edges, model.TopologyEdge{
			Source: name, Target: w.serviceName((i + 1) % w.Services), CallCount: v + int64(i),
			AvgMs: w.between(1, 90, name+"edge", v), ErrorRate: w.between(0, 0.1, name+"errors", v),
		})
	}
	return t
}

func sloSummary(w World, v int64) model.SLOSummary {
	n := int64(w.Services)
	return model.SLOSummary{
		TotalServices: n, HealthyServices: n, AvgSuccessRate: w.between(99, 100, "slo", v), TotalRPS: mark(500, v),
		AvgP99Ms: w.between(60, 900, "slo p99", v),
	}
}

func sloIngress(w World, v int64) []model.IngressSLO {
	rows := make([]model.IngressSLO, w.Services)
	for i := range rows {
		name := w.serviceName(i)
		total := v + int64(i)
		rows[i] = model.IngressSLO{
			ServiceKey: name + "@kubernetes", DisplayName: name, RPS: w.between(0, 300, name+"in", v), SuccessRate: 100,
			P50Ms: w.between(1, 60, name+"i50", v), P90Ms: w.between(60, 90, name+"i90", v), P95Ms: w.between(90, 120, name+"i95", v),
			P99Ms: w.between(120, 900, name+"i99", v), AvgMs: w.between(1, 90, name+"iavg", v),
			StatusCodes: []model.StatusCount{{Code: "200", Count: total}}, Methods: []model.MethodCount{{Method: "GET", Count: total}},
			LatencyBuckets: []model.LatencyBucket{{LE: 100, Count: total / 2}, {LE: 1200, Count: total - total/2}}, TotalRequests: total,
		}
	}
	return rows
}

func sloServices(w World, v int64) []model.MeshService {
	rows := make([]model.MeshService, w.Services)
	for i := range rows {
		name := w.serviceName(i)
		rows[i] = model.MeshService{
			Namespace: namespace(i), Name: name, RPS: mark(25+float64(i%900), v), SuccessRate: w.between(99, 100, name+"mesh", v),
			P50Ms: w.between(1, 60, name+"m50", v), P90Ms: w.between(60, 90, name+"m90", v), P95Ms: w.between(90, 120, name+"m95", v),
			P99Ms: w.between(120, 900, name+"m99", v), AvgMs: w.between(1, 90, name+"mavg", v), MTLSEnabled: true, MTLSRate: 1,
			StatusCodes: []model.StatusCount{{Code: "200", Count: v}}, LatencyBuckets: []model.LatencyBucket{{LE: 100, Count: v}},
		}
	}
	return rows
}

func sloEdges(w World, v int64) []model.MeshEdge {
	rows := make([]model.MeshEdge, w.Services)
	for i := range rows {
		next := (i + 1) % w.Services
		rows[i] = model.MeshEdge{
			SrcNamespace: namespace(i), SrcName: w.serviceName(i), DstNamespace: namespace(next), DstName: w.serviceName(next),
			RPS: mark(12+float64(i%900), v), SuccessRate: 100, AvgMs: w.between(1, 90, "mesh edge", v+int64(i)), P99Ms: w.between(90, 900, "mesh p99", v+int64(i)),
		}
	}
	return rows
}

func overview(w World, v int64) model.Overview {
	n := int64(w.Services)
	return model.Overview{
		TotalServices: n, HealthyServices: n, TotalRPS: mark(800, v), AvgSuccessRate: w.between(0.99, 1, "all", v),
		AvgP99Ms: w.between(60, 900, "all p99", v), IngressServices: n, IngressAvgRPS: w.between(10, 90, "in", v), MeshServices: n, MeshAvgMTLS: 1,
		MonitoredNodes: int64(w.Nodes), AvgCPUPct: w.between(10, 60, "cpu", v), AvgMemPct: w.between(10, 60, "mem", v),
		MaxCPUPct: w.between(60, 99, "max cpu", v), MaxMemPct: w.between(60, 99, "max mem", v),
	}
}
