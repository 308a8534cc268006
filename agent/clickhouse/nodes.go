package clickhouse

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
)

// windowBefore is the window of that length that ends at the given time.
func windowBefore(at time.Time, length time.Duration) window {
	return window{at.Add(-length).UnixMilli(), at.UnixMilli()}
}

// Node returns one node as it is now, by its name or whatever else its telemetry or
// Kubernetes calls it. No node of that name sent metrics in the last RateWindow:
// fault.NotFound.
func (s *Store) Node(ctx context.Context, r detail.Node) (model.NodeMetrics, detail.Meta, error) {
	meta := detail.Meta{WindowSeconds: int64(s.cfg.RateWindow / time.Second)}
	names := s.kubeNames(ctx)
	nodes, err := s.readNodes(ctx, windowBefore(s.cfg.Clock(), s.cfg.RateWindow), names)
	if err != nil {
		return model.NodeMetrics{}, meta, err
	}
	n := nodeNamed(nodes, names, r.Name)
	if n == nil {
		return model.NodeMetrics{}, meta, fault.New(fault.NotFound,
			"no node %q sent metrics in the last %s", r.Name, s.cfg.RateWindow)
	}
	m := n.metrics()
	m.NodeName = nodeNames(nodes)[n.key]
	return m, meta, nil
}

// nodes returns every node that sent metrics of node_exporter or the hostmetrics
// receiver in the RateWindow before at, by name: two statements, whatever the
// number of nodes. Gauges are the newest samples, rates PromQL's rate() over the
// window; those of disks, networks and the kernel that are not known yet, of a
// single sample, are 0.
func (s *Store) nodes(ctx context.Context, at time.Time) (nodesNow, error) {
	now := nodesNow{names: s.kubeNames(ctx)}
	nodes, err := s.readNodes(ctx, windowBefore(at, s.cfg.RateWindow), now.names)
	if err != nil {
		return nodesNow{}, err
	}
	shown := nodeNames(nodes)
	now.list = make([]model.NodeMetrics, 0, len(nodes))
	for key, n := range nodes {
		m := n.metrics()
		m.NodeName = shown[key]
		now.list = append(now.list, m)
	}
	slices.SortFunc(now.list, func(a, b model.NodeMetrics) int { return cmp.Compare(a.NodeName, b.NodeName) })
	return now, nil
}

// nodesNow are the nodes of a round.
type nodesNow struct {
	list  []model.NodeMetrics
	names kubeNames
}

// nodeNames gives each node, by key, the name to show: the name in its resource,
// else the host name that node_uname_info says if no other node says the same,
// else its address.
func nodeNames(nodes map[string]*nodeSamples) map[string]string {
	hosts := make(map[string]int)
	for _, n := range nodes {
		hosts[n.uname("nodename")]++
	}
	names := make(map[string]string, len(nodes))
	for key, n := range nodes {
		names[key] = key
		if host := n.uname("nodename"); !n.named && host != "" && hosts[host] == 1 && nodes[host] == nil {
			names[key] = host
		}
	}
	return names
}

// metrics fills everything but the name.
func (n *nodeSamples) metrics() model.NodeMetrics {
	m := model.NodeMetrics{
		NodeIP:      n.ip,
		Timestamp:   model.NewTime(time.UnixMilli(n.newestMs)),
		CPU:         n.cpu(),
		Disks:       n.disks(),
		Networks:    n.networks(),
		Temperature: n.temperature(),
		Kernel:      n.uname("release"),
	}
	for _, f := range gaugeInts() {
		if v, ok := n.gauge(f.metric); ok {
			*f.field(&m) = wholeNumber(v)
		}
	}
	for _, f := range gaugeFloats() {
		if v, ok := n.gauge(f.metric); ok {
			*f.field(&m) = v * f.scale
		}
	}
	for _, f := range rateFloats() {
		*f.field(&m) = n.sum(f.metric) * f.scale
	}
	for _, f := range pressures() {
		*f.field(&m) = percentage(n.sum(f.metric) * f.scale)
	}
	n.shares(&m.Memory)
	boot, booted := n.gauge(bootTime)
	if now, ok := n.gauge(nodeTime); ok && booted {
		m.Uptime = wholeNumber(now - boot)
	} else if up, ok := n.gauge(hostUptime); ok {
		m.Uptime = wholeNumber(up)
	}
	return m
}

// cpu is the share of each mode in the time that the samples of all cores cover:
// usage is 1 - rate(idle, iowait, steal) / rate(all modes). So a node that is
// new, or was away for a part of the window, is as busy as it was while it was
// seen. Cores too new for a rate are counted in Cores alone; where all are, the
// shares are unknown.
func (n *nodeSamples) cpu() model.NodeCPU {
	var (
		cores  = make(map[string]bool)
		shares = make(cpuShares)
	)
	for _, v := range n.values[cpuSeconds] {
		mode := v.labels.get("mode")
		if mode == "idle" {
			cores[v.labels.get("cpu")] = true
		}
		if v.known {
			shares[mode] += v.value
		}
	}
	return model.NodeCPU{
		Unknown: shares.total() == 0,
		Cores:   int64(len(cores)), FreqHz: n.frequencies(), UsagePct: shares.usage(),
		UserPct: shares.of("user"), SystemPct: shares.of("system"), IOWaitPct: shares.of("iowait"),
	}
}

// cpuShares are seconds per second that all cores spent in each mode.
type cpuShares map[string]float64

// total adds up in a fixed order: equal samples must give equal bytes, or the
// section looks changed.
func (s cpuShares) total() float64 {
	total := 0.0
	for _, mode := range slices.Sorted(maps.Keys(s)) {
		total += s[mode]
	}
	return total
}

// of is the percentage of the modes; 0 where there is no rate.
func (s cpuShares) of(modes ...string) float64 {
	total, part := s.total(), 0.0
	if total == 0 {
		return 0
	}
	for _, mode := range modes {
		part += s[mode]
	}
	return percentage(part / total)
}

// usage is the percentage of all that is not idle, iowait or steal.
func (s cpuShares) usage() float64 {
	if s.total() == 0 {
		return 0
	}
	return 100 - s.of("idle", "iowait", "steal")
}

// frequencies are the cores' clock rates, by core number.
func (n *nodeSamples) frequencies() []float64 {
	list := slices.Clone(n.values[cpuFrequency])
	number := func(v labelled) int {
		i, err := strconv.Atoi(v.labels.get("cpu"))
		if err != nil {
			return -1 // names come before numbers
		}
		return i
	}
	slices.SortStableFunc(list, func(a, b labelled) int { return cmp.Compare(number(a), number(b)) })
	var out []float64
	for _, v := range list {
		out = append(out, v.value)
	}
	return out
}

// shares completes the memory from its bytes. Kernels before 3.14 do not say
// what is available: free, buffers, cached and slab are, after node-mixin.
func (n *nodeSamples) shares(m *model.NodeMemory) {
	if _, ok := n.gauge(memAvailable); !ok {
		slab, _ := n.gauge(memSlab)
		m.AvailableBytes = m.FreeBytes + m.BuffersBytes + m.CachedBytes + wholeNumber(slab)
	}
	if m.TotalBytes > 0 {
		m.UsagePct = percentage(1 - float64(m.AvailableBytes)/float64(m.TotalBytes))
	}
	if m.SwapTotalBytes > 0 {
		m.SwapUsagePct = percentage(1 - float64(m.SwapFreeBytes)/float64(m.SwapTotalBytes))
	}
}

// summarize is the section metrics.summary of the nodes of a round at that time:
// averages and maxima are over the nodes that are online and of which the value is
// known, 0 where it is of none. A node that is too new for a rate is no idle one.
// Where the nodes of Kubernetes are known, the counts are of them alone: a machine
// beside the cluster makes no node of it look online.
func (now nodesNow) summarize(at time.Time, onlineAge time.Duration) (model.MetricsSummary, error) {
	sum := model.MetricsSummary{TotalNodes: int64(len(now.list))}
	if now.names != nil {
		sum.TotalNodes = int64(now.names.count())
	}
	var cpu, memory mean
	for _, n := range now.list {
		newest, err := n.Timestamp.Parse()
		if err != nil {
			return model.MetricsSummary{}, err
		}
		if at.Sub(newest) > onlineAge {
			continue
		}
		if now.names == nil || now.names[n.NodeName] == n.NodeName {
			sum.OnlineNodes++
		}
		if !n.CPU.Unknown {
			cpu.add(n.CPU.UsagePct)
		}
		if n.Memory.TotalBytes > 0 {
			memory.add(n.Memory.UsagePct)
		}
		sum.MaxCPUTemp = max(sum.MaxCPUTemp, n.Temperature.CPUTempC)
	}
	sum.AvgCPUPct, sum.MaxCPUPct = cpu.average(), cpu.highest
	sum.AvgMemPct, sum.MaxMemPct = memory.average(), memory.highest
	return sum, nil
}

// mean sums up percentages.
type mean struct {
	count        int
	sum, highest float64
}

func (m *mean) add(v float64) {
	m.count++
	m.sum += v
	m.highest = max(m.highest, v)
}

// average is 0 of nothing.
func (m *mean) average() float64 { return m.sum / float64(max(m.count, 1)) }
