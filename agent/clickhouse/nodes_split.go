package clickhouse

import (
	"maps"
	"math"
	"slices"
)

// One key may be several machines: exporters behind the ports of one address, or
// a central collector that puts its own host.name on all that it scrapes. And one
// machine may be scraped at several endpoints. What is said here tells which.

// bootSlack is by how many seconds the boot times of one machine differ: the
// kernel reckons them back from a clock that is set now and then.
const bootSlack = 2

// members are the series that are one node's: those of a key, or of several that
// Kubernetes says are one.
type members struct {
	raws  []string // what is stored of the keys
	owned []share
}

// share is what a node has of the series of one key.
type share struct {
	key string
	// split is true when the key is other nodes', too, and the endpoint tells.
	split     bool
	endpoints map[endpoint]bool
}

func (m *members) has(id identity) bool {
	return slices.ContainsFunc(m.owned, func(s share) bool {
		return id.key == s.key && (!s.split || s.endpoints[id.endpoint])
	})
}

// endpoints are all that the node was scraped at.
func (m *members) endpoints() map[endpoint]bool {
	out := make(map[endpoint]bool)
	for _, s := range m.owned {
		maps.Copy(out, s.endpoints)
	}
	return out
}

// join adds the series of o.
func (m *members) join(o *members) {
	for _, s := range o.owned {
		if i := slices.IndexFunc(m.owned, func(own share) bool { return own.key == s.key }); i >= 0 {
			maps.Copy(m.owned[i].endpoints, s.endpoints)
			continue
		}
		m.owned = append(m.owned, s)
	}
	for _, raw := range o.raws {
		if !slices.Contains(m.raws, raw) {
			m.raws = append(m.raws, raw)
		}
	}
}

// nodesOfParts joins the parts that are one machine, and gives each node a key of
// its own: the plain one where it is alone, else the host it was scraped at, with
// the port where that is not enough.
func nodesOfParts(parts map[partKey]*nodeSamples) map[string]*nodeSamples {
	shared := make(map[string][]*nodeSamples)
	for part, n := range parts {
		shared[part.key] = append(shared[part.key], n)
	}
	nodes := make(map[string]*nodeSamples, len(shared))
	several := make(map[string][]*nodeSamples)
	for key, list := range shared {
		if machines := machinesOf(list); len(machines) == 1 {
			nodes[key] = machines[0]
		} else {
			several[key] = machines
		}
	}
	for _, key := range slices.Sorted(maps.Keys(several)) {
		hosts := make(map[string]int)
		for _, n := range several[key] {
			hosts[n.endpoint.host]++
		}
		for _, n := range several[key] {
			n.owned[0].split = true
			if n.endpoint.host == "" {
				nodes[key] = n // was pushed: it has nothing but the key
				continue
			}
			n.named, n.assigned, n.ip = false, false, ipOf(n.endpoint.host)
			n.key = n.endpoint.host
			if hosts[n.key] > 1 || nodes[n.key] != nil {
				n.key = n.endpoint.String()
			}
			if nodes[n.key] != nil { // scraped by another collector, too, that names it otherwise
				n.key = key + "/" + n.key
			}
			nodes[n.key] = n
		}
	}
	return nodes
}

// machinesOf joins the parts of one key that are one machine, by endpoint.
func machinesOf(parts []*nodeSamples) []*nodeSamples {
	slices.SortFunc(parts, func(a, b *nodeSamples) int { return a.endpoint.compare(b.endpoint) })
	var groups [][]*nodeSamples
	for _, part := range parts {
		at := slices.IndexFunc(groups, func(group []*nodeSamples) bool {
			return !slices.ContainsFunc(group, part.isAnotherThan)
		})
		if at < 0 {
			groups = append(groups, []*nodeSamples{part})
			continue
		}
		groups[at] = append(groups[at], part)
	}
	out := make([]*nodeSamples, 0, len(groups))
	for _, group := range groups {
		for _, part := range group[1:] {
			group[0].absorb(part)
		}
		out = append(out, group[0])
	}
	return out
}

// isAnotherThan tells whether two parts of one key are two machines: they send the
// same metrics at the same time, and not those of one machine.
func (n *nodeSamples) isAnotherThan(o *nodeSamples) bool {
	return !n.isMachineOf(o) && n.sendsBeside(o)
}

// isMachineOf tells whether two parts of one key are of one machine: by what the
// kernels say, else by the endpoint. Within a pod the kernel's host name is the
// pod's, so it tells nothing where Kubernetes names the node.
func (n *nodeSamples) isMachineOf(o *nodeSamples) bool {
	_, booted := n.gauge(bootTime)
	_, otherBooted := o.gauge(bootTime)
	host, otherHost := n.uname("nodename"), o.uname("nodename")
	at, other := n.endpoint, o.endpoint
	booted = booted && otherBooted
	switch {
	case n.bootsApart(o):
		return false
	case booted && n.assigned:
		return true
	case host != "" && otherHost != "":
		return host == otherHost
	case booted, at.host == "", other.host == "":
		return true
	case at.host != other.host:
		return false
	}
	// A name is one machine's, whatever its ports.
	return n.named || at.port == other.port || at.port == "" || other.port == ""
}

// bootsApart tells whether both say when they booted, and that it was not once.
func (n *nodeSamples) bootsApart(o *nodeSamples) bool {
	boot, booted := n.gauge(bootTime)
	otherBoot, otherBooted := o.gauge(bootTime)
	return booted && otherBooted && math.Abs(boot-otherBoot) > bootSlack
}

// sendsBeside tells whether both sent one metric at the same time.
func (n *nodeSamples) sendsBeside(o *nodeSamples) bool {
	for metric := range n.values {
		first, last := span(n.values[metric])
		if otherFirst, otherLast := span(o.values[metric]); first <= otherLast && otherFirst <= last {
			return true
		}
	}
	return false
}

// span is from the first to the last sample; of nothing it ends before it begins.
func span(list []labelled) (first, last int64) {
	first, last = math.MaxInt64, math.MinInt64
	for _, v := range list {
		first, last = min(first, v.firstMs), max(last, v.lastMs)
	}
	return first, last
}

// absorb joins what else is of the same machine.
func (n *nodeSamples) absorb(o *nodeSamples) {
	n.newestMs = max(n.newestMs, o.newestMs)
	if n.ip == "" {
		n.ip = o.ip
	}
	if n.endpoint.host == "" {
		n.endpoint = o.endpoint
	}
	n.join(&o.members)
	for metric, list := range o.values {
		if n.summed[metric] && !o.summed[metric] {
			continue
		}
		if o.summed[metric] && !n.summed[metric] {
			for _, v := range n.values[metric] {
				delete(n.index, labelledKey{metric, v.key})
			}
			n.values[metric], n.summed[metric] = nil, true
		}
		for _, v := range list {
			n.put(metric, v)
		}
	}
}
