package clickhouse

import (
	"maps"
	"slices"
	"testing"

	"github.com/atlhyper/observe/loadtest/telemetry"
	"github.com/atlhyper/observe/shared/model"
)

// federatedCounter is what a collector that scrapes a Prometheus writes of a
// counter: its own resource, labels of the scrape, and those of the proxy.
func federatedCounter(metric string, labels pairs, values ...float64) []telemetry.GaugePoint {
	r := pairs{"service.name": "federate", "k8s.pod.name": "prometheus-0", "k8s.namespace.name": "monitoring"}
	return gauge(metric, r, labels.with("job", "linkerd-proxy").with("instance", "10.0.0.7:4191").with("prometheus", "monitoring/k8s"), -4*sec, min15, values...)
}

func federatedHistogram(metric string, labels pairs, le []string, buckets [][]float64) []telemetry.GaugePoint {
	var out []telemetry.GaugePoint
	for i, bound := range le {
		out = append(out, federatedCounter(metric+"_bucket", labels.with("le", bound), buckets[i]...)...)
	}
	last := buckets[len(buckets)-1]
	out = append(out, federatedCounter(metric+"_count", labels, last...)...)
	return append(out, federatedCounter(metric+"_sum", labels, last...)...)
}

// sloSections are all sections about proxies of one round.
type sloSections struct {
	Ingress  []model.IngressSLO
	Services []model.MeshService
	Edges    []model.MeshEdge
}

func readSLOs(t *testing.T, rows telemetry.Rows) sloSections {
	t.Helper()
	s, _ := testStore(t, rows)
	round := s.Round(t.Context(), testNow)
	var (
		out sloSections
		err error
	)
	if out.Ingress, err = round.SLOIngress(); err != nil {
		t.Fatal(err)
	}
	if out.Services, err = round.SLOServices(); err != nil {
		t.Fatal(err)
	}
	if out.Edges, err = round.SLOEdges(); err != nil {
		t.Fatal(err)
	}
	return out
}

// A mesh that the collector scrapes while Prometheus is federated, too, shows
// what it shows without federation.
func TestFederatedBesideScraped(t *testing.T) {
	t.Parallel()
	r := pairs{"service.name": "linkerd-proxy"}
	inbound := pairs{
		"direction": "inbound", "namespace": "shop", "deployment": "cart", "pod": "cart-0",
		"classification": "success", "status_code": "200", "tls": "true",
	}
	outbound := pairs{
		"direction": "outbound", "namespace": "shop", "deployment": "web", "pod": "web-0", "classification": "success",
		"status_code": "200", "dst_namespace": "shop", "dst_deployment": "cart",
	}
	traefik := pairs{"service": "web@docker", "code": "200", "method": "GET", "protocol": "http"}
	// honor_labels=false: the scrape's own labels take the names.
	renamed := pairs{
		"exported_service": "web@docker", "service": "prometheus", "exported_pod": "traefik-0", "pod": "prometheus-0",
		"code": "200", "method": "GET", "protocol": "http",
	}
	steps, le := fromZero(10, 20, 30), []string{"5", "50", "+Inf"}
	buckets := [][]float64{{5, 15, 30, 50}, {10, 30, 50, 80}, {10, 30, 60, 100}}
	observed := [][]uint64{{5, 5, 0}, {15, 15, 0}, {30, 20, 10}, {50, 30, 20}}
	native := telemetry.Rows{
		Sums: slices.Concat(
			counter("response_total", r, inbound, -5*sec, min15, steps...),
			counter("response_total", r, outbound, -5*sec, min15, steps...),
			counter("traefik_service_requests_total", pairs{"service.name": "traefik"}, traefik, -5*sec, min15, steps...)),
		Histograms: slices.Concat(
			histogram("response_latency_ms", r, inbound, []float64{5, 50}, -5*sec, min15, steps, observed...),
			histogram("response_latency_ms", r, outbound, []float64{5, 50}, -5*sec, min15, steps, observed...)),
	}
	federated := slices.Concat(
		federatedCounter("response_total", inbound, steps...), federatedHistogram("response_latency_ms", inbound, le, buckets),
		federatedCounter("response_total", outbound, steps...), federatedHistogram("response_latency_ms", outbound, le, buckets),
		federatedCounter("traefik_service_requests_total", renamed, steps...))
	want := readSLOs(t, native)
	if len(want.Ingress) != 1 || len(want.Services) != 1 || len(want.Edges) != 1 || want.Services[0].P99Ms == 0 {
		t.Fatalf("native alone: %+v", want)
	}
	checkEqual(t, "both", readSLOs(t, telemetry.Rows{Sums: native.Sums, Histograms: native.Histograms, Gauges: federated}), want)

	// Another pod of the service, and a code that nobody scraped, are other requests.
	other := slices.Concat(
		federatedCounter("response_total", inbound.with("pod", "cart-1"), steps...),
		federatedCounter("response_total", inbound.with("status_code", "404"), steps...))
	got := readSLOs(t, telemetry.Rows{Sums: native.Sums, Histograms: native.Histograms, Gauges: slices.Concat(federated, other)})
	w := fiveMinutes()
	gauges := promOf(telemetry.Rows{Gauges: other}).increase(w, "response_total", where()) / 300
	checkNear(t, "rps with what is only federated", got.Services[0].RPS, want.Services[0].RPS+gauges)
	checkEqual(t, "edges", got.Edges, want.Edges)
}

// A process that is scraped for both kinds of histograms observed each request
// once; another process with the same labels observed others.
func TestClassicBesideExponential(t *testing.T) {
	t.Parallel()
	rows := traefikExponential()
	want := readSLOs(t, rows)
	first := rows.Exponentials[0].Point
	classic := func(resource pairs) []telemetry.HistogramPoint {
		return histogram(first.MetricName, resource, pairs(maps.Clone(first.Attributes)), []float64{0.25, 0.5}, -5*sec, min15, []float64{100, 103, 106},
			[]uint64{100, 200, 100}, []uint64{102, 204, 102}, []uint64{104, 208, 104})
	}
	rows.Histograms = classic(pairs(maps.Clone(first.Resource)))
	checkEqual(t, "both kinds", readSLOs(t, rows), want)

	count := func(s sloSections) (n int64) {
		for _, b := range s.Ingress[0].LatencyBuckets {
			n += b.Count
		}
		return n
	}
	rows.Histograms = append(rows.Histograms, classic(pairs{"service.name": "traefik", "service.instance.id": "2"})...)
	if got := count(readSLOs(t, rows)); got <= count(want) {
		t.Errorf("%d observed with another process's, want more than %d", got, count(want))
	}
}
