package clickhouse

import (
	"cmp"
	"slices"
	"strings"

	"github.com/atlhyper/observe/shared/model"
)

// ingressKey is a service behind an ingress, as its proxy names it.
//
//   - Traefik: the service label, such as shop-frontend-80@kubernetes; the name
//     to show is without the provider after the @.
//   - ingress-nginx: namespace/service/ingress, with "-" for what is empty; the
//     name to show is namespace/service. Requests that no ingress took are
//     default-backend.
type ingressKey struct {
	key, display string
}

// seeTraefik reads the service level metrics of Traefik.
func seeTraefik(_, l labels) (sighting, bool) {
	service := l.get("service")
	if service == "" {
		return sighting{}, false
	}
	display, _, _ := strings.Cut(service, "@")
	s := sighting{
		ingress: ingressKey{service, cmp.Or(display, service)},
		code:    l.get("code"),
		method:  l.get("method"),
	}
	switch l.get("protocol") {
	case "grpc", "grpc-web":
		// Traefik v3 puts the gRPC status (0..16) into code, v2 the HTTP status.
		s.failed = grpcFailed(s.code) || httpFailed(s.code)
	case "websocket", "sse":
		s.longLived = true
		s.failed = httpFailed(s.code)
	default:
		s.failed = httpFailed(s.code)
	}
	return s, true
}

// seeNginx reads the metrics of ingress-nginx, whose namespace and service
// labels are the ingress's, mostly renamed exported_ by the scrape.
func seeNginx(_, l labels) (sighting, bool) {
	namespace, service, ingress := l.get("namespace"), l.get("service"), l.get("ingress")
	if service == "" && ingress == "" {
		// Labels of the scrape's own target, if any: the controller's.
		namespace = ""
	}
	s := sighting{ingress: nginxKey(namespace, service, ingress), code: l.get("status"), method: l.get("method")}
	s.failed = httpFailed(s.code)
	s.longLived = s.code == "101" // switching protocols: websockets
	return s, true
}

func nginxKey(namespace, service, ingress string) ingressKey {
	if namespace == "" && service == "" && ingress == "" {
		return ingressKey{"default-backend", "default-backend"}
	}
	parts := []string{cmp.Or(namespace, "-"), cmp.Or(service, "-"), cmp.Or(ingress, "-")}
	return ingressKey{strings.Join(parts, "/"), parts[0] + "/" + cmp.Or(service, ingress)}
}

// ingressRows is the section slo.ingress: services that had requests, by key.
func (t *sloTraffic) ingressRows() []model.IngressSLO {
	out := []model.IngressSLO{}
	for key, v := range t.ingress {
		if v.requests <= 0 {
			continue // their success rate is undefined
		}
		q := v.latency.quantiles()
		out = append(out, model.IngressSLO{
			ServiceKey: key.key, DisplayName: key.display,
			RPS: v.rps(t.window), SuccessRate: v.successRate(), ErrorRate: 100 - v.successRate(),
			P50Ms: q.p50, P90Ms: q.p90, P95Ms: q.p95, P99Ms: q.p99, AvgMs: q.avg,
			StatusCodes: v.statusCodes(), Methods: v.methodCounts(), LatencyBuckets: v.latency.counts(),
			TotalRequests: wholeNumber(v.requests), TotalErrors: wholeNumber(v.failures),
		})
	}
	slices.SortFunc(out, func(a, b model.IngressSLO) int { return cmp.Compare(a.ServiceKey, b.ServiceKey) })
	return out
}
