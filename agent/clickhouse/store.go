// Package clickhouse answers the agent's questions from the tables that the
// OpenTelemetry Collector's clickhouseexporter writes. One file per signal; each
// query is a file of sql/, named after the method that runs it.
//
// Rates and quantiles equal what PromQL says about the same samples: SQL reduces
// every series of a window to what PromQL needs of it, Go applies PromQL's
// formulas.
package clickhouse

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

//go:embed sql/*.sql
var sqlFiles embed.FS

// Store reads one ClickHouse. It is safe for concurrent use.
type Store struct {
	cfg     Config
	conn    driver.Conn
	schemas *schemas
	// readonly is set once the server has refused settings.
	readonly atomic.Bool
	stats    *stats
	tracing  tracing
}

// Open checks the configuration and prepares the statements. It does not
// connect: a server that is away is found out by the first query.
func Open(cfg Config) (*Store, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	options, err := parseDSN(cfg.DSN)
	if err != nil {
		return nil, err
	}
	if cfg.Database != "" {
		options.Auth.Database = cfg.Database
	}
	options.MaxOpenConns, options.MaxIdleConns = cfg.MaxConns, cfg.MaxConns
	options.ClientInfo.Products = append(options.ClientInfo.Products, struct{ Name, Version string }{"atlhyper-agent", "1"})
	s := &Store{cfg: cfg, stats: newStats(), tracing: newTracing(cfg.TracerProvider, options)}
	options.TransportFunc = func(base *http.Transport) (http.RoundTripper, error) {
		return traceTransport{summaryTransport{readonlyTransport{base, &s.readonly}}}, nil
	}
	conn, err := clickhouse.Open(options)
	if err != nil {
		return nil, fmt.Errorf("clickhouse: open: %w", err)
	}
	s.conn = conn
	if s.schemas, err = newSchemas(cfg.Tables); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	if err := s.stats.register(cfg.Metrics, conn.Stats); err != nil {
		return nil, errors.Join(fmt.Errorf("clickhouse: %w", err), conn.Close())
	}
	return s, nil
}

// parseDSN is the driver's, but stricter: it takes any scheme for the native
// protocol and leaves a missing port to every single query. Its own errors may
// quote the DSN with the password.
func parseDSN(dsn string) (*clickhouse.Options, error) {
	bad := errors.New("clickhouse: the DSN cannot be parsed; want clickhouse://user:password@host:9000/database or http://host:8123/database")
	scheme, _, _ := strings.Cut(dsn, "://")
	switch scheme {
	case "clickhouse", "tcp", "http", "https":
	default:
		return nil, bad
	}
	options, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		return nil, bad
	}
	for _, address := range options.Addr {
		if _, port, err := net.SplitHostPort(address); err != nil || port == "" {
			return nil, errors.New("clickhouse: the DSN names a host without a port; want clickhouse://host:9000/… or http://host:8123/…")
		}
	}
	return options, nil
}

// Close closes the connections.
func (s *Store) Close() error { return s.conn.Close() }

// Ping asks the server whether it is there.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.conn.Ping(ctx); err != nil {
		return chError(ctx, "ping", err)
	}
	return nil
}

// params are the {name:Type} parameters of a statement, bound by the server.
// Times go as Int64 nanoseconds (nanos) and are turned back in SQL with
// fromUnixTimestamp64Nano, since the driver sends time.Time in whole seconds.
type params map[string]any

func nanos(t time.Time) int64 { return t.UnixNano() }

// queryText is query for SQL that was put together at run time; name is for
// errors and logs.
func queryText[T any](ctx context.Context, s *Store, name, sql string, p params, scan func(driver.Rows) (T, error)) ([]T, error) {
	return gather(scan, func(row func(driver.Rows) error) error { return s.each(ctx, name, sql, p, row) })
}

// gather scans every row that run hands over; the slice is never nil.
func gather[T any](scan func(driver.Rows) (T, error), run func(row func(driver.Rows) error) error) ([]T, error) {
	out := []T{}
	err := run(func(rows driver.Rows) error {
		v, err := scan(rows)
		if err != nil {
			return fmt.Errorf("scan: %w", err)
		}
		out = append(out, v)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// each runs a statement and hands over each row of its answer, until one fails.
// It runs without settings from the first time on that the server refuses them.
func (s *Store) each(ctx context.Context, name, sql string, p params, row func(driver.Rows) error) error {
	args := make([]any, 0, len(p))
	for k, v := range p {
		args = append(args, clickhouse.Named(k, v))
	}
	if !s.readonly.Load() {
		err := s.execute(ctx, name, sql, args, row)
		if !hasCode(err, codeReadonly) {
			return err
		}
		s.readonly.Store(true)
	}
	return s.execute(unlimited(ctx), name, sql, args, row)
}

func (s *Store) execute(ctx context.Context, name, sql string, args []any, row func(driver.Rows) error) (err error) {
	began, answered := time.Now(), 0
	ctx, sp := s.tracing.begin(ctx, name)
	qctx, e := execute(ctx, name)
	defer func() {
		if err != nil {
			err = chError(ctx, name, err)
		}
		reads := e.end(ctx)
		endStatement(sp, e.id, answered, reads, err)
		s.stats.count(ctx, time.Since(began), err)
		s.cfg.Logger.DebugContext(ctx, "statement", "name", name, "query_id", e.id, "rows", answered,
			"rows_read", reads.Rows, "bytes_read", reads.Bytes, "took", time.Since(began), "failed", err != nil)
	}()
	rows, err := s.conn.Query(qctx, sql, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := row(rows); err != nil {
			return err
		}
		answered++
	}
	return rows.Err()
}
