package reference

import (
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/atlhyper/observe/loadtest/telemetry"
	"github.com/atlhyper/observe/shared/model"
)

// Proxy says how one kind of proxy writes its requests down.
type Proxy struct {
	Requests string // counter
	Latency  string // histogram
	// UnitMs is the histogram's unit in milliseconds.
	UnitMs float64
	// Want chooses the series: the reporter or the direction.
	Want   labels
	Code   string // label of the status code
	Method string // label of the method; "" when it has none
	// Mutual says that a series was counted over mutual TLS.
	Mutual func(telemetry.Attributes) bool
}

// The proxies of the capture. Meshes are seen from the callee.
func traefik() Proxy {
	return Proxy{Requests: "traefik_service_requests_total", Latency: "traefik_service_request_duration_seconds",
		UnitMs: 1000, Code: "code", Method: "method"}
}

func nginx() Proxy {
	return Proxy{Requests: "nginx_ingress_controller_requests", Latency: "nginx_ingress_controller_request_duration_seconds",
		UnitMs: 1000, Code: "status", Method: "method"}
}

func linkerd(direction string) Proxy {
	return Proxy{Requests: "response_total", Latency: "response_latency_ms", UnitMs: 1,
		Want: labels{"direction": {direction}}, Code: "status_code",
		Mutual: func(a telemetry.Attributes) bool { return a["tls"] == "true" }}
}

func istio() Proxy {
	return Proxy{Requests: "istio_requests_total", Latency: "istio_request_duration_milliseconds", UnitMs: 1,
		Want: labels{"reporter": {"destination"}}, Code: "response_code",
		Mutual: func(a telemetry.Attributes) bool { return a["connection_security_policy"] == "mutual_tls" }}
}

// Traffic is the requests of one service in a window, as PromQL counts them.
type Traffic struct {
	RPS        float64 // sum(rate(requests[window]))
	ErrorRPS   float64 // of them with a 5xx code
	MutualRPS  float64 // of them over mutual TLS
	ByCode     map[string]float64
	ByMethod   map[string]float64 // increases over the window
	Bounds     []float64          // ms, finite, ascending
	Cumulative []float64          // increases of the buckets, sum by (le); the last is +Inf
	SumMs      float64            // increase of the sum of durations, ms
	Count      float64            // increase of the count of durations
}

func newTraffic() *Traffic {
	return &Traffic{ByCode: map[string]float64{}, ByMethod: map[string]float64{}}
}

// traffic is what one proxy says of the series that keep accepts.
func (d *Data) traffic(p Proxy, at time.Time, window time.Duration, keep func(telemetry.Attributes) bool) *Traffic {
	t := newTraffic()
	d.addTraffic(t, p, at, window, keep)
	return t
}

func (d *Data) addTraffic(t *Traffic, p Proxy, at time.Time, window time.Duration, keep func(telemetry.Attributes) bool) {
	for _, s := range d.series[p.Requests] {
		if !p.Want.match(s.Labels) || !keep(s.Labels) {
			continue
		}
		increase, ok := s.Increase(at, window)
		if !ok || increase == 0 {
			continue
		}
		t.RPS += increase / window.Seconds()
		if strings.HasPrefix(s.Labels[p.Code], "5") {
			t.ErrorRPS += increase / window.Seconds()
		}
		if p.Mutual != nil && p.Mutual(s.Labels) {
			t.MutualRPS += increase / window.Seconds()
		}
		t.ByCode[s.Labels[p.Code]] += increase
		t.ByMethod[s.Labels[p.Method]] += increase
	}
	for _, h := range d.histograms[p.Latency] {
		if p.Want.match(h.Labels) && keep(h.Labels) {
			t.addHistogram(h, p.UnitMs, at, window)
		}
	}
}

func (t *Traffic) addHistogram(h *Histogram, unitMs float64, at time.Time, window time.Duration) {
	if t.Bounds == nil {
		for _, b := range h.Bounds {
			t.Bounds = append(t.Bounds, b*unitMs)
		}
		t.Cumulative = make([]float64, len(h.Buckets))
	}
	for i, bucket := range h.Buckets {
		if increase, ok := bucket.Increase(at, window); ok {
			t.Cumulative[i] += increase
		}
	}
	if increase, ok := h.Sum.Increase(at, window); ok {
		t.SumMs += increase * unitMs
	}
	if increase, ok := h.Count.Increase(at, window); ok {
		t.Count += increase
	}
}

// quantile is histogram_quantile(q, sum by (le) (rate(buckets[window]))) in ms; 0
// when there is none.
func (t *Traffic) quantile(q float64) float64 {
	v, ok := Quantile(q, t.Bounds, t.Cumulative)
	if !ok {
		return 0
	}
	return v
}

func (t *Traffic) avgMs() float64 {
	if t.Count == 0 {
		return 0
	}
	return t.SumMs / t.Count
}

// successPct is the share of requests without a 5xx code, 0..100.
func (t *Traffic) successPct() float64 {
	if t.RPS == 0 {
		return 100
	}
	return 100 * (1 - t.ErrorRPS/t.RPS)
}

func (t *Traffic) codes() []model.StatusCount {
	out := []model.StatusCount{}
	for _, code := range slices.Sorted(maps.Keys(t.ByCode)) {
		out = append(out, model.StatusCount{Code: code, Count: int64(math.Round(t.ByCode[code]))})
	}
	return out
}

func (t *Traffic) methods() []model.MethodCount {
	out := []model.MethodCount{}
	for _, method := range slices.Sorted(maps.Keys(t.ByMethod)) {
		out = append(out, model.MethodCount{Method: method, Count: int64(math.Round(t.ByMethod[method]))})
	}
	return out
}

// buckets are the requests between two bounds: the difference of neighbours.
func (t *Traffic) buckets() []model.LatencyBucket {
	out := []model.LatencyBucket{}
	below := 0.0
	for i, le := range t.Bounds {
		out = append(out, model.LatencyBucket{LE: le, Count: int64(math.Round(t.Cumulative[i] - below))})
		below = t.Cumulative[i]
	}
	return out
}
