package clickhouse

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/atlhyper/observe/shared/model"
)

// proxy is one make of proxy whose metrics say how services do.
type proxy struct {
	requests string // counter of finished requests
	duration string // histogram of their durations
	// msPerUnit is the unit of the durations, unless the metric says "ms" itself.
	msPerUnit float64
	// see says what a series of either counts; false for what is no traffic.
	see func(resource, attributes labels) (sighting, bool)
}

func proxies() []proxy {
	return []proxy{
		{"traefik_service_requests_total", "traefik_service_request_duration_seconds", 1000, seeTraefik},
		{"nginx_ingress_controller_requests", "nginx_ingress_controller_request_duration_seconds", 1000, seeNginx},
		{"response_total", "response_latency_ms", 1, seeLinkerd},
		{"istio_requests_total", "istio_request_duration_milliseconds", 1, seeIstio},
	}
}

// sighting is what one series of a proxy counts: requests to a service behind
// an ingress, to a service of a mesh, or over an edge of it. Zero keys are none.
type sighting struct {
	ingress  ingressKey
	service  meshKey
	edge     meshEdge
	reporter reporter // of the edge
	code     string
	method   string
	failed   bool
	mtls     bool
	// longLived requests (websocket, server-sent events) say nothing of latency.
	longLived bool
}

// traffic is the requests of one service or edge: increases over a window,
// fractions included, since they are extrapolated as PromQL does.
type traffic struct {
	requests, failures, mtls float64
	codes, methods           map[string]float64
	latency                  latency
}

func newTraffic() *traffic {
	return &traffic{codes: make(map[string]float64), methods: make(map[string]float64)}
}

func (t *traffic) count(s sighting, n float64) {
	t.requests += n
	if s.failed {
		t.failures += n
	}
	if s.mtls {
		t.mtls += n
	}
	t.codes[s.code] += n
	t.methods[s.method] += n
}

func (t *traffic) merge(other *traffic) {
	t.requests += other.requests
	t.failures += other.failures
	t.mtls += other.mtls
	for code, n := range other.codes {
		t.codes[code] += n
	}
	for method, n := range other.methods {
		t.methods[method] += n
	}
	t.latency.merge(&other.latency)
}

// rps is requests per second of w.
func (t *traffic) rps(w window) float64 { return t.requests / w.seconds() }

// successRate is 0..100. Only traffic with requests has one.
func (t *traffic) successRate() float64 { return percentage(1 - t.failures/t.requests) }

func (t *traffic) statusCodes() []model.StatusCount {
	out := []model.StatusCount{}
	for _, code := range slices.Sorted(maps.Keys(t.codes)) {
		if n := wholeNumber(t.codes[code]); code != "" && n > 0 {
			out = append(out, model.StatusCount{Code: code, Count: n})
		}
	}
	return out
}

func (t *traffic) methodCounts() []model.MethodCount {
	out := []model.MethodCount{}
	for _, method := range slices.Sorted(maps.Keys(t.methods)) {
		if n := wholeNumber(t.methods[method]); method != "" && n > 0 {
			out = append(out, model.MethodCount{Method: method, Count: n})
		}
	}
	return out
}

// sloTraffic is all traffic that proxies saw in one window.
type sloTraffic struct {
	window   window
	ingress  map[ingressKey]*traffic
	services map[meshKey]*traffic
	edges    map[meshEdge]*[reporters]*traffic
}

func newSLOTraffic(w window) *sloTraffic {
	return &sloTraffic{
		window:   w,
		ingress:  make(map[ingressKey]*traffic),
		services: make(map[meshKey]*traffic),
		edges:    make(map[meshEdge]*[reporters]*traffic),
	}
}

// add counts the increments of all tables, each request once.
func (t *sloTraffic) add(list []increment) {
	all := sightings(list)
	from := sourcesOf(all)
	for i := range all {
		s := &all[i]
		if from.again(s) {
			continue
		}
		for _, into := range t.of(s.seen) {
			if s.requests() {
				into.count(s.seen, s.vector[0])
			} else if !s.seen.longLived {
				into.latency.addPart(s.part, s.increment, s.proxy.unit(s.unit))
			}
		}
	}
}

// sightings are the increments that count traffic. By its name a metric is a
// counter, a histogram, or a part of one that federation took apart.
func sightings(list []increment) []sighted {
	var (
		all = proxies()
		out []sighted
	)
	for _, inc := range list {
		for i := range all {
			p := &all[i]
			part, ok := strings.CutPrefix(inc.metric, p.duration)
			if inc.metric != p.requests && !ok {
				continue
			}
			if seen, ok := p.see(inc.resource, inc.attributes); ok {
				out = append(out, sighted{inc, p, part, seen})
			}
			break
		}
	}
	return out
}

// unit is milliseconds per unit: Traefik before v3.3.4 pushed milliseconds
// under the name that says seconds.
func (p *proxy) unit(declared string) float64 {
	if declared == "ms" {
		return 1
	}
	return p.msPerUnit
}

func (l *latency) addPart(part string, inc increment, msPerUnit float64) {
	switch part {
	case "":
		if inc.observed != nil {
			l.addExponential(*inc.observed, msPerUnit)
		} else if len(inc.vector) >= 2 {
			l.add(inc.bounds, inc.vector, msPerUnit)
		}
	case "_count":
		l.count += inc.vector[0]
	case "_sum":
		l.sumMs += inc.vector[0] * msPerUnit
	case "_bucket":
		le, err := strconv.ParseFloat(inc.attributes.get("le"), 64)
		if err == nil && !math.IsNaN(le) {
			l.addBucket(le*msPerUnit, inc.vector[0])
		}
	}
}

// of returns the traffic that a sighting belongs to.
func (t *sloTraffic) of(s sighting) []*traffic {
	var out []*traffic
	if s.ingress != (ingressKey{}) {
		out = append(out, entry(t.ingress, s.ingress))
	}
	if s.service != (meshKey{}) {
		out = append(out, entry(t.services, s.service))
	}
	if s.edge != (meshEdge{}) {
		if t.edges[s.edge] == nil {
			t.edges[s.edge] = &[reporters]*traffic{}
		}
		into := &t.edges[s.edge][s.reporter]
		if *into == nil {
			*into = newTraffic()
		}
		out = append(out, *into)
	}
	return out
}

func entry[K comparable](m map[K]*traffic, key K) *traffic {
	if m[key] == nil {
		m[key] = newTraffic()
	}
	return m[key]
}

// httpFailed tells whether an HTTP status is a failure: 5xx is (also as the
// class "5xx"), 4xx is not.
func httpFailed(code string) bool { return len(code) == 3 && code[0] == '5' }

// grpcFailed tells whether a gRPC status is the server's failure: UNKNOWN,
// DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS, after the
// semantic conventions for gRPC servers.
func grpcFailed(code string) bool {
	return slices.Contains([]string{"2", "4", "12", "13", "14", "15"}, code)
}
