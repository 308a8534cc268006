package snapshot_test

import (
	"context"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/atlhyper/observe/redis/beat"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/shared/fault"
)

// between runs do once, after the first transaction of a client and before what
// the client sends next.
type between struct {
	once sync.Once
	do   func()
}

func (*between) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (*between) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (b *between) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		if cmds[0].Name() == "multi" {
			b.once.Do(b.do)
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
