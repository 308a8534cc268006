package promql

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestMeshServices compares slo.services: what the callee's side of Linkerd and
// Istio counts.
func TestMeshServices(t *testing.T) {
	t.Parallel()
	linkerd, istio := linkerdInbound(), istioServices()
	s := suite{
		moments: genMoment, generate: genMesh, report: reportServices, size: 100,
		queries: append(linkerd.queries(), istio.queries()...),
	}
	s.run(t)
}

// TestMeshEdges compares slo.edges: Linkerd's outbound side, and Istio with each
// request counted once.
func TestMeshEdges(t *testing.T) {
	t.Parallel()
	linkerd, istio := linkerdOutbound(), istioEdges()
	s := suite{
		moments: genMoment, generate: genMesh, report: reportEdges, size: 100,
		queries: append(linkerd.queries(), istio.queries()...),
	}
	s.run(t)
}

func linkerdInbound() sloSource {
	return sloSource{
		name:     "linkerd",
		requests: `response_total{direction="inbound",authz_name!="probe",`,
		duration: `response_latency_ms{direction="inbound",authz_name!="probe"`,
		scale:    1,
		row:      []string{"namespace", "deployment"},
		failed:   []string{`classification="failure"`},
		mtls:     `tls="true"`, code: "status_code", levels: []int{50, 90, 95, 99},
	}
}

func linkerdOutbound() sloSource {
	return sloSource{
		name:     "linkerd",
		requests: `response_total{direction="outbound",`,
		duration: `response_latency_ms{direction="outbound"`,
		scale:    1,
		row:      []string{"namespace", "deployment", "dst_namespace", "dst_deployment"},
		failed:   []string{`classification="failure"`},
		levels:   []int{99},
	}
}

func istioServices() sloSource {
	return sloSource{
		name:     "istio",
		requests: `istio_requests_total{reporter="destination",`,
		duration: `istio_request_duration_milliseconds{reporter="destination"`,
		scale:    1,
		row:      []string{"destination_workload_namespace", "destination_workload"},
		failed:   []string{`response_code=~"5.."`, `request_protocol="grpc",grpc_response_status=~"2|4|12|13|14|15"`},
		mtls:     `connection_security_policy="mutual_tls"`, code: "response_code", levels: []int{50, 90, 95, 99},
	}
}

func istioEdges() sloSource {
	s := istioServices()
	s.row = []string{"source_workload_namespace", "source_workload", "destination_workload_namespace", "destination_workload"}
	s.mtls, s.code, s.levels = "", "", []int{99}
	return s
}

func reportServices(ctx context.Context, w *world) (reported, error) {
	services, err := w.store.Round(ctx, w.at).SLOServices()
	if err != nil {
		return reported{}, err
	}
	out := newReported()
	for i := range services {
		s := &services[i]
		row, source := s.Namespace+"/"+s.Name, strings.TrimPrefix(s.Name, "web-on-")
		for field, v := range map[string]float64{
			"rps": s.RPS, "successRate": s.SuccessRate, "mtlsRate": s.MTLSRate, "avgMs": s.AvgMs,
			"p50Ms": s.P50Ms, "p90Ms": s.P90Ms, "p95Ms": s.P95Ms, "p99Ms": s.P99Ms,
		} {
			out.set(row, source+"."+field, "", v)
		}
		out.setCounts(row, source, s.StatusCodes, s.LatencyBuckets)
	}
	return out, nil
}

func reportEdges(ctx context.Context, w *world) (reported, error) {
	edges, err := w.store.Round(ctx, w.at).SLOEdges()
	if err != nil {
		return reported{}, err
	}
	out := newReported()
	for _, e := range edges {
		row := strings.Join([]string{e.SrcNamespace, e.SrcName, e.DstNamespace, e.DstName}, "/")
		source := strings.TrimPrefix(e.DstName, "web-on-")
		for field, v := range map[string]float64{"rps": e.RPS, "successRate": e.SuccessRate, "avgMs": e.AvgMs, "p99Ms": e.P99Ms} {
			out.set(row, source+"."+field, "", v)
		}
	}
	return out, nil
}

func genMesh(t *rapid.T, m moment) testCase {
	if rapid.Bool().Draw(t, "istio") {
		return genIstio(t, m)
	}
	return genLinkerd(t, m)
}

// genLinkerd draws a deployment with its inbound and a caller's outbound side,
// and probes, which are no traffic. Latency has no classification and no code.
func genLinkerd(t *rapid.T, m moment) testCase {
	outcomes := func(more map[string][]string) []map[string]string {
		var all []map[string]string
		codes := map[string][]string{"success": {"200", "404"}, "failure": {"503"}}
		for _, classification := range slices.Sorted(maps.Keys(codes)) {
			labels := map[string][]string{"classification": {classification}, "status_code": codes[classification], "tls": {"true", "disabled"}, "namespace": {caseName}}
			for k, v := range more {
				labels[k] = v
			}
			all = append(all, combinations(labels)...)
		}
		return all
	}
	all := outcomes(map[string][]string{"direction": {"inbound"}, "deployment": {"web-on-linkerd"}, "pod": {"web-0"}})
	all = append(all, outcomes(map[string][]string{
		"direction": {"outbound"}, "deployment": {"client"}, "dst_namespace": {caseName}, "dst_deployment": {"web-on-linkerd"},
	})...)
	all = append(all, map[string]string{
		"direction": "inbound", "deployment": "web-on-linkerd", "namespace": caseName, "authz_name": "probe",
		"classification": "success", "status_code": "200", "tls": "disabled",
	})
	return genTraffic(t, m, series{job: "linkerd-proxy"}, "response_total", "response_latency_ms", all, func(labels map[string]string) {
		delete(labels, "classification")
		delete(labels, "status_code")
	})
}

// genIstio draws an edge that both its ends report. The callee's side always has
// requests: what an edge without them shows is the caller's side.
func genIstio(t *rapid.T, m moment) testCase {
	edge := map[string][]string{
		"source_workload": {"client"}, "source_workload_namespace": {caseName},
		"destination_workload": {"web-on-istio"}, "destination_workload_namespace": {caseName},
		"reporter": {"destination", "source"}, "connection_security_policy": {"mutual_tls", "none"},
	}
	http, grpc := maps.Clone(edge), maps.Clone(edge)
	http["request_protocol"], http["response_code"] = []string{"http"}, []string{"200", "404", "503"}
	grpc["request_protocol"], grpc["response_code"], grpc["grpc_response_status"] = []string{"grpc"}, []string{"200"}, []string{"0", "5", "14"}
	all := append(combinations(http), combinations(grpc)...)
	c := genTraffic(t, m, series{job: "istio-proxy"}, "istio_requests_total", "istio_request_duration_milliseconds", all, nil)
	return withSteady(c)
}

// withSteady adds a series of the callee's side with a request at every scrape
// of every series.
func withSteady(c testCase) testCase {
	s := series{
		metric: "istio_requests_total", job: "istio-proxy", instance: "10.0.0.9:9100", labels: map[string]string{
			"source_workload": "client", "source_workload_namespace": caseName, "response_code": "201",
			"destination_workload": "web-on-istio", "destination_workload_namespace": caseName,
			"reporter": "destination", "connection_security_policy": "mutual_tls", "request_protocol": "http",
		},
	}
	for i, at := range c.times() {
		s.points = append(s.points, point{at: at, value: float64(i)})
	}
	c.series = append(c.series, s)
	return c
}
