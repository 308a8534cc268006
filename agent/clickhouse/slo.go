package clickhouse

import (
	"context"
	"time"

	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/model"
)

// A service is healthy from the first percentage of successes, in warning from
// the second.
const (
	healthyPct = 99.9
	warningPct = 99.0
)

// sloResourceKeys and sloLabels are what the proxies' series are told apart by.
func sloResourceKeys() []string {
	return append(workloadResources(), "k8s.namespace.name")
}

func sloLabels() []string {
	names := []string{
		// Traefik and ingress-nginx
		"service", "namespace", "ingress", "code", "status", "method", "protocol",
		// Linkerd
		"direction", "tls", "status_code", "classification", "grpc_status", "grpc_status_code",
		"route_name", "authz_name", "target_port", "srv_port", "target_addr", "authority",
		"dst_namespace", "dst_service",
		// Istio
		"reporter", "source_workload", "source_workload_namespace",
		"destination_workload", "destination_workload_namespace",
		"destination_service", "destination_service_name", "destination_service_namespace",
		"request_protocol", "response_code", "response_flags", "grpc_response_status",
		"connection_security_policy",
		// a bucket of a federated histogram
		"le",
	}
	for _, name := range workloadLabels() {
		names = append(names, name, "dst_"+name)
	}
	for _, name := range names {
		names = append(names, "exported_"+name)
	}
	return names
}

// sloQueries are the four statements about proxies in q's window: counters,
// histograms of either kind, and what federation leaves of them in the gauge table.
func sloQueries(q seriesQuery) []tableQuery {
	q.resourceKeys, q.attributeKeys = sloResourceKeys(), sloLabels()
	counters, histograms, federated := q, q, q
	for _, p := range proxies() {
		counters.metrics = append(counters.metrics, p.requests)
		histograms.metrics = append(histograms.metrics, p.duration)
		federated.metrics = append(federated.metrics, p.requests,
			p.duration+"_bucket", p.duration+"_sum", p.duration+"_count")
	}
	return []tableQuery{
		{sumSeries, counters}, {histogramSeries, histograms}, {exponentialSeries, histograms}, {gaugeSeries, federated},
	}
}

// traffic reads what all proxies saw in w.
func (s *Store) traffic(ctx context.Context, w window) (*sloTraffic, error) {
	tables, err := s.readTables(ctx, sloQueries(seriesQuery{window: w})...)
	if err != nil {
		return nil, err
	}
	var all []increment
	for _, list := range tables {
		all = append(all, increments(list, w)...)
	}
	t := newSLOTraffic(w)
	t.add(all)
	return t, nil
}

// rangeWindow is r as PromQL's left-open range: a sample at its start belongs to
// the range before, one at its end to it.
func rangeWindow(r detail.Range) window { return window{r.Start, r.End} }

// sloSummary is the section slo.summary of the rows of its list sections.
// Averages are plain means over services, the latency's over those that have one.
func sloSummary(ingress []model.IngressSLO, services []model.MeshService) model.SLOSummary {
	var (
		sum    model.SLOSummary
		timed  int64
		anyone = func(rps, successRate, p99 float64) {
			sum.TotalServices++
			sum.TotalRPS += rps
			sum.AvgSuccessRate += successRate
			if p99 > 0 {
				timed++
				sum.AvgP99Ms += p99
			}
			switch {
			case successRate >= healthyPct:
				sum.HealthyServices++
			case successRate >= warningPct:
				sum.WarningServices++
			default:
				sum.CriticalServices++
			}
		}
	)
	for _, s := range ingress {
		anyone(s.RPS, s.SuccessRate, s.P99Ms)
	}
	for _, s := range services {
		anyone(s.RPS, s.SuccessRate, s.P99Ms)
	}
	if sum.TotalServices > 0 {
		sum.AvgSuccessRate /= float64(sum.TotalServices)
	}
	if timed > 0 {
		sum.AvgP99Ms /= float64(timed)
	}
	return sum
}

// wholeSeconds is d for a Meta.
func wholeSeconds(d time.Duration) int64 { return int64(d.Round(time.Second) / time.Second) }
