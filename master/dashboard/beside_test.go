package dashboard_test

import (
	"testing"
	"time"

	"github.com/atlhyper/observe/master/dashboard"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/shared/model"
)

// Who asks for another section of a cluster changes nothing about those that are held.
func TestAnswersStandBesideOthers(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	newAgent(t, server, cluster, 100*time.Second).publishAt(time.Now(), 1, edges, nodes)
	r := newReplica(t, server, idle)
	r.stopClock()
	first, _, err := r.get(t, edges)
	if err != nil {
		t.Fatal(err)
	}
	changed, stop := r.Subscribe(cluster, []model.Section{edges})
	defer stop()
	if _, _, err := r.get(t, nodes); err != nil {
		t.Fatal(err)
	}
	if again, _, err := r.get(t, edges); again != first || err != nil {
		t.Errorf("it was made again, %v", err)
	}
	if len(changed) != 0 {
		t.Error("was told of what did not change")
	}
}

// Subscribers whose sections have no room beside each other do not wake each other:
// each would read its own again, and drive the other's out, without end.
func TestSubscribersWithoutRoom(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	a := newAgent(t, server, cluster, 100*time.Second)
	a.publishAt(time.Now(), 1, edges, nodes)                                                            // without a beat, whose end is a change
	r := newReplica(t, server, idle, func(_ *replica, cfg *dashboard.Config) { cfg.CacheBytes = 2000 }) // one of them
	r.stopClock()
	changed, stop := r.Subscribe(cluster, []model.Section{edges, nodes})
	defer stop()
	read := func(value string) {
		t.Helper()
		for _, name := range []model.Section{edges, nodes} {
			if _, b, err := r.get(t, name); err != nil || !shows(value)(b) {
				t.Errorf("%s: %+v, %v", name, b, err)
			}
		}
	}
	told := func() bool {
		select {
		case <-changed:
			return true
		default:
			return false
		}
	}
	read("1")
	told() // of the first look at the cluster
	for range 3 {
		before := r.metric(t, "master_cache_evictions_total")
		read("1")
		if told() {
			t.Error("was told of what did not change")
		}
		if n := r.metric(t, "master_cache_evictions_total") - before; n != 2 {
			t.Errorf("%.0f sections had to go, want 2", n)
		}
	}
	a.publishAt(time.Now(), 2, edges, nodes)
	read("2")
	if !told() {
		t.Error("was not told of a publish")
	}
}
