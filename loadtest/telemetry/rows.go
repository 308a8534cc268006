package telemetry

import (
	"maps"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/column"
)

// Attributes is a Map(LowCardinality(String), String) column: every value is
// text, a missing key reads as "". Rows of one series share one map, so it
// is read-only.
type Attributes map[string]string

// Put sets a key; clickhouse-go calls it when it scans into Attributes.
func (a Attributes) Put(key, value any) {
	k, _ := key.(string)
	v, _ := value.(string)
	a[k] = v
}

// Iterator lists the pairs by key. The order matters: the exporter sorts the
// keys since v0.116, and equality, GROUP BY and cityHash64 of a Map column
// depend on their order, so Go's random map order would split series.
func (a Attributes) Iterator() column.MapIterator {
	return &attributesIterator{attributes: a, keys: slices.Sorted(maps.Keys(a)), next: -1}
}

type attributesIterator struct {
	attributes Attributes
	keys       []string
	next       int
}

func (i *attributesIterator) Next() bool {
	i.next++
	return i.next < len(i.keys)
}

func (i *attributesIterator) Key() any   { return i.keys[i.next] }
func (i *attributesIterator) Value() any { return i.attributes[i.keys[i.next]] }

// Temporality says what a sum or histogram point counts since.
type Temporality int32

// The temporalities of the OpenTelemetry data model, by their wire numbers.
const (
	TemporalityUnspecified Temporality = 0
	TemporalityDelta       Temporality = 1 // since the point before
	TemporalityCumulative  Temporality = 2 // since the process began
)

// FlagNoRecordedValue is the bit of Point.Flags that marks a stale scrape: the
// series was absent, and the value in the row (0) means nothing.
const FlagNoRecordedValue uint32 = 1

// Span is a row of otel_traces.
type Span struct {
	Timestamp    time.Time // start of the span, to the nanosecond
	TraceID      string    // 32 lower-case hex digits
	SpanID       string    // 16 lower-case hex digits
	ParentSpanID string    // "" for a root
	TraceState   string
	Name         string
	Kind         string // Unspecified, Internal, Server, Client, Producer or Consumer
	ServiceName  string
	Resource     Attributes
	ScopeName    string
	ScopeVersion string
	Attributes   Attributes
	Duration     time.Duration
	StatusCode   string // Unset, Ok or Error
	StatusText   string // column StatusMessage
	Events       []SpanEvent
	Links        []SpanLink
}

// SpanEvent is one element of the nested column Events.
type SpanEvent struct {
	Timestamp  time.Time
	Name       string
	Attributes Attributes
}

// SpanLink is one element of the nested column Links.
type SpanLink struct {
	TraceID    string
	SpanID     string
	TraceState string
	Attributes Attributes
}

// TraceTimes is a row of otel_traces_trace_id_ts. One trace has a row for each
// insert block that held spans of it.
type TraceTimes struct {
	TraceID string
	Start   time.Time // start of the first span, whole seconds
	End     time.Time // START of the last span, whole seconds
}

// LogRecord is a row of otel_logs, without its materialized columns.
type LogRecord struct {
	Timestamp         time.Time // to the nanosecond
	TraceID           string    // "" when the record belongs to no trace
	SpanID            string
	TraceFlags        uint8
	SeverityText      string // the source's own word
	SeverityNumber    uint8  // 1..24, 0 when unspecified; 17 and above are errors
	ServiceName       string
	Body              string
	ResourceSchemaURL string
	Resource          Attributes
	ScopeSchemaURL    string
	ScopeName         string
	ScopeVersion      string
	ScopeAttributes   Attributes
	Attributes        Attributes // column LogAttributes
	EventName         string
}

// Point holds the columns that the four metric tables share.
type Point struct {
	Resource              Attributes
	ResourceSchemaURL     string
	ScopeName             string
	ScopeVersion          string
	ScopeAttributes       Attributes
	ScopeDroppedAttrCount uint32
	ScopeSchemaURL        string
	ServiceName           string // the Prometheus job for scraped data
	MetricName            string
	Description           string
	Unit                  string
	Attributes            Attributes // the labels of the point
	StartTime             time.Time  // whole seconds; 1970 for scraped data
	Time                  time.Time  // whole seconds
	Flags                 uint32     // bit FlagNoRecordedValue
}

// Stale reports whether the row marks an absent series and carries no value.
func (p *Point) Stale() bool { return p.Flags&FlagNoRecordedValue != 0 }

// Exemplar is one element of the nested column Exemplars.
type Exemplar struct {
	FilteredAttributes Attributes
	Time               time.Time // whole seconds
	Value              float64
	SpanID             string
	TraceID            string
}

// GaugePoint is a row of otel_metrics_gauge. Untyped Prometheus metrics are
// there too, real counters among them (node_netstat_*, node_vmstat_*).
type GaugePoint struct {
	Point
	Value     float64
	Exemplars []Exemplar
}

// SumPoint is a row of otel_metrics_sum: a counter when it is monotonic.
type SumPoint struct {
	Point
	Value       float64
	Exemplars   []Exemplar
	Temporality Temporality
	Monotonic   bool
}

// HistogramPoint is a row of otel_metrics_histogram.
type HistogramPoint struct {
	Point
	Count        uint64
	Sum          float64
	BucketCounts []uint64  // per bucket, not cumulative over the bounds; one more than Bounds
	Bounds       []float64 // upper bounds, ascending
	Exemplars    []Exemplar
	Min, Max     float64 // 0 when not recorded
	Temporality  Temporality
}

// ExponentialPoint is a row of otel_metrics_exponential_histogram, without
// exemplars: native histograms of Prometheus, and what SDKs push. The threshold
// of zero is not stored.
type ExponentialPoint struct {
	Point
	Count     uint64
	Sum       float64
	Scale     int32 // bucket k is (base^k, base^(k+1)], where base is 2^(2^-Scale)
	ZeroCount uint64
	// Positive counts the observations per bucket from PositiveOffset on,
	// Negative those of the mirrored buckets.
	PositiveOffset int32
	Positive       []uint64
	NegativeOffset int32
	Negative       []uint64
	Min, Max       float64 // 0 when not recorded
	Temporality    Temporality
}

// SummaryPoint is a row of otel_metrics_summary; Count and Sum are cumulative.
type SummaryPoint struct {
	Point
	Count     uint64
	Sum       float64
	Quantiles []Quantile
}

// Quantile is one element of the nested column ValueAtQuantiles.
type Quantile struct {
	Quantile float64 // 0..1
	Value    float64
}
