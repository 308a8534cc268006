package clickhouse

import (
	"maps"
	"slices"
	"strings"
)

// signal is what a table of the exporter holds.
type signal string

const (
	signalTraces       signal = "spans"
	signalTraceIDs     signal = "trace ids"
	signalLogs         signal = "logs"
	signalGauge        signal = "gauges"
	signalSum          signal = "sums"
	signalHistogram    signal = "histograms"
	signalExpHistogram signal = "exponential histograms"
	signalSummary      signal = "summaries"
)

// tableKind is what is known of one of the exporter's tables over its versions.
type tableKind struct {
	signal signal
	name   string // as configured
	flag   string // that configures it
	time   string // column of a row's time
	// madeBy names the exporters that make a table with these columns; "" where
	// none does.
	madeBy func(columnTypes) string
	// telling are the columns whose types tell generations apart.
	telling []string
	// needed are the columns of every generation that the agent reads.
	needed []string
	// marks are columns that together only such a table has, unless another
	// kind has more of them.
	marks []string
	// absent is what it costs that the table is not there; "" for nothing by itself.
	absent, remedy string
}

// tableKinds lists the exporter's tables. Source: the DDL and changelog of
// clickhouseexporter v0.96 to v0.161.
func tableKinds(t Tables) []tableKind {
	point := []string{"ResourceAttributes", "Attributes", "MetricName", "TimeUnix"}
	numbers := append(slices.Clone(point), "Value")
	buckets := append(slices.Clone(point), "Count", "Sum")
	tellingPoint := []string{"TimeUnix", "ServiceName"}
	tellingSum := append(slices.Clone(tellingPoint), "AggregationTemporality", "AggTemp")
	return []tableKind{
		{
			signal: signalTraces, name: t.Traces, flag: "--traces-table", time: "Timestamp", madeBy: tracesMadeBy,
			telling: []string{"Duration", "SpanAttributes"},
			needed: []string{
				"Timestamp", "TraceId", "SpanId", "ParentSpanId", "SpanName", "SpanKind", "ServiceName", "ResourceAttributes",
				"SpanAttributes", "Duration", "StatusCode", "StatusMessage", "Events.Timestamp", "Events.Name", "Events.Attributes",
			},
			marks: []string{"TraceId", "SpanId", "ParentSpanId", "Duration"},
		},
		{
			signal: signalTraceIDs, name: t.TraceIDs, flag: "--trace-ids-table", time: "Start", madeBy: traceIDsMadeBy,
			telling: []string{"Start"}, needed: []string{"TraceId", "Start", "End"}, marks: []string{"TraceId", "Start", "End"},
			absent: "to find a trace by its id, ever longer parts of the last 30 days are read until one has it",
			remedy: "let the exporter make it (create_schema: true), with the materialized view that fills it",
		},
		{
			signal: signalLogs, name: t.Logs, flag: "--logs-table", time: "Timestamp", madeBy: logsMadeBy,
			telling: []string{"TimestampTime", "SeverityNumber", "EventName", "LogAttributes"},
			needed: []string{
				"Timestamp", "TraceId", "SpanId", "SeverityText", "SeverityNumber", "ServiceName", "Body",
				"ResourceAttributes", "ScopeName", "LogAttributes",
			},
			marks: []string{"TraceId", "Body", "SeverityText"},
		},
		{
			signal: signalGauge, name: t.Gauge, flag: "--gauge-table", time: "TimeUnix", madeBy: pointsMadeBy,
			telling: tellingPoint, needed: numbers, marks: []string{"MetricName", "Attributes", "Value"},
		},
		{
			signal: signalSum, name: t.Sum, flag: "--sum-table", time: "TimeUnix", madeBy: pointsMadeBy,
			telling: tellingSum, needed: numbers,
			marks: []string{"MetricName", "Attributes", "Value", "IsMonotonic"},
		},
		{
			signal: signalHistogram, name: t.Histogram, flag: "--histogram-table", time: "TimeUnix", madeBy: histogramsMadeBy,
			telling: tellingSum, needed: append(slices.Clone(buckets), "BucketCounts", "ExplicitBounds"),
			marks: []string{"MetricName", "BucketCounts", "ExplicitBounds"},
		},
		{
			signal: signalExpHistogram, name: t.ExpHistogram, flag: "--exp-histogram-table", time: "TimeUnix", madeBy: histogramsMadeBy,
			telling: tellingSum, needed: append(slices.Clone(buckets), "Scale", "ZeroCount", "PositiveOffset", "PositiveBucketCounts"),
			marks: []string{"MetricName", "PositiveBucketCounts", "Scale"},
		},
		{
			signal: signalSummary, name: t.Summary, flag: "--summary-table", time: "TimeUnix", madeBy: pointsMadeBy,
			telling: tellingPoint, needed: buckets,
			marks: []string{"MetricName", "ValueAtQuantiles.Quantile", "ValueAtQuantiles.Value"},
		},
	}
}

// describe fills in what the columns say.
func (k *tableKind) describe(t *TableFound) {
	for _, name := range k.telling {
		if kind := t.types[name]; kind != "" {
			t.Columns = append(t.Columns, ColumnFound{name, kind})
		}
	}
	for _, name := range k.needed {
		if t.types[name] == "" {
			t.Missing = append(t.Missing, name)
		}
	}
	if len(t.Missing) == 0 {
		t.MadeBy = k.madeBy(t.types)
	}
	if t.MadeBy == "" {
		t.MadeBy = "no exporter: a schema of your own"
	}
}

// columnTypes are the types of a table's columns by name.
type columnTypes map[string]string

// is tells whether the column has the type, with any precision, key or wrapper.
func (c columnTypes) is(column, kind string) bool {
	name := c[column]
	for _, wrapper := range []string{"Nullable(", "LowCardinality("} {
		name = strings.TrimPrefix(name, wrapper)
	}
	name, _, _ = strings.Cut(name, "(")
	return strings.TrimRight(name, ")") == kind
}

func (c columnTypes) has(column string) bool { return c[column] != "" }

// json tells whether the attributes are of type JSON (the exporter's json: true).
func (c columnTypes) json() bool {
	return c.is("SpanAttributes", "JSON") || c.is("LogAttributes", "JSON") || c.is("ResourceAttributes", "JSON")
}

// jsonMadeBy is for spans and logs of the exporter's JSON mode.
func jsonMadeBy(c columnTypes) string {
	if c.has("ResourceAttributesKeys") {
		return "v0.141 or later with json: true"
	}
	return "v0.129 or later with json: true"
}

// wrapped are the columns that dialect.from puts something else in the place of.
func (c columnTypes) wrapped() []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(c)) {
		if plainColumn("", c[name]) != "" {
			names = append(names, name)
		}
	}
	return names
}

// unread are columns of attributes that are neither of type Map nor JSON.
func (c columnTypes) unread() []string {
	var names []string
	for _, name := range []string{"ResourceAttributes", "SpanAttributes", "LogAttributes", "Attributes"} {
		if c.has(name) && !c.is(name, "Map") && !c.is(name, "JSON") {
			names = append(names, name)
		}
	}
	return names
}

func tracesMadeBy(c columnTypes) string {
	switch {
	case c.json():
		return jsonMadeBy(c)
	case c.is("Duration", "UInt64"):
		return "v0.111 or later"
	case c.is("Duration", "Int64"):
		return "v0.110 or earlier"
	}
	return ""
}

func traceIDsMadeBy(c columnTypes) string {
	switch {
	case c.is("Start", "DateTime"):
		return "v0.111 or later"
	case c.is("Start", "DateTime64"):
		return "v0.110 or earlier"
	}
	return ""
}

func logsMadeBy(c columnTypes) string {
	switch {
	case c.json():
		return jsonMadeBy(c)
	case c.has("TimestampDate"):
		return "v0.104 to v0.106"
	case c.has("TimestampTime") && c.has("EventName"):
		return "v0.141 to v0.150"
	case c.has("TimestampTime"):
		return "v0.107 to v0.150"
	case c.is("SeverityNumber", "Int32"):
		return "v0.103 or earlier"
	case c.is("SeverityNumber", "UInt8"):
		return "v0.151 or later"
	}
	return ""
}

// pointsMadeBy is for gauges, sums and summaries.
func pointsMadeBy(c columnTypes) string {
	switch {
	case c.is("TimeUnix", "DateTime"):
		return "v0.157 or later"
	case !c.is("TimeUnix", "DateTime64"):
		return ""
	case !c.has("ServiceName"):
		return "v0.97 or earlier"
	case c.has("AggTemp"):
		return "v0.98 to v0.103"
	case c.has("AggregationTemporality"):
		return "v0.104 to v0.156"
	}
	return "v0.98 to v0.156"
}

// histogramsMadeBy is pointsMadeBy; histograms have a temporality since v0.104.
func histogramsMadeBy(c columnTypes) string {
	if made := pointsMadeBy(c); made != "v0.98 to v0.156" {
		return made
	}
	return "v0.98 to v0.103"
}
