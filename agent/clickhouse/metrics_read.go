package clickhouse

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"golang.org/x/sync/errgroup"

	"github.com/atlhyper/observe/shared/fault"
)

const (
	// maxSeriesRows bounds the series and steps of one answer: what a round of a
	// thousand nodes needs.
	maxSeriesRows = 500_000
	// atOnce is the longest time that is read without asking first how much there
	// is in it.
	atOnce = 2 * time.Hour
	// atOnceOfOne is that of counters and gauges of one node or service: a day, and
	// what rates need before it. Few rows are kept, and asking reads as many rows as
	// there are to read.
	atOnceOfOne = maxChunk + hour
	// parallelChunks is how many statements about one table run side by side.
	parallelChunks = 2
	// hour is what the rows of a long window are counted by.
	hour = time.Hour
	// maxChunk is the longest time that one statement reads: tables have a
	// partition for each day.
	maxChunk = 24 * hour
)

// chunkRows is how many rows of its table a statement reads at most, as far as
// whole hours allow: every sample of it is in the server's memory at once, some
// 50 bytes of a counter, 300 of a classic and 1,500 of an exponential histogram.
func chunkRows(q tableQuery) int64 {
	var rows int64
	switch q.statement {
	case histogramSeries:
		rows = 600_000
	case exponentialSeries:
		rows = 50_000
	default:
		rows = 2_000_000
	}
	if q.anyOf != nil {
		rows *= 16 // few of them are kept
	}
	return rows
}

// readTables runs the queries side by side; out[i] answers queries[i]. A table
// that is not there has no series: no collector has written any.
func (s *Store) readTables(ctx context.Context, queries ...tableQuery) ([][]series, error) {
	out := make([][]series, len(queries))
	group, ctx := errgroup.WithContext(ctx)
	for i, q := range queries {
		group.Go(func() error {
			// Few clusters have exponential histograms; nobody wants a failed statement
			// in each round. What all clusters have is asked for, and found when it comes.
			if q.statement == exponentialSeries && s.schema(ctx).noExponential {
				return nil
			}
			rows, err := s.readSeries(ctx, q.statement, q.seriesQuery)
			if isUnknownTable(err) {
				return nil
			}
			out[i] = rows
			return err
		})
	}
	return out, group.Wait()
}

// readSeries reads what a query asks for: a long window in chunks of the hours
// that have rows.
func (s *Store) readSeries(ctx context.Context, statement string, query seriesQuery) ([]series, error) {
	q := tableQuery{statement, query}
	if q.maxRows == 0 {
		q.maxRows = maxSeriesRows
	}
	chunks := []window{q.window}
	if q.window.toMs-q.window.fromMs > unasked(q).Milliseconds() {
		hours, err := s.countHours(ctx, q)
		if err != nil {
			return nil, err
		}
		chunks = chunked(q.window, hours, chunkRows(q))
	}
	var all seriesParts
	for some := range slices.Chunk(chunks, parallelChunks) {
		rows := make([][]series, len(some))
		group, ctx := errgroup.WithContext(ctx)
		for i, w := range some {
			group.Go(func() (err error) {
				rows[i], err = s.readChunk(ctx, q, w)
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return nil, err
		}
		for _, list := range rows {
			all.before(list)
		}
		if len(all.list) > q.maxRows {
			return nil, tooManySeries(q.maxRows)
		}
	}
	return all.list, nil
}

// unasked is the longest time that is read without asking how much there is in it.
func unasked(q tableQuery) time.Duration {
	if q.anyOf != nil && (q.statement == sumSeries || q.statement == gaugeSeries) {
		return atOnceOfOne
	}
	return atOnce
}

func tooManySeries(limit int) error {
	return fault.New(fault.ResultTooLarge,
		"more than %d series and steps match; ask for a shorter range, a longer step or fewer series", limit)
}

// seriesParts are series that are read from the newest chunk to the oldest.
type seriesParts struct {
	list   []series
	oldest map[seriesKey]int // the place of the oldest part of each series
}

// before adds the rows of the next older chunk. A part that goes on in the same
// step, of a histogram with the same bounds, is one with what follows it.
func (p *seriesParts) before(rows []series) {
	if p.oldest == nil {
		p.oldest = make(map[seriesKey]int, len(rows))
	}
	slices.SortStableFunc(rows, func(a, b series) int { return cmp.Compare(b.firstMs, a.firstMs) })
	for i := range rows {
		row := &rows[i]
		at, ok := p.oldest[row.key()]
		if ok && p.list[at].slot == row.slot && p.list[at].layout == row.layout {
			p.list[at] = row.then(&p.list[at])
			continue
		}
		p.oldest[row.key()] = len(p.list)
		p.list = append(p.list, *row)
	}
}

// hourRows is how many rows of the asked metrics there are in an hour.
type hourRows struct {
	hour int64 // since 1970; it ends with the sample at the full hour
	rows int64
}

// countHours counts the rows of the query's metrics in each hour that has any,
// newest first. Only the columns of the sorting key are read.
func (s *Store) countHours(ctx context.Context, q tableQuery) ([]hourRows, error) {
	counting := map[string]string{
		gaugeSeries: "gauge_hours", sumSeries: "sum_hours", histogramSeries: "histogram_hours", exponentialSeries: "exp_histogram_hours",
	}
	return query(ctx, s, counting[q.statement], params{
		"metrics": q.metrics, "from_ms": q.window.fromMs, "to_ms": q.window.toMs,
	}, func(rows driver.Rows) (hourRows, error) {
		var (
			h hourRows
			n uint64
		)
		err := rows.Scan(&h.hour, &n)
		h.rows = int64(n) //nolint:gosec // a count of rows
		return h, err
	})
}

// chunked cuts a window so that all hours that have rows are in a chunk, newest
// first; none is longer than maxChunk or has more than most rows, unless one hour
// has.
func chunked(w window, hours []hourRows, most int64) []window {
	var (
		out  []window
		rows int64
	)
	for _, h := range hours {
		begin, end := h.hour*hour.Milliseconds(), (h.hour+1)*hour.Milliseconds()
		if last := len(out) - 1; last >= 0 && rows+h.rows <= most && out[last].toMs-begin <= maxChunk.Milliseconds() {
			out[last].fromMs = max(w.fromMs, begin)
			rows += h.rows
			continue
		}
		out = append(out, window{max(w.fromMs, begin), min(w.toMs, end)})
		rows = h.rows
	}
	return out
}

// readChunk reads the part w of the query's window.
func (s *Store) readChunk(ctx context.Context, q tableQuery, w window) ([]series, error) {
	step := q.step.Milliseconds()
	if step == 0 {
		step = q.window.toMs - q.window.fromMs
	}
	scan := scanSeries
	if q.statement == exponentialSeries {
		scan = scanExponential
	}
	rows, err := query(ctx, s, q.statement, params{
		"metrics":        q.metrics,
		"from_ms":        w.fromMs,
		"to_ms":          w.toMs,
		"end_ms":         q.window.toMs,
		"step_ms":        step,
		"resource_keys":  orEmpty(q.resourceKeys),
		"attribute_keys": orEmpty(q.attributeKeys),
		"any_of":         orEmpty(q.anyOf),
		"max_rows":       q.maxRows + 1,
	}, scan)
	if err != nil {
		return nil, err
	}
	if len(rows) > q.maxRows {
		return nil, tooManySeries(q.maxRows)
	}
	for i := range rows {
		rows[i].untyped = q.statement == gaugeSeries
	}
	return rows, nil
}

// orEmpty gives the driver a list to bind where there is none.
func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}
