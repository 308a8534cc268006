package clickhouse

import (
	"cmp"
	"context"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// kubeNames are the names of the Kubernetes nodes by all that telemetry may call
// them; nil when they are not known.
type kubeNames map[string]string

// kubeNames asks for the nodes as they are now. Those that were known stay known
// while Kubernetes is away: a restart of its API server renames nothing.
func (s *Store) kubeNames(ctx context.Context) kubeNames {
	if s.cfg.NodeNames == nil {
		return nil
	}
	names, err := s.cfg.NodeNames()
	if err != nil {
		s.cfg.Logger.DebugContext(ctx, "the nodes of Kubernetes are those of before, if any", "error", err)
	}
	return names
}

// of is the name of the node that telemetry calls so; "" when there is none.
func (k kubeNames) of(called string) string {
	if name, ok := k[called]; ok {
		return name
	}
	if address, err := netip.ParseAddr(called); err == nil {
		return k[address.Unmap().WithZone("").String()]
	}
	return k[strings.ToLower(called)] // kubelets write host names so
}

// count is how many nodes there are.
func (k kubeNames) count() int {
	nodes := make(map[string]bool)
	for _, name := range k {
		nodes[name] = true
	}
	return len(nodes)
}

// claim is a node that goes by a Kubernetes node's name, and how many of the things
// that are known of it say that it is this one.
type claim struct {
	*nodeSamples
	name  string
	signs int
}

// claimOf finds the Kubernetes node that n is: the one that its telemetry names, else
// by the kernel's host name, the endpoint and the key. A central collector puts its
// own host name on all that it scrapes, so that comes last.
func (k kubeNames) claimOf(n *nodeSamples) claim {
	c := claim{nodeSamples: n}
	if n.assigned {
		c.name, c.signs = k.of(n.key), 4
		return c
	}
	signs := []string{k.of(n.uname("nodename")), k.ofEndpoints(n), k.of(n.key)}
	for _, name := range signs {
		if c.name = cmp.Or(c.name, name); name != "" && name == c.name {
			c.signs++
		}
	}
	return c
}

func (k kubeNames) ofEndpoints(n *nodeSamples) string {
	for _, at := range slices.SortedFunc(maps.Keys(n.endpoints()), endpoint.compare) {
		if name := k.of(at.host); name != "" {
			return name
		}
	}
	return k.of(n.ip)
}

// assign gives the nodes the names that Kubernetes has for them, as their keys. What
// telemetry calls by several names, an address and a host name, is one node then. Of
// machines that booted at different times only one can be it: that of which most is
// known; the others keep the names that the telemetry has for them.
func (k kubeNames) assign(nodes map[string]*nodeSamples) map[string]*nodeSamples {
	if len(k) == 0 {
		return nodes
	}
	var (
		claims = make(map[string][]claim)
		others []*nodeSamples
	)
	for _, key := range slices.Sorted(maps.Keys(nodes)) {
		if c := k.claimOf(nodes[key]); c.name != "" {
			claims[c.name] = append(claims[c.name], c)
		} else {
			others = append(others, nodes[key])
		}
	}
	out := make(map[string]*nodeSamples, len(nodes))
	for _, name := range slices.Sorted(maps.Keys(claims)) {
		list := claims[name]
		slices.SortStableFunc(list, func(a, b claim) int {
			return cmp.Or(cmp.Compare(b.signs, a.signs), cmp.Compare(b.newestMs, a.newestMs))
		})
		n := list[0].nodeSamples
		for _, o := range list[1:] {
			if n.bootsApart(o.nodeSamples) && n.sendsBeside(o.nodeSamples) {
				others = append(others, o.nodeSamples)
				continue
			}
			n.absorb(o.nodeSamples)
		}
		n.key, n.named, n.assigned = name, true, true
		out[name] = n
	}
	for _, n := range others {
		if out[n.key] != nil { // the name of a Kubernetes node that it is not
			n.key, n.named = n.key+"/"+n.endpoint.String(), false
		}
		out[n.key] = n
	}
	return out
}
