package clickhouse

import (
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
)

// Config says where the telemetry is and how it is read.
type Config struct {
	// DSN is clickhouse://, clickhouses://, http:// or https:// with user,
	// password and options as clickhouse-go takes them. Required.
	DSN string
	// Database overrides the DSN's. "" keeps it.
	Database string
	// Tables names the exporter's tables; see DefaultTables.
	Tables Tables
	// MaxConns bounds the connections. 0 means 16.
	MaxConns int
	// RateWindow is what counter rates of node metrics are taken over. 0 means 5 min.
	RateWindow time.Duration
	// TraceWindow is what services and topology cover. 0 means 15 min.
	TraceWindow time.Duration
	// SLOWindow is what ingress and mesh SLOs cover. 0 means 5 min.
	SLOWindow time.Duration
	// OnlineAge is how old a node's newest sample may be for it to be online. 0 means 2 min.
	OnlineAge time.Duration
	// NodeNames returns the names of the Kubernetes cluster's nodes by all that
	// telemetry may call them: InternalIP, host name, and the name itself. It is asked
	// once a round and once a detail, and must not block; what it returns beside an
	// error counts. nil, or a nil map, means that they are not known: nodes then go by
	// what their telemetry calls them.
	NodeNames func() (map[string]string, error)
	// Clock tells the time of the windows' ends. nil means time.Now.
	Clock func() time.Time
	// Metrics gets what the Store counts. nil means none.
	Metrics prometheus.Registerer
	// TracerProvider makes a span of each statement, and tells the server of those that are
	// sampled. nil makes none.
	TracerProvider trace.TracerProvider
	// Logger gets a debug line for each statement. nil means none.
	Logger *slog.Logger
}

// Tables are the names of the exporter's tables, optionally with a database.
type Tables struct {
	Traces       string
	TraceIDs     string // the trace-id time index; may be absent on the server
	Logs         string
	Gauge        string
	Sum          string
	Histogram    string
	ExpHistogram string
	Summary      string
}

// DefaultTables are the defaults of the exporter's code.
func DefaultTables() Tables {
	return Tables{
		Traces:       "otel_traces",
		TraceIDs:     "otel_traces_trace_id_ts",
		Logs:         "otel_logs",
		Gauge:        "otel_metrics_gauge",
		Sum:          "otel_metrics_sum",
		Histogram:    "otel_metrics_histogram",
		ExpHistogram: "otel_metrics_exponential_histogram",
		Summary:      "otel_metrics_summary",
	}
}

func (c Config) withDefaults() Config {
	if c.Tables == (Tables{}) {
		c.Tables = DefaultTables()
	}
	if c.MaxConns == 0 {
		c.MaxConns = 16
	}
	setDefault(&c.RateWindow, 5*time.Minute)
	setDefault(&c.TraceWindow, 15*time.Minute)
	setDefault(&c.SLOWindow, 5*time.Minute)
	setDefault(&c.OnlineAge, 2*time.Minute)
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func setDefault(d *time.Duration, value time.Duration) {
	if *d == 0 {
		*d = value
	}
}

// Validate names the field that is missing or out of bounds.
func (c Config) Validate() error {
	if c.DSN == "" {
		return errors.New("clickhouse: DSN is required")
	}
	if c.MaxConns < 1 || c.MaxConns > 1000 {
		return fmt.Errorf("clickhouse: MaxConns %d is not between 1 and 1000", c.MaxConns)
	}
	for name, d := range map[string]time.Duration{
		"RateWindow": c.RateWindow, "TraceWindow": c.TraceWindow, "SLOWindow": c.SLOWindow, "OnlineAge": c.OnlineAge,
	} {
		if d < time.Second || d > 24*time.Hour {
			return fmt.Errorf("clickhouse: %s %s is not between 1s and 24h", name, d)
		}
	}
	return c.Tables.validate()
}

// tableName is an identifier, optionally after a database: it goes into SQL text.
var tableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?$`)

func (t Tables) validate() error {
	for _, name := range []string{t.Traces, t.TraceIDs, t.Logs, t.Gauge, t.Sum, t.Histogram, t.ExpHistogram, t.Summary} {
		if !tableName.MatchString(name) {
			return fmt.Errorf("clickhouse: table name %q is not an identifier", name)
		}
	}
	return nil
}
