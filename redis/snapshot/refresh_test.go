package snapshot_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/atlhyper/observe/redis/beat"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/codec"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
)

// refresh asks about one cluster and fails when Redis did not tell.
func (r *rig) refresh(seq int64, held ...snapshot.Held) snapshot.View {
	r.t.Helper()
	v := r.reader.Refresh(r.t.Context(), []snapshot.Ask{{Cluster: cluster, Seq: seq, Sections: held}})[0]
	if v.Err != nil {
		r.t.Fatal(v.Err)
	}
	return v
}

func data(t *testing.T, f snapshot.Found) []byte {
	t.Helper()
	if f.Err != nil || f.Value == nil {
		t.Fatalf("no value: %+v", f)
	}
	got, err := f.Value.Data()
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestRefreshTellsWhatIsNew(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if v := r.refresh(0, snapshot.Held{Name: "a"}); v.Present() || v.Changed || v.Info.State != snapshot.SnapshotNone {
		t.Errorf("nothing there: %+v", v)
	}
	w := r.writer(func(c *snapshot.WriterConfig) { c.CompressAbove = 1000 })
	long := strings.Repeat("long ", 1000)
	r.putBeat(cluster, "a1", 0, beat.Beat{})
	first := r.publish(w, good(t, "a", 1), good(t, "b", long), snapshot.Update{Name: "c", Err: "ClickHouse is away"})

	v := r.refresh(0, snapshot.Held{Name: "a"}, snapshot.Held{Name: "b"}, snapshot.Held{Name: "c"}, snapshot.Held{Name: "d"})
	if !v.Present() || !v.Changed || v.More || v.Info.Seq != first.Seq || v.Info.Status != snapshot.Online || len(v.Info.Agents) != 1 {
		t.Errorf("the first look: %+v", v)
	}
	if want := v.Info.PublishedAt.Add(time.Minute); !v.ExpiresAt.Equal(want) {
		t.Errorf("it expires at %s, want %s", v.ExpiresAt, want)
	}
	for name, want := range map[model.Section]any{"a": 1, "b": long} {
		section := r.section(name)
		if got := data(t, v.Sections[name]); !bytes.Equal(got, section.Data) || !bytes.Equal(got, encode(t, want)) {
			t.Errorf("%s is %.40q", name, got)
		}
		section.Meta.Age, section.Meta.Bytes = v.Sections[name].Meta.Age, v.Sections[name].Meta.Bytes
		if diff := cmp.Diff(section.Meta, v.Sections[name].Meta); diff != "" {
			t.Errorf("meta of %s: -Section +Refresh\n%s", name, diff)
		}
	}
	if c := v.Sections["c"]; !fault.Is(c.Err, fault.NotReady) || !strings.Contains(c.Err.Error(), "ClickHouse is away") || c.Meta.Error == "" {
		t.Errorf("one that failed: %+v", c)
	}
	if d := v.Sections["d"]; !fault.Is(d.Err, fault.NotReady) {
		t.Errorf("one that nobody collects: %+v", d)
	}

	a, b := v.Sections["a"].Meta.Hash, v.Sections["b"].Meta.Hash
	v = r.refresh(first.Seq, snapshot.Held{Name: "a", Hash: a}, snapshot.Held{Name: "b", Hash: b})
	if v.Changed || len(v.Sections) != 0 || !v.Present() || v.Info.Status != snapshot.Online {
		t.Errorf("nothing is new: %+v", v)
	}
	// Only b's value is another one; a was collected again.
	second := r.publish(w, good(t, "a", 1), good(t, "b", 2))
	v = r.refresh(first.Seq, snapshot.Held{Name: "a", Hash: a}, snapshot.Held{Name: "b", Hash: b})
	if !v.Changed || v.Info.Seq != second.Seq || !v.Sections["a"].Same || v.Sections["a"].Value != nil || v.Sections["a"].Meta.Seq != first.Seq {
		t.Errorf("b is new: %+v", v)
	}
	if got := data(t, v.Sections["b"]); !bytes.Equal(got, encode(t, 2)) {
		t.Errorf("b is %x", got)
	}
}

// What is wrong with one cluster is said of it, and of no other.
func TestRefreshOfWhatCannotBeRead(t *testing.T) {
	r := newRig(t)
	r.reader = snapshot.NewReader(r.clients, snapshot.ReaderConfig{MaxSectionBytes: 1 << 20})
	bomb := strings.Repeat("\x00", 8<<20)
	for _, tt := range []struct {
		id   key.Cluster
		put  func(key.Cluster)
		want func(snapshot.View) bool
	}{
		{"fine", func(key.Cluster) {}, func(v snapshot.View) bool { return v.Present() && v.Sections["a"].Value != nil }},
		{"no-id!", func(key.Cluster) {}, func(v snapshot.View) bool { return fault.Is(v.Err, fault.BadRequest) }},
		{"evicted", func(c key.Cluster) { r.do(r.admin.Del(t.Context(), c.Snapshot())) },
			func(v snapshot.View) bool { return !v.Present() && v.Info.State == snapshot.SnapshotLost }},
		{"one-evicted", func(c key.Cluster) { r.do(r.admin.HDel(t.Context(), c.Snapshot(), "a")) },
			func(v snapshot.View) bool { return v.Present() && fault.Is(v.Sections["a"].Err, fault.NotReady) }},
		{"long", func(c key.Cluster) { r.do(r.admin.HSet(t.Context(), c.Snapshot(), "a", bomb)) },
			func(v snapshot.View) bool {
				return v.Present() && fault.Is(v.Sections["a"].Err, fault.StoreUnavailable)
			}},
		{"schema", func(c key.Cluster) { r.do(r.admin.HSet(t.Context(), c.Meta(), key.MetaSchema, "99")) },
			func(v snapshot.View) bool { return fault.Is(v.Unreadable, fault.StoreUnavailable) }},
		{"number", func(c key.Cluster) { r.do(r.admin.HSet(t.Context(), c.Meta(), key.MetaSeq, "many")) },
			func(v snapshot.View) bool { return fault.Is(v.Unreadable, fault.StoreUnavailable) }},
		{"huge-head", func(c key.Cluster) { r.do(r.admin.HSet(t.Context(), c.Meta(), key.MetaSchema, bomb)) },
			func(v snapshot.View) bool { return fault.Is(v.Unreadable, fault.StoreUnavailable) }},
		{"huge-meta", func(c key.Cluster) { r.do(r.admin.HSet(t.Context(), c.Meta(), "a.error", bomb)) },
			func(v snapshot.View) bool {
				return v.Present() && fault.Is(v.Sections["a"].Err, fault.StoreUnavailable)
			}},
		{"meta-list", func(c key.Cluster) {
			r.do(r.admin.Del(t.Context(), c.Meta()))
			r.do(r.admin.RPush(t.Context(), c.Meta(), "x"))
		}, func(v snapshot.View) bool { return fault.Is(v.Unreadable, fault.StoreUnavailable) }},
		{"values-list", func(c key.Cluster) {
			r.do(r.admin.Del(t.Context(), c.Snapshot()))
			r.do(r.admin.RPush(t.Context(), c.Snapshot(), "x"))
		}, func(v snapshot.View) bool { return fault.Is(v.Unreadable, fault.StoreUnavailable) }},
		{"agents-string", func(c key.Cluster) { r.do(r.admin.Set(t.Context(), c.Agents(), "x", 0)) },
			func(v snapshot.View) bool {
				return v.Present() && len(v.Info.Agents) == 0 && v.Sections["a"].Value != nil
			}},
		{"bomb", func(c key.Cluster) {
			w := r.writer(func(cfg *snapshot.WriterConfig) { cfg.Cluster, cfg.CompressAbove = c, 1 })
			r.publish(w, good(t, "a", bomb))
		}, func(v snapshot.View) bool {
			if v.Sections["a"].Value == nil {
				return false
			}
			_, err := v.Sections["a"].Value.Data()
			return fault.Is(err, fault.StoreUnavailable)
		}},
	} {
		t.Run(string(tt.id), func(t *testing.T) {
			if key.ValidateCluster(string(tt.id)) == nil {
				r.publish(r.writer(func(c *snapshot.WriterConfig) { c.Cluster = tt.id }), good(t, "a", 1), good(t, "b", 1))
			}
			tt.put(tt.id)
			asks := []snapshot.Ask{
				{Cluster: tt.id, Sections: []snapshot.Held{{Name: "a"}}},
				{Cluster: "fine", Sections: []snapshot.Held{{Name: "a"}}},
			}
			views := r.reader.Refresh(t.Context(), asks)
			if len(views) != 2 || !tt.want(views[0]) {
				t.Errorf("%+v", views)
			}
			if fine := views[1]; fine.Err != nil || fine.Unreadable != nil || fine.Sections["a"].Value == nil {
				t.Errorf("the other one: %+v", fine)
			}
		})
	}
}

// trips counts round trips.
type trips struct{ single, pipelines atomic.Int64 }

func (*trips) DialHook(next redis.DialHook) redis.DialHook { return next }
func (c *trips) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.single.Add(1)
		return next(ctx, cmd)
	}
}
func (c *trips) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		c.pipelines.Add(1)
		return next(ctx, cmds)
	}
}

// Many clusters take a round trip for a hundred of them, and no more memory of a
// master than the bound, whatever they hold: what has no room comes alone.
func TestRefreshInBatches(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const n = 250
	value := strings.Repeat("x", 400<<10) // more than a hundredth of 32 MiB
	var asks []snapshot.Ask
	for i := range n {
		c := key.Cluster(fmt.Sprintf("c%03d", i))
		updates := []snapshot.Update{good(t, "a", i)}
		if i == 7 {
			updates = append(updates, good(t, "large", value))
		}
		r.publish(r.writer(func(cfg *snapshot.WriterConfig) { cfg.Cluster, cfg.CompressAbove = c, -1 }), updates...)
		asks = append(asks, snapshot.Ask{Cluster: c, Sections: []snapshot.Held{{Name: "a"}, {Name: "large"}}})
	}
	r.reader.Refresh(t.Context(), asks[:1]) // the server knows the script, and we its clock
	var count trips
	r.clients.Normal.AddHook(&count)
	views := r.reader.Refresh(t.Context(), asks)
	if count.pipelines.Load() != 3 || count.single.Load() != 0 {
		t.Errorf("%d pipelines and %d commands, want 3 and 0", count.pipelines.Load(), count.single.Load())
	}
	for i, v := range views {
		var got int
		if err := codec.Decode(data(t, v.Sections["a"]), &got); err != nil || got != i || v.Info.ID != asks[i].Cluster {
			t.Fatalf("%s has %d, %v", v.Info.ID, got, err)
		}
		if v.More != (i == 7) {
			t.Errorf("%s: more is %t", v.Info.ID, v.More)
		}
	}
	alone := asks[7]
	alone.Sections[0].Hash = views[7].Sections["a"].Meta.Hash
	v := r.reader.Refresh(t.Context(), []snapshot.Ask{alone})[0]
	if v.More || !v.Sections["a"].Same || !bytes.Equal(data(t, v.Sections["large"]), encode(t, value)) {
		t.Errorf("alone: %+v", v)
	}
}

// All sections of a View are of one publish.
func TestRefreshIsOneMoment(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	w := r.writer(nil)
	r.publish(w, good(t, "a", 0), good(t, "b", 0))
	published := make(chan error, 1)
	go func() {
		for n := 1; n < 300; n++ {
			if _, err := w.Publish(t.Context(), []snapshot.Update{good(t, "a", n), good(t, "b", n)}); err != nil {
				published <- err
				return
			}
		}
		published <- nil
	}()
	for last := int64(0); ; {
		v := r.refresh(0, snapshot.Held{Name: "a"}, snapshot.Held{Name: "b"})
		if a, b := data(t, v.Sections["a"]), data(t, v.Sections["b"]); !bytes.Equal(a, b) || v.Info.Seq < last {
			t.Fatalf("a is %x, b %x; seq %d after %d", a, b, v.Info.Seq, last)
		}
		last = v.Info.Seq
		select {
		case err := <-published:
			if err != nil {
				t.Fatal(err)
			}
			return
		default:
		}
	}
}

// A Redis that is away is said of each cluster, one that comes back without its
// scripts answers, and so does one that has run out of memory.
func TestRefreshAndARedisThatFails(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	asks := []snapshot.Ask{{Cluster: cluster, Sections: []snapshot.Held{{Name: "a"}}}, {Cluster: "west"}}
	r.publish(r.writer(nil), good(t, "a", 1))
	r.do(r.admin.ConfigSet(t.Context(), "maxmemory", "1"))
	if v := r.reader.Refresh(t.Context(), asks)[0]; v.Err != nil || v.Sections["a"].Value == nil {
		t.Errorf("without memory: %+v", v)
	}
	r.server.Stop()
	for _, v := range r.reader.Refresh(t.Context(), asks) {
		if !fault.Is(v.Err, fault.StoreUnavailable) || v.Present() || v.Info.ID == "" {
			t.Errorf("while it is away: %+v", v)
		}
	}
	r.server.Restart()
	redistest.Eventually(t, "it is back", func() bool { return r.reader.Refresh(t.Context(), asks)[0].Err == nil })
	r.publish(r.writer(nil), good(t, "a", 2))
	if v := r.reader.Refresh(t.Context(), asks)[0]; v.Err != nil || !bytes.Equal(data(t, v.Sections["a"]), encode(t, 2)) {
		t.Errorf("after it came back: %+v", v)
	}
}

// While nothing is new a question is short and asked once; what is new takes a second
// one, and each answer is of one moment.
func TestRefreshOfNothingNew(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.putBeat(cluster, "a1", 0, beat.Beat{})
	w := r.writer(nil)
	var held []snapshot.Held
	var updates []snapshot.Update
	for i := range 9 {
		name := model.Section(fmt.Sprintf("section.of-some-length.%d", i))
		held, updates = append(held, snapshot.Held{Name: name}), append(updates, good(t, name, i))
	}
	p := r.publish(w, updates...)
	first := r.refresh(0, held...)
	r.putBeat(cluster, "a1", 0, beat.Beat{}) // it is to be live, whatever time that took
	for i := range held {
		held[i].Hash = first.Sections[held[i].Name].Meta.Hash
	}
	var count trips
	r.clients.Normal.AddHook(&count)
	var v snapshot.View
	if n := r.sent(func() { v = r.refresh(p.Seq, held...) }); n > 250 || count.pipelines.Load() != 1 {
		t.Errorf("%d bytes in %d round trips", n, count.pipelines.Load())
	}
	if v.Changed || !v.Present() || v.Info.Seq != p.Seq || v.Info.Status != snapshot.Online || len(v.Info.Agents) != 1 || !v.ExpiresAt.Equal(first.ExpiresAt) {
		t.Errorf("nothing is new: %+v", v)
	}
	p = r.publish(w, good(t, held[3].Name, "new"))
	count.pipelines.Store(0)
	v = r.refresh(first.Info.Seq, held...)
	if !v.Changed || v.Info.Seq != p.Seq || len(v.Sections) != len(held) || count.pipelines.Load() != 2 {
		t.Errorf("one is new: %+v after %d round trips", v, count.pipelines.Load())
	}
	for i, h := range held {
		if f := v.Sections[h.Name]; f.Same == (i == 3) || (f.Value != nil) != (i == 3) {
			t.Errorf("%s: %+v", h.Name, f)
		}
	}
	// It is gone, or says nothing that can be read, and that is known after one.
	r.do(r.admin.Del(t.Context(), cluster.Snapshot()))
	if v := r.refresh(p.Seq, held...); v.Present() || v.Info.State != snapshot.SnapshotLost {
		t.Errorf("evicted: %+v", v)
	}
	r.do(r.admin.Del(t.Context(), cluster.Meta()))
	if v := r.refresh(p.Seq, held...); v.Present() || v.Unreadable != nil {
		t.Errorf("evicted, too: %+v", v)
	}
	r.do(r.admin.Set(t.Context(), cluster.Meta(), "x", 0))
	if v := r.refresh(p.Seq, held...); !fault.Is(v.Unreadable, fault.StoreUnavailable) {
		t.Errorf("no hash: %+v", v)
	}
}
