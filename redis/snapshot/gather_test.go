package snapshot_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/atlhyper/observe/redis/beat"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/redis/snapshot"
)

// gather runs Gather until the returned function is called, or the test ends.
func (r *rig) gather() (stop func()) {
	r.t.Helper()
	reader := snapshot.NewReader(r.clients, snapshot.ReaderConfig{GatherInterval: 20 * time.Millisecond})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- reader.Gather(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Errorf("Gather: %v", err)
		}
	})
	r.t.Cleanup(stop)
	return stop
}

// Gather goes on when Redis is away and comes back empty.
func TestGatherSurvivesARestart(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.gather()
	r.server.Restart()
	redistest.Eventually(t, "north is on the list", func() bool {
		r.putBeat("north", "a1", 0, beat.Beat{})
		return r.admin.ZScore(t.Context(), key.Clusters, "north").Err() == nil
	})
}
