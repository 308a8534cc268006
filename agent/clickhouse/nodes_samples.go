package clickhouse

import "strings"

// labelled is the value of one series of a node: the newest sample of a gauge,
// or the rate per second of a counter.
type labelled struct {
	labels labels
	value  float64
	// known is false for a counter with too few samples for a rate.
	known           bool
	firstMs, lastMs int64
	samples         int64
}

// nodeSamples is what one node sent in the window, by metric.
type nodeSamples struct {
	identity
	newestMs int64
	values   map[string][]labelled
	index    map[string]int // place in values[metric] by metric and labels
	// summed are the metrics that came from the sum table: the gauge table may
	// have them again, from a federating Prometheus.
	summed map[string]bool
}

// groupByNode sorts the series by node. Counters become rates over w.
func groupByNode(sums, gauges []series, w window) map[string]*nodeSamples {
	nodes := make(map[string]*nodeSamples)
	for i := range sums {
		addToNode(nodes, &sums[i], w, sums[i].monotonic)
	}
	for _, n := range nodes {
		for metric := range n.values {
			n.summed[metric] = true
		}
	}
	for i := range gauges {
		addToNode(nodes, &gauges[i], w, isUntypedCounter(gauges[i].metric))
	}
	for _, n := range nodes {
		n.translate()
	}
	return nodes
}

func addToNode(nodes map[string]*nodeSamples, s *series, w window, counter bool) {
	id, ok := identify(s)
	if !ok {
		return
	}
	n := nodes[id.key]
	if n == nil {
		n = &nodeSamples{identity: id, values: make(map[string][]labelled), index: make(map[string]int), summed: make(map[string]bool)}
		nodes[id.key] = n
	}
	if n.ip == "" {
		n.ip = id.ip
	}
	n.newestMs = max(n.newestMs, s.lastMs)
	if n.summed[s.metric] {
		return
	}
	v := labelled{labels: s.attributes, known: true, firstMs: s.firstMs, lastMs: s.lastMs, samples: s.samples}
	if counter {
		var inc increment
		if inc, v.known = (history{s}).increase(w); v.known {
			v.value = inc.vector[0] / w.seconds()
		}
	} else {
		v.value = s.lastValue()
	}
	key := s.metric + s.attributes.key()
	if i, ok := n.index[key]; ok {
		n.values[s.metric][i].merge(v, counter)
		return
	}
	n.index[key] = len(n.values[s.metric])
	n.values[s.metric] = append(n.values[s.metric], v)
}

// merge joins another series with the same labels. It is one exporter whose
// resource changed (a restarted pod), or one that is scraped twice: rates one
// after the other add up, of side by side ones that with more samples counts; of
// gauges the newest.
func (old *labelled) merge(v labelled, counter bool) {
	overlap := old.firstMs <= v.lastMs && v.firstMs <= old.lastMs
	switch {
	case counter && !overlap:
		old.value += v.value
		old.known = old.known || v.known
		old.firstMs, old.lastMs = min(old.firstMs, v.firstMs), max(old.lastMs, v.lastMs)
		old.samples += v.samples
	case counter && v.samples > old.samples, !counter && v.lastMs > old.lastMs:
		*old = v
	}
}

// isUntypedCounter tells whether a metric of the gauge table is a counter: the
// exporters' untyped counters, and what came through federation, which loses
// all types. Names are the only sign.
func isUntypedCounter(metric string) bool {
	switch {
	case metric == "node_netstat_Tcp_CurrEstab", metric == "node_netstat_Tcp_MaxConn",
		strings.HasSuffix(metric, "_Forwarding"), strings.HasSuffix(metric, "_DefaultTTL"):
		return false
	case strings.HasPrefix(metric, "node_netstat_"),
		strings.HasPrefix(metric, "node_vmstat_"),
		strings.HasPrefix(metric, "node_nf_conntrack_stat_"):
		return true
	}
	return strings.HasSuffix(metric, "_total")
}

// gauge is the newest sample of a metric without labels of its own; of several
// series the newest.
func (n *nodeSamples) gauge(metric string) (float64, bool) {
	var best *labelled
	for i, v := range n.values[metric] {
		if v.known && (best == nil || v.lastMs > best.lastMs) {
			best = &n.values[metric][i]
		}
	}
	if best == nil {
		return 0, false
	}
	return best.value, true
}

// sum adds up all series of a metric: rates over all cores or devices.
func (n *nodeSamples) sum(metric string) float64 {
	total := 0.0
	for _, v := range n.values[metric] {
		total += v.value
	}
	return total
}

// label is the label of the newest series of an info metric.
func (n *nodeSamples) label(metric, name string) string {
	var (
		value  string
		newest int64
	)
	for _, v := range n.values[metric] {
		if v.lastMs > newest {
			value, newest = v.labels.get(name), v.lastMs
		}
	}
	return value
}
