package api

import (
	"net/http"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/atlhyper/observe/redis/metric"
)

// metrics counts requests by route: the pattern, not the path, so that there are as
// many series as routes.
type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

func newMetrics(to prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: metric.Namespace + "http_requests_total",
			Help: "Requests by route and status; the route of what is no endpoint is empty.",
		}, []string{"route", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: metric.Namespace + "http_request_seconds", Help: "How long requests took, by route.",
			Buckets: []float64{.001, .005, .025, .1, .5, 2.5, 10, 30},
		}, []string{"route"}),
	}
	return m, metric.Register(to, nil, m.requests, m.seconds)
}

// observe counts one request that was answered with status; 0 for a caller that
// hung up before.
func (m *metrics) observe(r *http.Request, status int, took time.Duration) {
	route := ""
	if ctx := chi.RouteContext(r.Context()); ctx != nil {
		route = ctx.RoutePattern()
	}
	m.requests.WithLabelValues(route, strconv.Itoa(status)).Inc()
	m.seconds.WithLabelValues(route).Observe(took.Seconds())
}

// serveMetrics answers Prometheus.
func (a *API) serveMetrics(w http.ResponseWriter, r *http.Request) error {
	a.cfg.ServeMetrics.ServeHTTP(w, r)
	return nil
}
