package telemetry

import (
	"testing"
	"time"
)

// BenchmarkBackfill writes half an hour of history through HTTP.
func BenchmarkBackfill(b *testing.B) {
	c, err := captured()
	if err != nil {
		b.Fatal(err)
	}
	srv := engine.Server(b)
	for b.Loop() {
		b.StopTimer()
		db := srv.Database(b)
		conn := srv.Open(b, db)
		if err := CreateTables(b.Context(), conn, ""); err != nil {
			b.Fatal(err)
		}
		r, err := NewReplayer(Config{Conn: conn, Capture: c})
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		began := time.Now()
		if err := r.Advance(b.Context()); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(time.Since(began).Seconds(), "s/backfill")
	}
}
