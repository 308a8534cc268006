// Package chflags are the flags that say where the telemetry is.
package chflags

import (
	"github.com/alecthomas/kong"

	"github.com/atlhyper/observe/agent/clickhouse"
)

// Flags of every command that reads telemetry; embed it. They need the variables
// of Defaults.
type Flags struct {
	Clickhouse string `help:"DSN of ClickHouse: clickhouse://user:password@host:9000/database or http://host:8123/database." required:"" placeholder:"DSN"`
	Database   string `help:"Database of the telemetry; by default the DSN's." placeholder:"NAME"`

	TracesTable       string `help:"Table of spans." default:"${traces}"`
	TraceIDsTable     string `help:"Table of the trace-id time index; it may be absent." name:"trace-ids-table" default:"${trace_ids}"`
	LogsTable         string `help:"Table of logs." default:"${logs}"`
	GaugeTable        string `help:"Table of gauges." default:"${gauge}"`
	SumTable          string `help:"Table of sums." default:"${sum}"`
	HistogramTable    string `help:"Table of histograms." default:"${histogram}"`
	ExpHistogramTable string `help:"Table of exponential histograms." default:"${exp_histogram}"`
	SummaryTable      string `help:"Table of summaries." default:"${summary}"`
}

// Config is the configuration that the flags ask for.
func (f Flags) Config() clickhouse.Config {
	return clickhouse.Config{
		DSN: f.Clickhouse, Database: f.Database,
		Tables: clickhouse.Tables{
			Traces: f.TracesTable, TraceIDs: f.TraceIDsTable, Logs: f.LogsTable,
			Gauge: f.GaugeTable, Sum: f.SumTable, Histogram: f.HistogramTable,
			ExpHistogram: f.ExpHistogramTable, Summary: f.SummaryTable,
		},
	}
}

// Defaults are the names that the exporter gives its tables.
func Defaults() kong.Vars {
	tables := clickhouse.DefaultTables()
	return kong.Vars{
		"traces":        tables.Traces,
		"trace_ids":     tables.TraceIDs,
		"logs":          tables.Logs,
		"gauge":         tables.Gauge,
		"sum":           tables.Sum,
		"histogram":     tables.Histogram,
		"exp_histogram": tables.ExpHistogram,
		"summary":       tables.Summary,
	}
}
