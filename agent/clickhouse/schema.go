package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"text/template"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/atlhyper/observe/shared/fault"
)

const (
	// schemaAge is how long what was found out about the tables holds: they
	// change only when someone migrates them.
	schemaAge = 10 * time.Minute
	// schemaRetry is when to look again after nothing could be found out.
	schemaRetry = time.Minute
)

// schema is what is known of the tables at one time, and the statements that
// fit them. Only unfit grows.
type schema struct {
	until   time.Time // when to look again
	types   map[signal]columnTypes
	queries map[string]string // by file name without .sql
	// noExponential is whether there is surely no table of exponential histograms.
	noExponential bool
	// unfit has the names of statements that do not fit, though the tables were
	// looked at because of it: nobody looks again for them before it is due.
	unfit sync.Map
}

// givesUp takes over what did not fit before and has not changed.
func (k *schema) givesUp(before *schema) {
	before.unfit.Range(func(name, _ any) bool {
		if name, ok := name.(string); ok && k.queries[name] == before.queries[name] {
			k.unfit.Store(name, true)
		}
		return true
	})
}

// schemas is what is known of the tables now.
type schemas struct {
	current   atomic.Pointer[schema]
	looking   chan struct{} // holds what lets one look at a time
	templates *template.Template
	tables    Tables
}

// newSchemas takes the tables for those of the newest exporter until someone
// looks.
func newSchemas(tables Tables) (*schemas, error) {
	// The files may include one another with {{template "<file>.sql" .}}; see
	// dialect.funcs for the functions and statementData for the names in them.
	templates, err := template.New("").Funcs(new(dialect).funcs()).ParseFS(sqlFiles, "sql/*.sql")
	if err != nil {
		return nil, fmt.Errorf("clickhouse: parse sql: %w", err)
	}
	s := &schemas{looking: make(chan struct{}, 1), templates: templates, tables: tables}
	newest, err := s.with(time.Time{}, nil)
	if err != nil {
		return nil, err
	}
	s.current.Store(newest)
	return s, nil
}

// with renders every statement in the dialect of its table.
func (s *schemas) with(until time.Time, types map[signal]columnTypes) (*schema, error) {
	out := &schema{until: until, types: types, queries: make(map[string]string)}
	data := statementData{Tables: s.tables, conventions: semanticConventions()}
	dialects := map[signal]dialect{"": dialectOf(nil)}
	speaking := make(map[signal]*template.Template)
	for _, k := range tableKinds(s.tables) {
		dialects[k.signal] = dialectOf(types[k.signal])
	}
	for table, d := range dialects {
		templates, err := s.templates.Clone()
		if err != nil {
			return nil, fmt.Errorf("clickhouse: render sql: %w", err)
		}
		speaking[table] = templates.Funcs(d.funcs())
	}
	data.Traces = dialects[signalTraces].from(s.tables.Traces)
	data.TraceIDs = dialects[signalTraceIDs].from(s.tables.TraceIDs)
	data.Logs = dialects[signalLogs].from(s.tables.Logs)
	data.Gauge = dialects[signalGauge].from(s.tables.Gauge)
	data.Sum = dialects[signalSum].from(s.tables.Sum)
	data.Histogram = dialects[signalHistogram].from(s.tables.Histogram)
	data.ExpHistogram = dialects[signalExpHistogram].from(s.tables.ExpHistogram)
	data.Summary = dialects[signalSummary].from(s.tables.Summary)
	for _, t := range s.templates.Templates() {
		name, isFile := strings.CutSuffix(t.Name(), ".sql")
		if !isFile {
			continue // a part of some
		}
		var sql strings.Builder
		data.dialect = dialects[statementTable(name)]
		if err := speaking[statementTable(name)].ExecuteTemplate(&sql, t.Name(), data); err != nil {
			return nil, fmt.Errorf("clickhouse: render %s: %w", name, err)
		}
		out.queries[name] = sql.String()
	}
	return out, nil
}

// statementTable is the table whose dialect a statement is in; "" for those that name
// their table with a parameter, or read none of the exporter's.
func statementTable(statement string) signal {
	switch statement {
	case "services", "doctor_spans":
		return signalTraces
	case "trace_window", "trace_index":
		return signalTraceIDs
	case gaugeSeries, nodeGaugeRows:
		return signalGauge
	case sumSeries, nodeSumRows:
		return signalSum
	case histogramSeries:
		return signalHistogram
	case exponentialSeries:
		return signalExpHistogram
	}
	if table, ok := strings.CutSuffix(statement, "_hours"); ok {
		return statementTable(table + "_series")
	}
	switch prefix, _, _ := strings.Cut(statement, "_"); prefix {
	case "trace", "topology":
		return signalTraces
	case "log":
		return signalLogs
	}
	return ""
}

// name is the configured name of the table.
func (s signal) name(t Tables) string {
	for _, k := range tableKinds(t) {
		if k.signal == s {
			return k.name
		}
	}
	return ""
}

// query runs the statement sql/<name>.sql as stream does and scans every row; the
// slice is never nil.
func query[T any](ctx context.Context, s *Store, name string, p params, scan func(driver.Rows) (T, error)) ([]T, error) {
	return gather(scan, func(row func(driver.Rows) error) error { return s.stream(ctx, name, p, row) })
}

// stream runs the statement sql/<name>.sql in its table's dialect and hands over
// every row. The tables are looked at before the first statement and every
// schemaAge, and again when one does not fit its table.
func (s *Store) stream(ctx context.Context, name string, p params, row func(driver.Rows) error) error {
	known := s.schema(ctx)
	sql, ok := known.queries[name]
	if !ok {
		return fmt.Errorf("clickhouse: there is no statement %q", name)
	}
	began := false
	first := func(rows driver.Rows) error {
		began = true
		return row(rows)
	}
	err := s.each(ctx, name, sql, p, first)
	table := statementTable(name)
	if table == "" || err == nil {
		return err
	}
	// What does not fit is found out before there are any rows; none is given twice.
	if _, unfit := known.unfit.Load(name); !began && !unfit && known.misfit(err, table) {
		known = s.look(ctx, known, table)
		if again := known.queries[name]; again != sql {
			err = s.each(ctx, name, again, p, first)
		}
		if known.misfit(err, table) && ctx.Err() == nil {
			known.unfit.Store(name, true)
		}
	}
	return s.aboutTable(err, table, known)
}

// misfit tells whether err may be one of a table that is not as it was.
func (k *schema) misfit(err error, table signal) bool {
	return hasCode(err, misfits()...) || isUnknownTable(err) && k.types[table] != nil
}

// aboutTable says which table cannot be read, where that is all there is to know.
func (s *Store) aboutTable(err error, of signal, known *schema) error {
	name := of.name(s.cfg.Tables)
	switch {
	case hasCode(err, codeAccessDenied):
		return fault.Wrap(err, fault.AgentError, "the ClickHouse user may not read %s: code %d: it needs a GRANT SELECT", name, codeAccessDenied)
	case isUnknownTable(err) && known.types[of] != nil:
		// No wrapping: callers take a table that is not there for no telemetry.
		return fault.New(fault.AgentError, "%s is there, but what it reads from is not: %s", name, fault.From(err).Message)
	}
	return err
}

// schema is what is known of the tables. What cannot be looked at is taken for
// what it was: the statement that follows says what is wrong.
func (s *Store) schema(ctx context.Context) *schema {
	known := s.schemas.current.Load()
	if s.cfg.Clock().Before(known.until) {
		return known
	}
	return s.look(ctx, known, "")
}

// look looks at the tables, unless someone has since seen was known. A table of
// which system.columns says nothing is described if it is the one asked for.
func (s *Store) look(ctx context.Context, seen *schema, describe signal) *schema {
	select {
	case s.schemas.looking <- struct{}{}:
		defer func() { <-s.schemas.looking }()
	case <-ctx.Done():
		return seen
	}
	if known := s.schemas.current.Load(); known != seen {
		return known
	}
	// Whichever section asks first would seem to cost more than it does.
	ctx = metered(ctx, new(meter))
	found, err := s.lookAt(ctx, seen, describe)
	if err != nil {
		if ctx.Err() != nil {
			return seen
		}
		s.cfg.Logger.WarnContext(ctx, "cannot look at the columns of the tables", "error", err)
		found = &schema{until: s.cfg.Clock().Add(schemaRetry), types: seen.types, queries: seen.queries}
	}
	if s.cfg.Clock().Before(seen.until) { // it was not due
		found.givesUp(seen)
	}
	s.schemas.current.Store(found)
	return found
}

func (s *Store) lookAt(ctx context.Context, seen *schema, describe signal) (*schema, error) {
	listed, err := s.columns(ctx, seen)
	// What had to be described is not listed the next time either.
	types := make(map[signal]columnTypes)
	maps.Copy(types, seen.types)
	maps.Copy(types, listed)
	if describe != "" && listed[describe] == nil {
		described, describeErr := s.describe(ctx, describe.name(s.cfg.Tables))
		switch {
		case describeErr == nil:
			types[describe] = described
		case isUnknownTable(describeErr):
			delete(types, describe)
		default:
			return nil, errors.Join(err, describeErr)
		}
	} else if err != nil {
		return nil, err
	}
	found, renderErr := s.schemas.with(s.cfg.Clock().Add(schemaAge), types)
	if renderErr != nil {
		return nil, renderErr
	}
	// system.columns has no tables that the user may not read, either.
	if err == nil && types[signalExpHistogram] == nil {
		found.noExponential = isUnknownTable(s.probe(ctx, s.cfg.Tables.ExpHistogram))
	}
	return found, nil
}

// probe reads nothing of a table: the error is that of a statement about it.
func (s *Store) probe(ctx context.Context, table string) error {
	return s.each(ctx, "probe", "SELECT MetricName FROM "+table+" LIMIT 0", nil, func(driver.Rows) error { return nil })
}

// columns are the types of the columns of all tables that are there, in one
// statement.
func (s *Store) columns(ctx context.Context, seen *schema) (map[signal]columnTypes, error) {
	kinds := tableKinds(s.cfg.Tables)
	databases, names := make([]string, 0, len(kinds)), make([]string, 0, len(kinds))
	for _, k := range kinds {
		database, table := splitName(k.name)
		databases, names = append(databases, database), append(names, table)
	}
	types := make(map[signal]columnTypes)
	_, err := queryText(ctx, s, "columns", seen.queries["columns"], params{"databases": databases, "names": names},
		func(rows driver.Rows) (struct{}, error) {
			var database, table, column, kind string
			var current bool
			if err := rows.Scan(&database, &current, &table, &column, &kind); err != nil {
				return struct{}{}, err
			}
			for i, k := range kinds {
				if table != names[i] || database != databases[i] && (databases[i] != "" || !current) {
					continue
				}
				if types[k.signal] == nil {
					types[k.signal] = make(columnTypes)
				}
				types[k.signal][column] = kind
			}
			return struct{}{}, nil
		})
	return types, err
}

// splitName is the database, "" for that of the connection, and the table.
func splitName(name string) (database, table string) {
	if database, table, found := strings.Cut(name, "."); found {
		return database, table
	}
	return "", name
}

// describe asks a table itself.
func (s *Store) describe(ctx context.Context, table string) (columnTypes, error) {
	types := make(columnTypes)
	_, err := queryText(ctx, s, "describe", "DESCRIBE TABLE "+table, nil, func(rows driver.Rows) (struct{}, error) {
		var column, kind string
		fields := []any{&column, &kind}
		for range rows.Columns()[len(fields):] {
			fields = append(fields, new(string))
		}
		err := rows.Scan(fields...)
		types[column] = kind
		return struct{}{}, err
	})
	return types, err
}
