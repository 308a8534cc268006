package snapshot_test

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/atlhyper/observe/redis/beat"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
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
		"it yields": func(r *rig, w *snapshot.Writer) {
			if err := w.Yield(r.t.Context()); err != nil {
				r.t.Fatal(err)
			}
		},
		"it is killed and its beat runs out": func(r *rig, _ *snapshot.Writer) {
			r.putBeat(cluster, "a1", key.BeatExpiry+time.Minute, beat.Beat{})
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
			r.putBeat(cluster, "a1", 0, beat.Beat{})
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

// Who yielded is nobody's publisher, and comes back with what is new alone: the rest
// of what it had is old by then. Values of the other agent stay.
func TestAWriterThatYielded(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first := r.writer(nil)
	second := r.writer(func(c *snapshot.WriterConfig) { c.Instance = "a2" })
	yield := func(w *snapshot.Writer, holder string) {
		t.Helper()
		if err := w.Yield(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := r.metaOf(cluster)[key.MetaAgent]; got != holder {
			t.Errorf("%q publishes, want %q", got, holder)
		}
	}
	yield(first, "") // of nothing
	r.publish(first, good(t, "a", "old"), good(t, "b", "old"))
	yield(second, "a1")
	yield(first, "")
	r.publish(second, good(t, "a", "other"), good(t, "b", "other"))
	yield(first, "a2")
	yield(second, "")
	if p := r.publish(first, good(t, "b", "new")); p.Standby || len(p.Written) != 1 {
		t.Errorf("published %+v, want b alone", p)
	}
	for name, want := range map[model.Section]string{"a": "other", "b": "new"} {
		if s := r.section(name); string(s.Data) != string(encode(t, want)) {
			t.Errorf("%s = %x, want %s", name, s.Data, want)
		}
	}
	r.server.Stop()
	if err := first.Yield(t.Context()); !fault.Is(err, fault.StoreUnavailable) {
		t.Errorf("without Redis: %v", err)
	}
}

// What a Writer counts has names that Prometheus's linter likes.
func TestWriterMetrics(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	registry := prometheus.NewPedanticRegistry()
	w := r.writer(func(c *snapshot.WriterConfig) { c.Metrics = registry })
	r.publish(w, good(t, "a", 1))
	r.server.FlushAll()
	r.publish(w, good(t, "b", 1))
	r.do(r.admin.HSet(t.Context(), cluster.Meta(), key.MetaAgent, "another"))
	r.publish(w, good(t, "b", 2))
	r.server.Stop()
	if _, err := w.Publish(t.Context(), nil); err == nil {
		t.Error("a publish without Redis succeeded")
	}
	problems, err := testutil.GatherAndLint(registry)
	if err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
	want := strings.NewReader(`
# HELP atlhyper_agent_publishes_total Publishes of the snapshot, by what came of them.
# TYPE atlhyper_agent_publishes_total counter
atlhyper_agent_publishes_total{outcome="failed"} 1
atlhyper_agent_publishes_total{outcome="published"} 2
atlhyper_agent_publishes_total{outcome="standby"} 1
# HELP atlhyper_agent_sections_written_total Sections whose value was sent: it had changed.
# TYPE atlhyper_agent_sections_written_total counter
atlhyper_agent_sections_written_total 3
# HELP atlhyper_agent_snapshot_resent_total Publishes of everything, because Redis did not hold what was published before.
# TYPE atlhyper_agent_snapshot_resent_total counter
atlhyper_agent_snapshot_resent_total 1
# HELP atlhyper_agent_standby 1 while another agent of the cluster publishes.
# TYPE atlhyper_agent_standby gauge
atlhyper_agent_standby 1
`)
	if err := testutil.GatherAndCompare(registry, want, "atlhyper_agent_publishes_total", "atlhyper_agent_sections_written_total",
		"atlhyper_agent_snapshot_resent_total", "atlhyper_agent_standby"); err != nil {
		t.Error(err)
	}
}

// A leader counts while it lives and stays, and what cannot be read leads nobody.
func TestLed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	w := r.writer(nil)
	led := func(want bool, when string) {
		t.Helper()
		if got, err := w.Led(t.Context()); got != want || err != nil {
			t.Errorf("%s: led: %v, %v", when, got, err)
		}
	}
	led(false, "by nobody")
	r.putBeat(cluster, "a1", 0, beat.Beat{Leads: true})
	led(false, "by itself")
	r.putBeat(cluster, "a2", 0, beat.Beat{})
	led(false, "by one that does not lead")
	r.do(r.admin.HSet(t.Context(), cluster.Agents(), "a3", "\x83\xa2at"))
	led(false, "by what is no beat")
	r.putBeat(cluster, "a2", 0, beat.Beat{Leads: true, Leaving: true})
	led(false, "by one that leaves")
	r.putBeat(cluster, "a2", key.BeatExpiry+time.Minute, beat.Beat{Leads: true})
	led(false, "by the dead")
	r.putBeat(cluster, "a2", 0, beat.Beat{Leads: true})
	led(true, "by a2")
	r.server.Stop()
	if _, err := w.Led(t.Context()); !fault.Is(err, fault.StoreUnavailable) {
		t.Errorf("without Redis: %v", err)
	}
}
