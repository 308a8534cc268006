package clickhouse

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"golang.org/x/sync/errgroup"

	"github.com/atlhyper/observe/shared/fault"
)

// The statements that read metric points, by the table they read.
const (
	gaugeSeries     = "gauge_series"
	sumSeries       = "sum_series"
	histogramSeries = "histogram_series"
)

const (
	// maxSeriesRows bounds the series and steps of one statement: what a round
	// of a thousand nodes needs.
	maxSeriesRows = 500_000
	// maxChunk is the longest time that one statement reads. Every sample of it
	// is in the server's memory at once (some 30 bytes each), so that a month
	// is read day by day and joined here.
	maxChunk = 24 * time.Hour
)

// labels are attributes by name.
type labels map[string]string

// get returns a label of the scraped process: exported_name where the scrape's
// own labels had taken the name (honor_labels=false), else name.
func (l labels) get(name string) string {
	if v := l["exported_"+name]; v != "" {
		return v
	}
	return l[name]
}

// first returns the first label that is set.
func (l labels) first(names ...string) string {
	for _, name := range names {
		if v := l.get(name); v != "" {
			return v
		}
	}
	return ""
}

// key is the same text for equal labels.
func (l labels) key() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(l)) {
		b.WriteByte(0)
		b.WriteString(name)
		b.WriteByte(1)
		b.WriteString(l[name])
	}
	return b.String()
}

// series is one series in one step of a query's window.
type series struct {
	metric     string
	id         uint64 // of resource and attributes, in any order of their keys
	target     uint64 // of the resource: what is scraped as one
	slot       int64  // 0 is the step that ends with the window, 1 the one before
	unit       string
	delta      bool // samples are increments
	monotonic  bool // declared a counter; always false in the gauge table
	resource   labels
	attributes labels
	bounds     []float64 // of histograms: the finite upper bounds
	layout     uint64    // of the bounds
	counters
}

// lastValue is the newest sample of a gauge.
func (s *series) lastValue() float64 { return s.last[0] }

// mean is the average of a gauge's samples.
func (s *series) mean() float64 { return s.total[0] / float64(s.samples) }

// seriesQuery chooses series and how finely they are read.
type seriesQuery struct {
	metrics []string
	window  window
	// step cuts the window, from its end; 0 means that it is one step.
	step time.Duration
	// resourceKeys and attributeKeys are what labels to bring along; nil means all.
	resourceKeys, attributeKeys []string
	// anyOf keeps only series one of whose attributes has one of these values;
	// nil keeps all.
	anyOf []string
	// maxRows bounds the answer; 0 means maxSeriesRows.
	maxRows int
}

// tableQuery is a query and the statement that runs it.
type tableQuery struct {
	statement string
	seriesQuery
}

// readTables runs the queries side by side; out[i] answers queries[i]. A table
// that is not there has no series; if none is, that is an error.
func (s *Store) readTables(ctx context.Context, queries ...tableQuery) ([][]series, error) {
	out := make([][]series, len(queries))
	missing := make([]error, len(queries))
	group, ctx := errgroup.WithContext(ctx)
	for i, q := range queries {
		group.Go(func() error {
			rows, err := s.readSeries(ctx, q.statement, q.seriesQuery)
			if isUnknownTable(err) {
				missing[i] = err
				return nil
			}
			out[i] = rows
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for _, err := range missing {
		if err == nil {
			return out, nil
		}
	}
	return nil, fault.Wrap(missing[0], fault.AgentError,
		"none of the metric tables (%s, %s, %s) exists in the ClickHouse database",
		s.cfg.Tables.Gauge, s.cfg.Tables.Sum, s.cfg.Tables.Histogram)
}

// readSeries runs one statement, in chunks where the window is long.
func (s *Store) readSeries(ctx context.Context, statement string, q seriesQuery) ([]series, error) {
	var (
		all    []series
		joined = make(map[partKey]int) // index in all, where the window is one step
		whole  = q.step == 0
		chunk  = maxChunk.Milliseconds()
		limit  = q.maxRows
	)
	if limit == 0 {
		limit = maxSeriesRows
	}
	step := q.step.Milliseconds()
	if !whole {
		chunk = max(chunk/step, 1) * step
	}
	for to := q.window.toMs; to > q.window.fromMs; to -= chunk {
		part := window{max(q.window.fromMs, to-chunk), to}
		rows, err := s.readChunk(ctx, statement, q, part, limit-len(all)+len(joined))
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			if !whole {
				row.slot += (q.window.toMs - to) / step
				all = append(all, row)
				continue
			}
			key := partKey{row.key(), row.layout}
			if i, ok := joined[key]; ok {
				all[i].counters = row.then(all[i].counters)
				continue
			}
			joined[key] = len(all)
			all = append(all, row)
		}
	}
	return all, nil
}

func (s *Store) readChunk(ctx context.Context, statement string, q seriesQuery, w window, limit int) ([]series, error) {
	step := q.step.Milliseconds()
	if step == 0 {
		step = w.toMs - w.fromMs
	}
	rows, err := queryMetrics(ctx, s, statement, params{
		"metrics":        q.metrics,
		"from_ms":        w.fromMs,
		"to_ms":          w.toMs,
		"step_ms":        step,
		"resource_keys":  orEmpty(q.resourceKeys),
		"attribute_keys": orEmpty(q.attributeKeys),
		"any_of":         orEmpty(q.anyOf),
		"max_rows":       limit + 1,
	}, scanSeries)
	if err != nil {
		return nil, err
	}
	if len(rows) > limit {
		return nil, fault.New(fault.ResultTooLarge,
			"more than %d series and steps match; ask for a shorter range, a longer step or fewer series", limit)
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

func scanSeries(rows driver.Rows) (series, error) {
	var (
		s                    series
		samples              uint64
		resource, attributes map[string]string
	)
	err := rows.Scan(&s.metric, &s.slot, &s.delta, &s.id, &s.target, &s.monotonic, &s.unit, &resource, &attributes,
		&s.bounds, &s.layout, &samples, &s.firstMs, &s.lastMs, &s.first, &s.last, &s.growth, &s.total)
	s.samples, s.resource, s.attributes = int64(samples), resource, attributes //nolint:gosec // a count of rows
	return s, err
}
