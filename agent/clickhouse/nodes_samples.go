package clickhouse

import (
	"cmp"
	"slices"
	"strings"
)

// labelled is the value of one series of a node: the newest sample of a gauge,
// or the rate per second of a counter.
type labelled struct {
	labels labels
	key    string // equal for equal labels
	value  float64
	// known is false for a counter with too few samples for a rate.
	known           bool
	counter         bool
	firstMs, lastMs int64
	samples         int64
}

// nodeSamples is what one node sent in the window, by metric.
type nodeSamples struct {
	identity
	members
	newestMs int64
	values   map[string][]labelled
	index    map[labelledKey]int // place in values[metric]
	// summed are the metrics that came from the sum table: the gauge table may
	// have them again, from a federating Prometheus.
	summed map[string]bool
}

// labelledKey is a metric and the key of its labels.
type labelledKey struct{ metric, labels string }

// groupByNode sorts the series by node. Counters become rates over w.
func groupByNode(sums, gauges []series, w window, names kubeNames) map[string]*nodeSamples {
	groups := newNodeGroups(w, names)
	row := func(s *series) *nodeRow {
		return &nodeRow{series: *s, labelsText: &labelText{s.attributes, s.attributes.key()}}
	}
	for i := range sums {
		groups.add(row(&sums[i]), sums[i].monotonic)
	}
	groups.gaugesFollow()
	for i := range gauges {
		groups.add(row(&gauges[i]), isUntypedCounter(gauges[i].metric))
	}
	return groups.translated()
}

// nodeGroups sorts series by node: first those of the sum table, then those of
// the gauge table.
type nodeGroups struct {
	window     window
	names      kubeNames
	parts      map[partKey]*nodeSamples
	identities map[*labelText]*identity // by resource; nil where it tells of no node
}

// partKey is a node's key and one of the endpoints it was scraped at.
type partKey struct {
	key string
	endpoint
}

func newNodeGroups(w window, names kubeNames) *nodeGroups {
	return &nodeGroups{window: w, names: names, parts: make(map[partKey]*nodeSamples), identities: make(map[*labelText]*identity)}
}

// gaugesFollow says that the sum table is at its end.
func (g *nodeGroups) gaugesFollow() {
	for _, n := range g.parts {
		for metric := range n.values {
			n.summed[metric] = true
		}
	}
}

// identify finds the node of a series, once for each resource that says it.
func (g *nodeGroups) identify(r *nodeRow) (identity, bool) {
	if r.resourceText == nil || r.attributes["exported_instance"] != "" {
		return identify(&r.series)
	}
	known, ok := g.identities[r.resourceText]
	if !ok {
		if id, found := identify(&r.series); found {
			known = &id
		}
		g.identities[r.resourceText] = known
	}
	if known == nil {
		return identity{}, false
	}
	return *known, true
}

// add adds a series; of a counter its rate over the window.
func (g *nodeGroups) add(r *nodeRow, counter bool) {
	id, ok := g.identify(r)
	if !ok {
		return
	}
	part := partKey{id.key, id.endpoint}
	n := g.parts[part]
	if n == nil {
		n = newNodeSamples(id)
		g.parts[part] = n
	}
	if n.ip == "" {
		n.ip = id.ip
	}
	n.newestMs = max(n.newestMs, r.lastMs)
	if n.summed[r.metric] {
		return
	}
	v := labelled{labels: r.attributes, key: r.labelsText.key, known: true, counter: counter, firstMs: r.firstMs, lastMs: r.lastMs, samples: r.samples}
	if counter {
		var inc increment
		if inc, v.known = (history{&r.series}).increase(g.window); v.known {
			v.value = inc.vector[0] / g.window.seconds()
		}
	} else {
		v.value = r.lastValue()
	}
	n.put(r.metric, v)
}

func newNodeSamples(id identity) *nodeSamples {
	return &nodeSamples{
		identity: id,
		members:  members{[]string{id.raw}, []share{{key: id.key, endpoints: map[endpoint]bool{id.endpoint: true}}}},
		values:   make(map[string][]labelled), index: make(map[labelledKey]int), summed: make(map[string]bool),
	}
}

// put adds a series to those of the node.
func (n *nodeSamples) put(metric string, v labelled) {
	key := labelledKey{metric, v.key}
	if i, ok := n.index[key]; ok {
		n.values[metric][i].merge(v)
		return
	}
	n.index[key] = len(n.values[metric])
	n.values[metric] = append(n.values[metric], v)
}

// translated are the nodes once all series are there. The server answers in any
// order; sums of equal samples must be equal to the last bit, or a section looks
// changed.
func (g *nodeGroups) translated() map[string]*nodeSamples {
	nodes := g.names.assign(nodesOfParts(g.parts))
	for _, n := range nodes {
		for _, list := range n.values {
			slices.SortFunc(list, func(a, b labelled) int { return cmp.Compare(a.key, b.key) })
		}
		n.index = nil // places have changed
		n.translate()
	}
	return nodes
}

// merge joins another series with the same labels. It is one exporter whose
// resource changed (a restarted pod), or one that is scraped twice: rates one
// after the other add up, of side by side ones that with more samples counts; of
// gauges the newest.
func (old *labelled) merge(v labelled) {
	overlap := old.firstMs <= v.lastMs && v.firstMs <= old.lastMs
	switch {
	case v.counter && !overlap:
		old.value += v.value
		old.known = old.known || v.known
		old.firstMs, old.lastMs = min(old.firstMs, v.firstMs), max(old.lastMs, v.lastMs)
		old.samples += v.samples
	case old.outrankedBy(&v):
		*old = v
	}
}

// outrankedBy tells which of two series side by side counts, whichever came first.
func (old *labelled) outrankedBy(v *labelled) bool {
	samples, newest := cmp.Compare(v.samples, old.samples), cmp.Compare(v.lastMs, old.lastMs)
	if !v.counter {
		samples, newest = newest, samples
	}
	return cmp.Or(samples, newest, cmp.Compare(v.value, old.value)) > 0
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

// uname is a label of the newest node_uname_info.
func (n *nodeSamples) uname(name string) string {
	var (
		value  string
		newest int64
	)
	for _, v := range n.values[unameInfo] {
		if v.lastMs > newest {
			value, newest = v.labels.get(name), v.lastMs
		}
	}
	return value
}
