package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/atlhyper/observe/shared/fault"
)

const (
	// doctorWindow is the telemetry that a diagnosis looks at.
	doctorWindow = 15 * time.Minute
	// doctorStatement bounds each of its statements, doctorSection each section
	// or detail that it tries.
	doctorStatement = 30 * time.Second
	doctorSection   = 30 * time.Second
	// doctorSpans is about how many spans it reads the attributes of.
	doctorSpans = 200_000
	// clockSlack is how far clocks may be apart without being worth a word.
	clockSlack = 5 * time.Second
)

// Diagnosis is what was found in a ClickHouse, in words for the one who runs it.
// It holds no DSN, password or address.
type Diagnosis struct {
	At time.Time `json:"at"`
	// OK is true when every section and detail can be filled or is plainly
	// unused, and nothing that is there failed to be read.
	OK           bool             `json:"ok"`
	Server       *ServerFound     `json:"server"` // null when it did not answer
	Tables       []TableFound     `json:"tables"`
	Spans        SpansFound       `json:"spans"`
	NodeIdentity []AttributeFound `json:"nodeIdentity"` // best first, those in use
	Sources      []SourceFound    `json:"sources"`
	Sections     []Verdict        `json:"sections"`
	Details      []Verdict        `json:"details"`
	Findings     []Finding        `json:"findings"`
}

// ServerFound is the server itself.
type ServerFound struct {
	Version  string `json:"version"`
	Database string `json:"database"`
	// ClockAheadSeconds is how far its clock is ahead of ours; 0 where the
	// difference is within the round trip.
	ClockAheadSeconds float64 `json:"clockAheadSeconds"`
}

// Level says how much a finding matters.
type Level string

// The levels: a problem is something there that cannot be read, a warning costs
// part of a section, a note costs nothing.
const (
	Problem Level = "problem"
	Warning Level = "warning"
	Note    Level = "note"
)

// Finding is one thing worth a word.
type Finding struct {
	Level  Level  `json:"level"`
	About  string `json:"about"`
	Text   string `json:"text"`
	Remedy string `json:"remedy"` // "" when there is nothing to do
}

// doctor gathers one diagnosis.
type doctor struct {
	*Store
	out     *Diagnosis
	kinds   []tableKind
	tables  map[signal]*TableFound // those that are there
	metrics map[signal]map[string]metricFound
}

// Diagnose looks at the server, its tables and the telemetry of the last 15
// minutes, then tries every section and detail as the agent makes it. A
// statement that fails becomes a finding; only a server that does not answer,
// or has no such database, ends the diagnosis early.
func (s *Store) Diagnose(ctx context.Context) *Diagnosis {
	d := &doctor{
		Store: s,
		out: &Diagnosis{
			At:     s.cfg.Clock().UTC(),
			Tables: []TableFound{}, NodeIdentity: []AttributeFound{}, Sources: []SourceFound{},
			Sections: []Verdict{}, Details: []Verdict{}, Findings: []Finding{},
			Spans: SpansFound{Kinds: []string{}, StatusCodes: []string{}, Conventions: []ConventionFound{}},
		},
		kinds:   tableKinds(s.cfg.Tables),
		tables:  make(map[signal]*TableFound),
		metrics: make(map[signal]map[string]metricFound),
	}
	if d.findServer(ctx) {
		d.findTables(ctx)
		d.findSpans(ctx)
		d.findSources(ctx)
		d.trySections(ctx)
	} else {
		d.skipSections()
	}
	d.out.OK = d.ok()
	return d.out
}

func (d *doctor) ok() bool {
	for _, f := range d.out.Findings {
		if f.Level == Problem {
			return false
		}
	}
	for _, list := range [][]Verdict{d.out.Sections, d.out.Details} {
		for _, v := range list {
			if !v.State.fine() {
				return false
			}
		}
	}
	return true
}

func (d *doctor) find(level Level, about, text, remedy string) {
	d.out.Findings = append(d.out.Findings, Finding{level, about, text, remedy})
}

// fail reports a statement that failed.
func (d *doctor) fail(about string, err error) {
	d.find(Problem, about, publicMessage(err), remedyFor(err))
}

// publicMessage is the part of an error that may be shown, without the user's name.
func publicMessage(err error) string {
	var exception *clickhouse.Exception
	if errors.As(err, &exception) && (exception.Code == 192 || exception.Code == 516) { // UNKNOWN_USER, AUTHENTICATION_FAILED
		return fmt.Sprintf("ClickHouse refused user or password with code %d", exception.Code)
	}
	return fault.From(err).Message
}

// remedies say what to do about the server's exceptions, by code
// (src/Common/ErrorCodes.cpp).
func remedies() map[int32]string {
	return map[int32]string{
		16:  "the table lacks a column that the exporter makes; add it, or name another table", // NO_SUCH_COLUMN_IN_TABLE
		43:  "a column's type is not the exporter's: see the findings about the table",         // ILLEGAL_TYPE_OF_ARGUMENT
		47:  "the table lacks a column that the exporter makes; add it, or name another table", // UNKNOWN_IDENTIFIER
		60:  "see what the table or view reads from, or name another with its flag",            // UNKNOWN_TABLE
		81:  "name the collector's database in the DSN or with --database",                     // UNKNOWN_DATABASE
		164: "give the user a profile with readonly=2, so that statements may carry settings",  // READONLY
		192: "check user and password of the DSN",                                              // UNKNOWN_USER
		241: "raise the user's max_memory_usage",                                               // MEMORY_LIMIT_EXCEEDED
		288: "set distributed_product_mode = 'global' for the user",                            // DISTRIBUTED_IN_JOIN_SUBQUERY_DENIED
		497: "GRANT SELECT on the telemetry's tables to the user",                              // ACCESS_DENIED
		516: "check user and password of the DSN",                                              // AUTHENTICATION_FAILED
	}
}

func remedyFor(err error) string {
	if fault.Is(err, fault.Timeout) {
		return "see whether the server is overloaded, or the table is ordered otherwise than the exporter's"
	}
	var exception *clickhouse.Exception
	switch {
	case errors.As(err, &exception):
		return remedies()[exception.Code]
	case fault.Is(err, fault.AgentError):
		return "check the host, port, scheme and TLS of the DSN, and that the server runs"
	}
	return ""
}

// findServer tells whether the server answers.
func (d *doctor) findServer(ctx context.Context) bool {
	var server ServerFound
	// Two real clocks are compared here, whatever the configured one says.
	asked := time.Now()
	rows, err := bounded(ctx, d, "doctor_server", nil, func(rows driver.Rows) (int64, error) {
		var ms int64
		err := rows.Scan(&server.Version, &server.Database, &ms)
		return ms, err
	})
	if err != nil {
		d.fail("server", err)
		return false
	}
	roundTrip := time.Since(asked)
	if len(rows) == 1 {
		// The server looked at its clock somewhere within the round trip.
		ahead := time.UnixMilli(rows[0]).Sub(asked.Add(roundTrip / 2))
		if ahead.Abs() > roundTrip/2+clockSlack {
			server.ClockAheadSeconds = ahead.Seconds()
			d.find(Warning, "clocks", "the server's clock and this machine's are "+spoken(ahead.Abs())+" apart",
				"run NTP on both: windows end at the agent's now")
		}
	}
	d.out.Server = &server
	return true
}

// bounded is query with a deadline of its own.
func bounded[T any](ctx context.Context, d *doctor, name string, p params, scan func(driver.Rows) (T, error)) ([]T, error) {
	ctx, cancel := context.WithTimeout(ctx, doctorStatement)
	defer cancel()
	return query(ctx, d.Store, name, p, scan)
}

// windowParams are the table and the window of the doctor's statements. Rows a
// little ahead of now are counted as now's.
func (d *doctor) windowParams(t *TableFound) params {
	return params{
		"database": t.database, "table": t.table,
		"start": nanos(d.out.At.Add(-doctorWindow)), "end": nanos(d.out.At.Add(clockSlack)),
	}
}
