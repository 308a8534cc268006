package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"github.com/atlhyper/observe/cmd/internal/clitest"
)

func parse(t *testing.T, args ...string) (flags, error) {
	t.Helper()
	var f flags
	parser, err := kong.New(&f, options()...)
	if err != nil {
		t.Fatal(err)
	}
	_, err = parser.Parse(args)
	return f, err
}

func TestFlagsAndEnvironment(t *testing.T) {
	t.Setenv("ATLHYPER_CLUSTER_ID", "from-env")
	t.Setenv("ATLHYPER_INTERVAL", "20s")
	f, err := parse(t, "--clickhouse", "http://localhost:8123", "--interval", "30s")
	if err != nil {
		t.Fatal(err)
	}
	if f.ClusterID != "from-env" || f.Interval != 30*time.Second || f.Slots != 16 || f.TracesTable != "otel_traces" || f.LogFormat != "text" {
		t.Errorf("flags %+v", f)
	}
}

func TestBadFlags(t *testing.T) {
	good := []string{"--cluster-id=a", "--clickhouse=http://localhost:8123"}
	for flag, name := range map[string]string{
		"--interval=soon": "interval", "--log-level=loud": "log-level", "--slots=x": "slots",
	} {
		if _, err := parse(t, append(good, flag)...); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v, want an error that names it", flag, err)
		}
	}
	for i, name := range []string{"--cluster-id", "--clickhouse"} {
		if _, err := parse(t, good[1-i]); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v", name, err)
		}
	}
}

func TestRun(t *testing.T) {
	nowhere := []string{"--cluster-id=a", "--clickhouse=http://127.0.0.1:1/otel", "--redis=redis://127.0.0.1:1", "--log-level=error"}
	f, err := parse(t, nowhere...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := run(ctx, f); err != nil {
		t.Errorf("told to end while Redis and ClickHouse are away: %v", err)
	}
	for field, change := range map[string]func(*flags){
		"cluster_id":      func(f *flags) { f.ClusterID = "Not*Good" },
		"interval":        func(f *flags) { f.Interval = time.Millisecond },
		"section timeout": func(f *flags) { f.SectionTimeout = time.Hour },
		"slots":           func(f *flags) { f.Slots = -1 },
		"DSN":             func(f *flags) { f.Clickhouse = "nonsense" },
		"redis":           func(f *flags) { f.Redis = "nonsense://secret@host" },
		"table name":      func(f *flags) { f.LogsTable = "logs; DROP TABLE x" },
	} {
		bad := f
		change(&bad)
		err := run(t.Context(), bad)
		if err == nil || !strings.Contains(err.Error(), field) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: error %v", field, err)
		}
	}
}

func TestREADMENamesEveryFlag(t *testing.T) {
	clitest.CheckREADME(t, "../..", &flags{}, options()...)
}
