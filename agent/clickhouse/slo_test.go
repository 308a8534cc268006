package clickhouse

import (
	"slices"
	"testing"

	"github.com/atlhyper/observe/loadtest/telemetry"
	"github.com/atlhyper/observe/shared/model"
)

// fromZero are the values of a counter that grows by each of the steps.
func fromZero(steps ...float64) []float64 {
	out := []float64{1000}
	for _, s := range steps {
		out = append(out, out[len(out)-1]+s)
	}
	return out
}

func TestTraefikIngress(t *testing.T) {
	t.Parallel()
	const metric = "traefik_service_requests_total"
	one, two := pairs{"service.name": "traefik", "service.instance.id": "1"}, pairs{"service.name": "traefik", "service.instance.id": "2"}
	labels := func(service, protocol, method, code string) pairs {
		return pairs{"service": service, "protocol": protocol, "method": method, "code": code}
	}
	var rows telemetry.Rows
	add := func(points []telemetry.SumPoint) { rows.Sums = append(rows.Sums, points...) }
	// Two replicas with the same labels; one restarts.
	add(counter(metric, one, labels("web@docker", "http", "GET", "200"), -5*sec, min15, fromZero(10, 20, 30)...))
	add(counter(metric, two, labels("web@docker", "http", "GET", "200"), -6*sec, min15, 500, 510, 3, 9))
	add(counter(metric, one, labels("web@docker", "http", "POST", "404"), -5*sec, min15, fromZero(6, 6, 6)...))
	add(counter(metric, one, labels("web@docker", "http", "POST", "502"), -5*sec, min15, fromZero(2, 1, 0)...))
	add(counter(metric, one, labels("web@docker", "websocket", "GET", "101"), -5*sec, min15, fromZero(1, 1, 1)...))
	// gRPC statuses: 5 is NOT_FOUND and 13 INTERNAL; 500 is Traefik v2's.
	add(counter(metric, one, labels("rpc@file", "grpc", "POST", "0"), -5*sec, min15, fromZero(8, 8, 8)...))
	add(counter(metric, one, labels("rpc@file", "grpc", "POST", "5"), -5*sec, min15, fromZero(4, 4, 4)...))
	add(counter(metric, one, labels("rpc@file", "grpc-web", "POST", "13"), -5*sec, min15, fromZero(2, 2, 2)...))
	add(counter(metric, one, labels("rpc@file", "grpc", "POST", "500"), -5*sec, min15, fromZero(1, 1, 1)...))
	// No requests in the window: no success rate, so no row.
	add(counter(metric, one, labels("idle@docker", "http", "GET", "200"), -5*sec, min15, 7, 7, 7))
	bounds := []float64{0.1, 0.3, 1.2}
	const seconds = "traefik_service_request_duration_seconds"
	rows.Histograms = slices.Concat(
		histogram(seconds, one, labels("web@docker", "http", "GET", "200"), bounds, -5*sec, min15, []float64{1, 2, 9},
			[]uint64{10, 5, 1, 0}, []uint64{20, 9, 2, 0}, []uint64{60, 20, 9, 1}),
		histogram(seconds, one, labels("web@docker", "websocket", "GET", "101"), bounds, -5*sec, min15, []float64{100, 900, 9000},
			[]uint64{0, 0, 0, 10}, []uint64{0, 0, 0, 90}, []uint64{0, 0, 0, 200}),
	)
	s, _ := testStore(t, rows)
	got, err := s.Round(t.Context(), testNow).SLOIngress()
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 {
		t.Fatalf("rows %+v, want rpc and web", got)
	}
	w, prom := fiveMinutes(), promOf(rows)
	rpc, web := got[0], got[1]
	checkEqual(t, "names", []string{rpc.ServiceKey, rpc.DisplayName, web.ServiceKey, web.DisplayName}, []string{"rpc@file", "rpc", "web@docker", "web"})

	of := where("service", "web@docker")
	total, failed := prom.increase(w, metric, of), prom.increase(w, metric, and(of, where("code", "502")))
	checkNear(t, "rps", web.RPS, total/300)
	checkNear(t, "success rate", web.SuccessRate, 100*(1-failed/total))
	checkNear(t, "error rate", web.ErrorRate, 100*failed/total)
	checkEqual(t, "totals", []int64{web.TotalRequests, web.TotalErrors}, []int64{wholeNumber(total), wholeNumber(failed)})
	count := func(name, value string) int64 {
		return wholeNumber(prom.increase(w, metric, and(of, where(name, value))))
	}
	checkEqual(t, "codes", web.StatusCodes, []model.StatusCount{
		{Code: "101", Count: count("code", "101")}, {Code: "200", Count: count("code", "200")},
		{Code: "404", Count: count("code", "404")}, {Code: "502", Count: count("code", "502")},
	})
	checkEqual(t, "methods", web.Methods, []model.MethodCount{{Method: "GET", Count: count("method", "GET")}, {Method: "POST", Count: count("method", "POST")}})
	http := and(of, where("protocol", "http"))
	checkNear(t, "p50", web.P50Ms, 1000*prom.quantile(0.5, w, seconds, http))
	checkNear(t, "p99", web.P99Ms, 1000*prom.quantile(0.99, w, seconds, http))
	checkNear(t, "mean", web.AvgMs, 1000*prom.increase(w, seconds+"_sum", http)/prom.increase(w, seconds+"_count", http))
	upTo := func(le string) float64 { return prom.increase(w, seconds+"_bucket", and(http, where("le", le))) }
	checkEqual(t, "buckets", web.LatencyBuckets, []model.LatencyBucket{
		{LE: 100, Count: wholeNumber(upTo("0.1"))}, {LE: 300, Count: wholeNumber(upTo("0.3") - upTo("0.1"))},
		{LE: 1200, Count: wholeNumber(upTo("1.2") - upTo("0.3"))},
	})
	checkNear(t, "grpc success rate", rpc.SuccessRate, 100*(8+4)/(8+4+2+1.0))
}

func TestNginxIngress(t *testing.T) {
	t.Parallel()
	const metric, seconds = "nginx_ingress_controller_requests", "nginx_ingress_controller_request_duration_seconds"
	controller := pairs{"service.name": "ingress-nginx"}
	shop := pairs{"namespace": "ingress", "exported_namespace": "shop", "exported_service": "web", "ingress": "front", "method": "GET"}
	rows := telemetry.Rows{
		Sums: slices.Concat(
			counter(metric, controller, shop.with("status", "200"), -5*sec, min15, fromZero(30, 30)...),
			counter(metric, controller, shop.with("status", "5xx"), -5*sec, min15, fromZero(10, 10)...),
			counter(metric, controller, pairs{"namespace": "ingress", "status": "404", "method": "GET"}, -5*sec, min15, fromZero(1, 1)...),
		),
		Histograms: slices.Concat(
			histogram(seconds, controller, shop.with("status", "200"), []float64{0.1, 1}, -5*sec, min15, []float64{1, 2}, []uint64{5, 5, 0}, []uint64{15, 25, 0}),
			histogram(seconds, controller, shop.with("status", "101"), []float64{0.1, 1}, -5*sec, min15, []float64{1, 2}, []uint64{0, 0, 5}, []uint64{0, 0, 500}),
		),
	}
	s, _ := testStore(t, rows)
	got, err := s.Round(t.Context(), testNow).SLOIngress()
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0].ServiceKey != "default-backend" || got[1].ServiceKey != "shop/web/front" || got[1].DisplayName != "shop/web" {
		t.Fatalf("rows %+v", got)
	}
	checkNear(t, "success rate", got[1].SuccessRate, 75)
	checkNear(t, "p90", got[1].P90Ms, 1000*promOf(rows).quantile(0.9, fiveMinutes(), seconds, where("status", "200")))
}

// What federation makes of counters and histograms reads as the originals do.
func TestFederatedIngress(t *testing.T) {
	t.Parallel()
	const metric, seconds = "traefik_service_requests_total", "traefik_service_request_duration_seconds"
	r := pairs{"service.name": "federate"}
	l := pairs{"exported_service": "web@docker", "service": "prometheus", "protocol": "http", "method": "GET", "code": "200"}
	rows := telemetry.Rows{Gauges: slices.Concat(
		gauge(metric, r, l, -5*sec, min15, 10, 4, 40),
		gauge(seconds+"_count", r, l, -5*sec, min15, 10, 20, 40),
		gauge(seconds+"_sum", r, l, -5*sec, min15, 1, 3, 9),
		gauge(seconds+"_bucket", r, l.with("le", "0.5"), -5*sec, min15, 8, 10, 20),
		gauge(seconds+"_bucket", r, l.with("le", "2.0"), -5*sec, min15, 9, 18, 38),
		gauge(seconds+"_bucket", r, l.with("le", "+Inf"), -5*sec, min15, 10, 20, 40),
	)}
	s, _ := testStore(t, rows)
	got, err := s.Round(t.Context(), testNow).SLOIngress()
	if err != nil || len(got) != 1 || got[0].ServiceKey != "web@docker" {
		t.Fatalf("rows %+v, error %v", got, err)
	}
	w, prom, all := fiveMinutes(), promOf(rows), where()
	checkNear(t, "rps", got[0].RPS, prom.increase(w, metric, all)/300)
	checkNear(t, "p50", got[0].P50Ms, 1000*prom.quantile(0.5, w, seconds, all))
	checkNear(t, "mean", got[0].AvgMs, 1000*prom.increase(w, seconds+"_sum", all)/prom.increase(w, seconds+"_count", all))
	checkEqual(t, "number of buckets", len(got[0].LatencyBuckets), 2)
}

func TestLinkerd(t *testing.T) {
	t.Parallel()
	r := pairs{"service.name": "linkerd-proxy"}
	in := func(deployment, class, code, tls string) pairs {
		return pairs{
			"direction": "inbound", "namespace": "shop", "deployment": deployment,
			"classification": class, "status_code": code, "tls": tls,
		}
	}
	out := pairs{
		"direction": "outbound", "namespace": "shop", "deployment": "web", "classification": "success", "status_code": "200",
		"tls": "true", "dst_namespace": "shop", "dst_deployment": "cart",
	}
	external := pairs{
		"direction": "outbound", "namespace": "shop", "deployment": "web", "classification": "success", "status_code": "200",
		"authority": "api.shop2.svc.cluster.local:8080",
	}
	rows := telemetry.Rows{
		Sums: slices.Concat(
			counter("response_total", r, in("cart", "success", "200", "true"), -5*sec, min15, fromZero(10, 20)...),
			counter("response_total", r, in("cart", "success", "404", "disabled"), -5*sec, min15, fromZero(5, 5)...),
			// Failed in gRPC, where the HTTP status is 200.
			counter("response_total", r, in("cart", "failure", "200", "true"), -5*sec, min15, fromZero(4, 4)...),
			counter("response_total", r, in("cart", "success", "200", "true").with("route_name", "probe"), -5*sec, min15, fromZero(70, 70)...),
			counter("response_total", r, in("cart", "success", "200", "true").with("target_addr", "10.0.0.1:4191"), -5*sec, min15, fromZero(70, 70)...),
			counter("response_total", r, out, -5*sec, min15, fromZero(30, 30)...),
			counter("response_total", r, external, -5*sec, min15, fromZero(1, 2)...),
			// No relabelling: the resource names the workload.
			counter("response_total", pairs{"k8s.namespace.name": "ops", "k8s.statefulset.name": "db", "k8s.pod.name": "db-0"},
				pairs{"direction": "inbound", "classification": "success", "tls": "true"}, -5*sec, min15, fromZero(1, 1)...),
		),
		Histograms: slices.Concat(
			histogram("response_latency_ms", r, pairs{"direction": "inbound", "namespace": "shop", "deployment": "cart", "status_code": "200"},
				[]float64{5, 50}, -5*sec, min15, []float64{100, 300}, []uint64{5, 5, 0}, []uint64{15, 25, 1}),
			histogram("response_latency_ms", r, out, []float64{5, 50}, -5*sec, min15, []float64{100, 900}, []uint64{1, 5, 0}, []uint64{2, 25, 3}),
		),
	}
	s, _ := testStore(t, rows)
	round := s.Round(t.Context(), testNow)
	services, err := round.SLOServices()
	if err != nil {
		t.Fatal(err)
	}
	if len(services) != 2 || services[0].Namespace != "ops" || services[0].Name != "db" || services[1].Name != "cart" {
		t.Fatalf("services %+v, want ops/db and shop/cart", services)
	}
	w, prom, cart := fiveMinutes(), promOf(rows), services[1]
	inbound := and(where("direction", "inbound"), func(l map[string]string) bool { return l["route_name"] == "" && l["target_addr"] == "" })
	checkNear(t, "rps", cart.RPS, prom.increase(w, "response_total", and(inbound, where("deployment", "cart")))/300)
	checkNear(t, "success rate", cart.SuccessRate, 100*40/48.0)
	checkNear(t, "mtls", cart.MTLSRate, 38/48.0)
	checkNear(t, "p95", cart.P95Ms, prom.quantile(0.95, w, "response_latency_ms", where("direction", "inbound")))

	edges, err := round.SLOEdges()
	if err != nil {
		t.Fatal(err)
	}
	outbound := and(where("direction", "outbound"), where("dst_deployment", "cart"))
	want := []model.MeshEdge{
		{
			SrcNamespace: "shop", SrcName: "web", DstNamespace: "shop", DstName: "cart", SuccessRate: 100,
			RPS:   prom.increase(w, "response_total", outbound) / 300,
			AvgMs: prom.increase(w, "response_latency_ms_sum", outbound) / prom.increase(w, "response_latency_ms_count", outbound),
			P99Ms: prom.quantile(0.99, w, "response_latency_ms", outbound),
		},
		{
			SrcNamespace: "shop", SrcName: "web", DstNamespace: "shop2", DstName: "api", SuccessRate: 100,
			RPS: prom.increase(w, "response_total", and(where("direction", "outbound"), prefix("authority", "api"))) / 300,
		},
	}
	checkEqual(t, "edges", edges, want)
}

func TestIstio(t *testing.T) {
	t.Parallel()
	r := pairs{"service.name": "istio-proxy"}
	call := func(reporter, code, flags string) pairs {
		return pairs{
			"reporter": reporter, "response_code": code, "response_flags": flags, "request_protocol": "http",
			"source_workload": "web", "source_workload_namespace": "shop",
			"destination_workload": "cart", "destination_workload_namespace": "shop", "destination_service_name": "cart-svc",
			"connection_security_policy": map[string]string{"destination": "mutual_tls", "source": "unknown"}[reporter],
		}
	}
	grpc := call("destination", "200", "-").with("request_protocol", "grpc")
	outside := call("source", "200", "-").with("destination_workload", "unknown").with("destination_service_name", "api.example.com").
		with("destination_workload_namespace", "unknown")
	rows := telemetry.Rows{
		Sums: slices.Concat(
			counter("istio_requests_total", r, call("destination", "200", "-"), -5*sec, min15, fromZero(40, 40)...),
			counter("istio_requests_total", r, call("source", "200", "-"), -5*sec, min15, fromZero(42, 42)...),
			counter("istio_requests_total", r, call("destination", "500", "-"), -5*sec, min15, fromZero(4, 4)...),
			counter("istio_requests_total", r, call("source", "500", "-"), -5*sec, min15, fromZero(4, 4)...),
			counter("istio_requests_total", r, grpc.with("grpc_response_status", "5"), -5*sec, min15, fromZero(3, 3)...),
			counter("istio_requests_total", r, grpc.with("grpc_response_status", "14"), -5*sec, min15, fromZero(3, 3)...),
			// The callee never saw these.
			counter("istio_requests_total", r, call("source", "503", "UF,URX"), -5*sec, min15, fromZero(10, 10)...),
			counter("istio_requests_total", r, outside, -5*sec, min15, fromZero(2, 2)...),
		),
		Histograms: slices.Concat(
			histogram("istio_request_duration_milliseconds", r, call("destination", "200", "-"), []float64{5, 50}, -5*sec, min15,
				[]float64{100, 300}, []uint64{5, 5, 0}, []uint64{15, 25, 1}),
			histogram("istio_request_duration_milliseconds", r, call("source", "200", "-"), []float64{5, 50}, -5*sec, min15,
				[]float64{1000, 30000}, []uint64{0, 0, 5}, []uint64{0, 0, 100}),
		),
	}
	s, _ := testStore(t, rows)
	round := s.Round(t.Context(), testNow)
	services, err := round.SLOServices()
	if err != nil || len(services) != 1 {
		t.Fatalf("services %+v, error %v; want shop/cart", services, err)
	}
	w, prom := fiveMinutes(), promOf(rows)
	callee := where("reporter", "destination")
	checkNear(t, "rps", services[0].RPS, prom.increase(w, "istio_requests_total", callee)/300)
	checkNear(t, "success rate", services[0].SuccessRate, 100*43/50.0)
	checkNear(t, "mtls", services[0].MTLSRate, 1)
	checkNear(t, "p50", services[0].P50Ms, prom.quantile(0.5, w, "istio_request_duration_milliseconds", callee))

	edges, err := round.SLOEdges()
	if err != nil || len(edges) != 2 {
		t.Fatalf("edges %+v, error %v; want those to api.example.com and cart", edges, err)
	}
	lostRequests := prom.increase(w, "istio_requests_total", where("response_flags", "UF,URX"))
	checkEqual(t, "edge outside", []string{edges[0].DstNamespace, edges[0].DstName}, []string{"", "api.example.com"})
	checkNear(t, "edge rps", edges[1].RPS, (prom.increase(w, "istio_requests_total", callee)+lostRequests)/300)
	checkNear(t, "edge success rate", edges[1].SuccessRate, 100*43/60.0)
	checkNear(t, "edge mean", edges[1].AvgMs, prom.increase(w, "istio_request_duration_milliseconds_sum", callee)/
		prom.increase(w, "istio_request_duration_milliseconds_count", callee))
}

func TestSLOSummary(t *testing.T) {
	t.Parallel()
	got := sloSummary(
		[]model.IngressSLO{{RPS: 1, SuccessRate: 99.9, P99Ms: 10}, {RPS: 2, SuccessRate: 98.9}},
		[]model.MeshService{{RPS: 3, SuccessRate: 99, P99Ms: 30}})
	want := model.SLOSummary{
		TotalServices: 3, HealthyServices: 1, WarningServices: 1, CriticalServices: 1,
		AvgSuccessRate: (99.9 + 98.9 + 99) / 3, TotalRPS: 6, AvgP99Ms: 20,
	}
	checkEqual(t, "summary", got, want)
	checkEqual(t, "empty summary", sloSummary(nil, nil), model.SLOSummary{})
}

func TestOverview(t *testing.T) {
	t.Parallel()
	got := overview(
		[]model.Service{
			{SpanCount: 90, ErrorCount: 0, SuccessRate: 1, RPS: 9, P99Ms: 10},
			{SpanCount: 10, ErrorCount: 5, SuccessRate: 0.5, RPS: 1, P99Ms: 30},
		},
		[]model.IngressSLO{{RPS: 4}, {RPS: 8}},
		[]model.MeshService{{MTLSRate: 1}, {MTLSRate: 0.5}},
		model.MetricsSummary{TotalNodes: 3, OnlineNodes: 2, AvgCPUPct: 10, AvgMemPct: 20, MaxCPUPct: 30, MaxMemPct: 40})
	want := model.Overview{
		TotalServices: 2, HealthyServices: 1, TotalRPS: 10, AvgSuccessRate: 0.95, AvgP99Ms: 20,
		IngressServices: 2, IngressAvgRPS: 6, MeshServices: 2, MeshAvgMTLS: 0.75,
		AvgCPUPct: 10, AvgMemPct: 20, MaxCPUPct: 30, MaxMemPct: 40,
	}
	checkEqual(t, "overview", got, want)
	checkEqual(t, "empty overview", overview(nil, nil, nil, model.MetricsSummary{}), model.Overview{})
}
