package e2e_test

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/atlhyper/observe/loadtest/chdb/chdbtest"
	"github.com/atlhyper/observe/loadtest/e2e/reference"
	"github.com/atlhyper/observe/loadtest/telemetry"
	"github.com/atlhyper/observe/master"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/shared/model"
)

// stack is the whole product in one process: captured rows in a real ClickHouse
// engine, a real Redis, two masters, and agents.
type stack struct {
	redis   *redistest.Server
	engine  *chdbtest.Server
	db      string // holds the rows
	masters [2]*replica
	rows    *reference.Data // the same rows
	end     time.Time       // of the rows
	old     time.Time       // of the first row of an older collector, to the second

	details int             // how many were asked for
	asked   map[string]bool // paths that both masters were asked for
}

// cluster is one agent that answers as if now were always the same instant.
type cluster struct {
	id string
	at time.Time
}

// captured is a time of day at which the rows were captured.
func captured(hour, minute, second int) time.Time {
	return time.Date(2026, 11, 23, hour, minute, second, 0, time.UTC)
}

// newStack starts everything but agents. The rows are moved so that they end
// just before now: relative time ranges of requests hold them. They are moved by
// whole minutes, so that every run sees the same seconds.
func newStack(t *testing.T) (*stack, time.Duration) {
	t.Helper()
	s := &stack{redis: redistest.Start(t), engine: chdbtest.Start(t), asked: map[string]bool{}}
	s.db = s.engine.Database(t)
	capture, err := telemetry.Load()
	if err != nil {
		t.Fatal(err)
	}
	shift := time.Now().Add(-10 * time.Second).Sub(captured(2, 38, 5)).Truncate(time.Minute)
	s.end = captured(2, 38, 5).Add(shift)
	s.old = captured(2, 31, 0).Add(shift)
	rows := withOldGeneration(capture.Shifted(shift), s.old)
	if s.rows, err = reference.New(rows); err != nil {
		t.Fatal(err)
	}
	db := s.engine.Open(t, s.db)
	if err := telemetry.CreateTables(t.Context(), db, s.db); err != nil {
		t.Fatal(err)
	}
	if err := rows.Insert(t.Context(), db, s.db); err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"master-a", "master-b"} {
		s.masters[i] = startMaster(t, name, s.redis.URL())
	}
	return s, shift
}

// startMaster runs a replica until the test ends.
func startMaster(t *testing.T, name, redisURL string, changes ...func(*master.Config)) *replica {
	t.Helper()
	listening := make(chan net.Addr, 1)
	cfg := master.Config{
		Listen: "127.0.0.1:0", Redis: redisURL, Replica: name, OnListen: func(a net.Addr) { listening <- a },
	}
	for _, change := range changes {
		change(&cfg)
	}
	m, err := master.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	run(t, name, m.Run)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	select {
	case addr := <-listening:
		return &replica{name: name, url: "http://" + addr.String(), http: &http.Client{Transport: transport}}
	case <-t.Context().Done():
		t.Fatalf("%s does not listen", name)
		return nil
	}
}

// run runs a process of the product until the returned function is called or the
// test ends, and waits for its orderly end.
func run(t *testing.T, name string, process func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- process(ctx) }()
	done := false
	stop = func() {
		if done {
			return
		}
		done = true
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("%s ended with: %v", name, err)
		}
	}
	t.Cleanup(stop)
	return stop
}

// dashboard asks both masters and wants the same bytes from them. Between two
// requests the agent may publish another snapshot, and on a busy machine it may
// be late for a moment: then both are asked again.
func (s *stack) dashboard(tb testing.TB, c cluster, path string) answer {
	tb.Helper()
	var a, b answer
	eventually(tb, "two masters answer of one fresh snapshot: "+path, func() bool {
		a = s.masters[0].get(tb, path, "cluster_id", c.id).ok(tb, path)
		b = s.masters[1].get(tb, path, "cluster_id", c.id).ok(tb, path)
		return a.Meta.Seq == b.Meta.Seq && !a.Meta.Stale && !b.Meta.Stale
	})
	if !bytes.Equal(a.Data, b.Data) {
		tb.Errorf("%s: the masters disagree:\n%.500s\n%.500s", path, a.Data, b.Data)
	}
	if a.Meta.ClusterID != c.id || a.Meta.Error != "" || a.Meta.CollectedAt == "" || a.Meta.Seq == 0 {
		tb.Errorf("%s: meta %+v", path, a.Meta)
	}
	return a
}

// detail asks one master after the other, in turn; the first time for a path both,
// which must agree. It checks what an agent's answer says beside its data.
func (s *stack) detail(tb testing.TB, c cluster, path string, params ...string) answer {
	tb.Helper()
	s.details++
	a := s.masters[s.details%2].get(tb, path, append(params, "cluster_id", c.id)...).ok(tb, path)
	checkDetailMeta(tb, path, c, a)
	if !s.asked[path] {
		s.asked[path] = true
		b := s.masters[(s.details+1)%2].get(tb, path, append(params, "cluster_id", c.id)...).ok(tb, path)
		checkDetailMeta(tb, path, c, b)
		equal(tb, path+" of two masters", decodeLoose[any](tb, a.Data), decodeLoose[any](tb, b.Data))
	}
	return a
}

func checkDetailMeta(tb testing.TB, path string, c cluster, a answer) {
	tb.Helper()
	if a.Meta.ClusterID != c.id || a.Meta.Detail == nil || a.Meta.Agent == "" || a.Meta.TookMs <= 0 || a.Meta.CollectedAt == "" {
		tb.Errorf("%s: meta %+v, %+v", path, a.Meta, a.Meta.Detail)
	}
}

func (s *stack) meshServices(at time.Time, window time.Duration) []model.MeshService {
	return s.rows.MeshServices(at, window, reference.Linkerd(), reference.Istio())
}

func (s *stack) meshEdges(at time.Time, window time.Duration) []model.MeshEdge {
	return s.rows.MeshEdges(at, window, reference.Linkerd(), reference.Istio())
}
