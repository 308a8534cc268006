package clickhouse

import (
	"context"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// SourceFound is something that sends metrics a section is made of.
type SourceFound struct {
	Name string `json:"name"` // Traefik, node_exporter, …
	For  string `json:"for"`  // nodes, ingress or mesh
	// Path is how its metrics came: scraped or pushed, or federated.
	Path string `json:"path"`
	// Metric is the one it was known by, with its rows of the last 15 minutes.
	Metric        string  `json:"metric"`
	Table         string  `json:"table"`
	Rows          int64   `json:"rows"`
	NewestSeconds float64 `json:"newestSeconds"` // age of the newest of them
	// Latency is the table of its durations; "" where it sends none, or has none
	// to send.
	Latency string `json:"latency"`

	area area
}

// area is the part of the dashboards that a source fills.
type area string

const (
	areaNodes   area = "nodes"
	areaIngress area = "ingress"
	areaMesh    area = "mesh"
)

const (
	pathScraped   = "scraped or pushed"
	pathFederated = "federated"
)

// source is what is known of a kind of source.
type source struct {
	name string
	area area
	// metric is what the section counts; duration its histogram, if any.
	metric, duration string
	// instead are metrics that say that it is there when metric is not, and what
	// to do then.
	instead []string
	text    string
	remedy  string
}

func metricSources() []source {
	return []source{
		{name: "node_exporter", area: areaNodes, metric: cpuSeconds},
		{name: "hostmetrics receiver", area: areaNodes, metric: "system.cpu.time"},
		{
			name: "Traefik", area: areaIngress,
			metric: "traefik_service_requests_total", duration: "traefik_service_request_duration_seconds",
			instead: []string{"traefik_entrypoint_requests_total", "traefik_router_requests_total"},
			text:    "Traefik counts requests by entrypoint or router only; the agent reads those by service",
			remedy:  "set metrics.prometheus.addServicesLabels=true (or metrics.otlp.addServicesLabels=true)",
		},
		{
			name: "ingress-nginx", area: areaIngress,
			metric: "nginx_ingress_controller_requests", duration: "nginx_ingress_controller_request_duration_seconds",
		},
		{
			name: "Linkerd", area: areaMesh, metric: "response_total", duration: "response_latency_ms",
			instead: []string{"outbound_http_route_request_statuses_total", "outbound_grpc_route_request_statuses_total"},
			text:    "Linkerd's route metrics are there, response_total is not",
			remedy:  "let the scrape keep response_total and response_latency_ms of the proxies",
		},
		{
			name: "Istio", area: areaMesh, metric: "istio_requests_total", duration: "istio_request_duration_milliseconds",
			instead: []string{"istio_tcp_sent_bytes_total", "istio_tcp_connections_opened_total"},
			text:    "Istio counts TCP connections only (ztunnel): requests are seen by sidecars, waypoints and gateways",
			remedy:  "add a waypoint to namespaces whose requests are to be seen",
		},
	}
}

// envoyMetrics are Envoy's own, which Istio and Envoy Gateway send beside or
// instead of Istio's; they name clusters and not workloads.
func envoyMetrics() []string {
	return []string{
		"envoy_cluster_upstream_rq_total", "envoy_cluster_upstream_rq", "envoy_cluster_upstream_rq_xx",
		"envoy_http_downstream_rq_total", "envoy_http_downstream_rq_xx",
	}
}

// metricFound is what one table has of one metric.
type metricFound struct {
	rows   int64
	newest time.Time
}

func (d *doctor) findSources(ctx context.Context) {
	names := envoyMetrics()
	for _, s := range metricSources() {
		names = append(append(names, s.metric), s.instead...)
		if s.duration != "" {
			names = append(names, s.duration, s.duration+"_bucket")
		}
	}
	for _, sig := range []signal{signalSum, signalGauge, signalHistogram, signalExpHistogram} {
		if t := d.tables[sig]; t != nil && t.Rows > 0 {
			d.metrics[sig] = d.readMetrics(ctx, t, names)
		}
	}
	for _, s := range metricSources() {
		d.judgeSource(s)
	}
	d.judgeEnvoy()
	d.findIdentity(ctx)
}

func (d *doctor) readMetrics(ctx context.Context, t *TableFound, names []string) map[string]metricFound {
	out := make(map[string]metricFound)
	p := d.windowParams(t)
	p["metrics"] = names
	_, err := bounded(ctx, d, "doctor_metrics", p, func(rows driver.Rows) (struct{}, error) {
		var (
			name string
			m    metricFound
			ms   int64
		)
		err := rows.Scan(&name, &m.rows, &ms)
		m.newest = time.UnixMilli(ms)
		out[name] = m
		return struct{}{}, err
	})
	if err != nil {
		d.fail(t.Name, err)
	}
	return out
}

// sent tells whether any table has one of the metrics.
func (d *doctor) sent(names []string) string {
	for _, of := range d.metrics {
		for _, name := range names {
			if of[name].rows > 0 {
				return name
			}
		}
	}
	return ""
}

func (d *doctor) judgeSource(s source) {
	before := len(d.out.Sources)
	for _, place := range []struct {
		signal signal
		path   string
	}{{signalSum, pathScraped}, {signalGauge, pathFederated}} {
		m := d.metrics[place.signal][s.metric]
		if m.rows == 0 {
			continue
		}
		d.out.Sources = append(d.out.Sources, SourceFound{
			Name: s.name, For: string(s.area), Path: place.path, Metric: s.metric, Table: d.tables[place.signal].Name,
			Rows: m.rows, NewestSeconds: d.out.At.Sub(m.newest).Seconds(), Latency: d.latencyTable(s), area: s.area,
		})
	}
	found := len(d.out.Sources) > before
	switch {
	case found && s.duration != "" && d.latencyTable(s) == "":
		d.find(Warning, s.name, "it sends no durations ("+s.duration+"): latencies will be 0",
			"let the scrape keep that histogram, or turn it on")
	case !found && d.sent(s.instead) != "":
		d.find(Problem, s.name, s.text, s.remedy)
	}
}

// latencyTable is the table that has the source's durations.
func (d *doctor) latencyTable(s source) string {
	if s.duration == "" {
		return ""
	}
	for _, sig := range []signal{signalHistogram, signalExpHistogram, signalGauge} {
		name := s.duration
		if sig == signalGauge {
			name += "_bucket"
		}
		if d.metrics[sig][name].rows > 0 {
			return d.tables[sig].Name
		}
	}
	return ""
}

func (d *doctor) judgeEnvoy() {
	istio := slices.ContainsFunc(d.out.Sources, func(s SourceFound) bool { return s.Name == "Istio" })
	if name := d.sent(envoyMetrics()); name != "" && !istio {
		d.find(Problem, "Envoy", "Envoy's own metrics are there ("+name+"), istio_requests_total is not; the agent reads the latter",
			"let the scrape keep istio_requests_total and istio_request_duration_milliseconds; Envoy without Istio is not supported")
	}
}
