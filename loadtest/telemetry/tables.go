package telemetry

import (
	"context"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// The tables of the exporter, by their default names.
const (
	TableTraces       = "otel_traces"
	TableTraceTimes   = "otel_traces_trace_id_ts"
	TableLogs         = "otel_logs"
	TableGauge        = "otel_metrics_gauge"
	TableSum          = "otel_metrics_sum"
	TableHistogram    = "otel_metrics_histogram"
	TableExpHistogram = "otel_metrics_exponential_histogram"
	TableSummary      = "otel_metrics_summary"
)

// Rows are rows for the tables that a collector inserts into. The trace id
// lookup is not among them: its materialized view fills it.
type Rows struct {
	Spans      []Span
	Logs       []LogRecord
	Gauges     []GaugePoint
	Sums       []SumPoint
	Histograms []HistogramPoint
	// Exponentials are not captured: those who need some make them.
	Exponentials []ExponentialPoint
	Summaries    []SummaryPoint
}

// Len is the number of rows over all tables.
func (r *Rows) Len() int {
	n := 0
	for _, t := range tables() {
		n += t.count(r)
	}
	return n
}

// table is what the tables have in common whatever their row.
type table interface {
	tableName() string
	count(rows *Rows) int
	// insert writes the table's rows of a set in one insert; no rows, no insert.
	insert(ctx context.Context, conn driver.Conn, prefix string, rows *Rows) error
	// stored reports whether an earlier insert of exactly these rows arrived.
	stored(ctx context.Context, conn driver.Conn, prefix string, rows *Rows) (bool, error)
	// shift moves every time of the table's rows.
	shift(rows *Rows, by time.Duration)
	// relabelAll rewrites the attributes of the table's rows.
	relabelAll(rows *Rows, by labels)
}

// tables lists the tables that are inserted into.
func tables() []table {
	return []table{tracesTable(), logsTable(), gaugeTable(), sumTable(), histogramTable(), exponentialTable(), summaryTable()}
}

// tableOf describes one table.
type tableOf[R any] struct {
	name string
	wire func(*R) wire
	rows func(*Rows) *[]R
	// end is when a collector would have had the row: the end of a span, the
	// time of a scrape.
	end func(*R) time.Time
	// move moves every time in the row.
	move func(*R, time.Duration)
	// rename gives every trace and span id in the row another.
	rename func(*R, names)
	// relabel replaces attribute maps and the service name that is in them.
	relabel func(*R, labels)
	// identity is a condition that holds for this row and, while the tables are
	// written by one replayer, for no row of another insert.
	identity func(*R) (condition string, args []any)
}

func (t tableOf[R]) tableName() string    { return t.name }
func (t tableOf[R]) count(rows *Rows) int { return len(*t.rows(rows)) }

func (t tableOf[R]) shift(rows *Rows, by time.Duration) {
	list := *t.rows(rows)
	for i := range list {
		t.move(&list[i], by)
	}
}

func (t tableOf[R]) relabelAll(rows *Rows, by labels) {
	list := *t.rows(rows)
	for i := range list {
		t.relabel(&list[i], by)
	}
}

func tracesTable() tableOf[Span] {
	return tableOf[Span]{
		name: TableTraces,
		wire: func(s *Span) wire { return &spanWire{Span: s} },
		rows: func(r *Rows) *[]Span { return &r.Spans },
		end:  func(s *Span) time.Time { return s.Timestamp.Add(s.Duration) },
		move: moveSpan,
		rename: func(s *Span, n names) {
			s.TraceID, s.SpanID, s.ParentSpanID = n.trace(s.TraceID), n.span(s.SpanID), n.span(s.ParentSpanID)
			s.Links = slices.Clone(s.Links)
			for i, l := range s.Links {
				s.Links[i].TraceID, s.Links[i].SpanID = n.trace(l.TraceID), n.span(l.SpanID)
			}
		},
		relabel: func(s *Span, by labels) {
			s.ServiceName, s.Resource, s.Attributes = by.value(s.ServiceName), by.all(s.Resource), by.all(s.Attributes)
		},
		identity: func(s *Span) (string, []any) {
			return "TraceId = ? AND SpanId = ?", []any{s.TraceID, s.SpanID}
		},
	}
}

func moveSpan(s *Span, by time.Duration) {
	s.Timestamp = s.Timestamp.Add(by)
	s.Events = slices.Clone(s.Events)
	for i := range s.Events {
		s.Events[i].Timestamp = s.Events[i].Timestamp.Add(by)
	}
}

// traceTimesTable is only ever read: it has no place in Rows.
func traceTimesTable() tableOf[TraceTimes] {
	return tableOf[TraceTimes]{
		name: TableTraceTimes,
		wire: func(t *TraceTimes) wire { return &traceTimesWire{TraceTimes: t} },
	}
}

func logsTable() tableOf[LogRecord] {
	return tableOf[LogRecord]{
		name: TableLogs,
		wire: func(l *LogRecord) wire { return &logWire{LogRecord: l} },
		rows: func(r *Rows) *[]LogRecord { return &r.Logs },
		end:  func(l *LogRecord) time.Time { return l.Timestamp },
		move: func(l *LogRecord, by time.Duration) { l.Timestamp = l.Timestamp.Add(by) },
		rename: func(l *LogRecord, n names) {
			l.TraceID, l.SpanID = n.trace(l.TraceID), n.span(l.SpanID)
		},
		relabel: func(l *LogRecord, by labels) {
			l.ServiceName, l.Resource, l.Attributes = by.value(l.ServiceName), by.all(l.Resource), by.all(l.Attributes)
		},
		identity: func(l *LogRecord) (string, []any) {
			return "toUnixTimestamp64Nano(Timestamp) = ? AND ServiceName = ?", []any{l.Timestamp.UnixNano(), l.ServiceName}
		},
	}
}

func gaugeTable() tableOf[GaugePoint] {
	t := pointTable(TableGauge, func(p *GaugePoint) (*Point, *[]Exemplar) { return &p.Point, &p.Exemplars })
	t.wire = func(p *GaugePoint) wire { return &gaugeWire{GaugePoint: p} }
	t.rows = func(r *Rows) *[]GaugePoint { return &r.Gauges }
	movePoint := t.move
	t.move = func(p *GaugePoint, by time.Duration) {
		movePoint(p, by)
		if tellsTime(p) {
			p.Value += by.Seconds()
		}
	}
	return t
}

func sumTable() tableOf[SumPoint] {
	t := pointTable(TableSum, func(p *SumPoint) (*Point, *[]Exemplar) { return &p.Point, &p.Exemplars })
	t.wire = func(p *SumPoint) wire { return &sumWire{SumPoint: p} }
	t.rows = func(r *Rows) *[]SumPoint { return &r.Sums }
	return t
}

func histogramTable() tableOf[HistogramPoint] {
	t := pointTable(TableHistogram, func(p *HistogramPoint) (*Point, *[]Exemplar) { return &p.Point, &p.Exemplars })
	t.wire = func(p *HistogramPoint) wire { return &histogramWire{HistogramPoint: p} }
	t.rows = func(r *Rows) *[]HistogramPoint { return &r.Histograms }
	return t
}

func exponentialTable() tableOf[ExponentialPoint] {
	t := pointTable(TableExpHistogram, func(p *ExponentialPoint) (*Point, *[]Exemplar) { return &p.Point, nil })
	t.wire = func(p *ExponentialPoint) wire { return &exponentialWire{ExponentialPoint: p} }
	t.rows = func(r *Rows) *[]ExponentialPoint { return &r.Exponentials }
	return t
}

func summaryTable() tableOf[SummaryPoint] {
	t := pointTable(TableSummary, func(p *SummaryPoint) (*Point, *[]Exemplar) { return &p.Point, nil })
	t.wire = func(p *SummaryPoint) wire { return &summaryWire{SummaryPoint: p} }
	t.rows = func(r *Rows) *[]SummaryPoint { return &r.Summaries }
	return t
}

// pointTable fills in what the metric tables share. All samples of a second
// are written by one insert, so a second, a service and a metric identify it.
func pointTable[R any](name string, parts func(*R) (*Point, *[]Exemplar)) tableOf[R] {
	return tableOf[R]{
		name: name,
		end: func(r *R) time.Time {
			p, _ := parts(r)
			return p.Time
		},
		move: func(r *R, by time.Duration) {
			p, exemplars := parts(r)
			movePoint(p, by)
			if exemplars != nil {
				*exemplars = moveExemplars(*exemplars, by)
			}
		},
		rename: func(r *R, n names) {
			if _, exemplars := parts(r); exemplars != nil {
				*exemplars = slices.Clone(*exemplars)
				for i, e := range *exemplars {
					(*exemplars)[i].TraceID, (*exemplars)[i].SpanID = n.trace(e.TraceID), n.span(e.SpanID)
				}
			}
		},
		relabel: func(r *R, by labels) {
			p, _ := parts(r)
			p.ServiceName, p.Resource, p.Attributes = by.value(p.ServiceName), by.all(p.Resource), by.all(p.Attributes)
		},
		identity: func(r *R) (string, []any) {
			p, _ := parts(r)
			return "toUnixTimestamp(TimeUnix) = ? AND ServiceName = ? AND MetricName = ?",
				[]any{p.Time.Unix(), p.ServiceName, p.MetricName}
		},
	}
}

func movePoint(p *Point, by time.Duration) {
	p.Time = p.Time.Add(by)
	if p.StartTime.Unix() > 0 { // 1970 means that it is not known
		p.StartTime = p.StartTime.Add(by)
	}
}

func moveExemplars(exemplars []Exemplar, by time.Duration) []Exemplar {
	exemplars = slices.Clone(exemplars)
	for i := range exemplars {
		exemplars[i].Time = exemplars[i].Time.Add(by)
	}
	return exemplars
}

// tellsTime reports whether the value of a gauge is a Unix time in seconds,
// which has to move with the row.
func tellsTime(p *GaugePoint) bool {
	if p.Stale() {
		return false
	}
	switch p.MetricName {
	case "node_time_seconds", "node_boot_time_seconds", "process_start_time_seconds", "go_memstats_last_gc_time_seconds":
		return true
	default:
		return false
	}
}
