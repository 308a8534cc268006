package telemetry

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Open opens connections for writing; it does not connect yet. Both
// clickhouse://user:password@host:9000/database and http://host:8123/database
// serve.
func Open(dsn string) (driver.Conn, error) {
	options, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		// The driver's text may quote the DSN with its password.
		return nil, errors.New("the DSN cannot be parsed; want clickhouse://user:password@host:9000/database or http://host:8123/database")
	}
	conn, err := clickhouse.Open(options)
	if err != nil {
		return nil, fmt.Errorf("open clickhouse: %w", err)
	}
	return conn, nil
}

func (t tableOf[R]) insert(ctx context.Context, conn driver.Conn, prefix string, rows *Rows) (err error) {
	list := *t.rows(rows)
	if len(list) == 0 {
		return nil
	}
	var columns []string
	for _, f := range t.wire(new(R)).fields() {
		columns = append(columns, "`"+f.column+"`")
	}
	batch, err := conn.PrepareBatch(ctx, "INSERT INTO "+prefix+t.name+" ("+strings.Join(columns, ", ")+")")
	if err != nil {
		return fmt.Errorf("insert into %s: %w", t.name, err)
	}
	values := make([]any, len(columns))
	for i := range list {
		w := t.wire(&list[i])
		w.pack()
		for c, f := range w.fields() {
			values[c] = deref(f.ptr)
		}
		if err := batch.Append(values...); err != nil {
			return errors.Join(fmt.Errorf("insert into %s: row %d: %w", t.name, i, err), batch.Abort())
		}
	}
	if err := batch.Send(); err != nil {
		return fmt.Errorf("insert into %s: %w", t.name, err)
	}
	return nil
}

func (t tableOf[R]) stored(ctx context.Context, conn driver.Conn, prefix string, rows *Rows) (bool, error) {
	list := *t.rows(rows)
	if len(list) == 0 {
		return true, nil
	}
	var n uint64
	condition, args := t.identity(&list[0])
	row := conn.QueryRow(ctx, "SELECT count() FROM "+prefix+t.name+" WHERE "+condition, args...)
	if err := row.Scan(&n); err != nil {
		return false, fmt.Errorf("look for rows in %s: %w", t.name, err)
	}
	return n > 0, nil
}

// deref turns the pointer of a field into the value the driver wants: a
// LowCardinality column would take two pointers for two values.
func deref(ptr any) any {
	switch p := ptr.(type) {
	case *string:
		return *p
	case *time.Time:
		return *p
	case *Attributes:
		return *p
	case *float64:
		return *p
	case *uint64:
		return *p
	case *uint32:
		return *p
	case *uint8:
		return *p
	case *int32:
		return *p
	case *bool:
		return *p
	case *[]string:
		return *p
	case *[]time.Time:
		return *p
	case *[]Attributes:
		return *p
	case *[]float64:
		return *p
	case *[]uint64:
		return *p
	default:
		return ptr
	}
}
