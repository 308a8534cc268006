package reference

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/atlhyper/observe/loadtest/telemetry"
	"github.com/atlhyper/observe/shared/model"
)

// ingressKey is how a proxy names the service of a series.
type ingressKey func(telemetry.Attributes) string

func traefikKey(a telemetry.Attributes) string { return a["service"] }

// nginxKey: the backend's labels clash with those of the scrape target, so they
// arrive with the prefix exported_.
func nginxKey(a telemetry.Attributes) string {
	return a["exported_namespace"] + "/" + a["exported_service"] + "/" + a["ingress"]
}

// ingress lists the proxies at the edge.
func ingress() []struct {
	proxy Proxy
	key   ingressKey
} {
	return []struct {
		proxy Proxy
		key   ingressKey
	}{{traefik(), traefikKey}, {nginx(), nginxKey}}
}

// Ingress is the section slo.ingress without display names. A service that had
// no requests in the window is left out.
func (d *Data) Ingress(at time.Time, window time.Duration) []model.IngressSLO {
	out := []model.IngressSLO{}
	for _, in := range ingress() {
		for _, key := range d.values(in.proxy.Requests, in.key) {
			t := d.traffic(in.proxy, at, window, func(a telemetry.Attributes) bool { return in.key(a) == key })
			if t.RPS > 0 {
				out = append(out, ingressRow(key, t, window))
			}
		}
	}
	slices.SortFunc(out, func(a, b model.IngressSLO) int { return strings.Compare(a.ServiceKey, b.ServiceKey) })
	return out
}

// values lists the distinct keys of a metric's series.
func (d *Data) values(metric string, key func(telemetry.Attributes) string) []string {
	var out []string
	for _, s := range d.series[metric] {
		if k := key(s.Labels); !slices.Contains(out, k) {
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return out
}

func ingressRow(key string, t *Traffic, window time.Duration) model.IngressSLO {
	return model.IngressSLO{
		ServiceKey:     key,
		RPS:            t.RPS,
		SuccessRate:    t.successPct(),
		ErrorRate:      100 - t.successPct(),
		P50Ms:          t.quantile(0.5),
		P90Ms:          t.quantile(0.9),
		P95Ms:          t.quantile(0.95),
		P99Ms:          t.quantile(0.99),
		AvgMs:          t.avgMs(),
		StatusCodes:    t.codes(),
		Methods:        t.methods(),
		LatencyBuckets: t.buckets(),
		TotalRequests:  int64(math.Round(t.RPS * window.Seconds())),
		TotalErrors:    int64(math.Round(t.ErrorRPS * window.Seconds())),
	}
}
