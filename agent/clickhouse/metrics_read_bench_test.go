package clickhouse

import (
	"fmt"
	"testing"
	"time"

	"github.com/atlhyper/observe/loadtest/chdb/chdbtest"
	"github.com/atlhyper/observe/loadtest/telemetry"
	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/model"
)

// monthOfTraffic fills the tables with 30 days before testNow of 50 services
// behind Traefik, three series each, scraped every 30 s: 13 million counters and
// as many histograms of 12 buckets.
func monthOfTraffic(b *testing.B, srv *chdbtest.Server, db string) {
	b.Helper()
	const series, scrapes = 150, 30 * 2880
	columns := fmt.Sprintf(`
		map('service.name', 'traefik', 'service.instance.id', '10.0.0.1:9100', 'server.address', '10.0.0.1', 'k8s.pod.name', 'traefik-7d9f') AS ResourceAttributes,
		'traefik' AS ServiceName,
		map('service', concat('shop-svc', toString(intDiv(n, 3)), '-80@kubernetes'), 'code', ['200','404','503'][n %% 3 + 1],
			'method', 'GET', 'protocol', 'http') AS Attributes,
		toDateTime('%s', 'UTC') - INTERVAL (%d - t) * 30 SECOND AS TimeUnix, 2 AS AggregationTemporality`,
		testNow.Format(time.DateTime), scrapes)
	for from := 0; from < scrapes; from += 2880 {
		rows := fmt.Sprintf("FROM (SELECT number %% %d AS n, %d + intDiv(number, %d) AS t FROM numbers(%d))", series, from+1, series, series*2880)
		srv.Exec(b, "INSERT INTO "+db+".otel_metrics_sum (MetricName, ResourceAttributes, ServiceName, Attributes, TimeUnix, AggregationTemporality, IsMonotonic, Value) "+
			"SELECT 'traefik_service_requests_total', "+columns+", true, t * (n + 1) "+rows)
		srv.Exec(b, "INSERT INTO "+db+".otel_metrics_histogram (MetricName, ResourceAttributes, ServiceName, Attributes, TimeUnix, AggregationTemporality, ExplicitBounds, BucketCounts, Count, Sum) "+
			"SELECT 'traefik_service_request_duration_seconds', "+columns+
			", [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10], arrayMap(i -> t * (n + i), range(12)) AS buckets, arraySum(buckets), t / 8 "+rows)
	}
}

// BenchmarkMonth reads ranges of 30 days: of a month full of rows, and of one that
// has rows in its last minutes alone.
func BenchmarkMonth(b *testing.B) {
	srv := engine.Server(b)
	for _, data := range []string{"of minutes", "full"} {
		db := srv.Database(b)
		conn := srv.Open(b, db)
		if err := telemetry.CreateTables(b.Context(), conn, ""); err != nil {
			b.Fatal(err)
		}
		key := "shop-svc7-80@kubernetes"
		if data == "full" {
			began := time.Now()
			monthOfTraffic(b, srv, db)
			b.Logf("written in %s", time.Since(began).Round(time.Second))
		} else {
			capture, err := telemetry.Load()
			if err != nil {
				b.Fatal(err)
			}
			rows := capture.Shifted(testNow.Sub(capturedUntil))
			if err := rows.Insert(b.Context(), conn, ""); err != nil {
				b.Fatal(err)
			}
			key = "infra-auth-80@kubernetes"
		}
		s, err := Open(Config{DSN: srv.DSN(db), Clock: func() time.Time { return testNow }})
		if err != nil {
			b.Fatal(err)
		}
		r := before(30 * 24 * time.Hour)
		b.Run(data+"/slo.ingress", func(b *testing.B) {
			for b.Loop() {
				if _, _, err := s.Section(b.Context(), detail.Section{Name: model.SectionSLOIngress, Range: r}); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(data+"/slo timeseries", func(b *testing.B) {
			for b.Loop() {
				if _, _, err := s.SLOSeries(b.Context(), detail.SLOSeries{Service: key, Range: r}); err != nil {
					b.Fatal(err)
				}
			}
		})
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	}
}
