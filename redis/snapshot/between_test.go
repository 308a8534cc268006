package snapshot_test

import (
	"bytes"
	"context"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/atlhyper/observe/redis/beat"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/fault"
)

// between runs do once, after the first script that ran and before what the client
// sends next.
type between struct {
	done atomic.Bool
	do   func()
}

func (*between) DialHook(next redis.DialHook) redis.DialHook { return next }
func (*between) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
func (b *between) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		// The server may have to be sent the script's text first.
		if !redis.HasErrorPrefix(err, "NOSCRIPT") && b.done.CompareAndSwap(false, true) {
			b.do()
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

// A Redis that has run out of memory is still read.
func TestReadsWithoutMemory(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	update := good(t, "a", 1)
	r.publish(r.writer(nil), update)
	r.putBeat(cluster, "a1", 0, beat.Beat{})
	r.do(r.admin.ConfigSet(t.Context(), "maxmemory", "1mb"))
	got, err := r.reader.Section(t.Context(), cluster, "a")
	if err != nil || !bytes.Equal(got.Data, update.Data) || got.Status != snapshot.Online {
		t.Errorf("%v, %v", got, err)
	}
	if info, err := r.reader.Cluster(t.Context(), cluster); err != nil || info.Status != snapshot.Online || info.State != snapshot.SnapshotLive {
		t.Errorf("%+v, %v", info, err)
	}
}

// Agents live on when Redis has run out of memory, also those that start then.
func TestBeatsWithoutMemory(t *testing.T) {
	t.Parallel()
	r := newRig(t, redistest.WithArgs("--maxmemory", "1", "--maxmemory-policy", "noeviction"))
	if err := r.admin.Set(t.Context(), "other", "x", 0).Err(); !redis.HasErrorPrefix(err, "OOM") {
		t.Fatalf("Redis has memory left: %v", err)
	}
	w := r.writer(nil)
	for range 2 {
		if err := w.Beat(t.Context(), snapshot.Beat{Slots: 4}); err != nil {
			t.Fatal(err)
		}
		info, err := r.reader.Cluster(t.Context(), cluster)
		if err != nil || len(info.Agents) != 1 || !info.Agents[0].Live {
			t.Fatalf("%+v, %v, want one live agent", info.Agents, err)
		}
	}
	if ttl := r.admin.PTTL(t.Context(), cluster.Agents()).Val(); ttl <= 0 {
		t.Errorf("the agents' key lives %v", ttl)
	}
}
