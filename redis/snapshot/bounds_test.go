package snapshot

import (
	"strconv"
	"testing"
	"time"

	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/conn/conntest"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/redistest"
)

// What is remembered is bounded in number, of which the newest stay, and in time.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	var m memory
	now := time.Now()
	name := func(n int) key.Cluster { return key.Cluster("c" + strconv.Itoa(n)) }
	for n := range 3 * maxClusters {
		m.note(name(n), sighting{seen: now.Add(time.Duration(n) * time.Millisecond)})
	}
	if len(m.clusters) > 2*maxClusters {
		t.Errorf("%d clusters are remembered between two looks", len(m.clusters))
	}
	all := m.all(now)
	_, oldest := all[name(maxClusters-1)]
	_, newest := all[name(2*maxClusters-1)]
	if len(all) != maxClusters || oldest || !newest {
		t.Errorf("%d clusters are remembered, the oldest %v, the newest %v", len(all), oldest, newest)
	}
	m.note(name(1), sighting{seen: now.Add(key.ClustersAge)})
	if all := m.all(now.Add(key.ClustersAge + time.Minute)); len(all) != 1 {
		t.Errorf("%d clusters are remembered after %s", len(all), key.ClustersAge)
	}
	if _, known := m.get(name(1), now.Add(2*key.ClustersAge+time.Minute)); known {
		t.Error("one is remembered for ever")
	}
}

// The newest of what was heard stays.
func TestMemoryKeepsTheNewest(t *testing.T) {
	t.Parallel()
	var m memory
	now := time.Now()
	m.note("a", sighting{seen: now, published: now.Add(-time.Second), ttl: time.Minute})
	m.note("a", sighting{seen: now.Add(-time.Hour), published: now})
	m.forget("a", now.Add(-time.Millisecond))
	s, known := m.get("a", now)
	if !known || !s.seen.Equal(now) || !s.published.Equal(now) || s.lifetime() != time.Minute-expirySlack {
		t.Errorf("%+v, %v", s, known)
	}
	if m.forget("a", now); m.clusters["a"] != (sighting{}) {
		t.Error("it is not forgotten")
	}
}

// What was seen before a cluster was forgotten, or before what the list says, is not
// written.
func TestListKeepsTheNewest(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	clients := conntest.Open(t, conn.Config{URL: server.URL()})
	r := NewReader(clients, ReaderConfig{})
	admin := server.Client(t)
	before := clients.Now().Add(-time.Minute)
	if err := Forget(t.Context(), clients, "a"); err != nil {
		t.Fatal(err)
	}
	forgotten := admin.ZScore(t.Context(), key.Clusters, "a").Val()
	after := clients.Now().Add(time.Minute)
	for _, step := range []struct {
		at   time.Time
		want float64
	}{
		{before, forgotten}, {after, float64(after.UnixMilli())}, {before, float64(after.UnixMilli())},
	} {
		if err := r.keep(t.Context(), map[key.Cluster]time.Time{"a": step.at}); err != nil {
			t.Fatal(err)
		}
		if got := admin.ZScore(t.Context(), key.Clusters, "a").Val(); got != step.want {
			t.Errorf("seen at %v: the score is %f, want %f", step.at, got, step.want)
		}
	}
	many := make(map[key.Cluster]time.Time)
	for n := range listBatch + 1 {
		many[key.Cluster("c"+strconv.Itoa(n))] = before
	}
	if err := r.keep(t.Context(), many); err != nil {
		t.Fatal(err)
	}
	if n := admin.ZCard(t.Context(), key.Clusters).Val(); n != int64(len(many)+1) {
		t.Errorf("%d clusters are on the list, want %d", n, len(many)+1)
	}
}
