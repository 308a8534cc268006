package snapshot_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/snapshot"
)

// A key of the wrong type is replaced by the next publish or beat, which says so.
func TestKeysOfTheWrongTypeHeal(t *testing.T) {
	t.Parallel()
	for _, name := range []string{cluster.Snapshot(), cluster.Meta(), cluster.Agents()} {
		t.Run(strings.TrimPrefix(name, key.Namespace), func(t *testing.T) {
			t.Parallel()
			for what, spoil := range map[string]func(*rig){
				"a string": func(r *rig) { r.do(r.admin.Set(t.Context(), name, "x", 0)) },
				"a list":   func(r *rig) { r.do(r.admin.Del(t.Context(), name)); r.do(r.admin.RPush(t.Context(), name, "x")) },
			} {
				r := newRig(t)
				var log bytes.Buffer
				w := r.writer(func(c *snapshot.WriterConfig) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
				update := good(t, "a", 1)
				// The agent has just started; then nothing of its sections has changed.
				for _, updates := range [][]snapshot.Update{{update}, nil} {
					spoil(r)
					r.publish(w, updates...)
					if err := w.Beat(t.Context(), snapshot.Beat{}); err != nil {
						t.Fatal(err)
					}
					if s := r.section("a"); !bytes.Equal(s.Data, update.Data) || s.Status != snapshot.Online {
						t.Errorf("%s: %+v", what, s)
					}
					if !strings.Contains(log.String(), "keys="+name) {
						t.Errorf("%s: the log does not name %s:\n%s", what, name, log.String())
					}
					log.Reset()
				}
			}
		})
	}
}
