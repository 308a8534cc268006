package clickhouse

import (
	"context"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/atlhyper/observe/loadtest/chdb/chdbtest"
	"github.com/atlhyper/observe/loadtest/telemetry"
	"github.com/atlhyper/observe/shared/detail"
)

// engine is one real ClickHouse for all tests; each has a database of its own.
// Its cluster "shards" is for Distributed tables.
var engine = chdbtest.Shared{Options: []chdbtest.Option{chdbtest.WithArgs("--shards=2")}}

func TestMain(m *testing.M) { os.Exit(engine.Run(m)) }

// testNow is what the stores of the tests take for now. Rows are placed
// relative to it.
var testNow = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// loadCapture decodes the captured rows once for all tests; none changes them.
var loadCapture = sync.OnceValues(telemetry.Load)

// captured is the capture moved so that it ends a minute before testNow.
func captured(t *testing.T) telemetry.Rows {
	t.Helper()
	capture, err := loadCapture()
	if err != nil {
		t.Fatal(err)
	}
	end := capture.Spans[len(capture.Spans)-1].Timestamp.Add(time.Second)
	return capture.Shifted(testNow.Add(-time.Minute).Sub(end))
}

// testStore opens a store on a database that holds the exporter's tables and
// rows; insert adds more of them.
func testStore(t *testing.T, rows telemetry.Rows) (s *Store, insert func(telemetry.Rows)) {
	t.Helper()
	srv := engine.Server(t)
	db := srv.Database(t)
	conn := srv.Open(t, db)
	if err := telemetry.CreateTables(t.Context(), conn, ""); err != nil {
		t.Fatal(err)
	}
	insert = func(rows telemetry.Rows) {
		t.Helper()
		if err := rows.Insert(t.Context(), conn, ""); err != nil {
			t.Fatal(err)
		}
	}
	insert(rows)
	return openStore(t, srv.DSN(db)), insert
}

// emptyStore opens a store on a database without any table. exec creates some.
func emptyStore(t *testing.T) (s *Store, exec func(sql string)) {
	t.Helper()
	srv := engine.Server(t)
	db := srv.Database(t)
	conn := srv.Open(t, db)
	exec = func(sql string) {
		t.Helper()
		if err := conn.Exec(context.WithoutCancel(t.Context()), sql); err != nil {
			t.Fatal(err)
		}
	}
	return openStore(t, srv.DSN(db)), exec
}

func openStore(t *testing.T, dsn string) *Store {
	t.Helper()
	s, err := Open(Config{DSN: dsn, Clock: func() time.Time { return testNow }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// before is the range of that length that ends now.
func before(d time.Duration) detail.Range { return detail.NewRange(testNow.Add(-d), testNow) }
