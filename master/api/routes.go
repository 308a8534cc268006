package api

import (
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/model"
)

// dashboardRoute is an endpoint that a section of the snapshot answers.
type dashboardRoute struct {
	path    string // after Prefix
	section model.Section
	// ranged tells that another time range than the snapshot's own may be asked
	// for; the cluster's agent then computes the same shape.
	ranged bool
}

func dashboardRoutes() []dashboardRoute {
	return []dashboardRoute{
		{"/observe/overview", model.SectionOverview, false},
		{"/observe/metrics/summary", model.SectionMetricsSummary, false},
		{"/observe/metrics/nodes", model.SectionMetricsNodes, false},
		{"/observe/traces/services", model.SectionTracesServices, true},
		{"/observe/traces/topology", model.SectionTracesTopology, true},
		{"/observe/slo/summary", model.SectionSLOSummary, true},
		{"/observe/slo/ingress", model.SectionSLOIngress, true},
		{"/observe/slo/services", model.SectionSLOServices, true},
		{"/observe/slo/edges", model.SectionSLOEdges, true},
	}
}

// detailRoute is an endpoint that runs on a cluster's agent.
type detailRoute struct {
	method string
	path   string // after Prefix
	kind   detail.Kind
	parse  func(*params) detail.Request
}

func detailRoutes() []detailRoute {
	return []detailRoute{
		{http.MethodGet, "/observe/metrics/nodes/{name}", detail.KindNode, parseNode},
		{http.MethodGet, "/observe/metrics/nodes/{name}/series", detail.KindNodeSeries, parseNodeSeries},
		{http.MethodGet, "/observe/traces", detail.KindTraces, parseTraces},
		{http.MethodGet, "/observe/traces/{id}", detail.KindTrace, parseTrace},
		{http.MethodPost, "/observe/logs/query", detail.KindLogs, parseLogs},
		{http.MethodGet, "/observe/slo/timeseries", detail.KindSLOSeries, parseSLOSeries},
	}
}

func (a *API) routes() *chi.Mux {
	r := chi.NewRouter()
	r.Use(a.track, a.bound)
	r.NotFound(a.handle(notFound))
	r.MethodNotAllowed(a.handle(methodNotAllowed(r)))

	a.route(r, http.MethodGet, "/healthz", a.healthz)
	a.route(r, http.MethodGet, "/readyz", a.readyz)
	if a.cfg.ServeMetrics != nil {
		a.route(r, http.MethodGet, "/metrics", a.serveMetrics)
	}
	a.route(r, http.MethodGet, Prefix+"/clusters", a.clusters)
	a.route(r, http.MethodGet, Prefix+"/clusters/{id}", a.clusterByID)
	for _, d := range dashboardRoutes() {
		a.route(r, http.MethodGet, Prefix+d.path, a.dashboard(d))
	}
	for _, d := range detailRoutes() {
		a.route(r, d.method, Prefix+d.path, a.detail(d))
	}
	return r
}

// route registers a handler; whoever can GET can HEAD.
func (a *API) route(r chi.Router, method, path string, h handler) {
	r.Method(method, path, a.handle(h))
	if method == http.MethodGet {
		r.Method(http.MethodHead, path, a.handle(h))
	}
}
