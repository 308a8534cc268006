package telemetry

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Capture is what a real collector wrote in eleven minutes, as typed rows,
// each table in the order of time. It is read-only: several replayers share one.
type Capture struct {
	Rows
	// TraceTimes is the trace id lookup as its view filled it, for comparison.
	TraceTimes []TraceTimes
	Start      time.Time     // when the capture begins
	Length     time.Duration // how long it lasts; a few rows end seconds later
}

// Load decodes the embedded capture. It takes a second or two and some 100 MB;
// keep the result.
func Load() (*Capture, error) {
	c := Capture{
		Start:  time.Date(2026, time.November, 23, 2, 27, 0, 0, time.UTC),
		Length: 11 * time.Minute,
	}
	in := interner{}
	err := errors.Join(
		load(&c.Spans, tracesTable(), in),
		load(&c.Logs, logsTable(), in),
		load(&c.Gauges, gaugeTable(), in),
		load(&c.Sums, sumTable(), in),
		load(&c.Histograms, histogramTable(), in),
		load(&c.Summaries, summaryTable(), in),
	)
	if err != nil {
		return nil, err
	}
	if c.TraceTimes, err = loadTable(traceTimesTable(), in); err != nil {
		return nil, err
	}
	return &c, nil
}

func load[R any](into *[]R, t tableOf[R], in interner) error {
	rows, err := loadTable(t, in)
	if err != nil {
		return err
	}
	slices.SortStableFunc(rows, func(a, b R) int { return t.end(&a).Compare(t.end(&b)) })
	*into = rows
	return nil
}

// Shifted returns the rows with every time moved by the same amount, truncated
// to whole seconds because metric times are. Gauges whose value is a time
// (node_boot_time_seconds, node_time_seconds, ...) move too; ids and all else
// stay. The capture itself is not changed.
func (c *Capture) Shifted(by time.Duration) Rows {
	by = by.Truncate(time.Second)
	rows := Rows{
		Spans:      slices.Clone(c.Spans),
		Logs:       slices.Clone(c.Logs),
		Gauges:     slices.Clone(c.Gauges),
		Sums:       slices.Clone(c.Sums),
		Histograms: slices.Clone(c.Histograms),
		Summaries:  slices.Clone(c.Summaries),
	}
	for _, t := range tables() {
		t.shift(&rows, by)
	}
	return rows
}

// Write inserts the capture once, as Shifted returns it. An empty database is
// the connection's own. It stops at the first error and does not retry.
func (c *Capture) Write(ctx context.Context, conn driver.Conn, database string, shift time.Duration) error {
	rows := c.Shifted(shift)
	return rows.Insert(ctx, conn, database)
}

// Insert writes the rows, one insert for each table that has any. It stops at
// the first error and does not retry.
func (r *Rows) Insert(ctx context.Context, conn driver.Conn, database string) error {
	prefix, err := databasePrefix(database)
	if err != nil {
		return err
	}
	for _, t := range tables() {
		if err := t.insert(ctx, conn, prefix, r); err != nil {
			return err
		}
	}
	return nil
}
