package clickhouse

import (
	"context"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/model"
)

// serviceRow is the spans of one class of one service.
type serviceRow struct {
	model.Service
	class uint8
}

// services returns one row for each service namespace, name and environment
// that has spans starting in r, by namespace, name and environment. A missing
// traces table gives an empty list.
//
// The numbers of a row are all about the same spans: the server and consumer
// spans of the service, which are what it serves; without any, its root spans
// (a job, a pure client, a lone producer); without those, all of its spans
// (calls that an instrumented caller reports in another service's name).
// Quantiles interpolate linearly between ranks, as quantile_over_time of PromQL
// does; over more than 8,192 spans they come from a sample of that size.
func (s *Store) services(ctx context.Context, r detail.Range) ([]model.Service, error) {
	rows, err := query(ctx, s, "services", rangeParams(r), scanService)
	if err != nil {
		return emptyWithoutTable[model.Service](err)
	}
	seconds := r.Duration().Seconds()
	out := []model.Service{}
	for _, row := range rows {
		if n := len(out); n > 0 && sameService(out[n-1], row.Service) {
			continue // rows come best class first
		}
		row.RPS = float64(row.SpanCount) / seconds
		row.SuccessRate = successRate(row.SpanCount, row.ErrorCount)
		out = append(out, row.Service)
	}
	return out, nil
}

func scanService(rows driver.Rows) (serviceRow, error) {
	var row serviceRow
	var quantiles []float64
	err := rows.Scan(&row.Namespace, &row.Name, &row.Environment, &row.class,
		&row.SpanCount, &row.ErrorCount, &row.AvgDurationMs, &quantiles)
	if len(quantiles) == 2 {
		row.P50Ms, row.P99Ms = quantiles[0], quantiles[1]
	}
	return row, err
}

func sameService(a, b model.Service) bool {
	return a.Namespace == b.Namespace && a.Name == b.Name && a.Environment == b.Environment
}

// successRate is the share of calls that did not fail, 0 without calls.
func successRate(calls, errors int64) float64 {
	if calls == 0 {
		return 0
	}
	return float64(calls-errors) / float64(calls)
}
