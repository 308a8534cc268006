package clickhouse

import (
	"log/slog"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/atlhyper/observe/loadtest/telemetry"
	"github.com/atlhyper/observe/shared/model"
)

// exponentialPoints is counter for exponential histograms: counts are those of
// the buckets from offset on, at each scrape.
func exponentialPoints(metric string, resource, labels pairs, scale, offset int32, sums []float64, counts ...[]uint64) []telemetry.ExponentialPoint {
	var out []telemetry.ExponentialPoint
	for i, p := range counter(metric, resource, labels, -5*sec, min15, sums...) {
		e := telemetry.ExponentialPoint{
			Point: p.Point, Sum: p.Value, Scale: scale, PositiveOffset: offset, Positive: counts[i],
			Temporality: telemetry.TemporalityCumulative,
		}
		for _, n := range counts[i] {
			e.Count += n
		}
		out = append(out, e)
	}
	return out
}

// traefikExponential is a service whose durations are an exponential histogram.
func traefikExponential() telemetry.Rows {
	r := pairs{"service.name": "traefik"}
	l := pairs{"service": "web@docker", "code": "200", "method": "GET", "protocol": "http"}
	const seconds = "traefik_service_request_duration_seconds"
	return telemetry.Rows{
		Sums: counter("traefik_service_requests_total", r, l, -5*sec, min15, fromZero(8, 8)...),
		// Scale 0: (1/8, 1/4], (1/4, 1/2] and (1/2, 1] s, 2, 4 and 2 more at each scrape.
		Exponentials: exponentialPoints(seconds, r, l, 0, -3, []float64{100, 103, 106},
			[]uint64{100, 200, 100}, []uint64{102, 204, 102}, []uint64{104, 208, 104}),
	}
}

func checkExponentialIngress(t *testing.T, s *Store) {
	t.Helper()
	rows, err := s.Round(t.Context(), testNow).SLOIngress()
	if err != nil || len(rows) != 1 {
		t.Fatalf("rows %+v, error %v", rows, err)
	}
	got := rows[0]
	checkNear(t, "p50", got.P50Ms, 1000*math.Exp2(-1.5))
	checkNear(t, "p90", got.P90Ms, 1000*math.Exp2(-0.4)) // 60 percent into the last bucket
	checkNear(t, "mean", got.AvgMs, 1000*3.0/8)
	// Grown by 4, 8 and 4 in 30 s, which are stretched by 5 s to now and by half a
	// scrape to where the series began.
	stretched := func(n float64) int64 { return wholeNumber(n * (30 + 5 + 7.5) / 30) }
	checkEqual(t, "buckets", got.LatencyBuckets, []model.LatencyBucket{
		{LE: 250, Count: stretched(4)}, {LE: 500, Count: stretched(8)}, {LE: 1000, Count: stretched(4)},
	})
}

func TestExponentialHistogramsAreASource(t *testing.T) {
	t.Parallel()
	s, _ := testStore(t, traefikExponential())
	checkExponentialIngress(t, s)
	found := s.Diagnose(t.Context())
	if len(found.Sources) != 1 || found.Sources[0].Latency != "otel_metrics_exponential_histogram" {
		t.Errorf("the doctor finds %+v", found.Sources)
	}
	if says(found, Problem, "otel_metrics_exponential_histogram") || says(found, Warning, "durations") {
		t.Errorf("the doctor says %+v", found.Findings)
	}
}

// Tables of each generation of the exporter, and under the name of its README.
func TestExponentialTablesOfEachGeneration(t *testing.T) {
	t.Parallel()
	const columns = "Count UInt64, Sum Float64, Scale Int32, ZeroCount UInt64, PositiveOffset Int32, PositiveBucketCounts Array(UInt64), " +
		"NegativeOffset Int32, NegativeBucketCounts Array(UInt64), Min Float64, Max Float64"
	for name, ddl := range map[string]string{
		"0.96":  metricColumns(false, columns),
		"0.98":  metricColumns(true, columns),
		"0.104": metricColumns(true, columns+", AggregationTemporality Int32"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, exec := metricsStore(t, traefikExponential())
			exec("RENAME TABLE otel_metrics_exponential_histogram TO before")
			exec("CREATE TABLE otel_metrics_exp_histogram " + ddl)
			list := "ResourceAttributes, Attributes, MetricName, MetricUnit, TimeUnix, Flags, Count, Sum, Scale, ZeroCount, " +
				"PositiveOffset, PositiveBucketCounts, NegativeOffset, NegativeBucketCounts"
			if name == "0.104" {
				list += ", AggregationTemporality"
			}
			exec("INSERT INTO otel_metrics_exp_histogram (" + list + ") SELECT " + list + " FROM before")
			cfg := s.cfg
			cfg.Tables.ExpHistogram = "otel_metrics_exp_histogram"
			named, err := Open(cfg)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := named.Close(); err != nil {
					t.Error(err)
				}
			})
			checkExponentialIngress(t, named)
		})
	}
}

// A table that is not there is no source, and is not asked for again and again.
func TestAbsentExponentialTable(t *testing.T) {
	t.Parallel()
	rows := traefikExponential()
	s, exec := metricsStore(t, rows)
	exec("DROP TABLE otel_metrics_exponential_histogram")
	count := &statementCounter{Handler: slog.DiscardHandler}
	s.cfg.Logger = slog.New(count)
	for range 3 {
		got, err := s.Round(t.Context(), testNow).SLOIngress()
		if err != nil || len(got) != 1 || got[0].RPS == 0 || got[0].P50Ms != 0 || len(got[0].LatencyBuckets) != 0 {
			t.Fatalf("rows %+v, error %v", got, err)
		}
	}
	if slices.Contains(count.names, exponentialSeries) {
		t.Errorf("statements %v", count.names)
	}
}

// Increments of other scales add up at the lowest, those of one time unless they
// are the same, and a row without a value is no sample.
func TestExponentialDelta(t *testing.T) {
	t.Parallel()
	rows := traefikExponential()
	e := rows.Exponentials
	for i := range e {
		e[i].Temporality = telemetry.TemporalityDelta
	}
	e[0].Scale, e[0].PositiveOffset, e[0].Positive = 1, -6, []uint64{1, 1, 2, 2, 1, 1}
	e[1].Positive, e[2].Positive = []uint64{2, 4, 2}, []uint64{2, 4, 2}
	stale := e[2]
	stale.Flags, stale.Time = telemetry.FlagNoRecordedValue, testNow.Add(-sec)
	e[1].Time = e[0].Time // another process's
	rows.Exponentials = append(rows.Exponentials, stale, e[1])
	for i := range rows.Exponentials {
		rows.Exponentials[i].Count, rows.Exponentials[i].Sum = 8, 3
	}
	s, _ := testStore(t, rows)
	got, err := s.Round(t.Context(), testNow).SLOIngress()
	if err != nil || len(got) != 1 {
		t.Fatalf("rows %+v, error %v", got, err)
	}
	checkNear(t, "p50", got[0].P50Ms, 1000*math.Exp2(-1.5))
	checkEqual(t, "buckets", got[0].LatencyBuckets, []model.LatencyBucket{{LE: 250, Count: 6}, {LE: 500, Count: 12}, {LE: 1000, Count: 6}})
}

// Milliseconds and seconds of two versions of a proxy meet at the bounds of one.
func TestExponentialUnitsMeet(t *testing.T) {
	t.Parallel()
	var l latency
	l.addExponential(exponential{count: 6, sum: 3, positive: map[int64]float64{-2: 2, -1: 4}}, 1000)
	l.addExponential(exponential{count: 2, sum: 900, positive: map[int64]float64{8: 2}}, 1) // (256, 512] ms
	got := l.counts()
	if len(got) != 2 || got[0].LE != 500 || got[1].LE != 1000 || got[0].Count != 4 || got[1].Count != 4 {
		t.Errorf("buckets %+v", got)
	}
	checkNear(t, "mean", l.quantiles().avg, 3900.0/8)
	if q := l.quantiles().p99; q < 500 || q > 1000 {
		t.Errorf("p99 %v", q)
	}
}

func TestChunksOfAWindow(t *testing.T) {
	t.Parallel()
	at := func(h float64) int64 { return int64(h * float64(hour/time.Millisecond)) }
	hours := []hourRows{{100, 5}, {99, 5}, {97, 3}, {60, 1}, {59, 1}, {10, 90}, {9, 1}}
	got := chunked(window{at(9.5), at(100.25)}, hours, 12)
	want := []window{{at(99), at(100.25)}, {at(97), at(98)}, {at(59), at(61)}, {at(10), at(11)}, {at(9.5), at(10)}}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := chunked(window{0, at(50)}, nil, 12); len(got) != 0 {
		t.Errorf("%v for a window without rows", got)
	}
}
