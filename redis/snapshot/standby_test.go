package snapshot_test

import (
	"testing"

	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/snapshot"
)

// Of two agents of a cluster one publishes, so that readers never see an older
// collection after a newer one; the other takes over when it leaves or falls silent.
func TestOneOfTwoAgentsPublishes(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*rig, *snapshot.Writer){
		"it leaves": func(r *rig, w *snapshot.Writer) {
			if err := w.Leave(r.t.Context()); err != nil {
				r.t.Fatal(err)
			}
		},
		"it falls silent": func(r *rig, _ *snapshot.Writer) {
			r.do(r.admin.HSet(r.t.Context(), cluster.Meta(), key.MetaAt, "1000"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			first := r.writer(nil)
			second := r.writer(func(c *snapshot.WriterConfig) { c.Instance = "a2" })
			r.publish(first, good(t, "a", "first"))
			for range 2 {
				if p := r.publish(second, good(t, "a", "second")); !p.Standby || len(p.Written) > 0 {
					t.Fatalf("the second agent published %+v", p)
				}
			}
			if s := r.section("a"); string(s.Data) != string(encode(t, "first")) {
				t.Errorf("a = %x, want what the first agent published", s.Data)
			}
			if p := r.publish(first, good(t, "a", "again")); p.Standby {
				t.Error("the first agent stands by")
			}

			end(r, first)
			if p := r.publish(second); p.Standby || len(p.Written) != 1 {
				t.Errorf("the second agent did not take over with all it has: %+v", p)
			}
			if s := r.section("a"); string(s.Data) != string(encode(t, "second")) {
				t.Errorf("a = %x, want what the second agent published", s.Data)
			}
			if p := r.publish(first, good(t, "a", "late")); !p.Standby {
				t.Error("both publish")
			}
		})
	}
}
