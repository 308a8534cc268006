package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"github.com/atlhyper/observe/agent/clickhouse"
	"github.com/atlhyper/observe/loadtest/chdb/chdbtest"
	"github.com/atlhyper/observe/loadtest/telemetry"
)

var engine chdbtest.Shared

func TestMain(m *testing.M) { os.Exit(engine.Run(m)) }

func parseDoctor(t *testing.T, args ...string) (*doctorCmd, error) {
	t.Helper()
	var c commands
	parser, err := kong.New(&c, options()...)
	if err != nil {
		t.Fatal(err)
	}
	_, err = parser.Parse(append([]string{"doctor"}, args...))
	return &c.Doctor, err
}

func TestDoctorFlags(t *testing.T) {
	t.Setenv("ATLHYPER_LOGS_TABLE", "app_logs")
	c, err := parseDoctor(t, "--clickhouse", "http://localhost:8123", "--traces-table", "otel.spans")
	if err != nil {
		t.Fatal(err)
	}
	want := clickhouse.DefaultTables()
	want.Traces, want.Logs = "otel.spans", "app_logs"
	if got := c.Config(); got.Tables != want || got.DSN != "http://localhost:8123" || c.Output != "text" {
		t.Errorf("%+v, output %q; want tables %+v", got, c.Output, want)
	}
	if _, err := parseDoctor(t); err == nil || !strings.Contains(err.Error(), "--clickhouse") {
		t.Errorf("without a DSN: %v", err)
	}
	if _, err := parseDoctor(t, "--clickhouse=http://localhost", "--output=xml"); err == nil || !strings.Contains(err.Error(), "output") {
		t.Errorf("output xml: %v", err)
	}
}

func TestDoctorPrints(t *testing.T) {
	srv := engine.Server(t)
	db := srv.Database(t)
	if err := telemetry.CreateTables(t.Context(), srv.Open(t, db), ""); err != nil {
		t.Fatal(err)
	}
	c, err := parseDoctor(t, "--clickhouse", srv.DSN(db), "--output=json")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := c.diagnose(t.Context(), &out); err != nil {
		t.Errorf("tables without rows are fine, got %v", err)
	}
	var found clickhouse.Diagnosis
	if err := json.Unmarshal(out.Bytes(), &found); err != nil || !found.OK || found.Server.Database != db {
		t.Errorf("printed %s, error %v", out.String(), err)
	}
	// A database that is not there.
	c, err = parseDoctor(t, "--clickhouse", srv.DSN(db), "--database=none")
	if err != nil {
		t.Fatal(err)
	}
	out.Reset()
	if err := c.diagnose(t.Context(), &out); !errors.Is(err, errNotWell) || !strings.Contains(out.String(), "Not well") {
		t.Errorf("printed %q, error %v; want %v", out.String(), err, errNotWell)
	}
}

func TestDoctorRefusesBadDSN(t *testing.T) {
	t.Parallel()
	c := doctorCmd{Output: "text"}
	if err := c.diagnose(t.Context(), &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "--timeout") {
		t.Errorf("no timeout: %v", err)
	}
	c.Timeout = time.Minute
	c.Clickhouse = "nonsense://user:secret@host"
	if err := c.diagnose(t.Context(), &bytes.Buffer{}); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("error %v", err)
	}
}
