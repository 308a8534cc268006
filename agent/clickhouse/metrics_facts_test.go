package clickhouse

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/atlhyper/observe/loadtest/telemetry"
)

// increasesOf is increases of several metrics by the label case, over 5 minutes.
func increasesOf(t *testing.T, s *Store, statement string, metrics ...string) map[string]float64 {
	t.Helper()
	out := make(map[string]float64)
	for _, metric := range metrics {
		for name, n := range increases(t, s, statement, metric, "case", fiveMinutes()) {
			out[metric+" "+name] += n
		}
	}
	return out
}

// Metric times are DateTime64(9) before v0.157 and DateTime, in whole seconds,
// since: both say the same of the same samples.
func TestFactMetricTimesAreOfTwoTypes(t *testing.T) {
	t.Parallel()
	rows := olderRows()
	s, exec := metricsStore(t, rows)
	want := increasesOf(t, s, sumSeries, "c")
	exec("CREATE TABLE times (kind String) ENGINE = MergeTree ORDER BY kind")
	exec("INSERT INTO times SELECT type FROM system.columns WHERE database = currentDatabase() AND table = 'otel_metrics_sum' AND name = 'TimeUnix'")
	remake(exec, "otel_metrics_sum", metricColumns(true, sumColumns+"AggregationTemporality Int32"), "", "Value", "IsMonotonic", "AggregationTemporality")
	exec("INSERT INTO times SELECT type FROM system.columns WHERE database = currentDatabase() AND table = 'otel_metrics_sum' AND name = 'TimeUnix'")
	kinds, err := queryText(t.Context(), s, "types", "SELECT kind FROM times ORDER BY kind", nil, scanText)
	if err != nil || !slices.Equal(kinds, []string{"DateTime", "DateTime64(9)"}) {
		t.Fatalf("types %v, error %v", kinds, err)
	}
	checkEqual(t, "increases", increasesOf(t, s, sumSeries, "c"), want)

	// Of DateTime64 a fraction of a second counts: a sample a moment after the
	// window's start is in it, one a moment after its end is not.
	exec(`INSERT INTO otel_metrics_sum (MetricName, ResourceAttributes, Attributes, TimeUnix, Value, AggregationTemporality, IsMonotonic)
		SELECT 'edge', map('service.name', 'x'), map('case', 'fraction'), fromUnixTimestamp64Milli(toInt64(` + unixMilli(testNow) + `) + offset), value, 1, true
		FROM (SELECT arrayJoin([(-300000, 1), (-299999, 2), (-500, 4), (0, 8), (1, 16)]) AS p, p.1 AS offset, p.2 AS value)`)
	checkEqual(t, "increments", increasesOf(t, s, sumSeries, "edge"), map[string]float64{"edge fraction": 2 + 4 + 8})
}

// A scrape that failed is a row with bit 0 of Flags set and zeros in it: no
// sample, and no reset, in any table.
func TestFactStaleRowsAreNoSamples(t *testing.T) {
	t.Parallel()
	r, l := pairs{"service.name": "x"}, pairs{"case": "stale"}
	bounds := []float64{1, 2}
	clean := telemetry.Rows{
		Sums:   counter("c", r, l, -5*sec, min15, 100, 110, 120, 130),
		Gauges: gauge("g", r, l, -5*sec, min15, 100, 110, 120, 130),
		Histograms: histogram("h", r, l, bounds, -5*sec, min15, []float64{10, 20, 30, 40},
			[]uint64{5, 5, 5}, []uint64{6, 6, 6}, []uint64{7, 7, 7}, []uint64{9, 9, 9}),
		Exponentials: exponentialPoints("e", r, l, 0, 0, []float64{10, 20, 30, 40}, []uint64{5}, []uint64{6}, []uint64{7}, []uint64{9}),
	}
	read := func(rows telemetry.Rows) map[string]float64 {
		s, _ := testStore(t, rows)
		out := increasesOf(t, s, sumSeries, "c")
		for statement, metric := range map[string]string{histogramSeries: "h", gaugeSeries: "g"} {
			for name, n := range increasesOf(t, s, statement, metric) {
				out[name] = n
			}
		}
		list, err := s.readSeries(t.Context(), exponentialSeries, seriesQuery{metrics: []string{"e"}, window: fiveMinutes()})
		if err != nil {
			t.Fatal(err)
		}
		for _, inc := range increments(list, fiveMinutes()) {
			out["e"] = inc.observed.count
		}
		return out
	}
	want := read(clean)
	if len(want) != 4 {
		t.Fatalf("increases %v of four tables", want)
	}
	// Stale rows between the samples, and as the newest.
	marked := func(p telemetry.Point, after time.Duration) telemetry.Point {
		p.Time, p.Flags = p.Time.Add(after), telemetry.FlagNoRecordedValue
		return p
	}
	dirty := clean
	for _, after := range []time.Duration{4 * sec, -20 * sec} {
		dirty.Sums = append(slices.Clone(dirty.Sums), telemetry.SumPoint{Point: marked(clean.Sums[3].Point, after), Temporality: telemetry.TemporalityCumulative, Monotonic: true})
		dirty.Gauges = append(slices.Clone(dirty.Gauges), telemetry.GaugePoint{Point: marked(clean.Gauges[3].Point, after)})
		dirty.Histograms = append(slices.Clone(dirty.Histograms), telemetry.HistogramPoint{
			Point: marked(clean.Histograms[3].Point, after), Bounds: bounds, BucketCounts: make([]uint64, 3), Temporality: telemetry.TemporalityCumulative,
		})
		dirty.Exponentials = append(slices.Clone(dirty.Exponentials), telemetry.ExponentialPoint{
			Point: marked(clean.Exponentials[3].Point, after), Temporality: telemetry.TemporalityCumulative,
		})
	}
	checkEqual(t, "increases", read(dirty), want)
}

// Untyped metrics are in the gauge table, real counters among them: those of
// node_netstat_* and node_vmstat_*, and all that was federated.
func TestFactUntypedCountersAreGauges(t *testing.T) {
	t.Parallel()
	r, proxy := exporter("10.0.0.1"), pairs{"service.name": "federate"}
	values := fromZero(30, 30, 30)
	l := pairs{"direction": "inbound", "namespace": "shop", "deployment": "cart", "classification": "success"}
	rows := telemetry.Rows{Gauges: slices.Concat(
		gauge(bootTime, r, pairs{}, -sec, min15, 1),
		gauge("node_vmstat_pgfault", r, pairs{}, -sec, min15, values...),
		gauge("node_netstat_Tcp_InSegs", r, pairs{}, -sec, min15, values...),
		gauge("node_netstat_Tcp_CurrEstab", r, pairs{}, -sec, min15, values...), // a gauge indeed
		gauge("response_total", proxy, l, -sec, min15, values...),
	)}
	s, _ := testStore(t, rows)
	round, prom, w := s.Round(t.Context(), testNow), promOf(rows), fiveMinutes()
	nodes, err := round.MetricsNodes()
	if err != nil || len(nodes) != 1 {
		t.Fatalf("nodes %+v, error %v", nodes, err)
	}
	checkNear(t, "page faults", nodes[0].VMStat.PgFaultPerSec, prom.increase(w, "node_vmstat_pgfault", where())/300)
	checkEqual(t, "connections", nodes[0].TCP.CurrEstab, int64(values[len(values)-1]))
	got := seriesOf(t, s, "10.0.0.1", "node_netstat_Tcp_InSegs", before(time.Minute), 60)
	checkEqual(t, "unit of a counter", got.Unit, "1/s")
	services, err := round.SLOServices()
	if err != nil || len(services) != 1 {
		t.Fatalf("services %+v, error %v", services, err)
	}
	checkNear(t, "rps of a federated counter", services[0].RPS, prom.increase(w, "response_total", where())/300)
}

// Before v0.116 the keys of a map were in random order: they make no other series.
func TestFactKeysOfMapsAreInAnyOrder(t *testing.T) {
	t.Parallel()
	s, exec := metricsStore(t, telemetry.Rows{})
	orders := []string{"'case','x','a','1','b','2'", "'b','2','case','x','a','1'", "'a','1','b','2','case','x'", "'b','2','a','1','case','x'"}
	want := telemetry.Rows{}
	for i, v := range []string{"10", "20", "5", "35"} {
		at := unixText(testNow.Add(time.Duration(i-4) * min15))
		resource := []string{"'service.name','s','host.name','h'", "'host.name','h','service.name','s'"}[i%2]
		head := "map(" + resource + "), map(" + orders[i] + "), " + at
		columns := "(MetricName, ResourceAttributes, Attributes, TimeUnix, "
		exec("INSERT INTO otel_metrics_sum " + columns + "Value, AggregationTemporality, IsMonotonic) VALUES ('c', " + head + ", " + v + ", 2, true)")
		exec("INSERT INTO otel_metrics_gauge " + columns + "Value) VALUES ('g', " + head + ", " + v + ")")
		exec("INSERT INTO otel_metrics_histogram " + columns + "Count, Sum, BucketCounts, ExplicitBounds, AggregationTemporality) VALUES ('h', " +
			head + ", " + v + ", 1, [" + v + ", 0], [1], 2)")
		exec("INSERT INTO otel_metrics_exponential_histogram " + columns + "Count, Sum, Scale, PositiveOffset, PositiveBucketCounts, AggregationTemporality) VALUES ('e', " +
			head + ", " + v + ", 1, 0, 0, [" + v + "], 2)")
	}
	want.Sums = counter("c", pairs{}, pairs{"case": "x"}, -15*sec, min15, 10, 20, 5, 35)
	increase := promOf(want).increase(fiveMinutes(), "c", where())
	for statement, metric := range map[string]string{sumSeries: "c", gaugeSeries: "g", histogramSeries: "h", exponentialSeries: "e"} {
		list, err := s.readSeries(t.Context(), statement, seriesQuery{metrics: []string{metric}, window: fiveMinutes()})
		if err != nil || len(list) != 1 || list[0].samples != 4 {
			t.Fatalf("%s: %d series, error %v; want one of 4 samples", statement, len(list), err)
		}
		inc := increments(list, fiveMinutes())[0]
		if inc.observed != nil {
			inc.vector = []float64{inc.observed.count}
		}
		checkNear(t, statement, inc.vector[0], increase)
	}
}

// Since v0.140 scraped rows say that they began in 1970, or at their first scrape
// before: neither identity nor resets come from it.
func TestFactStartTimesAreNotUsed(t *testing.T) {
	t.Parallel()
	points := counter("c", pairs{"service.name": "x"}, pairs{"case": "start"}, -5*sec, min15, 100, 110, 120, 130)
	s, _ := testStore(t, telemetry.Rows{Sums: slices.Clone(points)})
	want := increasesOf(t, s, sumSeries, "c")
	if len(want) != 1 {
		t.Fatalf("increases %v", want)
	}
	for i := range points {
		// A start of its own for each: after the sample before, before the window, in 1970.
		points[i].StartTime = []time.Time{points[i].Time.Add(-sec), testNow.Add(-time.Hour), time.Unix(0, 0).UTC(), points[0].Time}[i]
	}
	other, _ := testStore(t, telemetry.Rows{Sums: points})
	checkEqual(t, "increases", increasesOf(t, other, sumSeries, "c"), want)
}

// On Traefik v3 the code is the gRPC status where the protocol is gRPC: 5 is
// NOT_FOUND and no failure, 14 is UNAVAILABLE and one; v2 has the HTTP status there.
func TestFactTraefikCodesMayBeOfGRPC(t *testing.T) {
	t.Parallel()
	requests := func(protocol, code string) []telemetry.SumPoint {
		return counter("traefik_service_requests_total", pairs{"service.name": "traefik"},
			pairs{"service": protocol + code + "@file", "protocol": protocol, "method": "POST", "code": code}, -5*sec, min15, fromZero(9, 9)...)
	}
	failures := map[string]bool{}
	var rows telemetry.Rows
	for protocol, codes := range map[string]map[string]bool{
		"grpc":     {"0": false, "5": false, "2": true, "4": true, "12": true, "13": true, "14": true, "15": true, "16": false, "500": true, "404": false},
		"grpc-web": {"5": false, "14": true},
		"http":     {"500": true, "503": true, "404": false, "499": false, "200": false},
	} {
		for code, failed := range codes {
			failures[protocol+code] = failed
			rows.Sums = append(rows.Sums, requests(protocol, code)...)
		}
	}
	s, _ := testStore(t, rows)
	got, err := s.Round(t.Context(), testNow).SLOIngress()
	if err != nil || len(got) != len(failures) {
		t.Fatalf("%d rows, error %v; want %d", len(got), err, len(failures))
	}
	for _, row := range got {
		if failed := row.SuccessRate == 0; failed != failures[row.DisplayName] {
			t.Errorf("%s: success rate %v", row.DisplayName, row.SuccessRate)
		}
	}
}

func unixMilli(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }

func scanText(rows driver.Rows) (string, error) {
	var text string
	err := rows.Scan(&text)
	return text, err
}
