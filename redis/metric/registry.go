package metric

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/atlhyper/observe/shared/build"
)

// maxScrapes is how many scrapes of a process run at a time; one more is told 503.
const maxScrapes = 4

// NewRegistry returns a registry with what every process tells of itself: which build it
// is, and what the Go runtime and the system say of it.
func NewRegistry() (*prometheus.Registry, error) {
	registry, of := prometheus.NewRegistry(), build.Read()
	info := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: Namespace + "build_info", Help: "Always 1; the labels say which build runs.",
		ConstLabels: prometheus.Labels{"version": of.Version, "goversion": of.Go, "revision": of.Revision},
	}, func() float64 { return 1 })
	err := Register(registry, nil, info,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry, err
}

// Handler answers Prometheus.
func Handler(registry *prometheus.Registry) http.Handler {
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapes})
}
