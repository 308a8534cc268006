package codec_test

import (
	"fmt"
	"math/rand/v2"

	"github.com/atlhyper/observe/shared/model"
)

// values makes sections as agents publish them: rates and shares with all 14
// digits, counters, gauges of two decimals, many zeros. Equal seeds give equal
// values.
type values struct{ *rand.Rand }

func newValues() values { return values{rand.New(rand.NewPCG(1, 2))} }

// windowSeconds is what lies between the first and the last sample of five
// minutes at a scrape each 15 s.
const windowSeconds = 285

// rate is the increase of a counter over the window, per second.
func (r values) rate(top int64) float64 { return float64(r.Int64N(top*windowSeconds)) / windowSeconds }

// hundredths is a gauge of two decimals, such as a load average.
func (r values) hundredths(top int64) float64 { return float64(r.Int64N(top*100)) / 100 }

func (r values) nodes(n int) []model.NodeMetrics {
	nodes := make([]model.NodeMetrics, n)
	for i := range nodes {
		nodes[i] = r.node(i)
	}
	return nodes
}

func (r values) node(i int) model.NodeMetrics {
	const gib = int64(1) << 30
	return model.NodeMetrics{
		NodeName: fmt.Sprintf("ip-10-0-1-%d.eu-central-1.compute.internal", i), NodeIP: fmt.Sprintf("10.0.1.%d", i),
		Timestamp: "2026-11-23T10:53:19Z",
		CPU: model.NodeCPU{
			UsagePct: r.rate(100), UserPct: r.rate(60), SystemPct: r.rate(30), IOWaitPct: r.rate(10),
			Load1: r.hundredths(8), Load5: r.hundredths(8), Load15: r.hundredths(8), Cores: 8,
		},
		Memory: model.NodeMemory{
			TotalBytes: 32 * gib, AvailableBytes: r.Int64N(32 * gib), FreeBytes: r.Int64N(8 * gib), CachedBytes: r.Int64N(8 * gib),
			BuffersBytes: r.Int64N(gib), UsagePct: 100 * r.Float64(),
		},
		Disks:    []model.NodeDisk{r.disk("/dev/nvme0n1p1", "/"), r.disk("/dev/nvme1n1", "/var/lib/containerd")},
		Networks: []model.NodeNetwork{r.network("cni0"), r.network("eth0"), {Interface: "eth1", MTU: 1500}},
		Temperature: model.NodeTemperature{CPUTempC: 51.5, CPUMaxC: 90, CPUCritC: 100, Sensors: []model.NodeSensor{
			{Chip: "pci0000:00_0000:00:18_3", Sensor: "temp1", CurrentC: 51.5, MaxC: 90, CritC: 100},
		}},
		PSI:     model.NodePSI{CPUSomePct: r.rate(20), IOSomePct: r.rate(3), IOFullPct: r.rate(2)},
		TCP:     model.NodeTCP{CurrEstab: r.Int64N(900), Alloc: r.Int64N(1000), InUse: r.Int64N(950), TimeWait: r.Int64N(400), SocketsUsed: r.Int64N(1200)},
		System:  model.NodeSystem{ConntrackEntries: r.Int64N(9000), ConntrackLimit: 262_144, FilefdAllocated: r.Int64N(4000), FilefdMax: 2_465_620, EntropyBits: 256},
		VMStat:  model.NodeVMStat{PgFaultPerSec: r.rate(9000), PgMajFaultPerSec: r.rate(2)},
		Softnet: model.NodeSoftnet{SqueezedPerSec: r.rate(1)},
		Kernel:  "6.8.0-1015-aws", Uptime: 4_170_000 + r.Int64N(1000),
	}
}

func (r values) disk(device, mount string) model.NodeDisk {
	const total = 270_553_174_016
	avail := r.Int64N(total)
	return model.NodeDisk{
		Device: device, MountPoint: mount, FSType: "ext4", TotalBytes: total, AvailBytes: avail,
		UsagePct: 100 * (1 - float64(avail)/total), ReadBytesPerSec: r.rate(1e6), WriteBytesPerSec: r.rate(1e6),
		ReadIOPS: r.rate(100), WriteIOPS: r.rate(100), IOUtilPct: r.rate(100),
	}
}

func (r values) network(name string) model.NodeNetwork {
	return model.NodeNetwork{
		Interface: name, Up: true, SpeedBps: 10_000_000_000, MTU: 1500,
		RxBytesPerSec: r.rate(1e8), TxBytesPerSec: r.rate(1e8), RxPktPerSec: r.rate(1e5), TxPktPerSec: r.rate(1e5),
	}
}

func (r values) ingress(n int) []model.IngressSLO {
	rows := make([]model.IngressSLO, n)
	for i := range rows {
		ok, errors := r.Int64N(40_000), r.Int64N(20)
		total := float64(ok + errors)
		row := model.IngressSLO{
			ServiceKey: fmt.Sprintf("shop-checkout-%d-80@kubernetes", i), DisplayName: fmt.Sprintf("shop-checkout-%d-80", i),
			RPS: total / windowSeconds, SuccessRate: 100 * float64(ok) / total, ErrorRate: 100 * float64(errors) / total,
			P50Ms: 5 * r.Float64(), P90Ms: 10 * r.Float64(), P95Ms: 20 * r.Float64(), P99Ms: 500 * r.Float64(), AvgMs: 9 * r.Float64(),
			StatusCodes:   []model.StatusCount{{Code: "200", Count: ok}, {Code: "500", Count: errors}},
			Methods:       []model.MethodCount{{Method: "GET", Count: ok}, {Method: "POST", Count: errors}},
			TotalRequests: ok + errors, TotalErrors: errors,
		}
		for j, le := range []float64{5, 10, 25, 50, 75, 100, 150, 200, 300, 500, 750, 1000, 2500, 5000, 10000} {
			row.LatencyBuckets = append(row.LatencyBuckets, model.LatencyBucket{LE: le, Count: ok >> (2 * j)})
		}
		rows[i] = row
	}
	return rows
}

func (r values) topology(services int) model.Topology {
	var t model.Topology
	name := func(i int) string { return fmt.Sprintf("checkout-%d", i%services) }
	for i := range services {
		t.Nodes = append(t.Nodes, model.TopologyNode{
			ID: name(i), Name: name(i), Namespace: "shop", Type: model.TypeService, Status: model.StatusHealthy,
			RPS: r.rate(300), SuccessRate: r.Float64(), P99Ms: 900 * r.Float64(),
		})
		for j := range 2 {
			t.Edges = append(t.Edges, model.TopologyEdge{
				Source: name(i), Target: name(i + j + 1), CallCount: r.Int64N(90_000), AvgMs: 90 * r.Float64(), ErrorRate: r.rate(1),
			})
		}
	}
	return t
}
