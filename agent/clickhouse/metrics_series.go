package clickhouse

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// The statements that read metric points, by the table they read.
const (
	gaugeSeries       = "gauge_series"
	sumSeries         = "sum_series"
	histogramSeries   = "histogram_series"
	exponentialSeries = "exp_histogram_series"
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
	untyped    bool // of the gauge table, as all that was federated is
	resource   labels
	attributes labels
	bounds     []float64 // of histograms: the finite upper bounds
	layout     uint64    // of the bounds
	counters
	// exponential is set in series of exponential histograms; their counters have
	// no vectors.
	exponential *exponentialCounter
}

// then joins s with the same series in a later window.
func (s *series) then(next *series) series {
	joined := *s
	joined.counters = s.counters.then(next.counters)
	if s.exponential != nil {
		both := s.exponential.then(*next.exponential)
		joined.exponential = &both
	}
	return joined
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
