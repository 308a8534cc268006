package fleet

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/atlhyper/observe/shared/model"
)

func (w World) nodeName(i int) string    { return fmt.Sprintf("%s-node-%02d", w.Cluster, i) }
func (w World) serviceName(i int) string { return fmt.Sprintf("service-%03d", i) }
func namespace(i int) string             { return [...]string{"cart", "media", "payment"}[i%3] }

// call is an edge: which service calls which.
type call struct{ from, to int }

// calls are the edges, by source, then target: the first ones are a ring of all
// services, the others skip one, two and so on.
func (w World) calls() []call {
	calls := make([]call, w.Edges)
	for k := range calls {
		from := k % w.Services
		calls[k] = call{from, (from + 1 + k/w.Services) % w.Services}
	}
	slices.SortFunc(calls, func(a, b call) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to)) })
	return calls
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
	}
	for i, c := range w.calls() {
		edge := fmt.Sprintf("edge %d", i)
		t.Edges = append(t.Edges, model.TopologyEdge{
			Source: w.serviceName(c.from), Target: w.serviceName(c.to), CallCount: v + int64(i),
			AvgMs: w.between(1, 90, edge, v), ErrorRate: w.between(0, 0.1, edge+" errors", v),
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

// statuses and methods split a number of requests as services do.
func statuses(total int64) []model.StatusCount {
	moved, absent, failed := total/40, total/60, total/2000
	return []model.StatusCount{
		{Code: "200", Count: total - moved - absent - failed}, {Code: "304", Count: moved}, {Code: "404", Count: absent}, {Code: "503", Count: failed},
	}
}

func methods(total int64) []model.MethodCount {
	return []model.MethodCount{{Method: "GET", Count: total - total/5}, {Method: "POST", Count: total / 5}}
}

// ingressBounds are Traefik's own buckets, meshBounds some of Linkerd's; milliseconds.
func ingressBounds() []float64 { return []float64{100, 300, 1200, 5000} }
func meshBounds() []float64    { return []float64{1, 5, 10, 20, 50, 100, 200, 500, 1000, 5000} }

// buckets are a proxy's histogram; half of what is left is in each.
func buckets(total int64, bounds []float64) []model.LatencyBucket {
	all := make([]model.LatencyBucket, 0, len(bounds))
	for _, le := range bounds {
		half := (total + 1) / 2
		all = append(all, model.LatencyBucket{LE: le, Count: half})
		total -= half
	}
	return all
}

func sloIngress(w World, v int64) []model.IngressSLO {
	rows := make([]model.IngressSLO, w.Services)
	for i := range rows {
		name := w.serviceName(i)
		total := v + int64(i)
		rows[i] = model.IngressSLO{
			ServiceKey: namespace(i) + "-" + name + "-80@kubernetes", DisplayName: name, RPS: w.between(0, 300, name+"in", v),
			SuccessRate: 99.95, ErrorRate: 0.05,
			P50Ms: w.between(1, 60, name+"i50", v), P90Ms: w.between(60, 90, name+"i90", v), P95Ms: w.between(90, 120, name+"i95", v),
			P99Ms: w.between(120, 900, name+"i99", v), AvgMs: w.between(1, 90, name+"iavg", v),
			StatusCodes: statuses(total), Methods: methods(total), LatencyBuckets: buckets(total, ingressBounds()), TotalRequests: total, TotalErrors: total / 2000,
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
			StatusCodes: statuses(v), LatencyBuckets: buckets(v, meshBounds()),
		}
	}
	return rows
}

func sloEdges(w World, v int64) []model.MeshEdge {
	rows := make([]model.MeshEdge, w.Edges)
	for i, c := range w.calls() {
		rows[i] = model.MeshEdge{
			SrcNamespace: namespace(c.from), SrcName: w.serviceName(c.from), DstNamespace: namespace(c.to), DstName: w.serviceName(c.to),
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
