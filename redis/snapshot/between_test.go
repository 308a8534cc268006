package snapshot_test

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/atlhyper/observe/redis/beat"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/fault"
)

// between runs do once, after the first commands of the first pipeline of a client
// (0: after all of them) and before what the client sends next.
type between struct {
	once  sync.Once
	after int
	do    func()
}

func (*between) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (*between) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (b *between) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		done := len(cmds)
		if b.after > 0 {
			done = min(done, b.after)
		}
		err := next(ctx, cmds[:done])
		b.once.Do(b.do)
		if done < len(cmds) {
			err = errors.Join(err, next(ctx, cmds[done:]))
		}
		return err
	}
}

// A cluster that comes up between the two reads of Section is no cluster that
// went away: its agent's beat, its place in the list and its first snapshot come
// one by one.
func TestSectionWhileAClusterComesUp(t *testing.T) {
	t.Parallel()
	const none fault.Code = ""
	for _, tt := range []struct {
		name string
		do   func(*rig)
		want fault.Code
	}{
		{"nothing", func(*rig) {}, fault.ClusterUnknown},
		{"a beat, gathered", func(r *rig) {
			r.putBeat(cluster, "a1", 0, beat.Beat{})
			now := float64(r.clients.Now().UnixMilli())
			r.do(r.admin.ZAdd(r.t.Context(), key.Clusters, redis.Z{Member: string(cluster), Score: now}))
		}, fault.NotReady},
		{"a snapshot with the section", func(r *rig) {
			r.publish(r.writer(nil), good(r.t, "a", 1))
		}, none},
		{"a snapshot without the section, before the first beat", func(r *rig) {
			r.publish(r.writer(nil), good(r.t, "other", 1))
		}, fault.NotReady},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.clients.Normal.AddHook(&between{do: func() { tt.do(r) }})
			_, err := r.reader.Section(t.Context(), cluster, "a")
			if tt.want == none && err != nil || tt.want != none && !fault.Is(err, tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

// A publish between any two commands of a read leaves the old section or the new
// one, with its own meta.
func TestSectionWhileItIsPublished(t *testing.T) {
	t.Parallel()
	for after := 1; after <= 4; after++ {
		r := newRig(t)
		w := r.writer(nil)
		old, newer := good(t, "a", 1), good(t, "a", 2)
		first := r.publish(w, old)
		var second snapshot.Published
		r.clients.Normal.AddHook(&between{after: after, do: func() { second = r.publish(w, newer) }})
		got, err := r.reader.Section(t.Context(), cluster, "a")
		if err != nil {
			t.Fatal(err)
		}
		want := map[int64][]byte{first.Seq: old.Data, second.Seq: newer.Data}
		if !bytes.Equal(got.Data, want[got.Meta.Seq]) {
			t.Errorf("after %d commands: seq %d with the other's value", after, got.Meta.Seq)
		}
	}
}

// A Redis that has run out of memory is still read.
func TestSectionWithoutMemory(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	update := good(t, "a", 1)
	r.publish(r.writer(nil), update)
	r.do(r.admin.ConfigSet(t.Context(), "maxmemory", "1mb"))
	got, err := r.reader.Section(t.Context(), cluster, "a")
	if err != nil || !bytes.Equal(got.Data, update.Data) {
		t.Errorf("%v, %v", got, err)
	}
}
