package clickhouse

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/atlhyper/observe/loadtest/telemetry"
)

// metricColumns are the columns of a metric table of older exporters.
func metricColumns(service bool, more string) string {
	columns := `(ResourceAttributes Map(LowCardinality(String), String), ResourceSchemaUrl String, ScopeName String, ScopeVersion String,
		ScopeAttributes Map(LowCardinality(String), String), ScopeDroppedAttrCount UInt32, ScopeSchemaUrl String,
		MetricName String, MetricDescription String, MetricUnit String, Attributes Map(LowCardinality(String), String),
		StartTimeUnix DateTime64(9), TimeUnix DateTime64(9), Flags UInt32, `
	key := "(MetricName, Attributes, toUnixTimestamp64Nano(TimeUnix))"
	if service {
		columns += "ServiceName LowCardinality(String), "
		key = "(ServiceName, MetricName, Attributes, toUnixTimestamp64Nano(TimeUnix))"
	}
	return columns + more + ") ENGINE = MergeTree PARTITION BY toDate(TimeUnix) ORDER BY " + key
}

const (
	sumColumns       = "Value Float64, IsMonotonic Boolean, "
	histogramColumns = "Count UInt64, Sum Float64, BucketCounts Array(UInt64), ExplicitBounds Array(Float64), Min Float64, Max Float64"
)

// remake puts another table in the place of one, with the rows of both columns.
func remake(exec func(string), table, ddl, read string, columns ...string) {
	list := strings.Join(append([]string{"ResourceAttributes", "Attributes", "MetricName", "MetricUnit", "TimeUnix", "Flags"}, columns...), ", ")
	exec("RENAME TABLE " + table + " TO before")
	exec("CREATE TABLE " + table + " " + ddl)
	exec("INSERT INTO " + table + " (" + list + ") SELECT " + strings.Replace(list, "AggTemp", read, 1) + " FROM before")
	exec("DROP TABLE before")
}

// olderRows are counters and a histogram, cumulative and delta.
func olderRows() telemetry.Rows {
	r := pairs{"service.name": "x"}
	delta := counter("c", r, pairs{"case": "delta"}, -5*sec, min15, 3, 4, 1)
	for i := range delta {
		delta[i].Temporality = telemetry.TemporalityDelta
	}
	rows := telemetry.Rows{
		Sums: append(counter("c", r, pairs{"case": "cumulative"}, -5*sec, min15, 100, 120, 5), delta...),
		Histograms: histogram("h", r, pairs{"case": "cumulative"}, []float64{1, 2}, -5*sec, min15,
			[]float64{10, 20, 40}, []uint64{5, 1, 0}, []uint64{8, 3, 0}, []uint64{9, 7, 2}),
		Gauges: gauge("g", r, pairs{"case": "gauge"}, -5*sec, min15, 1, 2),
	}
	rows.Sums = append(rows.Sums, stale(counter("c", r, pairs{"case": "cumulative"}, -2*sec, 0, 1)[0]))
	return rows
}

func checkOlderRows(t *testing.T, s *Store, rows telemetry.Rows) {
	t.Helper()
	w, prom := fiveMinutes(), promOf(rows)
	checkEqual(t, "counters", increases(t, s, sumSeries, "c", "case", w), map[string]float64{
		"cumulative": prom.increase(w, "c", where("case", "cumulative")), "delta": 8,
	})
	checkEqual(t, "histograms", increases(t, s, histogramSeries, "h", "case", w), map[string]float64{
		"cumulative": prom.increase(w, "h_count", where("case", "cumulative")),
	})
	gauges, err := s.readSeries(t.Context(), gaugeSeries, seriesQuery{metrics: []string{"g"}, window: w})
	if err != nil || len(gauges) != 1 || gauges[0].lastValue() != 2 {
		t.Errorf("gauges %+v, error %v", gauges, err)
	}
}

func TestOlderMetricTables(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		versions        string
		service         bool
		sum, histograms string
		sumOf           string
	}{
		{"0.96 and 0.97", false, "AggTemp Int32", "", "AggTemp"},
		{"0.98 to 0.103", true, "AggTemp Int32", "", "AggTemp"},
		{"0.104 to 0.156", true, "AggregationTemporality Int32", ", AggregationTemporality Int32", "AggregationTemporality"},
	} {
		t.Run(tc.versions, func(t *testing.T) {
			t.Parallel()
			rows := olderRows()
			s, exec := metricsStore(t, rows)
			remake(exec, "otel_metrics_sum", metricColumns(tc.service, sumColumns+tc.sum), "AggregationTemporality", "Value", "IsMonotonic", tc.sumOf)
			histograms := []string{"Count", "Sum", "BucketCounts", "ExplicitBounds"}
			if tc.histograms != "" {
				histograms = append(histograms, "AggregationTemporality")
			}
			remake(exec, "otel_metrics_histogram", metricColumns(tc.service, histogramColumns+tc.histograms), "", histograms...)
			remake(exec, "otel_metrics_gauge", metricColumns(tc.service, "Value Float64"), "", "Value")
			checkOlderRows(t, s, rows)
			checkOlderRows(t, s, rows)
		})
	}
}

// Tables change while an agent runs: a column that has gone is noticed at once,
// one that has come within schemaAge.
func TestTablesThatAreMigratedAreReadOn(t *testing.T) {
	t.Parallel()
	rows := olderRows()
	s, exec := metricsStore(t, rows)
	now := testNow
	s.cfg.Clock = func() time.Time { return now }
	checkOlderRows(t, s, rows)
	remake(exec, "otel_metrics_sum", metricColumns(false, sumColumns+"AggTemp Int32"), "AggregationTemporality", "Value", "IsMonotonic", "AggTemp")
	checkOlderRows(t, s, rows)
	exec("ALTER TABLE otel_metrics_sum RENAME COLUMN AggTemp TO AggregationTemporality")
	checkOlderRows(t, s, rows)

	remake(exec, "otel_metrics_histogram", metricColumns(true, histogramColumns), "", "Count", "Sum", "BucketCounts", "ExplicitBounds")
	checkOlderRows(t, s, rows)
	exec("ALTER TABLE otel_metrics_histogram ADD COLUMN AggregationTemporality Int32 DEFAULT 1")
	now = now.Add(schemaAge)
	checkEqual(t, "counted as increments", increases(t, s, histogramSeries, "h", "case", fiveMinutes()), map[string]float64{"cumulative": 6 + 11 + 18})
}

// A view over tables of one's own need not have what the statements can do without.
func TestOwnTablesWithoutSomeColumns(t *testing.T) {
	t.Parallel()
	rows := olderRows()
	s, exec := metricsStore(t, rows)
	exec("RENAME TABLE otel_metrics_sum TO own")
	exec("CREATE VIEW otel_metrics_sum AS SELECT MetricName, ResourceAttributes, Attributes, TimeUnix, Value, AggregationTemporality FROM own WHERE Flags = 0")
	checkOlderRows(t, s, rows)
}

// A server whose user has readonly=1 refuses every setting; the engine of the
// tests has no users, so this stands in for one.
func TestReadonlyUsersAreAskedWithoutSettings(t *testing.T) {
	t.Parallel()
	var refused, answered atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("max_execution_time") {
			refused.Add(1)
			w.Header().Set("X-ClickHouse-Exception-Code", "164")
			http.Error(w, "Code: 164. DB::Exception: Cannot modify 'max_execution_time' setting in readonly mode. (READONLY)", http.StatusInternalServerError)
			return
		}
		answered.Add(1)
		http.Error(w, "Code: 60. DB::Exception: Unknown table. (UNKNOWN_TABLE)", http.StatusNotFound)
	}))
	t.Cleanup(server.Close)
	s := openStore(t, server.URL+"/otel")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for range 3 {
		if _, err := queryText(ctx, s, "any", "SELECT 1", nil, scanSeries); err == nil || hasCode(err, codeReadonly) {
			t.Errorf("error %v, want the server's answer", err)
		}
	}
	if refused.Load() != 1 || answered.Load() == 0 {
		t.Errorf("%d refused and %d answered, want 1 refused", refused.Load(), answered.Load())
	}
}
