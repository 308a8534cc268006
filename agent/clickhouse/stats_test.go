package clickhouse

import (
	"context"
	"strings"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/atlhyper/observe/redis/redistest"
)

// Statements count by what came of them, and the driver's connections are shown.
func TestStatementsAreCounted(t *testing.T) {
	t.Parallel()
	s, _ := emptyStore(t)
	registry := prometheus.NewRegistry()
	if err := s.stats.register(registry, s.conn.Stats); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{"SELECT 1", "SELECT 2"} {
		if err := s.each(t.Context(), "number", sql, nil, func(driver.Rows) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.each(t.Context(), "broken", "SELECT nothing", nil, func(driver.Rows) error { return nil }); err == nil {
		t.Error("an unknown column is no error")
	}
	left, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.each(left, "left", "SELECT 3", nil, func(driver.Rows) error { return nil }); err == nil {
		t.Error("nobody waits for it, and it is no error")
	}
	want := `
# HELP atlhyper_agent_clickhouse_statements_total Statements that were sent to ClickHouse, by what came of them.
# TYPE atlhyper_agent_clickhouse_statements_total counter
atlhyper_agent_clickhouse_statements_total{outcome="answered"} 2
atlhyper_agent_clickhouse_statements_total{outcome="canceled"} 1
atlhyper_agent_clickhouse_statements_total{outcome="failed"} 1
# HELP atlhyper_agent_clickhouse_connections_max Connections to ClickHouse that statements may use at a time.
# TYPE atlhyper_agent_clickhouse_connections_max gauge
atlhyper_agent_clickhouse_connections_max 16
`
	err := testutil.GatherAndCompare(registry, strings.NewReader(want),
		"atlhyper_agent_clickhouse_statements_total", "atlhyper_agent_clickhouse_connections_max")
	if err != nil {
		t.Error(err)
	}
	// An answer that fits into memory is there before its rows are asked for.
	if n, err := testutil.GatherAndCount(registry, "atlhyper_agent_clickhouse_connections"); err != nil || n != 2 {
		t.Errorf("%d series, %v", n, err)
	}
	redistest.Eventually(t, "no connection is used", func() bool { return s.conn.Stats().Open == 0 })
}
