package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/atlhyper/observe/loadtest/telemetry"
	"github.com/atlhyper/observe/shared/fault"
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

// What is logged of a request that ClickHouse did not answer has neither the parameters
// nor the settings of the statement.
func TestErrorsAreWithoutParameters(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer server.Close()
	s, err := Open(Config{DSN: server.URL + "/otel"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	_, err = query(t.Context(), s, "doctor_server", params{"private": "x"}, func(driver.Rows) (int, error) { return 0, nil })
	if err == nil || !strings.Contains(err.Error(), strings.TrimPrefix(server.URL, "http://")) || !errors.Is(err, io.EOF) || strings.Contains(err.Error(), "?") {
		t.Errorf("got %v, want what failed and where", err)
	}

	late := fmt.Errorf("wrapped: %w", &url.Error{Op: "Post", URL: "http://ch:8123/?param_private=x", Err: context.DeadlineExceeded})
	err = chError(t.Context(), "logs", late)
	if !fault.Is(err, fault.Timeout) || !errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "private") {
		t.Errorf("a time-out is %v", err)
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
