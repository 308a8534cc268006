package reference_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/atlhyper/observe/loadtest/e2e/reference"
	"github.com/atlhyper/observe/loadtest/telemetry"
	"github.com/atlhyper/observe/shared/model"
)

// scrape is one row of one replica of a proxy.
func scrape(instance, code string, second int64, value float64, stale bool) telemetry.SumPoint {
	p := telemetry.SumPoint{Value: value, Temporality: telemetry.TemporalityCumulative, Monotonic: true}
	p.MetricName = "traefik_service_requests_total"
	p.Resource = telemetry.Attributes{"service.instance.id": instance}
	p.Attributes = telemetry.Attributes{"service": "shop", "code": code, "method": "GET"}
	p.Time = at(second)
	if stale {
		p.Flags = telemetry.FlagNoRecordedValue
	}
	return p
}

// Two replicas have counters of their own; one of them restarts. Over 60 s, with
// a scrape every 20 s, a counter covers 40 s, so increases grow by a half.
func TestIngressByHand(t *testing.T) {
	t.Parallel()
	c := telemetry.Rows{Sums: []telemetry.SumPoint{
		scrape("a", "200", 1010, 100, false), scrape("a", "200", 1030, 140, false), scrape("a", "200", 1050, 160, false),
		scrape("b", "200", 1010, 900, false), scrape("b", "200", 1030, 10, false), scrape("b", "200", 1050, 30, false),
		// Lost at the restart, back before the last scrape: 990, then 2.
		scrape("b", "500", 1010, 990, false), scrape("b", "500", 1030, 0, true), scrape("b", "500", 1050, 2, false),
	}}
	d, err := reference.New(c)
	if err != nil {
		t.Fatal(err)
	}
	got := d.Ingress(at(1060), time.Minute)
	// 200: a grows by 60, b by 10 + 20: 90, times 60/40 = 135. 500: 2 in 40 s
	// with 10 s to each edge: 2 * 60/40 = 3.
	want := []model.IngressSLO{{
		ServiceKey: "shop", RPS: 138.0 / 60, SuccessRate: 100 * 135.0 / 138, ErrorRate: 100 * 3.0 / 138,
		StatusCodes:    []model.StatusCount{{Code: "200", Count: 135}, {Code: "500", Count: 3}},
		Methods:        []model.MethodCount{{Method: "GET", Count: 138}},
		LatencyBuckets: []model.LatencyBucket{},
		TotalRequests:  138, TotalErrors: 3,
	}}
	if diff := cmp.Diff(want, got, cmp.Comparer(near)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestNewRefusesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	twice := telemetry.Rows{Sums: []telemetry.SumPoint{scrape("a", "200", 1, 1, false), scrape("a", "200", 1, 2, false)}}
	delta := telemetry.Rows{Sums: []telemetry.SumPoint{scrape("a", "200", 1, 1, false)}}
	delta.Sums[0].Temporality = telemetry.TemporalityDelta
	for want, c := range map[string]telemetry.Rows{"two samples": twice, "not a cumulative": delta} {
		if _, err := reference.New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func span(service, id, parent, kind string, startMs, tookMs int, status string) telemetry.Span {
	return telemetry.Span{
		Timestamp: at(100).Add(time.Duration(startMs) * time.Millisecond), Duration: time.Duration(tookMs) * time.Millisecond,
		TraceID: "t", SpanID: id, ParentSpanID: parent, Kind: kind, ServiceName: service, Name: service + " call", StatusCode: status,
	}
}

// web (0..100 ms) calls shop (10..60), which calls db twice: 20..30, and 50..140
// that fails and outlives the root.
func shop() telemetry.Rows {
	failing := span("db", "5", "3", "Client", 50, 90, "Error")
	failing.Events = []telemetry.SpanEvent{{
		Name: "exception", Timestamp: at(100),
		Attributes: telemetry.Attributes{"exception.type": "timeout", "exception.message": "too slow"},
	}}
	return telemetry.Rows{Spans: []telemetry.Span{
		span("db", "4", "3", "Client", 20, 10, "Unset"),
		span("web", "1", "", "Server", 0, 100, "Unset"),
		span("web", "2", "1", "Client", 5, 60, "Unset"),
		span("shop", "3", "2", "Server", 10, 50, "Unset"),
		failing,
	}}
}

func TestTraceByHand(t *testing.T) {
	t.Parallel()
	d, err := reference.New(shop())
	if err != nil {
		t.Fatal(err)
	}
	start, end := at(100), at(101)
	found := d.Search(reference.Search{Start: start, End: end, Service: "shop"})
	want := []model.TraceSummary{{
		TraceID: "t", RootService: "web", RootOperation: "web call", Services: []string{"db", "shop", "web"},
		DurationMs: 140, SpanCount: 5, ServiceCount: 3, HasError: true, ErrorType: "timeout", ErrorMessage: "too slow",
		Timestamp: "1970-01-01T00:01:40Z",
	}}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("search: -want +got\n%s", diff)
	}
	if found := d.Search(reference.Search{Start: start, End: end, Service: "web", MinDurationMs: 141}); len(found) != 0 {
		t.Errorf("a search beyond the duration found %v", found)
	}
	edges := d.ServiceEdges(start, end)
	wantEdges := map[reference.Edge]reference.Calls{
		{Source: "web", Target: "shop"}: {Count: 1, AvgMs: 50, DurationsMs: []float64{50}},
		{Source: "shop", Target: "db"}:  {Count: 2, Errors: 1, AvgMs: 50, DurationsMs: []float64{10, 90}},
	}
	if diff := cmp.Diff(wantEdges, edges); diff != "" {
		t.Errorf("edges: -want +got\n%s", diff)
	}
	calls := d.ServiceCalls(start, end)
	if web := calls["web"]; web.Count != 1 || web.AvgMs != 100 {
		t.Errorf("web: %+v, want its one server span of 100 ms", web)
	}
	if db := calls["db"]; db.Count != 2 || db.Errors != 1 {
		t.Errorf("db: %+v, want both its spans, one failed", db)
	}
}

// The figures are those of the capture's own description, found by other means.
func TestCapture(t *testing.T) {
	t.Parallel()
	c, err := telemetry.Load()
	if err != nil {
		t.Fatal(err)
	}
	d, err := reference.New(c.Shifted(0))
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2026, 11, 23, 2, 20, 0, 0, time.UTC)
	edges := d.ServiceEdges(start, start.Add(time.Hour))
	got := map[reference.Edge]int64{}
	for e, calls := range edges {
		got[e] = calls.Count
	}
	want := map[reference.Edge]int64{
		{Source: "frontend", Target: "route"}: 6930, {Source: "frontend", Target: "customer"}: 692,
		{Source: "frontend", Target: "driver"}: 694, {Source: "customer", Target: "mysql"}: 692,
		{Source: "driver", Target: "redis-manual"}: 9369,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("edges: -want +got\n%s", diff)
	}
	if n := len(d.TraceIDs()); n != 694 {
		t.Errorf("%d traces, want 694", n)
	}
	if n := d.Logs(reference.LogQuery{Start: start, End: start.Add(time.Hour), Level: "error"}).Total; n != 84 {
		t.Errorf("%d errors, want 84", n)
	}
}
