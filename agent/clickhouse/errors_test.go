package clickhouse

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/atlhyper/observe/loadtest/telemetry"
)

func TestPublicText(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ text, want string }{
		{"Unknown table expression identifier 'otel.otel_logs' in scope SELECT Body FROM otel.otel_logs. (UNKNOWN_TABLE) (version 26.7)", "Unknown table expression identifier 'otel.otel_logs'"},
		{"Column 'x' is not under aggregate function. In query SELECT secret", "Column 'x' is not under aggregate function"},
		{"Memory limit exceeded: While executing AggregatingTransform", "Memory limit exceeded"},
		{"Connection refused (10.1.2.3:9000) to ch-0.ch.svc:9440, [fd00::1]:9000", "Connection refused ((address)) to (address), (address)"},
		{"Missing columns: 'Flags'", "Missing columns: 'Flags'"},
	} {
		if got := publicText(&clickhouse.Exception{Code: 1, Message: tc.text}); got != tc.want {
			t.Errorf("%q became %q, want %q", tc.text, got, tc.want)
		}
	}
	if got := publicText(&clickhouse.Exception{Code: codeSyntaxError, Message: "Syntax error: failed at position 1: SELECT secret"}); got != "syntax error" {
		t.Errorf("a syntax error says %q", got)
	}
	denied := &clickhouse.Exception{Code: codeAccessDenied, Message: "medicus: Not enough privileges. To execute this query, it's necessary to have the grant SELECT(a) ON otel.otel_logs. (ACCESS_DENIED)"}
	if got := publicText(denied); strings.Contains(got, "medicus") || !strings.Contains(got, "SELECT(a) ON otel.otel_logs") {
		t.Errorf("a refusal says %q", got)
	}
	if got := publicText(&clickhouse.Exception{Code: 1, Message: strings.Repeat("é", 500)}); len(got) > maxPublicText+len("…") || strings.ContainsRune(got, '\uFFFD') {
		t.Errorf("a long text has %d bytes: %q", len(got), got)
	}
}

// statementCounter counts the debug lines of statements by their name.
type statementCounter struct {
	slog.Handler
	mu    sync.Mutex
	names []string // guarded by mu
}

func (c *statementCounter) Enabled(context.Context, slog.Level) bool { return true }

func (c *statementCounter) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "name" {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.names = append(c.names, a.Value.String())
		}
		return a.Key != "name"
	})
	return nil
}

// A round takes the same few statements for all sections whatever the number of
// nodes, disks and services.
func TestRoundTakesAFewStatementsForMetrics(t *testing.T) {
	t.Parallel()
	var rows telemetry.Rows
	for _, address := range []string{"10.0.0.1", "10.0.0.2", "10.0.0.3"} {
		rows.Gauges = append(rows.Gauges, gauge("node_load1", exporter(address), pairs{}, -5*sec, min15, 1)...)
		rows.Sums = append(rows.Sums, counter("traefik_service_requests_total", exporter(address), pairs{"service": address}, -5*sec, min15, 1, 2)...)
	}
	s, _ := testStore(t, rows)
	count := &statementCounter{Handler: slog.DiscardHandler}
	s.schema(t.Context()) // tables are looked at beside the rounds
	s.cfg.Logger = slog.New(count)

	round := s.Round(t.Context(), testNow)
	var group sync.WaitGroup
	for _, section := range []func() error{
		func() error { _, err := round.MetricsNodes(); return err },
		func() error { _, err := round.MetricsSummary(); return err },
		func() error { _, err := round.SLOIngress(); return err },
		func() error { _, err := round.SLOServices(); return err },
		func() error { _, err := round.SLOEdges(); return err },
		func() error { _, err := round.SLOSummary(); return err },
		func() error { _, err := round.Overview(); return err },
	} {
		group.Go(func() {
			if err := section(); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	got := make(map[string]int)
	for _, name := range count.names {
		got[name]++
	}
	checkEqual(t, "statements", got, map[string]int{nodeGaugeRows: 1, nodeSumRows: 1, gaugeSeries: 1, sumSeries: 1, histogramSeries: 1, "exp_histogram_series": 1, "services": 1})
}

func TestDeadlineReachesTheServer(t *testing.T) {
	t.Parallel()
	s, _ := testStore(t, telemetry.Rows{})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := queryText(ctx, s, "slow", "SELECT sum(sipHash64(number)) FROM numbers(100000000000)", nil, scanSeries)
	if err == nil || !strings.Contains(err.Error(), "did not answer slow in time") {
		t.Errorf("a slow statement: %v", err)
	}
}
