package clickhouse

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/atlhyper/observe/shared/model"
)

// graph puts a topology together. Every end of an edge is a node, since edges
// are only made between ids that its methods returned.
type graph struct {
	nodes  map[string]model.TopologyNode
	edges  map[edgeKey]callStats
	byName map[string][]serviceKey // services that share a name
}

type edgeKey struct{ source, target string }

// newGraph starts with the services; one that runs in several environments is
// one node.
func newGraph(services []model.Service) *graph {
	g := &graph{
		nodes:  make(map[string]model.TopologyNode),
		edges:  make(map[edgeKey]callStats),
		byName: make(map[string][]serviceKey),
	}
	counts := make(map[string]callStats)
	for _, s := range services {
		id := g.service(serviceKey{s.Namespace, s.Name})
		counts[id] = counts[id].plus(callStats{count: s.SpanCount, errors: s.ErrorCount})
		node := g.nodes[id]
		node.RPS += s.RPS
		node.P99Ms = max(node.P99Ms, s.P99Ms)
		node.SuccessRate = successRate(counts[id].count, counts[id].errors)
		node.Status = statusOf(counts[id])
		g.nodes[id] = node
	}
	return g
}

// service returns the id of a service's node, which it adds when it is new: a
// caller whose spans lie outside the range has no traffic in it.
func (g *graph) service(k serviceKey) string {
	id := k.id()
	if _, ok := g.nodes[id]; !ok {
		g.nodes[id] = model.TopologyNode{
			ID: id, Name: k.name, Namespace: k.namespace, Type: model.TypeService, Status: model.StatusUnknown,
		}
		g.byName[k.name] = append(g.byName[k.name], k)
	}
	return id
}

// call adds calls to an edge; what a service calls within itself is none.
func (g *graph) call(source, target string, calls callStats) {
	if source == target {
		return
	}
	key := edgeKey{source, target}
	g.edges[key] = g.edges[key].plus(calls)
}

// addCalls adds what services call beside each other. Databases were counted
// over the whole range, the rest over the settled part of it.
func (g *graph) addCalls(rows []callRow, whole, settled time.Duration) {
	for _, c := range rows { // first, so that an external target can be one of them
		if !c.total {
			g.service(c.caller)
		}
	}
	for _, c := range rows {
		if !c.total {
			continue
		}
		length := settled
		if c.kind == model.TypeDatabase {
			length = whole
		}
		g.nodes[c.id()] = model.TopologyNode{
			ID: c.id(), Name: cmp.Or(c.target, c.system), Type: c.kind, Status: statusOf(c.calls),
			RPS: float64(c.calls.count) / length.Seconds(), SuccessRate: successRate(c.calls.count, c.calls.errors),
			P99Ms: c.p99Ms,
		}
	}
	called, resolved := make(map[string]bool), make(map[string]bool)
	for _, c := range rows {
		if c.total {
			continue
		}
		if to, ok := g.resolve(c); ok {
			resolved[c.id()] = true
			g.call(c.caller.id(), to, c.calls)
			continue
		}
		if _, kept := g.nodes[c.id()]; kept {
			called[c.id()] = true
			g.call(c.caller.id(), c.id(), c.calls)
		}
	}
	// What was a service to every caller is no node besides. One whose callers are
	// beyond their bound stays.
	maps.DeleteFunc(g.nodes, func(id string, n model.TopologyNode) bool {
		return n.Type == model.TypeExternal && resolved[id] && !called[id]
	})
}

// resolve finds the service whose name an external target bears: the caller's
// neighbour in its namespace, else the only one of that name.
func (g *graph) resolve(c callRow) (id string, ok bool) {
	if c.kind != model.TypeExternal {
		return "", false
	}
	named := g.byName[c.target]
	if neighbour := (serviceKey{c.caller.namespace, c.target}); slices.Contains(named, neighbour) {
		return neighbour.id(), true
	}
	if len(named) == 1 {
		return named[0].id(), true
	}
	return "", false
}

// topology lists the nodes and edges in the order of the wire.
func (g *graph) topology() model.Topology {
	t := model.Topology{Nodes: []model.TopologyNode{}, Edges: []model.TopologyEdge{}}
	for _, id := range slices.Sorted(maps.Keys(g.nodes)) {
		t.Nodes = append(t.Nodes, g.nodes[id])
	}
	byEnds := func(a, b edgeKey) int {
		return cmp.Or(strings.Compare(a.source, b.source), strings.Compare(a.target, b.target))
	}
	for _, k := range slices.SortedFunc(maps.Keys(g.edges), byEnds) {
		calls := g.edges[k]
		t.Edges = append(t.Edges, model.TopologyEdge{
			Source: k.source, Target: k.target, CallCount: calls.count, AvgMs: calls.avgMs,
			ErrorRate: float64(calls.errors) / float64(calls.count),
		})
	}
	return t
}

// statusOf judges calls as the SLO summary does.
func statusOf(calls callStats) model.Status {
	const healthy, warning = 0.999, 0.99
	rate := successRate(calls.count, calls.errors)
	switch {
	case calls.count == 0:
		return model.StatusUnknown
	case rate >= healthy:
		return model.StatusHealthy
	case rate >= warning:
		return model.StatusWarning
	default:
		return model.StatusCritical
	}
}
