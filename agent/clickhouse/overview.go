package clickhouse

import "github.com/atlhyper/observe/shared/model"

// overview is the section otel.overview of the rows of the other sections.
//
//   - Services are those of traces.services: healthy from 99.9 percent success;
//     avgSuccessRate is 1 - errors/spans over all of them, avgP99Ms the plain
//     mean of their p99, totalRps the sum of their rates.
//   - ingressAvgRps and meshAvgMtls are plain means over the services of
//     slo.ingress and slo.services.
//   - the averages and maxima of nodes are those of metrics.summary;
//     monitoredNodes, those that sent metrics in the window, is the caller's.
func overview(services []model.Service, ingress []model.IngressSLO, mesh []model.MeshService, nodes model.MetricsSummary) model.Overview {
	o := model.Overview{
		TotalServices:   int64(len(services)),
		IngressServices: int64(len(ingress)),
		MeshServices:    int64(len(mesh)),
		AvgCPUPct:       nodes.AvgCPUPct,
		AvgMemPct:       nodes.AvgMemPct,
		MaxCPUPct:       nodes.MaxCPUPct,
		MaxMemPct:       nodes.MaxMemPct,
	}
	var spans, errors int64
	for _, s := range services {
		spans += s.SpanCount
		errors += s.ErrorCount
		o.TotalRPS += s.RPS
		o.AvgP99Ms += s.P99Ms / float64(len(services))
		if s.SuccessRate*100 >= healthyPct {
			o.HealthyServices++
		}
	}
	o.AvgSuccessRate = successRate(spans, errors)
	for _, s := range ingress {
		o.IngressAvgRPS += s.RPS / float64(len(ingress))
	}
	for _, s := range mesh {
		o.MeshAvgMTLS += s.MTLSRate / float64(len(mesh))
	}
	return o
}
