package snapshot_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/atlhyper/observe/redis/beat"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/fault"
)

// What one cluster's agents write takes no more memory of a master than the bounds,
// however long it is, and hides that cluster alone. Not beside other tests: it counts what is allocated.
func TestHashesAreBounded(t *testing.T) {
	const long = 64 << 20
	huge := strings.Repeat("x", long)
	many := make([]any, 0, 20_000)
	for i := range cap(many) / 2 {
		many = append(many, fmt.Sprint("a", i), "x")
	}
	for _, tt := range []struct {
		name    string
		put     func(*rig)
		section fault.Code // of the section a; "" when it is read
		state   snapshot.State
		agents  int
	}{
		{"nothing", func(*rig) {}, "", snapshot.SnapshotLive, 1},
		{"a section", func(r *rig) { r.do(r.admin.HSet(t.Context(), cluster.Snapshot(), "a", huge)) },
			fault.StoreUnavailable, snapshot.SnapshotLive, 1},
		{"a field of meta", func(r *rig) { r.do(r.admin.HSet(t.Context(), cluster.Meta(), "a.error", huge)) },
			fault.StoreUnavailable, snapshot.SnapshotUnreadable, 1},
		{"another field of meta", func(r *rig) { r.do(r.admin.HSet(t.Context(), cluster.Meta(), "b.error", huge)) },
			"", snapshot.SnapshotUnreadable, 1},
		{"a field's name", func(r *rig) { r.do(r.admin.HSet(t.Context(), cluster.Meta(), huge, "x")) },
			"", snapshot.SnapshotUnreadable, 1},
		{"a beat", func(r *rig) { r.do(r.admin.HSet(t.Context(), cluster.Agents(), "a2", huge)) }, "", snapshot.SnapshotLive, 0},
		{"many beats", func(r *rig) { r.do(r.admin.HSet(t.Context(), cluster.Agents(), many...)) }, "", snapshot.SnapshotLive, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			reader := snapshot.NewReader(r.clients, snapshot.ReaderConfig{MaxSectionBytes: 1 << 20})
			for _, c := range []key.Cluster{cluster, "west"} {
				r.putBeat(c, "a1", 0, beat.Beat{})
				r.publish(r.writer(func(cfg *snapshot.WriterConfig) { cfg.Cluster = c }), good(t, "a", 1))
			}
			stop := r.gather()
			redistest.Eventually(t, "both are on the list", func() bool { return r.admin.ZCard(t.Context(), key.Clusters).Val() == 2 })
			stop()
			tt.put(r)
			// However long that took.
			r.putBeat("west", "a1", 0, beat.Beat{})

			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := reader.Section(t.Context(), cluster, "a")
			if (tt.section == "") != (err == nil) || err != nil && !fault.Is(err, tt.section) {
				t.Errorf("the section: %v, want %q", err, tt.section)
			}
			infos, err := reader.Clusters(t.Context())
			if err != nil || len(infos) != 2 {
				t.Fatalf("%+v, %v, want both clusters", infos, err)
			}
			runtime.ReadMemStats(&after)
			if took := after.TotalAlloc - before.TotalAlloc; took > long/2 {
				t.Errorf("the reads allocated %d bytes", took)
			}
			if east := infos[0]; east.State != tt.state || len(east.Agents) != tt.agents {
				t.Errorf("east is %s with %d agents, want %s with %d", east.State, len(east.Agents), tt.state, tt.agents)
			}
			if west := infos[1]; west.State != snapshot.SnapshotLive || west.Status != snapshot.Online {
				t.Errorf("west = %+v", west)
			}
		})
	}
}
