package api

import (
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/atlhyper/observe/master/resources"
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

// resourceSections are those of Kubernetes.
func resourceSections() []model.Section {
	all := []model.Section{model.SectionKubeSummary}
	for _, kind := range resources.Kinds() {
		all = append(all, kind.Section)
	}
	return all
}

// dashboardSections are all of them, in the order of the routes.
func dashboardSections() []model.Section {
	var all []model.Section
	for _, d := range dashboardRoutes() {
		all = append(all, d.section)
	}
	return all
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

// endpoint is a route as it is served.
type endpoint struct {
	api     *API
	rule    rule
	handler handler
	metrics routeMetrics
	traced  bool // its requests make spans
}

// ServeHTTP implements http.Handler for writers that are exchanges.
func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := exchangeOf(w)
	x.endpoint = e
	if e.traced {
		r = e.trace(x, r)
	}
	err := e.admit(x, r)
	if err != nil && e.api.cfg.Audit != nil {
		x.note().refused = true
	}
	if err == nil {
		err = e.handler(x, r)
	}
	if err != nil {
		e.api.fail(x, r, err)
	}
}

// serves tells whether a request with the path of an endpoint in API.fixed is one
// for it; the router says what is wrong with any other.
func (e *endpoint) serves(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) && r.URL.RawPath == ""
}

func (a *API) endpoint(pattern string, u rule, h handler) *endpoint {
	if !u.isSet() {
		panic("api: " + pattern + " has no rule")
	}
	return &endpoint{
		api: a, rule: u, handler: h, metrics: a.metrics.of(pattern), traced: a.cfg.TracerProvider != nil && isTraced(pattern),
	}
}

func (a *API) routes() {
	a.router, a.fixed = chi.NewRouter(), make(map[string]*endpoint)
	public, view, operate := rule{anybody, costFree}, rule{viewers, costDashboard}, rule{operators, costDetail}
	a.none = a.endpoint("", public, notFound)
	a.router.NotFound(a.none.ServeHTTP)
	none := *a.none
	none.handler = methodNotAllowed(a.router)
	a.router.MethodNotAllowed(none.ServeHTTP)

	a.route(http.MethodGet, "/healthz", public, a.healthz)
	a.route(http.MethodGet, "/readyz", public, a.readyz)
	a.route(http.MethodGet, "/openapi.json", public, a.serveOpenAPI)
	if a.cfg.ServeMetrics != nil {
		a.route(http.MethodGet, "/metrics", rule{overseers, costFree}, a.serveMetrics)
	}
	a.route(http.MethodGet, Prefix+"/session", rule{callers, costFree}, a.showSession)
	a.route(http.MethodPost, Prefix+"/session", rule{callers, costFree}, a.openSession)
	a.route(http.MethodDelete, Prefix+"/session", public, a.closeSession)
	a.route(http.MethodGet, Prefix+"/clusters", view, a.clusters)
	a.route(http.MethodGet, Prefix+"/clusters/{id}", view, a.clusterByID)
	a.route(http.MethodGet, Prefix+"/fleet", view, a.fleet)
	a.route(http.MethodGet, Prefix+"/observe/stream", view, a.stream)
	for _, d := range dashboardRoutes() {
		a.route(http.MethodGet, Prefix+d.path, view, a.dashboard(d))
	}
	a.route(http.MethodGet, Prefix+"/overview", view, a.overview)
	for _, kind := range resources.Kinds() {
		a.route(http.MethodGet, Prefix+"/"+kind.Path, view, a.list(kind))
		one := "/{name}"
		if kind.Namespaced {
			one = "/{namespace}/{name}"
		}
		a.route(http.MethodGet, Prefix+"/"+kind.Path+one, view, a.object(kind))
	}
	for _, d := range detailRoutes() {
		a.route(d.method, Prefix+d.path, operate, a.detail(d))
	}
}

// route registers a handler for whom the rule names; whoever can GET can HEAD. A path
// without parameters needs no matching: the router's share of a small dashboard was a
// tenth.
func (a *API) route(method, pattern string, u rule, h handler) {
	e := a.endpoint(pattern, u, h)
	a.router.Method(method, pattern, e)
	a.registered = append(a.registered, registered{method, pattern, u})
	if method != http.MethodGet {
		return
	}
	a.router.Method(http.MethodHead, pattern, e)
	if !strings.Contains(pattern, "{") {
		a.fixed[pattern] = e
	}
}
