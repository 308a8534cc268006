package clickhouse

import (
	"cmp"
	"slices"
	"strings"

	"github.com/atlhyper/observe/shared/model"
)

// meshKey is a workload of a mesh.
type meshKey struct {
	namespace, name string
}

type meshEdge struct {
	src, dst meshKey
}

// reporter is who counted the requests of an edge. Istio reports a request at
// both ends; only the best one present counts.
type reporter int

const (
	byCallee reporter = iota
	byWaypoint
	byCaller
	// lost requests never reached the callee: its caller alone counts them, and
	// they add to whatever the callee says.
	lost
	reporters // how many there are
)

// workloadLabels are what names a workload in Linkerd's labels, best first; the
// callee of an outbound request has them after "dst_".
func workloadLabels() []string {
	return []string{"deployment", "statefulset", "daemonset", "replicationcontroller", "replicaset", "k8s_job", "pod"}
}

// workloadResources are what names it where Linkerd's relabel rules are missing.
func workloadResources() []string {
	return []string{"k8s.deployment.name", "k8s.statefulset.name", "k8s.daemonset.name", "k8s.pod.name"}
}

// linkerdAdminPort is where the proxy itself is probed and scraped.
const linkerdAdminPort = "4191"

// seeLinkerd reads response_total and response_latency_ms: inbound is the
// callee's own view of a service, outbound the caller's view of an edge.
func seeLinkerd(resource, l labels) (sighting, bool) {
	if l.get("route_name") == "probe" || l.get("authz_name") == "probe" ||
		l.get("target_port") == linkerdAdminPort || l.get("srv_port") == linkerdAdminPort ||
		strings.HasSuffix(l.get("target_addr"), ":"+linkerdAdminPort) {
		return sighting{}, false
	}
	self := meshKey{
		cmp.Or(l.get("namespace"), resource["k8s.namespace.name"]),
		cmp.Or(l.first(workloadLabels()...), resource.first(workloadResources()...)),
	}
	if self.name == "" {
		return sighting{}, false
	}
	s := sighting{code: l.get("status_code"), mtls: l.get("tls") == "true"}
	switch l.get("classification") {
	case "success":
	case "failure":
		s.failed = true
	default:
		s.failed = httpFailed(s.code) || grpcFailed(l.first("grpc_status", "grpc_status_code"))
	}
	switch l.get("direction") {
	case "inbound":
		s.service = self
	case "outbound":
		s.edge = meshEdge{self, linkerdCallee(l)}
		return s, s.edge.dst.name != ""
	default:
		return sighting{}, false
	}
	return s, true
}

func linkerdCallee(l labels) meshKey {
	var names []string
	for _, name := range workloadLabels() {
		names = append(names, "dst_"+name)
	}
	callee := meshKey{l.get("dst_namespace"), l.first(append(names, "dst_service")...)}
	if callee.name == "" {
		return serviceHost(l.get("authority"))
	}
	return callee
}

// serviceHost reads name.namespace.svc…:port; any other host is a name without
// a namespace.
func serviceHost(host string) meshKey {
	host = endpointOf(host).host
	if parts := strings.Split(host, "."); len(parts) >= 3 && parts[2] == "svc" {
		return meshKey{parts[1], parts[0]}
	}
	return meshKey{"", host}
}

// seeIstio reads istio_requests_total and istio_request_duration_milliseconds.
// A service is what its own side (reporter destination) says.
func seeIstio(_, l labels) (sighting, bool) {
	edge := meshEdge{
		src: meshKey{known(l.get("source_workload_namespace")), l.get("source_workload")},
		dst: meshKey{
			cmp.Or(known(l.get("destination_workload_namespace")), known(l.get("destination_service_namespace"))),
			cmp.Or(known(l.get("destination_workload")), known(l.get("destination_service_name")), known(l.get("destination_service"))),
		},
	}
	if edge.dst.name == "" {
		return sighting{}, false
	}
	s := sighting{code: l.get("response_code"), mtls: l.get("connection_security_policy") == "mutual_tls"}
	s.failed = httpFailed(s.code)
	if l.get("request_protocol") == "grpc" {
		s.failed = s.failed || grpcFailed(l.get("grpc_response_status"))
	}
	if edge.src.name != "" {
		s.edge = edge
	}
	switch l.get("reporter") {
	case "destination":
		s.service, s.reporter = edge.dst, byCallee
	case "waypoint":
		s.reporter = byWaypoint
	case "source":
		s.reporter = byCaller
		if neverArrived(s.code, l.get("response_flags")) {
			s.reporter, s.failed = lost, true
		}
	default:
		return sighting{}, false
	}
	return s, true
}

// known is "" for the word that Istio has for what it does not know.
func known(name string) string {
	if name == "unknown" {
		return ""
	}
	return name
}

// neverArrived tells from Envoy's response flags whether the caller's proxy gave
// up on a request before the callee's proxy could count it: no connection (UF),
// no healthy host (UH), no route (NR), gone while waiting (DC).
func neverArrived(code, flags string) bool {
	if code != "0" && code != "503" {
		return false
	}
	return slices.ContainsFunc(strings.Split(flags, ","), func(flag string) bool {
		return slices.Contains([]string{"UF", "UH", "NR", "DC"}, flag)
	})
}

// serviceRows is the section slo.services: services that had requests, by
// namespace and name. A workload that two meshes report is the sum of both.
func (t *sloTraffic) serviceRows() []model.MeshService {
	out := []model.MeshService{}
	for key, v := range t.services {
		if v.requests <= 0 {
			continue
		}
		q := v.latency.quantiles()
		out = append(out, model.MeshService{
			Namespace: key.namespace, Name: key.name, RPS: v.rps(t.window), SuccessRate: v.successRate(),
			P50Ms: q.p50, P90Ms: q.p90, P95Ms: q.p95, P99Ms: q.p99, AvgMs: q.avg,
			MTLSEnabled: v.mtls > 0, MTLSRate: min(v.mtls/v.requests, 1),
			StatusCodes: v.statusCodes(), LatencyBuckets: v.latency.counts(),
		})
	}
	slices.SortFunc(out, func(a, b model.MeshService) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return out
}

// edgeRows is the section slo.edges: edges that had requests, by source, then
// destination.
func (t *sloTraffic) edgeRows() []model.MeshEdge {
	out := []model.MeshEdge{}
	for key, reports := range t.edges {
		v := once(reports)
		if v.requests <= 0 {
			continue
		}
		q := v.latency.quantiles()
		out = append(out, model.MeshEdge{
			SrcNamespace: key.src.namespace, SrcName: key.src.name,
			DstNamespace: key.dst.namespace, DstName: key.dst.name,
			RPS: v.rps(t.window), SuccessRate: v.successRate(), AvgMs: q.avg, P99Ms: q.p99,
		})
	}
	slices.SortFunc(out, func(a, b model.MeshEdge) int {
		return cmp.Or(
			cmp.Compare(a.SrcNamespace, b.SrcNamespace), cmp.Compare(a.SrcName, b.SrcName),
			cmp.Compare(a.DstNamespace, b.DstNamespace), cmp.Compare(a.DstName, b.DstName))
	})
	return out
}

// once is the traffic of an edge with every request counted once: what the best
// reporter with requests says, and what was lost on the way.
func once(reports *[reporters]*traffic) *traffic {
	sum := newTraffic()
	for _, v := range reports[:lost] {
		if v != nil && v.requests > 0 {
			sum.merge(v)
			break
		}
	}
	if reports[lost] != nil {
		sum.merge(reports[lost])
	}
	return sum
}
