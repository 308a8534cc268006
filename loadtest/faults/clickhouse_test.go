package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"

	"github.com/atlhyper/observe/agent"
	"github.com/atlhyper/observe/agent/clickhouse"
	"github.com/atlhyper/observe/loadtest/chdb/chdbtest"
	"github.com/atlhyper/observe/loadtest/fleet"
	"github.com/atlhyper/observe/loadtest/telemetry"
	"github.com/atlhyper/observe/loadtest/verify"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/model"
)

// still is a cluster whose telemetry and clock stand still: whatever it shows once
// is what it must always show.
type still struct {
	id string

	mu    sync.Mutex
	shown map[string][]byte
}

// Name implements verify.World.
func (w *still) Name() string { return w.id }

// Period implements verify.World.
func (w *still) Period() time.Duration { return interval }

// CheckSection implements verify.World.
func (w *still) CheckSection(name model.Section, data []byte) (int64, error) {
	return 1, w.same(string(name), data)
}

// Detail implements verify.World: logs, which no replica keeps an answer of.
func (w *still) Detail(n int64) detail.Request {
	return detail.Logs{Query: fmt.Sprintf("nothing-holds-%d", n), Limit: 10, Range: detail.Range{Start: 1_700_000_000_000, End: 1_700_000_600_000}}
}

// CheckAnswer implements verify.World.
func (w *still) CheckAnswer(_ detail.Request, data []byte) error { return w.same("logs", data) }

func (w *still) same(what string, data []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	before, known := w.shown[what]
	if !known {
		w.shown[what] = bytes.Clone(data)
		return nil
	}
	if !bytes.Equal(before, data) {
		return fmt.Errorf("%w: %s was %.200s and is %.200s", fleet.ErrWrong, what, before, data)
	}
	return nil
}

// engine is a ClickHouse with captured telemetry that all ClickHouse faults share,
// each over a wire of its own.
type engine struct {
	server   *chdbtest.Server
	database string
	now      time.Time // just before the end of the telemetry
}

func startEngine(t *testing.T) *engine {
	t.Helper()
	e := &engine{server: chdbtest.Start(t), now: time.Now().Truncate(time.Minute)}
	e.database = e.server.Database(t)
	capture, err := telemetry.Load()
	if err != nil {
		t.Fatal(err)
	}
	rows := capture.Shifted(e.now.Sub(time.Date(2026, 11, 23, 2, 37, 47, 0, time.UTC)).Truncate(time.Minute))
	db := e.server.Open(t, e.database)
	if err := telemetry.CreateTables(t.Context(), db, e.database); err != nil {
		t.Fatal(err)
	}
	if err := rows.Insert(t.Context(), db, e.database); err != nil {
		t.Fatal(err)
	}
	return e
}

// maxConns bounds the agent's connections to the engine: the default.
const maxConns = 16

// stack is a cluster with a real agent on the engine, beside two simulated ones,
// which must not notice.
func (e *engine) stack(t *testing.T) (*stack, *wire) {
	t.Helper()
	server := redistest.Start(t)
	w := newWire(t, e.server.Addr)
	s := newStack(t, plan{
		redisURL: server.URL(), fleet: fleet.Config{Clusters: 2}, world: &still{id: "real", shown: map[string][]byte{}},
		// The embedded engine is no fast one.
		verify: verify.Config{Dashboards: 10, Details: 3, Addresses: []string{e.server.Addr, w.addr()}},
	}, server.Client(t))
	a, err := agent.New(agent.Config{
		ClusterID: "real", Redis: server.URL(), Interval: interval,
		ClickHouse: clickhouse.Config{
			DSN: strings.Replace(e.server.DSN(e.database), e.server.Addr, w.addr(), 1), Clock: func() time.Time { return e.now }, MaxConns: maxConns,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.background("the real agent", a.Run)
	s.processes++
	s.spare = 2 * maxConns // an idle HTTP connection has two
	return s, w
}

func clickhouseFaults(t *testing.T) []experiment {
	t.Helper()
	e := startEngine(t)
	const note = "One cluster of three has it; the other two must not notice"
	return []experiment{
		{fault: "ClickHouse hangs for 40 s", note: note, setup: func(t *testing.T) (*stack, func()) {
			s, w := e.stack(t)
			return s, func() {
				w.poison(toxic{"timeout", "downstream", 1, `{"timeout":0}`})
				s.hold(40 * time.Second)
				w.clean()
			}
		}},
		{fault: "ClickHouse refuses connections for 40 s", note: note, setup: func(t *testing.T) (*stack, func()) {
			s, w := e.stack(t)
			return s, func() {
				w.cut()
				s.hold(40 * time.Second)
				w.mend()
			}
		}},
		{fault: "ClickHouse answers garbage for 40 s", note: note, setup: func(t *testing.T) (*stack, func()) {
			s, w := e.stack(t)
			return s, func() {
				w.redirect(startGarbage(t))
				s.hold(40 * time.Second)
				w.redirect(e.server.Addr)
			}
		}},
	}
}

// redirect cuts the wire and lets it lead elsewhere from now on.
func (w *wire) redirect(target string) {
	w.t.Helper()
	if err := w.proxy.Update(&toxiproxy.Proxy{Listen: w.proxy.Listen, Upstream: target, Enabled: true}); err != nil {
		w.t.Fatalf("wire: %v", err)
	}
}

// startGarbage runs a server that accepts every query and answers, in turn, bytes
// that are no rows, half an answer, and words.
func startGarbage(t *testing.T) (addr string) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var n int
	var mu sync.Mutex
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		n++
		turn := n % 3
		mu.Unlock()
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		switch turn {
		case 0:
			writeAll(w, bytes.Repeat([]byte{0xff, 0x03, 0x80}, 5000))
		case 1:
			w.Header().Set("Content-Length", "100000")
			writeAll(w, []byte("\x01\x02\x01a\x06String"))
		default:
			if err := json.NewEncoder(w).Encode("I am no database"); err != nil {
				return
			}
		}
	})}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	t.Cleanup(func() {
		if err := server.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		<-ended
	})
	return listener.Addr().String()
}

// writeAll ignores that the other side may have gone: it got garbage.
func writeAll(w io.Writer, data []byte) {
	if _, err := w.Write(data); err != nil {
		return
	}
}
