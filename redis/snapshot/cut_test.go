package snapshot_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/conn/conntest"
	"github.com/atlhyper/observe/redis/internal/cut"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/codec"
	"github.com/atlhyper/observe/shared/model"
)

// content is all that lies in Redis of the snapshot but its times.
func (r *rig) content() map[string]string {
	r.t.Helper()
	out := map[string]string{}
	hashes := map[string]*redis.MapStringStringCmd{}
	// At once: a publish that was cut may be about to happen.
	_, err := r.admin.TxPipelined(r.t.Context(), func(p redis.Pipeliner) error {
		for _, k := range []string{cluster.Snapshot(), cluster.Meta()} {
			hashes[k] = p.HGetAll(r.t.Context(), k)
		}
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	for k, hash := range hashes {
		all := hash.Val()
		for field, value := range all {
			switch field {
			case key.MetaAt, key.MetaSeq, "a.at", "b.at", "a.seq", "b.seq", "a.took_ms", "b.took_ms":
			default:
				out[k+" "+field] = value
			}
		}
	}
	return out
}

// A publish whose connection is cut after any number of bytes leaves the old snapshot
// or the new one, and so do its answer's bytes; the next publish is complete.
func TestPublishCutAtAnyByte(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	link := cut.New(t, r.server.Addr())
	old, next := []byte("old"), bytes.Repeat([]byte("next"), 50)
	updates := func(value []byte) []snapshot.Update {
		return []snapshot.Update{good(t, "a", string(value)), good(t, "b", string(value)+"b")}
	}
	direct := r.writer(nil)
	r.publish(direct, updates(next)...)
	wantNext := r.content()
	r.publish(direct, updates(old)...)
	wantOld := r.content()

	// What one publish sends: cut after as many bytes nothing is cut off.
	whole, published := false, 0
	for n := 1; !whole; n++ {
		r.publish(r.writer(nil), updates(old)...)
		clients, err := conn.Open(conn.Config{URL: "redis://" + link.Addr()})
		if err != nil {
			t.Fatal(err)
		}
		w, err := snapshot.NewWriter(clients, snapshot.WriterConfig{Cluster: cluster, Instance: "a1", Version: "v1"})
		if err != nil {
			t.Fatal(err)
		}
		link.After(n)
		_, err = w.Publish(t.Context(), updates(next))
		whole = err == nil
		switch got := r.content(); {
		case cmp.Equal(got, wantNext):
			published++
		case whole || !cmp.Equal(got, wantOld):
			t.Fatalf("after %d bytes (%v) Redis holds neither the old nor the new snapshot (-old +got)\n%s", n, err, cmp.Diff(wantOld, got))
		}
		link.Mend()
		if n%97 == 0 || whole { // the same writer goes on, once its pool has no cut connection any more
			redistest.Eventually(t, "it publishes again", func() bool {
				_, err := w.Publish(t.Context(), updates(next))
				return err == nil
			})
			if diff := cmp.Diff(wantNext, r.content()); diff != "" {
				t.Fatalf("after %d bytes and another publish (-want +got)\n%s", n, diff)
			}
		}
		if err := clients.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if published == 0 {
		t.Error("nothing was ever published")
	}
}

// The answers are cut instead: what is published is published, and the writer, which
// does not know, sends all of it again where it must.
func TestPublishWithCutAnswers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	link := cut.New(t, r.server.Addr())
	clients := conntest.Open(t, conn.Config{URL: "redis://" + link.Addr()})
	w, err := snapshot.NewWriter(clients, snapshot.WriterConfig{Cluster: cluster, Instance: "a1", Version: "v1"})
	if err != nil {
		t.Fatal(err)
	}
	link.Answers(4)
	last := int64(0)
	failed := 0
	for i := range 200 {
		_, err := w.Publish(t.Context(), []snapshot.Update{good(t, "a", i), good(t, "b", -i)})
		if err != nil {
			failed++
		}
		a, errA := r.reader.Section(t.Context(), cluster, "a")
		b, errB := r.reader.Section(t.Context(), cluster, "b")
		if errA != nil || errB != nil { // before the first one that arrived
			continue
		}
		if x, y := decodeInt(t, a), decodeInt(t, b); x != -y || err == nil && x != i {
			t.Fatalf("after publish %d (%v): a is %d and b %d", i, err, x, y)
		}
		if a.Meta.Seq < last {
			t.Fatalf("seq went from %d back to %d", last, a.Meta.Seq)
		}
		last = a.Meta.Seq
	}
	if failed == 0 || link.Cuts() == 0 {
		t.Errorf("%d publishes failed of %d cuts", failed, link.Cuts())
	}
	link.Answers(0)
	r.publish(w)
	for name, want := range map[model.Section]int{"a": 199, "b": -199} {
		if got := decodeInt(t, r.section(name)); got != want {
			t.Errorf("%s = %d at the end, want %d", name, got, want)
		}
	}
}

func decodeInt(t *testing.T, s snapshot.Section) (n int) {
	t.Helper()
	if err := codec.Decode(s.Data, &n); err != nil {
		t.Fatal(err)
	}
	return n
}
