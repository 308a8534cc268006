package bench

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/atlhyper/observe/loadtest/telemetry"
)

//go:embed sql/*.sql
var statements embed.FS

// Size says how much telemetry is made.
type Size struct {
	// Nodes that run node_exporter.
	Nodes int
	// Cores of each node.
	Cores int
	// Services behind the ingress, in the mesh, and in the traces: a multiple of 10.
	Services int
	// SpansPerSecond of all services together.
	SpansPerSecond int
	// Scrapes of each series.
	Scrapes int
	// Every is the time between two scrapes, in whole seconds.
	Every time.Duration
}

// Length is the time that the telemetry covers.
func (s Size) Length() time.Duration { return time.Duration(s.Scrapes) * s.Every }

// scrapesPerInsert keeps the server's memory within bounds.
const scrapesPerInsert = 4

// Generate fills the exporter's tables, which it creates, in a database of the
// server with telemetry that ends at until. It multiplies, in the server, the
// series that a real node_exporter and real proxies were captured with; they lie
// in a second database meanwhile.
func Generate(ctx context.Context, conn driver.Conn, database string, size Size, until time.Time) (err error) {
	seed := database + "_seed"
	if err := errors.Join(telemetry.CreateTables(ctx, conn, ""), telemetry.CreateTables(ctx, conn, seed)); err != nil {
		return err
	}
	defer func() {
		if derr := conn.Exec(context.WithoutCancel(ctx), "DROP DATABASE "+seed); derr != nil {
			err = errors.Join(err, fmt.Errorf("drop the seed: %w", derr))
		}
	}()
	rows, err := seedRows(size)
	if err != nil {
		return err
	}
	if err := rows.Insert(ctx, conn, seed); err != nil {
		return err
	}
	spans := max(len(rows.Spans), 1)
	values := values{
		"seed": seed, "nodes": size.Nodes, "scrapes": size.Scrapes,
		"until": until.Unix(), "every": int(size.Every.Seconds()), "seconds": int(size.Length().Seconds()),
		"groups": size.Services / 5, "copies": max(size.SpansPerSecond*int(size.Length().Seconds())/spans, 1),
	}
	if err := run(ctx, conn, "traces", values); err != nil {
		return err
	}
	for first := 0; first < size.Scrapes; first += scrapesPerInsert {
		values["first"], values["last"] = first, min(first+scrapesPerInsert, size.Scrapes)
		for _, name := range []string{"gauge", "sum", "proxy_sum", "proxy_histogram"} {
			if err := run(ctx, conn, name, values); err != nil {
				return err
			}
		}
	}
	return nil
}

// values fill the {names} in a statement.
type values map[string]any

func statement(name string, v values) (string, error) {
	text, err := statements.ReadFile("sql/" + name + ".sql")
	if err != nil {
		return "", fmt.Errorf("statement %s: %w", name, err)
	}
	sql := string(text)
	for _, key := range slices.Sorted(maps.Keys(v)) {
		sql = strings.ReplaceAll(sql, "{"+key+"}", fmt.Sprint(v[key]))
	}
	return sql, nil
}

func run(ctx context.Context, conn driver.Conn, name string, v values) error {
	sql, err := statement(name, v)
	if err != nil {
		return err
	}
	if err := conn.Exec(ctx, sql); err != nil {
		return fmt.Errorf("generate %s: %w", name, err)
	}
	return nil
}

// What of the capture is multiplied: one node, one service of each proxy, and so
// many traces.
const (
	seedNode    = "10.0.1.11"
	seedTraefik = "shop-frontend-80@kubernetes"
	seedService = "cart" // in the meshes
	seedTraces  = 20
)

// seedRows are each series once, and some whole traces.
func seedRows(size Size) (telemetry.Rows, error) {
	capture, err := telemetry.Load()
	if err != nil {
		return telemetry.Rows{}, err
	}
	var rows telemetry.Rows
	newest(capture.Gauges, func(p telemetry.GaugePoint) *telemetry.Point { return &p.Point }, func(g telemetry.GaugePoint) {
		for _, labels := range coresOf(&g.Point, size.Cores) {
			g.Attributes = labels
			rows.Gauges = append(rows.Gauges, g)
		}
	})
	newest(capture.Sums, func(p telemetry.SumPoint) *telemetry.Point { return &p.Point }, func(s telemetry.SumPoint) {
		for _, labels := range slices.Concat(coresOf(&s.Point, size.Cores), servicesOf(&s.Point, size.Services)) {
			s.Attributes = labels
			rows.Sums = append(rows.Sums, s)
		}
	})
	newest(capture.Histograms, func(p telemetry.HistogramPoint) *telemetry.Point { return &p.Point }, func(h telemetry.HistogramPoint) {
		for _, labels := range servicesOf(&h.Point, size.Services) {
			h.Attributes = labels
			rows.Histograms = append(rows.Histograms, h)
		}
	})
	wholeTraces := make(map[string]bool)
	for _, span := range capture.Spans {
		if len(wholeTraces) < seedTraces {
			wholeTraces[span.TraceID] = true
		}
		if wholeTraces[span.TraceID] {
			rows.Spans = append(rows.Spans, span)
		}
	}
	return rows, nil
}

// newest hands over the newest sample of each series.
func newest[R any](list []R, point func(R) *telemetry.Point, use func(R)) {
	seen := make(map[string]bool)
	for _, row := range slices.Backward(list) {
		p := point(row)
		key := fmt.Sprint(p.MetricName, p.Resource, p.Attributes)
		if p.Stale() || seen[key] {
			continue
		}
		seen[key] = true
		use(row)
	}
}

// coresOf are the labels of a series of the seed's node: those of its first core
// for each core; none for series of other nodes and cores.
func coresOf(p *telemetry.Point, cores int) []telemetry.Attributes {
	if p.Resource["server.address"] != seedNode {
		return nil
	}
	switch p.Attributes["cpu"] {
	case "":
		return []telemetry.Attributes{p.Attributes}
	case "0":
	default:
		return nil
	}
	out := make([]telemetry.Attributes, 0, cores)
	for core := range cores {
		labels := maps.Clone(p.Attributes)
		labels["cpu"] = strconv.Itoa(core)
		out = append(out, labels)
	}
	return out
}

// servicesOf are the labels of a series of the seed's services, for each service.
func servicesOf(p *telemetry.Point, services int) []telemetry.Attributes {
	var service string
	switch p.ServiceName {
	case "traefik":
		if p.Attributes["service"] == seedTraefik {
			service = "frontend"
		}
	case "linkerd-proxy", "istio-proxy":
		if cmp.Or(p.Attributes["destination_workload"], p.Attributes["deployment"]) == seedService {
			service = seedService
		}
	}
	if service == "" {
		return nil
	}
	out := make([]telemetry.Attributes, 0, services)
	for i := range services {
		labels := make(telemetry.Attributes, len(p.Attributes))
		for name, value := range p.Attributes {
			labels[name] = strings.ReplaceAll(value, service, fmt.Sprintf("svc%03d", i))
		}
		out = append(out, labels)
	}
	return out
}
