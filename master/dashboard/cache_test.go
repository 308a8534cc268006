package dashboard_test

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/atlhyper/observe/master/compress"
	"github.com/atlhyper/observe/master/dashboard"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
)

const (
	edges = model.SectionSLOEdges
	nodes = model.SectionMetricsNodes
)

// Every replica shows what is published, whether it hears of it or not.
func TestReplicasFollow(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	hears, polls := startReplica(t, server), startReplica(t, server, deaf)
	a := newAgent(t, server, cluster, 10*time.Second)
	for n := 1; n < 5; n++ {
		seq := a.publish(n, edges)
		for _, r := range []*replica{hears, polls} {
			answer, b := r.until(t, edges, "the publish is shown", shows(strconv.Itoa(n)))
			if b.Meta.Seq != seq || answer.Meta().Seq != seq {
				t.Errorf("seq %d, want %d", b.Meta.Seq, seq)
			}
		}
	}
}

// No replica shows an older publish after a newer one, whoever asks and however the
// news came.
func TestNoReplicaGoesBack(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	a := newAgent(t, server, cluster, 10*time.Second)
	a.publish(0, edges, nodes)
	const last = 60
	var readers sync.WaitGroup
	for i, r := range []*replica{startReplica(t, server), startReplica(t, server, deaf), newReplica(t, server, idle)} {
		for range 3 {
			readers.Go(func() {
				seen := map[model.Section][2]int64{}
				for seen[edges][1] != last || seen[nodes][1] != last {
					for _, name := range []model.Section{edges, nodes} {
						if i == 2 {
							r.pass(time.Second) // it is overdue every other time
						}
						answer, err := r.Section(t.Context(), cluster, name)
						if err != nil {
							t.Error(err)
							return
						}
						value, err := strconv.ParseInt(string(parse(t, answer).Data), 10, 64)
						now := [2]int64{answer.Meta().Seq, value}
						if was := seen[name]; err != nil || now[0] < was[0] || now[1] < was[1] || now[0] == was[0] && now[1] != was[1] {
							t.Errorf("%s: seq and value %d after %d, %v", name, now, was, err)
							return
						}
						seen[name] = now
					}
				}
			})
		}
	}
	for n := 1; n <= last; n++ {
		a.publish(n, edges, nodes)
	}
	readers.Wait()
}

// A request on a warm section asks nobody and allocates nothing.
func TestWarmRequestsAreFree(t *testing.T) {
	server := redistest.Start(t)
	newAgent(t, server, cluster, 10*time.Second).publish(1, edges)
	r := newReplica(t, server, idle)
	r.stopClock()
	want, _, err := r.get(t, edges)
	if err != nil {
		t.Fatal(err)
	}
	before, ctx := r.commands.Load(), t.Context()
	allocs := testing.AllocsPerRun(1000, func() {
		if got, err := r.Section(ctx, cluster, edges); got != want || err != nil {
			t.Error("another answer", err)
		}
		if _, known := r.Now(cluster); !known {
			t.Error("the clock is not known")
		}
	})
	if sent := r.commands.Load() - before; allocs != 0 || sent != 0 {
		t.Errorf("%.1f allocations and %d commands for 1000 requests, want none", allocs, sent)
	}
}

// Age is by Redis's clock, as of the last check.
func TestNowIsRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	newAgent(t, server, cluster, 10*time.Second).publish(1, edges)
	r := newReplica(t, server, idle)
	if _, known := r.Now(cluster); known {
		t.Error("nothing was read and its clock is known")
	}
	r.pass(24 * time.Hour) // this process's clock is wrong
	if _, _, err := r.get(t, edges); err != nil {
		t.Fatal(err)
	}
	r.pass(time.Minute)
	now, known := r.Now(cluster)
	if off := time.Until(now) - time.Minute; !known || off.Abs() > 30*time.Second {
		t.Errorf("%s, %t: %s off", now, known, off)
	}
}

// A process that was starved asks before it answers.
func TestWhatIsOverdueIsChecked(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	a := newAgent(t, server, cluster, 10*time.Second)
	r := newReplica(t, server, idle)
	for n := range 3 {
		a.publish(n, edges)
		r.pass(2*time.Second + time.Millisecond)
		if _, b, err := r.get(t, edges); err != nil || !shows(strconv.Itoa(n))(b) {
			t.Errorf("after publish %d: %+v, %v", n, b, err)
		}
	}
}

// Errors are not kept: what comes a moment later is shown.
func TestErrorsAreNotKept(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	a := newAgent(t, server, cluster, 10*time.Second)
	r := newReplica(t, server, idle)
	if _, _, err := r.get(t, edges); !fault.Is(err, fault.ClusterUnknown) {
		t.Errorf("nothing there: %v", err)
	}
	if n := r.metric(t, "master_cache_clusters"); n != 0 {
		t.Errorf("%.0f clusters are held, and there is none", n)
	}
	a.publish(1, nodes)
	if _, _, err := r.get(t, edges); !fault.Is(err, fault.NotReady) {
		t.Errorf("another section there: %v", err)
	}
	a.publish(1, edges)
	if _, b, err := r.get(t, edges); err != nil || !shows("1")(b) {
		t.Errorf("after its publish: %+v, %v", b, err)
	}
}

// When only meta moves, the value is neither sent nor transcoded again.
func TestTheSameValueIsNotReadAgain(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	a := newAgent(t, server, cluster, 10*time.Second)
	r := startReplica(t, server)
	a.publish(1, edges)
	_, first := r.until(t, edges, "it is shown", shows("1"))
	// What this build could not read, under the same hash.
	if err := server.Client(t).HSet(t.Context(), cluster.Snapshot(), string(edges), "\xc1").Err(); err != nil {
		t.Fatal(err)
	}
	a.publishAt(first.Meta.CollectedAt.Add(time.Second), 1, edges)
	_, b := r.until(t, edges, "it was collected again", func(b body) bool { return !b.Meta.CollectedAt.Equal(first.Meta.CollectedAt) })
	if !shows("1")(b) || b.Meta.Seq != first.Meta.Seq {
		t.Errorf("%+v with %s", b.Meta, b.Data)
	}
}

// Who asks for a form has it ready in the next version.
func TestFormsAreMadeAhead(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	a := newAgent(t, server, cluster, 10*time.Second)
	r := startReplica(t, server, patient)
	publish := func(text string) {
		if _, err := a.writer.Publish(t.Context(), []snapshot.Update{{Name: edges, Data: encode(t, text), At: time.Now()}}); err != nil {
			t.Fatal(err)
		}
	}
	long := strings.Repeat("long ", 1000)
	publish(long + "1")
	answer, _ := r.until(t, edges, "it is shown", func(body) bool { return true })
	if _, err := answer.Form(compress.Zstd); err != nil {
		t.Fatal(err)
	}
	// Asked for once more, after it was made.
	if again, _, err := r.get(t, edges); err != nil || again != answer {
		t.Fatal("another answer", err)
	}
	publish(long + "2")
	answer, _ = r.until(t, edges, "it is another one", func(b body) bool { return strings.HasSuffix(string(b.Data), `2"`) })
	if made := answer.Made(); len(made) != 1 || made[0] != compress.Zstd {
		t.Errorf("made ahead: %v", made)
	}
}

// What nobody asked for in 10 minutes is not followed any more, but what somebody
// subscribed to is.
func TestIdleSectionsAreDropped(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	newAgent(t, server, cluster, 10*time.Second).publish(1, edges, nodes)
	newAgent(t, server, "other", 10*time.Second).publish(1, edges)
	r := startReplica(t, server, patient)
	_, stop := r.Subscribe("other", []model.Section{edges})
	for _, k := range []struct {
		c    key.Cluster
		name model.Section
	}{{cluster, edges}, {cluster, nodes}, {"other", edges}} {
		if _, err := r.Section(t.Context(), k.c, k.name); err != nil {
			t.Fatal(err)
		}
	}
	if clusters, sections := r.metric(t, "master_cache_clusters"), r.metric(t, "master_cache_sections"); clusters != 2 || sections != 3 {
		t.Errorf("%.0f clusters and %.0f sections are held, want 2 and 3", clusters, sections)
	}
	r.pass(9 * time.Minute)
	if _, _, err := r.get(t, edges); err != nil {
		t.Fatal(err)
	}
	r.pass(2 * time.Minute)
	redistest.Eventually(t, "the one section is dropped", func() bool { return r.metric(t, "master_cache_sections") == 2 })
	if _, _, err := r.get(t, edges); err != nil || r.metric(t, "master_cache_clusters") != 2 {
		t.Errorf("the other one: %v", err)
	}
	r.pass(11 * time.Minute)
	redistest.Eventually(t, "the other one is dropped", func() bool { return r.metric(t, "master_cache_sections") == 1 })
	redistest.Eventually(t, "its cluster is dropped", func() bool {
		r.pass(time.Minute) // for which it is remembered what was shown last, from the last check on
		return r.metric(t, "master_cache_clusters") == 1
	})
	stop()
	r.pass(11 * time.Minute)
	redistest.Eventually(t, "nothing is left", func() bool {
		r.pass(time.Minute)
		return r.metric(t, "master_cache_clusters") == 0 && r.metric(t, "master_cache_bytes") == 0
	})
}

// The bound holds, whatever is asked for; the least recently used goes first, and
// what is larger than all of it is served and not kept.
func TestTheCacheIsBounded(t *testing.T) {
	t.Parallel()
	const bound = 100 << 10
	server := redistest.Start(t)
	r := newReplica(t, server, idle, func(_ *replica, cfg *dashboard.Config) { cfg.CacheBytes = bound })
	r.stopClock()
	ask := func(c key.Cluster, want int) {
		t.Helper()
		answer, err := r.Section(t.Context(), c, edges)
		if err != nil || len(answer.Body()) < want {
			t.Fatalf("%s: %v", c, err)
		}
		now := r.now().Add(time.Millisecond)
		r.stopped.Store(&now)
	}
	publish := func(c key.Cluster, size int) {
		a := newAgent(t, server, c, 10*time.Second)
		if _, err := a.writer.Publish(t.Context(), []snapshot.Update{{Name: edges, Data: encode(t, strings.Repeat("x", size)), At: time.Now()}}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 30 {
		c := key.Cluster(fmt.Sprintf("c%02d", i))
		publish(c, 10<<10)
		ask(c, 10<<10)
		ask("c00", 10<<10) // always in use
		if bytes := r.metric(t, "master_cache_bytes"); bytes > bound {
			t.Fatalf("%.0f bytes are held, more than %d", bytes, bound)
		}
	}
	misses := r.metric(t, "master_cache_evictions_total")
	if misses < 20 {
		t.Errorf("%.0f sections were let go", misses)
	}
	before := r.commands.Load()
	ask("c00", 10<<10)
	if sent := r.commands.Load() - before; sent != 0 {
		t.Errorf("the one that is always in use was let go: %d commands", sent)
	}
	publish("huge", 2*bound)
	for range 2 {
		before = r.commands.Load()
		ask("huge", 2*bound)
		if r.commands.Load() == before {
			t.Error("it was kept")
		}
	}
	before = r.commands.Load()
	ask("c00", 10<<10)
	if sent := r.commands.Load() - before; sent != 0 {
		t.Errorf("a huge one drove others out: %d commands", sent)
	}
}
