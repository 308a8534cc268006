package clickhouse

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/atlhyper/observe/redis/metric"
)

// stats count the statements of a Store since it was opened.
type stats struct {
	answered, failed, canceled atomic.Int64
	took                       prometheus.Histogram
}

func newStats() *stats {
	return &stats{took: metric.Seconds("agent_clickhouse_statement_seconds", "How long statements took, their answers included, whatever came of them.")}
}

// count notes the end of one statement. That nobody waits for it any more is not its
// failure; that its time is over is.
func (s *stats) count(ctx context.Context, took time.Duration, err error) {
	s.took.Observe(took.Seconds())
	switch {
	case err == nil:
		s.answered.Add(1)
	case errors.Is(ctx.Err(), context.Canceled):
		s.canceled.Add(1)
	default:
		s.failed.Add(1)
	}
}

// register is the table of the Store's metrics; pool is the driver's.
func (s *stats) register(to prometheus.Registerer, pool func() driver.Stats) error {
	const statements, statementsHelp = "agent_clickhouse_statements_total", "Statements that were sent to ClickHouse, by what came of them."
	const connections, connectionsHelp = "agent_clickhouse_connections", "Connections to ClickHouse, by what they do: used by a statement, or idle."
	return metric.Register(to, []metric.Row{
		{Name: statements, Help: statementsHelp, Label: "outcome", Value: "answered", Counter: &s.answered},
		{Name: statements, Help: statementsHelp, Label: "outcome", Value: "failed", Counter: &s.failed},
		{Name: statements, Help: statementsHelp, Label: "outcome", Value: "canceled", Counter: &s.canceled},
		{Name: connections, Help: connectionsHelp, Label: "state", Value: "used", Gauge: func() float64 { return float64(pool().Open) }},
		{Name: connections, Help: connectionsHelp, Label: "state", Value: "idle", Gauge: func() float64 { return float64(pool().Idle) }},
		{Name: "agent_clickhouse_connections_max", Help: "Connections to ClickHouse that statements may use at a time.",
			Gauge: func() float64 { return float64(pool().MaxOpenConns) }},
	}, s.took)
}
