package reference

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/atlhyper/observe/loadtest/telemetry"
	"github.com/atlhyper/observe/shared/model"
)

// workload is one end of a call.
type workload struct{ namespace, name string }

// Mesh says how one mesh writes down who calls whom.
type Mesh struct {
	// Services is the traffic of callees, Edges that between two workloads. They
	// differ for Linkerd, whose inbound side doesn't know its callers.
	Services, Edges Proxy
	callee          func(telemetry.Attributes) workload // of a series of Services
	ends            func(telemetry.Attributes) [2]workload
}

// Linkerd is seen from its inbound proxies; its edges from the outbound ones.
func Linkerd() Mesh {
	own := func(a telemetry.Attributes) workload { return workload{a["namespace"], a["deployment"]} }
	return Mesh{
		Services: linkerd("inbound"), Edges: linkerd("outbound"), callee: own,
		ends: func(a telemetry.Attributes) [2]workload {
			return [2]workload{own(a), {a["dst_namespace"], a["dst_deployment"]}}
		},
	}
}

// Istio reports each request twice; the destination's word counts.
func Istio() Mesh {
	callee := func(a telemetry.Attributes) workload {
		return workload{a["destination_workload_namespace"], a["destination_workload"]}
	}
	return Mesh{
		Services: istio(), Edges: istio(), callee: callee,
		ends: func(a telemetry.Attributes) [2]workload {
			return [2]workload{{a["source_workload_namespace"], a["source_workload"]}, callee(a)}
		},
	}
}

// keys adds the distinct values of key over the series of a proxy to a list.
func keys[K comparable](d *Data, known []K, p Proxy, key func(telemetry.Attributes) K) []K {
	for _, s := range d.series[p.Requests] {
		if k := key(s.Labels); p.Want.match(s.Labels) && !slices.Contains(known, k) {
			known = append(known, k)
		}
	}
	return known
}

// MeshServices is the section slo.services, all meshes added up. A service
// without requests in the window is left out.
func (d *Data) MeshServices(at time.Time, window time.Duration, meshes ...Mesh) []model.MeshService {
	var workloads []workload
	for _, m := range meshes {
		workloads = keys(d, workloads, m.Services, m.callee)
	}
	out := []model.MeshService{}
	for _, w := range workloads {
		t := newTraffic()
		for _, m := range meshes {
			d.addTraffic(t, m.Services, at, window, func(a telemetry.Attributes) bool { return m.callee(a) == w })
		}
		if t.RPS == 0 {
			continue
		}
		out = append(out, model.MeshService{
			Namespace: w.namespace, Name: w.name, RPS: t.RPS, SuccessRate: t.successPct(),
			P50Ms: t.quantile(0.5), P90Ms: t.quantile(0.9), P95Ms: t.quantile(0.95), P99Ms: t.quantile(0.99),
			AvgMs: t.avgMs(), MTLSEnabled: t.MutualRPS > 0, MTLSRate: t.MutualRPS / t.RPS,
			StatusCodes: t.codes(), LatencyBuckets: t.buckets(),
		})
	}
	slices.SortFunc(out, func(a, b model.MeshService) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return out
}

// MeshEdges is the section slo.edges, all meshes added up.
func (d *Data) MeshEdges(at time.Time, window time.Duration, meshes ...Mesh) []model.MeshEdge {
	var edges [][2]workload
	for _, m := range meshes {
		edges = keys(d, edges, m.Edges, m.ends)
	}
	out := []model.MeshEdge{}
	for _, ends := range edges {
		t := newTraffic()
		for _, m := range meshes {
			d.addTraffic(t, m.Edges, at, window, func(a telemetry.Attributes) bool { return m.ends(a) == ends })
		}
		if t.RPS == 0 {
			continue
		}
		out = append(out, model.MeshEdge{
			SrcNamespace: ends[0].namespace, SrcName: ends[0].name, DstNamespace: ends[1].namespace, DstName: ends[1].name,
			RPS: t.RPS, SuccessRate: t.successPct(), AvgMs: t.avgMs(), P99Ms: t.quantile(0.99),
		})
	}
	slices.SortFunc(out, func(a, b model.MeshEdge) int {
		return cmp.Or(cmp.Compare(a.SrcNamespace, b.SrcNamespace), cmp.Compare(a.SrcName, b.SrcName),
			cmp.Compare(a.DstNamespace, b.DstNamespace), cmp.Compare(a.DstName, b.DstName))
	})
	return out
}

// SLOSummary is the section slo.summary made of its two lists.
func SLOSummary(ingress []model.IngressSLO, mesh []model.MeshService) model.SLOSummary {
	var s model.SLOSummary
	add := func(rps, success, p99 float64) {
		s.TotalServices++
		switch {
		case success >= 99.9:
			s.HealthyServices++
		case success >= 99:
			s.WarningServices++
		default:
			s.CriticalServices++
		}
		s.TotalRPS += rps
		s.AvgSuccessRate += success
		s.AvgP99Ms += p99
	}
	for _, i := range ingress {
		add(i.RPS, i.SuccessRate, i.P99Ms)
	}
	for _, m := range mesh {
		add(m.RPS, m.SuccessRate, m.P99Ms)
	}
	if s.TotalServices > 0 {
		s.AvgSuccessRate /= float64(s.TotalServices)
		s.AvgP99Ms /= float64(s.TotalServices)
	}
	return s
}

// Overview is the section otel.overview made of the other sections.
func Overview(services []model.Service, ingress []model.IngressSLO, mesh []model.MeshService, nodes model.MetricsSummary) model.Overview {
	o := model.Overview{
		TotalServices: int64(len(services)), IngressServices: int64(len(ingress)), MeshServices: int64(len(mesh)),
		MonitoredNodes: nodes.TotalNodes, AvgCPUPct: nodes.AvgCPUPct, AvgMemPct: nodes.AvgMemPct,
		MaxCPUPct: nodes.MaxCPUPct, MaxMemPct: nodes.MaxMemPct,
	}
	var spans, failed int64
	for _, s := range services {
		if s.SuccessRate >= 0.999 {
			o.HealthyServices++
		}
		o.TotalRPS += s.RPS
		spans, failed = spans+s.SpanCount, failed+s.ErrorCount
		o.AvgP99Ms += s.P99Ms / math.Max(1, float64(len(services)))
	}
	if spans > 0 {
		o.AvgSuccessRate = 1 - float64(failed)/float64(spans) // over all spans, however many services
	}
	for _, i := range ingress {
		o.IngressAvgRPS += i.RPS / math.Max(1, float64(len(ingress)))
	}
	for _, m := range mesh {
		o.MeshAvgMTLS += m.MTLSRate / math.Max(1, float64(len(mesh)))
	}
	return o
}
