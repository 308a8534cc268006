package snapshot_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/codec"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
)

const cluster = key.Cluster("east")

type rig struct {
	t       *testing.T
	server  *redistest.Server
	admin   *redis.Client
	clients *conn.Clients
	reader  *snapshot.Reader
}

func newRig(t *testing.T, opts ...redistest.Option) *rig {
	t.Helper()
	return newRigOn(t, redistest.Start(t, opts...))
}

func (r *rig) writer(change func(*snapshot.WriterConfig)) *snapshot.Writer {
	r.t.Helper()
	cfg := snapshot.WriterConfig{Cluster: cluster, Instance: "a1", Version: "v1", Interval: 10 * time.Second}
	if change != nil {
		change(&cfg)
	}
	w, err := snapshot.NewWriter(r.clients, cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	return w
}

func (r *rig) publish(w *snapshot.Writer, updates ...snapshot.Update) snapshot.Published {
	r.t.Helper()
	p, err := w.Publish(r.t.Context(), updates)
	if err != nil {
		r.t.Fatal(err)
	}
	return p
}

func (r *rig) section(name model.Section) snapshot.Section {
	r.t.Helper()
	s, err := r.reader.Section(r.t.Context(), cluster, name)
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

func (r *rig) do(cmd redis.Cmder) {
	r.t.Helper()
	if cmd.Err() != nil {
		r.t.Fatalf("%v: %v", cmd.Name(), cmd.Err())
	}
}

func encode(tb testing.TB, v any) []byte {
	tb.Helper()
	data, err := codec.Encode(v)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func good(tb testing.TB, name model.Section, v any) snapshot.Update {
	tb.Helper()
	return snapshot.Update{Name: name, Data: encode(tb, v), At: time.Now(), Took: 12 * time.Millisecond, Window: 5 * time.Minute,
		Reads: snapshot.Reads{Statements: 2, Rows: 1e6, Bytes: 3 << 30}}
}

func names(list ...model.Section) []model.Section { return list }

func TestPublishAndRead(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	w := r.writer(nil)
	events := r.admin.Subscribe(t.Context(), cluster.Events())
	defer func() {
		if err := events.Close(); err != nil {
			t.Error(err)
		}
	}()
	if _, err := events.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Redis's own: this process may have measured its clock as fast as it dialled.
	before, err := r.admin.Time(t.Context()).Result()
	if err != nil {
		t.Fatal(err)
	}
	p := r.publish(w, good(t, "metrics.nodes", []int{1, 2}), good(t, "slo.edges", []string{}))
	if diff := cmp.Diff(names("metrics.nodes", "slo.edges"), p.Written); diff != "" {
		t.Errorf("written (-want +got)\n%s", diff)
	}
	s := r.section("metrics.nodes")
	if diff := cmp.Diff(encode(t, []int{1, 2}), s.Data); diff != "" {
		t.Errorf("data (-want +got)\n%s", diff)
	}
	m := s.Meta
	if m.Seq != p.Seq || m.Bytes != int64(len(s.Data)) || m.Hash == "" || m.Interval != 10*time.Second ||
		m.Took != 12*time.Millisecond || m.Window != 5*time.Minute ||
		m.Reads != (snapshot.Reads{Statements: 2, Rows: 1e6, Bytes: 3 << 30}) || m.Error != "" || m.Stale {
		t.Errorf("meta = %+v", m)
	}
	if m.PublishedAt.Before(before.Truncate(time.Millisecond)) || m.PublishedAt.Sub(m.At).Abs() > time.Minute || m.Age < 0 || m.Age > time.Minute {
		t.Errorf("published %v, collected %v, age %v; it began at %v", m.PublishedAt, m.At, m.Age, before)
	}
	msg, err := events.ReceiveMessage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("%d metrics.nodes slo.edges", p.Seq); msg.Payload != want {
		t.Errorf("event %q, want %q", msg.Payload, want)
	}
	for _, k := range []string{cluster.Snapshot(), cluster.Meta()} {
		if ttl := r.admin.PTTL(t.Context(), k).Val(); ttl <= 50*time.Second || ttl > time.Minute {
			t.Errorf("%s lives %v, want 6 intervals", k, ttl)
		}
	}
}

func TestUnchangedIsNotRewritten(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	w := r.writer(nil)
	early := good(t, "a", 1)
	early.At = early.At.Add(-5 * time.Second) // far more than the clock is measured anew by
	first := r.publish(w, early, good(t, "b", 1))
	was := r.section("a").Meta
	// What a second write would put right again shows that there was none.
	r.do(r.admin.HSet(t.Context(), cluster.Snapshot(), "a", encode(t, "touched")))

	second := r.publish(w, good(t, "a", 1), good(t, "b", 2))
	if diff := cmp.Diff(names("b"), second.Written); diff != "" {
		t.Errorf("written (-want +got)\n%s", diff)
	}
	a, b := r.section("a"), r.section("b")
	if string(a.Data) != string(encode(t, "touched")) {
		t.Error("an unchanged section was written again")
	}
	if a.Meta.Seq != first.Seq || b.Meta.Seq != second.Seq || second.Seq <= first.Seq {
		t.Errorf("seq of a %d, of b %d; want %d and %d", a.Meta.Seq, b.Meta.Seq, first.Seq, second.Seq)
	}
	if !a.Meta.At.After(was.At) || a.Meta.PublishedAt.Before(was.PublishedAt) {
		t.Errorf("a was collected again: at %v, was %v", a.Meta.At, was.At)
	}
}

func TestFailureKeepsTheLastGoodValue(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	w := r.writer(nil)
	r.publish(w, good(t, "a", 1))
	was := r.section("a")
	r.publish(w, snapshot.Update{Name: "a", At: time.Now().Add(time.Hour), Err: strings.Repeat("ü", 1000) + "\xff"})
	now := r.section("a")
	if string(now.Data) != string(was.Data) || !now.Meta.At.Equal(was.Meta.At) || now.Meta.Seq != was.Meta.Seq {
		t.Errorf("after a failure: %+v, was %+v", now.Meta, was.Meta)
	}
	if !now.Meta.Stale || len(now.Meta.Error) == 0 || len(now.Meta.Error) > 512 || !strings.HasPrefix(now.Meta.Error, "üü") {
		t.Errorf("stale %v, error of %d bytes", now.Meta.Stale, len(now.Meta.Error))
	}
	// A section that never succeeded is absent, with its reason.
	r.publish(w, snapshot.Update{Name: "b", Err: "no such table"})
	_, err := r.reader.Section(t.Context(), cluster, "b")
	if !fault.Is(err, fault.NotReady) || !strings.Contains(err.Error(), "no such table") {
		t.Errorf("never collected: %v", err)
	}
	r.publish(w, good(t, "a", 1))
	if m := r.section("a").Meta; m.Error != "" || m.Stale {
		t.Errorf("after it worked again: %+v", m)
	}
}

// Whatever happened to what is in Redis, the next publish is complete, and seq grows.
func TestCompleteAfterRedisLostIt(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(*rig){
		"emptied":          func(r *rig) { r.server.FlushAll() },
		"restarted":        func(r *rig) { r.server.Restart() },
		"snapshot evicted": func(r *rig) { r.do(r.admin.Del(r.t.Context(), cluster.Snapshot())) },
		"meta evicted":     func(r *rig) { r.do(r.admin.Del(r.t.Context(), cluster.Meta())) },
		"field lost":       func(r *rig) { r.do(r.admin.HDel(r.t.Context(), cluster.Snapshot(), "a")) },
		"other schema":     func(r *rig) { r.do(r.admin.HSet(r.t.Context(), cluster.Meta(), key.MetaSchema, "0")) },
		"another agent":    func(r *rig) { r.publish(r.writer(nil), good(r.t, "a", "theirs")) },
		"a server behind":  func(r *rig) { r.do(r.admin.HIncrBy(r.t.Context(), cluster.Meta(), key.MetaSeq, -1)) },
		"meta field lost":  func(r *rig) { r.do(r.admin.HDel(r.t.Context(), cluster.Meta(), "a.hash")) },
		"hostile seq":      func(r *rig) { r.do(r.admin.HSet(r.t.Context(), cluster.Meta(), key.MetaSeq, "1e300", "a.hash", "x")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			w := r.writer(nil)
			failed := snapshot.Update{Name: "failing", Err: "away"}
			first := r.publish(w, good(t, "a", 1), good(t, "b", 2), good(t, "failing", 3))
			r.publish(w, failed)
			lose(r)
			p := r.publish(w, good(t, "b", 2))
			if diff := cmp.Diff(names("a", "b", "failing"), p.Written); diff != "" {
				t.Errorf("written (-want +got)\n%s", diff)
			}
			if p.Seq <= first.Seq {
				t.Errorf("seq %d after %d", p.Seq, first.Seq)
			}
			for n, want := range map[model.Section]int{"a": 1, "b": 2, "failing": 3} {
				if s := r.section(n); string(s.Data) != string(encode(t, want)) {
					t.Errorf("%s = %x, want %d", n, s.Data, want)
				}
			}
			if m := r.section("failing").Meta; m.Error != "away" || m.At.IsZero() {
				t.Errorf("failing: %+v", m)
			}
		})
	}
}

// While Redis is away the newest results are kept.
func TestPublishAfterAnOutage(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	w := r.writer(nil)
	r.publish(w, good(t, "a", 1))
	r.server.Stop()
	for i := range 3 {
		_, err := w.Publish(t.Context(), []snapshot.Update{good(t, "a", 10+i), good(t, "b", i)})
		if !fault.Is(err, fault.StoreUnavailable) {
			t.Fatalf("publish while Redis is away: %v", err)
		}
	}
	r.server.Restart()
	p := r.publish(w)
	if diff := cmp.Diff(names("a", "b"), p.Written); diff != "" {
		t.Errorf("written (-want +got)\n%s", diff)
	}
	if s := r.section("a"); string(s.Data) != string(encode(t, 12)) {
		t.Errorf("a = %x, want the newest", s.Data)
	}
}

func TestLargeSectionsAreCompressed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	w := r.writer(func(c *snapshot.WriterConfig) { c.CompressAbove = 1000 })
	large, small := strings.Repeat("abc", 1000), "abc"
	r.publish(w, good(t, "a", large), good(t, "b", small))
	stored := r.admin.HGet(t.Context(), cluster.Snapshot(), "a").Val()
	if codec := r.admin.HGet(t.Context(), cluster.Meta(), "a.codec").Val(); codec != "zstd" || len(stored) > 500 {
		t.Errorf("stored %d bytes with codec %q", len(stored), codec)
	}
	if s := r.section("a"); string(s.Data) != string(encode(t, large)) || s.Meta.Bytes != int64(len(s.Data)) {
		t.Errorf("read %d bytes, meta %d", len(s.Data), s.Meta.Bytes)
	}
	if n := r.admin.HExists(t.Context(), cluster.Meta(), "b.codec").Val(); n {
		t.Error("a small section has a codec")
	}
	r.publish(w, good(t, "a", small))
	if s := r.section("a"); string(s.Data) != string(encode(t, small)) {
		t.Errorf("after it became small: %x", s.Data)
	}
	// What unpacks to more than the bound is refused.
	narrow := snapshot.NewReader(r.clients, snapshot.ReaderConfig{MaxSectionBytes: 2000})
	r.publish(w, good(t, "a", large))
	if _, err := narrow.Section(t.Context(), cluster, "a"); !fault.Is(err, fault.StoreUnavailable) {
		t.Errorf("over the bound: %v", err)
	}
}

// A section's own threshold goes before the Writer's, both ways.
func TestASectionSaysWhenItIsCompressed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	text := strings.Repeat("abc", 1000)
	for name, c := range map[string]struct {
		writer, section int
		codec           string
	}{
		"lower":         {1 << 20, 1000, "zstd"},
		"not reached":   {1000, 1 << 20, ""},
		"never":         {1000, -1, ""},
		"the writer's":  {1000, 0, "zstd"},
		"writer: never": {-1, 1000, "zstd"},
	} {
		w := r.writer(func(cfg *snapshot.WriterConfig) { cfg.CompressAbove = c.writer })
		u := good(t, "a", text+name)
		u.CompressAbove = c.section
		// A failure, which has no value, leaves the one that is there as it lies.
		r.publish(w, u, snapshot.Update{Name: "a", Err: "away"})
		if codec := r.admin.HGet(t.Context(), cluster.Meta(), "a.codec").Val(); codec != c.codec {
			t.Errorf("%s: codec %q, want %q", name, codec, c.codec)
		}
		if s := r.section("a"); string(s.Data) != string(u.Data) || s.Meta.Error != "away" {
			t.Errorf("%s: read %d bytes and %q", name, len(s.Data), s.Meta.Error)
		}
	}
}

func TestUpdatesAreChecked(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	w := r.writer(nil)
	for name, u := range map[string]snapshot.Update{
		"no name": good(t, "", 1), "bad name": good(t, "a b", 1), "long name": good(t, model.Section(strings.Repeat("x", 65)), 1),
		"nothing": {Name: "a"},
	} {
		if _, err := w.Publish(t.Context(), []snapshot.Update{good(t, "fine", 1), u}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if n := r.admin.DBSize(t.Context()).Val(); n != 0 {
		t.Errorf("%d keys were written", n)
	}
	for name, cfg := range map[string]snapshot.WriterConfig{
		"cluster": {Cluster: "{}", Instance: "a"}, "instance": {Cluster: cluster}, "interval": {Cluster: cluster, Instance: "a", Interval: 1},
	} {
		if _, err := snapshot.NewWriter(r.clients, cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestStaleByAge(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	w := r.writer(nil)
	old := good(t, "a", 1)
	old.At = time.Now().Add(-40 * time.Second)
	slow := old
	slow.Name, slow.Interval = "slow", time.Minute
	r.publish(w, old, slow)
	if m := r.section("a").Meta; !m.Stale || m.Age < 31*time.Second {
		t.Errorf("4 intervals old: %+v", m)
	}
	if m := r.section("slow").Meta; m.Stale || m.Interval != time.Minute {
		t.Errorf("within its own interval: %+v", m)
	}
}

func TestRedisAway(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.server.Stop()
	ctx := context.Background()
	_, sectionErr := r.reader.Section(ctx, cluster, "a")
	_, clusterErr := r.reader.Cluster(ctx, cluster)
	_, clustersErr := r.reader.Clusters(ctx)
	for name, err := range map[string]error{
		"Section": sectionErr, "Cluster": clusterErr, "Clusters": clustersErr,
		"Beat": r.writer(nil).Beat(ctx, snapshot.Beat{}), "Leave": r.writer(nil).Leave(ctx), "Ping": r.clients.Ping(ctx),
	} {
		if !fault.Is(err, fault.StoreUnavailable) {
			t.Errorf("%s: %v, want store_unavailable", name, err)
		}
		var f *fault.Error
		if errors.As(err, &f) && strings.Contains(f.Message, "127.0.0.1") {
			t.Errorf("%s tells users the address: %s", name, f.Message)
		}
	}
}

func milli(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }
