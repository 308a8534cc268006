package clickhouse

import (
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/atlhyper/observe/loadtest/telemetry"
	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/model"
)

// statementsOf counts the statements that run sends, by name.
func statementsOf(t *testing.T, s *Store, run func()) map[string]int {
	t.Helper()
	s.schema(t.Context())
	count := &statementCounter{Handler: slog.DiscardHandler}
	s.cfg.Logger = slog.New(count)
	run()
	got := make(map[string]int)
	for _, name := range count.names {
		got[name]++
	}
	return got
}

// Steps of an hour that chunks cut through are what PromQL says of each.
func TestStepsThatChunksCut(t *testing.T) {
	t.Parallel()
	values := make([]float64, 0, 6*60)
	for i := range cap(values) {
		values = append(values, float64(i*i%5000+i))
	}
	end := testNow.Add(-7 * time.Minute)
	r := exporter("10.0.0.1")
	rows := telemetry.Rows{
		Sums:   counter("node_intr_total", r, pairs{"cpu": "0"}, -8*time.Minute, 10*time.Minute, values...),
		Gauges: gauge(bootTime, r, pairs{}, -8*time.Minute, time.Minute, 1),
	}
	s, _ := testStore(t, rows)
	prom := promOf(telemetry.Rows{Sums: rows.Sums})
	// A search for the node in the newest hour sends one of each, too.
	for hours, want := range map[int]map[string]int{
		55: { // three chunks
			"sum_hours": 1, "gauge_hours": 1, sumSeries: 4, gaugeSeries: 1,
		},
		24: {sumSeries: 2, gaugeSeries: 2}, // of a node a day is read at once
	} {
		rng := detail.NewRange(end.Add(-time.Duration(hours)*time.Hour), end)
		var got model.NodeSeries
		sent := statementsOf(t, s, func() { got = seriesOf(t, s, "10.0.0.1", "node_intr_total", rng, 3600) })
		points := referenceRates(prom, "node_intr_total", where(), rng, time.Hour, time.Hour)
		if len(points) != hours {
			t.Fatalf("the reference has %d points of %d hours", len(points), hours)
		}
		checkPoints(t, "hours", got.Points, points)
		checkEqual(t, "statements", sent, want)
	}
}

// Days without rows cost nothing: a month is asked for the hours that have some.
func TestDaysWithoutRowsAreNotRead(t *testing.T) {
	t.Parallel()
	r, l := pairs{"service.name": "traefik"}, pairs{"service": "web@docker", "code": "200"}
	rows := telemetry.Rows{Sums: slices.Concat(
		counter("traefik_service_requests_total", r, l, -20*24*time.Hour, min15, fromZero(5, 5)...),
		counter("traefik_service_requests_total", r, l, -5*sec, min15, fromZero(20, 20, 20)...),
	)}
	s, _ := testStore(t, rows)
	month := before(30 * 24 * time.Hour)
	var got any
	sent := statementsOf(t, s, func() {
		var err error
		got, _, err = s.Section(t.Context(), detail.Section{Name: model.SectionSLOIngress, Range: month})
		if err != nil {
			t.Fatal(err)
		}
	})
	checkEqual(t, "statements", sent, map[string]int{
		"sum_hours": 1, "histogram_hours": 1, "exp_histogram_hours": 1, "gauge_hours": 1, sumSeries: 2,
	})
	list, _ := got.([]model.IngressSLO)
	if len(list) != 1 {
		t.Fatalf("rows %+v", got)
	}
	w := rangeWindow(month)
	checkNear(t, "rps", list[0].RPS, promOf(rows).increase(w, "traefik_service_requests_total", where())/month.Duration().Seconds())
}
