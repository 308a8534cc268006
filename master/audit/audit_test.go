package audit_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/atlhyper/observe/master/audit"
	"github.com/atlhyper/observe/shared/detail"
)

func open(t *testing.T) (log *audit.Log, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "audit.log")
	log, err := audit.Open(audit.Config{To: path, Metrics: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	return log, path
}

func lines(t *testing.T, path string) []map[string]any {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []map[string]any
	for line := range bytes.Lines(data) {
		var one map[string]any
		if err := json.Unmarshal(line, &one); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		all = append(all, one)
	}
	return all
}

func entry() *audit.Entry {
	begun := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	return &audit.Entry{
		Begun: begun, Caller: "alice", Role: "operator", Auth: "tokens", Cluster: "prod-1",
		Method: "POST", Route: "/api/v2/observe/logs/query",
		Detail: detail.Logs{
			Range: detail.NewRange(begun.Add(-time.Hour), begun), Query: "hunter2 card 4111", Service: "shop/cart",
			Level: "ERROR", TraceID: strings.Repeat("0a", 16), Limit: 50,
		},
		Outcome: "ok", Status: 200, Bytes: 321, Took: 12345 * time.Microsecond,
		RequestID: "r-1", TraceID: strings.Repeat("1", 32), Remote: netip.MustParseAddr("192.0.2.1"),
	}
}

func TestALine(t *testing.T) {
	t.Parallel()
	log, path := open(t)
	log.Write(t.Context(), entry())
	want := []map[string]any{{
		"time": "2026-11-23T12:00:00Z", "level": "INFO", "msg": "audit",
		"caller": "alice", "role": "operator", "auth": "tokens", "remote": "192.0.2.1", "cluster": "prod-1",
		"method": "POST", "route": "/api/v2/observe/logs/query", "kind": "logs",
		"params": map[string]any{
			"start": "2026-11-23T11:00:00.000Z", "end": "2026-11-23T12:00:00.000Z", "service": "shop/cart",
			"level": "ERROR", "traceId": strings.Repeat("0a", 16), "limit": 50.0,
		},
		"withheld": []any{"query"},
		"outcome":  "ok", "status": 200.0, "bytes": 321.0, "took_ms": 12.345,
		"request_id": "r-1", "trace_id": strings.Repeat("1", 32),
	}}
	if diff := cmp.Diff(want, lines(t, path)); diff != "" {
		t.Error(diff)
	}
}

// A refusal before anything was looked at.
func TestALineOfAStranger(t *testing.T) {
	t.Parallel()
	log, path := open(t)
	log.Write(t.Context(), &audit.Entry{
		Begun: time.Unix(0, 0).UTC(), Auth: "tokens", Method: "GET", Route: "/api/v2/clusters",
		Outcome: "unauthorized", Status: 401, RequestID: "r-2",
	})
	want := []map[string]any{{
		"time": "1970-01-01T00:00:00Z", "level": "INFO", "msg": "audit", "auth": "tokens", "method": "GET",
		"route": "/api/v2/clusters", "outcome": "unauthorized", "status": 401.0, "bytes": 0.0, "took_ms": 0.0, "request_id": "r-2",
	}}
	if diff := cmp.Diff(want, lines(t, path)); diff != "" {
		t.Error(diff)
	}
}

// Whatever is written into the parameters that take text, the line has none of it.
func TestNoFreeText(t *testing.T) {
	t.Parallel()
	const secret = "hunter2 or 1=1"
	hour := detail.Range{Start: 0, End: 3_600_000}
	log, path := open(t)
	requests := []detail.Request{
		detail.Node{Name: secret},
		detail.NodeSeries{Name: secret, Metric: secret, Range: hour},
		detail.Traces{Range: hour, Service: secret, Operation: secret, StatusCode: secret, Method: secret, Cursor: secret},
		detail.Trace{TraceID: secret},
		detail.Logs{Range: hour, Query: secret, Service: secret, Scope: secret, TraceID: secret, SpanID: secret, Cursor: secret},
		detail.SLOSeries{Service: secret, Range: hour},
	}
	for _, request := range requests {
		e := entry()
		e.Detail = request
		log.Write(t.Context(), e)
	}
	got := lines(t, path)
	if len(got) != len(requests) {
		t.Fatalf("%d lines, want %d", len(got), len(requests))
	}
	for i, line := range got {
		text, err := json.Marshal(line)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "hunter2") || line["withheld"] == nil {
			t.Errorf("%s: %s", requests[i].Kind(), text)
		}
	}
}

func TestTheFileIsAppendedToAndForItsOwner(t *testing.T) {
	t.Parallel()
	log, path := open(t)
	log.Write(t.Context(), entry())
	again, err := audit.Open(audit.Config{To: path, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	again.Write(t.Context(), entry())
	if err := again.Close(); err != nil {
		t.Error(err)
	}
	if got := len(lines(t, path)); got != 2 {
		t.Errorf("%d lines, want 2", got)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v (%v), want 0600", info.Mode(), err)
	}
}

func TestLinesAreWhole(t *testing.T) {
	t.Parallel()
	log, path := open(t)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 50 {
				log.Write(t.Context(), entry())
			}
		})
	}
	all.Wait()
	if got := len(lines(t, path)); got != 400 {
		t.Errorf("%d lines, want 400", got)
	}
}

func TestOff(t *testing.T) {
	t.Parallel()
	for _, to := range []string{"", audit.Off} {
		log, err := audit.Open(audit.Config{To: to})
		if log != nil || err != nil {
			t.Errorf("%q: %v, %v", to, log, err)
		}
		log.Write(t.Context(), entry())
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	}
	_, err := audit.Open(audit.Config{To: filepath.Join(t.TempDir(), "no", "such")})
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "audit log") {
		t.Errorf("a file that cannot be made: %v", err)
	}
}

// What cannot be written is said once, and counted.
func TestWhatCannotBeWritten(t *testing.T) {
	t.Parallel()
	var said bytes.Buffer
	registry := prometheus.NewRegistry()
	path := filepath.Join(t.TempDir(), "audit.log")
	log, err := audit.Open(audit.Config{To: path, Metrics: registry, Logger: slog.New(slog.NewTextHandler(&said, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		log.Write(t.Context(), entry())
	}
	if got := strings.Count(said.String(), "cannot be written"); got != 1 {
		t.Errorf("said %d times: %s", got, &said)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == "atlhyper_audit_failures_total" && family.GetMetric()[0].GetCounter().GetValue() == 3 {
			return
		}
	}
	t.Errorf("the failures are not counted: %v", families)
}

// Of what is refused so much is written of each party, and the rest is counted. What ran
// is always written.
func TestRefusalsAreLimited(t *testing.T) {
	t.Parallel()
	var passed atomic.Int64
	path, registry := filepath.Join(t.TempDir(), "audit.log"), prometheus.NewRegistry()
	log, err := audit.Open(audit.Config{
		To: path, Metrics: registry, Now: func() time.Time { return time.Unix(0, passed.Load()) }, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	written, suppressed := 0, 0.0
	write := func(what, caller, auth, remote string, refused bool, want int) {
		t.Helper()
		for range 100 {
			e := entry()
			e.Caller, e.Auth, e.Remote, e.Refused = caller, auth, netip.MustParseAddr(remote), refused
			log.Write(t.Context(), e)
		}
		now := len(lines(t, path))
		if now-written != want {
			t.Errorf("%s: %d lines of 100, want %d", what, now-written, want)
		}
		written, suppressed = now, suppressed+float64(100-want)
	}
	write("a stranger", "", "tokens", "192.0.2.1", true, 20)
	write("the same one", "", "tokens", "192.0.2.1", true, 0)
	write("another", "", "tokens", "192.0.2.2", true, 20)
	write("a network", "", "tokens", "2001:db8::1", true, 20)
	write("another address of it", "", "tokens", "2001:db8::2", true, 0)
	write("a caller from the first address", "alice", "tokens", "192.0.2.1", true, 20)
	write("the same caller from elsewhere", "alice", "tokens", "192.0.2.3", true, 0)
	write("what ran", "alice", "tokens", "192.0.2.1", false, 100)
	write("where all have one name", "anyone", "none", "192.0.2.4", true, 20)
	write("where all have one name, another address", "anyone", "none", "192.0.2.5", true, 20)
	passed.Add(int64(time.Second))
	write("the stranger, a second later", "", "tokens", "192.0.2.1", true, 10)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == "atlhyper_audit_lines_suppressed_total" {
			if got := family.GetMetric()[0].GetCounter().GetValue(); got != suppressed {
				t.Errorf("%v are counted, want %v", got, suppressed)
			}
			return
		}
	}
	t.Error("what is left out is not counted")
}
