package telemetry

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/atlhyper/observe/loadtest/chdb/chdbtest"
)

// clock is a hand-set clock.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func newTables(t *testing.T) (srv *chdbtest.Server, db string, conn driver.Conn) {
	t.Helper()
	srv = engine.Server(t)
	db = srv.Database(t)
	conn = srv.Open(t, db)
	if err := CreateTables(t.Context(), conn, db); err != nil {
		t.Fatal(err)
	}
	return srv, db, conn
}

func newReplayer(t *testing.T, cfg Config) *Replayer {
	t.Helper()
	cfg.Capture = mustLoad(t)
	r, err := NewReplayer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func advance(t *testing.T, r *Replayer) {
	t.Helper()
	if err := r.Advance(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// check runs a query and compares its text, fields parted by a space.
func check(t *testing.T, srv *chdbtest.Server, db, what, query, want string) {
	t.Helper()
	out, err := srv.Query(t.Context(), db, query)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if got := strings.ReplaceAll(strings.TrimSpace(out), "\t", " "); got != want {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

// TestReplayOnEngine replays two loops and reads them back: a backfill that ends
// in the middle of the second loop, then ticks.
func TestReplayOnEngine(t *testing.T) {
	t.Parallel()
	c := mustLoad(t)
	srv, db, conn := newTables(t)
	start := time.Date(2031, 5, 6, 23, 50, 0, 0, time.UTC) // over midnight
	now := &clock{at: start.Add(20 * time.Minute)}
	r := newReplayer(t, Config{Conn: conn, Database: db, Backfill: 20 * time.Minute, Clock: now.now})
	advance(t, r)
	for end := start.Add(22*time.Minute + 2*time.Second); now.at.Before(end); {
		now.at = now.at.Add(23 * time.Second)
		if now.at.After(end) {
			now.at = end
		}
		advance(t, r)
	}
	end := fmt.Sprintf("toDateTime64('%s', 9)", start.Add(22*time.Minute).Format(time.DateTime))

	// Each loop has the gauges of the capture's eleven minutes, and the counters
	// of the nodes, which never restart.
	gauges, sums, logs := 0, 0, 0
	for i := range c.Gauges {
		if c.Gauges[i].Time.Before(c.Start.Add(c.Length)) {
			gauges++
		}
	}
	for i := range c.Sums {
		if p := &c.Sums[i]; p.ServiceName == "node-exporter" && p.Time.Before(c.Start.Add(c.Length)) {
			sums++
		}
	}
	for i := range c.Logs {
		if c.Logs[i].Timestamp.Before(c.Start.Add(c.Length)) {
			logs++
		}
	}
	check(t, srv, db, "gauges", "SELECT count() FROM otel_metrics_gauge WHERE TimeUnix < "+end, strconv.Itoa(2*gauges))
	check(t, srv, db, "node counters", "SELECT count() FROM otel_metrics_sum WHERE ServiceName = 'node-exporter' AND TimeUnix < "+end, strconv.Itoa(2*sums))
	check(t, srv, db, "logs", "SELECT count() FROM otel_logs WHERE Timestamp < "+end, strconv.Itoa(2*logs))
	check(t, srv, db, "newest sample is of now", fmt.Sprintf("SELECT dateDiff('second', max(TimeUnix), %s) < 15 FROM otel_metrics_gauge", end), "1")

	// 691 traces of the eleven minutes are whole (README.md). Ids are unique, parents are there.
	check(t, srv, db, "whole traces", `SELECT count(), uniqExact(TraceId) FROM otel_traces WHERE ParentSpanId = '' AND Timestamp < `+end, "1382 1382")
	check(t, srv, db, "span ids", `SELECT count() - uniqExact(TraceId, SpanId), count() - uniqExact(SpanId) FROM otel_traces`, "0 0")
	check(t, srv, db, "orphans", `SELECT count() FROM otel_traces WHERE ParentSpanId != '' AND Timestamp < `+end+`
		AND (TraceId, ParentSpanId) NOT IN (SELECT TraceId, SpanId FROM otel_traces)`, "0")
	check(t, srv, db, "lookup", `SELECT count() FROM (SELECT DISTINCT TraceId FROM otel_traces) WHERE TraceId NOT IN (SELECT TraceId FROM otel_traces_trace_id_ts)`, "0")
	check(t, srv, db, "trace ids of logs", `SELECT uniqExact(TraceId) FROM otel_logs WHERE TraceId != '' AND Timestamp < `+end, "2")

	// Around the seam node counters only grow, the clock of a CPU by 15 s a scrape.
	const steps = `SELECT * FROM (SELECT MetricName, TimeUnix, Value,
		Value - lagInFrame(Value, 1, Value) OVER (PARTITION BY MetricName, Attributes, ResourceAttributes ORDER BY TimeUnix ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS step
		FROM otel_metrics_sum WHERE ServiceName = 'node-exporter')`
	check(t, srv, db, "falls", `SELECT count() FROM (`+steps+`) WHERE step < 0`, "0")
	seam := start.Add(11 * time.Minute)
	check(t, srv, db, "CPU time at the seam", fmt.Sprintf(`SELECT count(), countIf(seconds BETWEEN 14 * 6 AND 16 * 6) FROM (
		SELECT sum(step) AS seconds FROM (%s) WHERE MetricName = 'node_cpu_seconds_total' AND TimeUnix >= '%s' AND TimeUnix < '%s')`,
		steps, seam.Format(time.DateTime), seam.Add(15*time.Second).Format(time.DateTime)), "1 1")
}

// TestReplayAfterPause leaves out what is too old.
func TestReplayAfterPause(t *testing.T) {
	t.Parallel()
	srv, db, conn := newTables(t)
	start := time.Date(2031, 5, 6, 7, 0, 0, 0, time.UTC)
	now := &clock{at: start}
	r := newReplayer(t, Config{Conn: conn, Backfill: time.Minute, CatchUp: 2 * time.Minute, Clock: now.now})
	advance(t, r)
	now.at = start.Add(3 * time.Hour)
	advance(t, r)
	check(t, srv, db, "rows of the pause", `SELECT countIf(TimeUnix <= '2031-05-06 07:00:00') > 0,
		countIf(TimeUnix > '2031-05-06 07:00:00' AND TimeUnix < '2031-05-06 09:58:00'),
		countIf(TimeUnix >= '2031-05-06 09:58:00') > 0, dateDiff('second', max(TimeUnix), toDateTime('2031-05-06 10:00:00')) < 15
		FROM otel_metrics_gauge`, "1 0 1 1")
	check(t, srv, db, "traces without a root", `SELECT count() FROM (SELECT TraceId FROM otel_traces GROUP BY TraceId
		HAVING countIf(ParentSpanId = '') = 0 AND max(Timestamp) BETWEEN '2031-05-06 09:00:00' AND '2031-05-06 09:59:58')`, "0")
	now.at = now.at.Add(-time.Hour) // a clock set back writes nothing
	before := r.written
	advance(t, r)
	if !r.written.Equal(before) {
		t.Errorf("written until %s, then until %s", before, r.written)
	}
}

// faulty fails inserts: a hook decides for each attempt.
type faulty struct {
	driver.Conn
	attempts int
	fault    func(attempt int) (beforeSend, afterSend error)
}

func (f *faulty) PrepareBatch(ctx context.Context, query string, opts ...driver.PrepareBatchOption) (driver.Batch, error) {
	f.attempts++
	before, after := f.fault(f.attempts)
	if before != nil {
		return nil, before
	}
	batch, err := f.Conn.PrepareBatch(ctx, query, opts...)
	return &faultyBatch{batch, after}, err
}

type faultyBatch struct {
	driver.Batch
	after error
}

func (b *faultyBatch) Send() error { return errors.Join(b.Batch.Send(), b.after) }

// TestReplayRetries lets each insert fail twice: before the rows leave, and when
// they arrived but the answer is lost. Each row is there once.
func TestReplayRetries(t *testing.T) {
	t.Parallel()
	srv, db, conn := newTables(t)
	away := errors.New("connection reset")
	flaky := &faulty{Conn: conn, fault: func(attempt int) (error, error) {
		if attempt%2 == 1 {
			return away, nil
		}
		return nil, away
	}}
	now := &clock{at: time.Date(2031, 5, 6, 7, 0, 0, 0, time.UTC)}
	r := newReplayer(t, Config{Conn: flaky, Backfill: time.Minute, RetryWait: time.Microsecond, Clock: now.now})
	advance(t, r)
	for _, table := range []string{TableTraces, TableLogs, TableGauge, TableSum, TableHistogram, TableSummary} {
		check(t, srv, db, table, "SELECT count() > 0, count() = uniqExact(*) FROM "+table, "1 1")
	}
	if flaky.attempts != 2*(len(tables())-1) { // exponential histograms are not captured
		t.Errorf("%d attempts, want 2 for each table", flaky.attempts)
	}
}

func TestReplayGivesUp(t *testing.T) {
	t.Parallel()
	srv := engine.Server(t)
	conn := srv.Open(t, srv.Database(t))
	err := newReplayer(t, Config{Conn: conn, Backfill: time.Minute}).Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "otel_traces") {
		t.Errorf("Run without tables: %v", err)
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	srv, db, conn := newTables(t)
	ctx, stop := context.WithCancel(t.Context())
	begun := time.Now().Unix() // the backfill may take its time
	r := newReplayer(t, Config{Conn: conn, Backfill: time.Minute, Tick: time.Millisecond, Variant: ClusterVariant(1)})
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	select {
	case <-r.Ready():
	case err := <-done:
		t.Fatal(err)
	}
	check(t, srv, db, "backfill", fmt.Sprintf(`SELECT max(TimeUnix) > toDateTime(%d) - 20, count() > 0 FROM otel_metrics_gauge`, begun), "1 1")
	check(t, srv, db, "nodes", `SELECT arraySort(groupUniqArray(ResourceAttributes['server.address'])) FROM otel_metrics_sum WHERE ServiceName = 'node-exporter'`,
		"['10.1.1.11','10.1.1.12','10.1.1.13']")
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestConfigRejects(t *testing.T) {
	t.Parallel()
	conn := &faulty{}
	for name, cfg := range map[string]Config{
		"Conn":     {},
		"Backfill": {Conn: conn, Backfill: -1},
		"Tick":     {Conn: conn, Tick: -time.Second},
		"Loop":     {Conn: conn, Loop: time.Hour},
		"database": {Conn: conn, Database: "a; DROP TABLE b"},
	} {
		cfg.Capture = mustLoad(t)
		if _, err := NewReplayer(cfg); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("a bad %s: %v", name, err)
		}
	}
	if _, err := Open("http://user:secret@[::1"); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("a bad DSN: %v", err)
	}
}
