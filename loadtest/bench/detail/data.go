package detail

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"golang.org/x/sync/errgroup"

	"github.com/atlhyper/observe/loadtest/telemetry"
)

//go:embed sql/*.sql
var statements embed.FS

// Size says how much telemetry is made; both signals cover the same time.
type Size struct {
	// Spans of all services together, about.
	Spans int64
	// Samples of all series together, about.
	Samples int64
	// Nodes that run node_exporter. The fewer, the longer the time.
	Nodes int
	// Every is the time between two scrapes, in whole seconds.
	Every time.Duration
}

const (
	// rowsPerInsert keeps the server's memory within bounds.
	rowsPerInsert = 1_000_000
	// serviceGroups are the groups of services, each of which calls its own.
	serviceGroups = 8
)

// Data is what was made.
type Data struct {
	Begin, Until time.Time
	// Spans and Samples are the rows of the traces and of the metric tables.
	Spans, Samples int64

	seed   telemetry.Rows
	copies int64         // of the traces in the seed
	slot   time.Duration // the time that has one copy of each
}

// Generate fills the exporter's tables, which it creates, in the database of the
// connection with telemetry that ends at until; report hears how far it is. It
// multiplies, in the server, what was captured, which lies in a second database
// meanwhile.
func Generate(ctx context.Context, conn driver.Conn, database string, size Size, until time.Time, report func(string, ...any)) (_ Data, err error) {
	seed := database + "_seed"
	if err := errors.Join(telemetry.CreateTables(ctx, conn, ""), telemetry.CreateTables(ctx, conn, seed)); err != nil {
		return Data{}, err
	}
	defer func() {
		if dropErr := conn.Exec(context.WithoutCancel(ctx), "DROP DATABASE "+seed); dropErr != nil {
			err = errors.Join(err, fmt.Errorf("drop the seed: %w", dropErr))
		}
	}()
	rows, err := seedRows(size.Nodes)
	if err != nil {
		return Data{}, err
	}
	if err := rows.Insert(ctx, conn, seed); err != nil {
		return Data{}, err
	}
	series := int64(len(rows.Gauges) + len(rows.Sums))
	scrapes, every := max(size.Samples/series, 1), int64(size.Every/time.Second)
	length := time.Duration(scrapes) * size.Every
	d := Data{
		Begin: until.Add(-length), Until: until, seed: rows,
		Samples: scrapes * series, copies: max(size.Spans/int64(len(rows.Spans)), 1),
	}
	d.Spans, d.slot = d.copies*int64(len(rows.Spans)), length/time.Duration(d.copies)
	values := values{
		"seed": seed, "begin": d.Begin.Unix(), "every": every, "slot": d.slot.Nanoseconds(), "groups": serviceGroups,
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, part := range []struct {
		name         string
		times, seeds int64
	}{
		{"traces", d.copies, int64(len(rows.Spans))},
		{"gauges", scrapes, int64(len(rows.Gauges))},
		{"sums", scrapes, int64(len(rows.Sums))},
	} {
		group.Go(func() error { return multiply(ctx, conn, part.name, values, part.times, part.seeds, report) })
	}
	return d, group.Wait()
}

// multiply runs a statement that makes so many times the rows of the seed, by
// time and in parts.
func multiply(ctx context.Context, conn driver.Conn, name string, v values, times, seeds int64, report func(string, ...any)) error {
	v, part := maps.Clone(v), max(rowsPerInsert/seeds, 1)
	for first := int64(0); first < times; first += part {
		last := min(first+part, times)
		v["first"], v["last"] = first, last
		sql, err := statement(name, v)
		if err != nil {
			return err
		}
		if err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("generate %s: %w", name, err)
		}
		report("%s: %d of %d rows\n", name, last*seeds, times*seeds)
	}
	return nil
}

// values fill the {names} in a statement.
type values map[string]any

func statement(name string, v values) (string, error) {
	text, err := statements.ReadFile("sql/" + name + ".sql")
	if err != nil {
		return "", fmt.Errorf("statement %s: %w", name, err)
	}
	sql := string(text)
	for _, key := range slices.Sorted(maps.Keys(v)) {
		sql = strings.ReplaceAll(sql, "{"+key+"}", fmt.Sprint(v[key]))
	}
	return sql, nil
}

// trace is the id of a copy of the seed's first trace, and how many spans it has.
// The part is that of all time before it: 0 is the first copy, 1 the last.
func (d *Data) trace(part float64) (id string, spans int) {
	first := d.seed.Spans[0].TraceID
	for i := range d.seed.Spans {
		if d.seed.Spans[i].TraceID == first {
			spans++
		}
	}
	hash := sha256.Sum256(fmt.Appendf(nil, "%s/%d", first, int64(part*float64(d.copies-1))))
	return hex.EncodeToString(hash[:16]), spans
}

// rawSeries is how many series a counter has on one node.
func (d *Data) rawSeries(metric string) int {
	n := 0
	for i := range d.seed.Sums {
		if p := &d.seed.Sums[i].Point; p.MetricName == metric && p.Resource["server.address"] == d.seed.Sums[0].Resource["server.address"] {
			n++
		}
	}
	return n
}
