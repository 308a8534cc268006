package api

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/atlhyper/observe/redis/metric"
	"github.com/atlhyper/observe/shared/fault"
)

// metrics counts requests by route: the pattern, not the path, so that there are as
// many series as routes. A code has one status: it only tells apart what a status mixes,
// such as agent_offline, which is the cluster's, and store_unavailable, which is ours.
type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

func newMetrics(to prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: metric.Namespace + "http_requests_total",
			Help: "Requests by route, status and the code of the failure; the route of what is no endpoint is empty, and so is the code of a success.",
		}, []string{"route", "status", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: metric.Namespace + "http_request_seconds", Help: "How long requests took, by route.",
			Buckets: []float64{.001, .005, .025, .1, .5, 2.5, 10, 30},
		}, []string{"route"}),
	}
	return m, metric.Register(to, nil, m.requests, m.seconds)
}

// routeMetrics counts the requests of one route. Series that nearly all requests
// count in are looked up once.
type routeMetrics struct {
	route         string
	all           *metrics
	seconds       prometheus.Observer
	ok, unchanged prometheus.Counter // 200 and 304
}

// budgetFailures are the codes that the API's error budget counts (ADR 29).
func budgetFailures() []fault.Code {
	return []fault.Code{fault.Internal, fault.StoreUnavailable, fault.Unavailable}
}

func (m *metrics) of(route string) routeMetrics {
	if strings.HasPrefix(route, Prefix) {
		// Prometheus's rate() does not see the first value of a series that begins with
		// it: each replica's first failures would be missing from the budget.
		for _, code := range budgetFailures() {
			m.requests.WithLabelValues(route, strconv.Itoa(status(code)), string(code))
		}
	}
	return routeMetrics{
		route:     route,
		all:       m,
		seconds:   m.seconds.WithLabelValues(route),
		ok:        m.requests.WithLabelValues(route, strconv.Itoa(http.StatusOK), ""),
		unchanged: m.requests.WithLabelValues(route, strconv.Itoa(http.StatusNotModified), ""),
	}
}

// observe counts one request; its status is 0 when the caller hung up before.
func (m *routeMetrics) observe(x *exchange, took time.Duration) {
	switch x.status {
	case http.StatusOK:
		m.ok.Inc()
	case http.StatusNotModified:
		m.unchanged.Inc()
	default:
		m.all.requests.WithLabelValues(m.route, strconv.Itoa(x.status), string(x.code)).Inc()
	}
	if !x.endless {
		m.seconds.Observe(took.Seconds())
	}
}

// serveMetrics answers Prometheus.
func (a *API) serveMetrics(x *exchange, r *http.Request) error {
	a.cfg.ServeMetrics.ServeHTTP(x, r)
	return nil
}
