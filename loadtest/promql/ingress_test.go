package promql

import (
	"context"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/atlhyper/observe/shared/model"
)

// TestIngress compares slo.ingress, for Traefik and ingress-nginx.
func TestIngress(t *testing.T) {
	t.Parallel()
	traefik, nginx := traefikSource(), nginxSource()
	s := suite{
		moments: genMoment, generate: genIngress, report: reportIngress, size: 150,
		queries: append(traefik.queries(), nginx.queries()...),
	}
	s.run(t)
}

func traefikSource() sloSource {
	return sloSource{
		name:     "traefik",
		requests: `traefik_service_requests_total{`,
		duration: `traefik_service_request_duration_seconds{protocol!~"websocket|sse"`,
		scale:    1000,
		row:      []string{"service"},
		// On gRPC the code is the gRPC status.
		failed: []string{`code=~"5.."`, `protocol=~"grpc|grpc-web",code=~"2|4|12|13|14|15"`},
		code:   "code", method: "method", counts: true, levels: []int{50, 90, 95, 99},
	}
}

func nginxSource() sloSource {
	return sloSource{
		name:     "nginx",
		requests: `nginx_ingress_controller_requests{`,
		duration: `nginx_ingress_controller_request_duration_seconds{status!="101"`,
		scale:    1000,
		row:      []string{"exported_namespace", "exported_service", "ingress"},
		failed:   []string{`status=~"5.."`},
		code:     "status", method: "method", counts: true, levels: []int{50, 90, 95, 99},
	}
}

func reportIngress(ctx context.Context, w *world) (reported, error) {
	services, err := w.store.Round(ctx, w.at).SLOIngress()
	if err != nil {
		return reported{}, err
	}
	return ingressReported(services), nil
}

func ingressReported(services []model.IngressSLO) reported {
	out := newReported()
	for i := range services {
		s := &services[i]
		source := "nginx"
		if strings.Contains(s.ServiceKey, "@") {
			source = "traefik"
		}
		for field, v := range map[string]float64{
			"rps": s.RPS, "successRate": s.SuccessRate, "errorRate": s.ErrorRate, "avgMs": s.AvgMs,
			"p50Ms": s.P50Ms, "p90Ms": s.P90Ms, "p95Ms": s.P95Ms, "p99Ms": s.P99Ms,
			"totalRequests": float64(s.TotalRequests), "totalErrors": float64(s.TotalErrors),
		} {
			out.set(s.ServiceKey, source+"."+field, "", v)
		}
		out.setCounts(s.ServiceKey, source, s.StatusCodes, s.LatencyBuckets)
		for _, m := range s.Methods {
			out.set(s.ServiceKey, source+".methods", m.Method, float64(m.Count))
		}
	}
	return out
}

func genIngress(t *rapid.T, m moment) testCase {
	if rapid.Bool().Draw(t, "nginx") {
		all := combinations(map[string][]string{
			"exported_namespace": {caseName}, "exported_service": {"web"}, "ingress": {"front"},
			"status": {"200", "404", "502", "101"}, "method": {"GET", "POST"},
		})
		return genTraffic(t, m, series{job: "ingress-nginx"},
			"nginx_ingress_controller_requests", "nginx_ingress_controller_request_duration_seconds", all, nil)
	}
	all := combinations(map[string][]string{
		"service": {caseName + "@kubernetes"}, "code": {"200", "499", "503"},
		"method": {"GET", "POST"}, "protocol": {"http", "websocket"},
	})
	all = append(all, combinations(map[string][]string{
		"service": {caseName + "@kubernetes"}, "code": {"0", "5", "14"}, "method": {"POST"}, "protocol": {"grpc"},
	})...)
	return genTraffic(t, m, series{job: "traefik"},
		"traefik_service_requests_total", "traefik_service_request_duration_seconds", all, nil)
}
