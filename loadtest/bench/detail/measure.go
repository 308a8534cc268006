package detail

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/atlhyper/observe/agent/clickhouse"
)

// Cost is what a query took and read.
type Cost struct {
	Statements int64
	Rows       int64 // read from tables
	Bytes      int64 // of them, uncompressed
	Took       time.Duration
}

// Line is a row of the table: what one query costs, the median of its runs.
type Line struct {
	Name string
	Cost
	// Table is how many rows the tables have that the query is about.
	Table int64
	// Target is the share of them that it may read at most; 0 means any.
	Target float64
}

// Share is the part of its tables' rows that the query read.
func (l Line) Share() float64 { return float64(l.Rows) / float64(l.Table) }

// Missed says whether that is more than the target.
func (l Line) Missed() bool { return l.Target > 0 && l.Share() > l.Target }

// Measure runs every query so many times on the filled database of the DSN. The
// error names the first query whose answer is wrong.
func Measure(ctx context.Context, dsn string, d *Data, runs int) (_ []Line, err error) {
	var counted reads
	store, err := clickhouse.Open(clickhouse.Config{
		DSN: dsn, Clock: func() time.Time { return d.Until }, Logger: slog.New(&counted),
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	lines := make([]Line, 0, len(d.queries()))
	for i, q := range d.queries() {
		if i == 0 { // what the tables are like is looked up once
			if err := q.run(ctx, store); err != nil {
				return nil, fmt.Errorf("%s: %w", q.name, err)
			}
		}
		costs := make([]Cost, 0, runs)
		for range runs {
			counted.take()
			began := time.Now()
			if err := q.run(ctx, store); err != nil {
				return nil, fmt.Errorf("%s: %w", q.name, err)
			}
			cost := counted.take()
			cost.Took = time.Since(began)
			costs = append(costs, cost)
		}
		slices.SortFunc(costs, func(a, b Cost) int { return cmp.Compare(a.Took, b.Took) })
		lines = append(lines, Line{Name: q.name, Cost: costs[len(costs)/2], Table: q.table, Target: q.target})
	}
	return lines, nil
}
