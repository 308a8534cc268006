package clickhouse

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// dialectAge is how long what was found out about a table holds: tables change
// only when someone migrates them.
const dialectAge = 10 * time.Minute

// dialect is how a metric table says what the statements need, as expressions. An
// exporter never changes a table that is there, so that its columns are those of
// the version that made it; users make tables of their own besides.
type dialect struct {
	// Temporality is 1 for increments. v0.104 renamed AggTemp and gave
	// histograms the column; before it they were all cumulative.
	Temporality string
	Monotonic   string
	Flags       string
	Unit        string
}

// newestDialect is that of tables of v0.104 and later.
func newestDialect() dialect {
	return dialectOf([]string{"AggregationTemporality", "IsMonotonic", "Flags", "MetricUnit"})
}

// dialectOf reads a table's columns.
func dialectOf(columns []string) dialect {
	either := func(fallback string, names ...string) string {
		for _, name := range names {
			if slices.Contains(columns, name) {
				return name
			}
		}
		return fallback
	}
	return dialect{
		Temporality: either("2", "AggregationTemporality", "AggTemp"),
		Monotonic:   either("true", "IsMonotonic"),
		Flags:       either("0", "Flags"),
		Unit:        either("''", "MetricUnit"),
	}
}

// dialects are what is known of the metric tables, by statement. A table that
// was never looked at has the newest.
type dialects struct {
	mu    sync.Mutex
	known map[string]knownDialect
}

type knownDialect struct {
	sql string // the statement in the dialect
	at  time.Time
}

func (d *dialects) get(statement string) (knownDialect, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	k, ok := d.known[statement]
	return k, ok
}

func (d *dialects) set(statement string, k knownDialect) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known == nil {
		d.known = make(map[string]knownDialect)
	}
	d.known[statement] = k
}

// queryMetrics runs a statement about a metric table in the table's dialect. It
// looks at the table when the server does not know a column, and again
// dialectAge later.
func queryMetrics[T any](ctx context.Context, s *Store, statement string, p params, scan func(driver.Rows) (T, error)) ([]T, error) {
	sql := s.queries[statement]
	if known, ok := s.dialects.get(statement); ok {
		sql = known.sql
		if s.cfg.Clock().Sub(known.at) >= dialectAge {
			probed, err := s.probe(ctx, statement)
			if err != nil {
				return nil, err
			}
			sql = probed
		}
	}
	rows, err := queryText(ctx, s, statement, sql, p, scan)
	if !hasCode(err, codeUnknownIdentifier, codeNoSuchColumn) {
		return rows, err
	}
	probed, probeErr := s.probe(ctx, statement)
	if probeErr != nil {
		return nil, errors.Join(err, probeErr)
	}
	if probed == sql {
		return nil, err // the table has no such column under any name
	}
	return queryText(ctx, s, statement, probed, p, scan)
}

// probe looks at the columns of the statement's table.
func (s *Store) probe(ctx context.Context, statement string) (string, error) {
	columns, err := s.columns(ctx, s.metricTable(statement))
	if err != nil {
		return "", err
	}
	sql, err := render(s.templates.Lookup(statement+".sql"), s.cfg.Tables, dialectOf(columns))
	if err != nil {
		return "", err
	}
	s.dialects.set(statement, knownDialect{sql, s.cfg.Clock()})
	s.cfg.Logger.DebugContext(ctx, "columns", "statement", statement, "columns", columns)
	return sql, nil
}

func (s *Store) metricTable(statement string) string {
	switch statement {
	case gaugeSeries:
		return s.cfg.Tables.Gauge
	case sumSeries:
		return s.cfg.Tables.Sum
	}
	return s.cfg.Tables.Histogram
}

// columns are the names of a table's columns: of system.columns, or where that
// may not be read or says nothing, of DESCRIBE.
func (s *Store) columns(ctx context.Context, table string) ([]string, error) {
	database, name, found := strings.Cut(table, ".")
	if !found {
		database, name = "", table
	}
	first := func(rows driver.Rows) (string, error) {
		var column string
		fields := []any{&column}
		for range rows.Columns()[1:] {
			fields = append(fields, new(string))
		}
		err := rows.Scan(fields...)
		return column, err
	}
	columns, err := query(ctx, s, "columns", params{"database": database, "table": name}, first)
	if err == nil && len(columns) > 0 {
		return columns, nil
	}
	return queryText(ctx, s, "describe", "DESCRIBE TABLE "+table, nil, first)
}
