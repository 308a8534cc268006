package main

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"github.com/atlhyper/observe/cmd/internal/clitest"
	"github.com/atlhyper/observe/master"
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

func TestDefaults(t *testing.T) {
	f, err := parse(t)
	if err != nil {
		t.Fatal(err)
	}
	if f.Listen != "127.0.0.1:8080" || time.Duration(f.MaxRange) != 30*24*time.Hour || time.Duration(f.Timeout) != 10*time.Second ||
		f.MaxWaiters != master.DefaultMaxWaiters || f.LogLevel != slog.LevelInfo || f.LogFormat != "text" {
		t.Errorf("defaults %+v", f)
	}
}

func TestEnvironmentAndFlags(t *testing.T) {
	t.Setenv("ATLHYPER_LISTEN", "127.0.0.1:9")
	t.Setenv("ATLHYPER_MAX_RANGE", "7d")
	t.Setenv("ATLHYPER_LOG_LEVEL", "debug")
	f, err := parse(t, "--listen", "127.0.0.1:10", "--drain-delay=5s")
	if err != nil {
		t.Fatal(err)
	}
	if f.Listen != "127.0.0.1:10" || time.Duration(f.MaxRange) != 7*24*time.Hour || f.LogLevel != slog.LevelDebug || f.DrainDelay != 5*time.Second {
		t.Errorf("got %+v", f)
	}
}

func TestBadFlags(t *testing.T) {
	for flag, name := range map[string]string{
		"--max-range=1 month": "max-range", "--log-level=loud": "log-level", "--log-format=xml": "log-format", "--max-queue=x": "max-queue",
	} {
		if _, err := parse(t, flag); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v, want an error that names it", flag, err)
		}
	}
}

func TestRun(t *testing.T) {
	f, err := parse(t, "--listen", "127.0.0.1:0", "--redis", "redis://127.0.0.1:1", "--log-level", "error", "--admin-listen=off")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := run(ctx, f); err != nil {
		t.Errorf("told to end: %v", err)
	}
	f.Redis = "nonsense://"
	if err := run(t.Context(), f); err == nil {
		t.Error("a bad URL of Redis was accepted")
	}
}

func TestREADMENamesEveryFlag(t *testing.T) {
	clitest.CheckREADME(t, "../..", &flags{}, options()...)
}
