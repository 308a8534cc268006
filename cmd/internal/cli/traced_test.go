package cli_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"go.opentelemetry.io/otel/trace"

	"github.com/atlhyper/observe/cmd/internal/cli"
)

// What a process did is handed over before it ends; without the variables there is
// nothing, and with wrong ones it does not begin.
func TestTraced(t *testing.T) {
	logger := slog.New(slog.DiscardHandler)
	failed := errors.New("it failed")
	for _, name := range []string{"OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"} {
		t.Setenv(name, "")
	}
	err := cli.Traced(t.Context(), "test", logger, func(provider trace.TracerProvider) error {
		if provider != nil {
			t.Error("there are traces that nobody asked for")
		}
		return failed
	})
	if !errors.Is(err, failed) {
		t.Errorf("it ended with %v", err)
	}

	t.Setenv("OTEL_TRACES_EXPORTER", "jaeger")
	err = cli.Traced(t.Context(), "test", logger, func(trace.TracerProvider) error {
		t.Error("it ran")
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), "OTEL_TRACES_EXPORTER") {
		t.Errorf("a wrong exporter: %v", err)
	}

	var exports atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { exports.Add(1) }))
	defer server.Close()
	t.Setenv("OTEL_TRACES_EXPORTER", "otlp")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	err = cli.Traced(t.Context(), "test", logger, func(provider trace.TracerProvider) error {
		_, s := provider.Tracer("test").Start(t.Context(), "one")
		s.End()
		return nil
	})
	if err != nil || exports.Load() != 1 {
		t.Errorf("%d exports, %v", exports.Load(), err)
	}
}

// What OpenTelemetry complains of while it reads its variables is in the log, as its other
// lines are.
func TestTracedComplaints(t *testing.T) {
	for name, value := range map[string]string{
		"OTEL_SDK_DISABLED": "", "OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "", "OTEL_EXPORTER_OTLP_TIMEOUT": "soon",
	} {
		t.Setenv(name, value)
	}
	var log bytes.Buffer
	err := cli.Traced(t.Context(), "test", slog.New(slog.NewJSONHandler(&log, nil)), func(trace.TracerProvider) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "parse duration") || !strings.Contains(log.String(), "soon") {
		t.Errorf("the log says nothing of the time-out:\n%s", log.String())
	}
	for line := range strings.Lines(log.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("not JSON: %s", line)
		}
	}
}
