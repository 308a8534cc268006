package snapshot_test

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/atlhyper/observe/redis/beat"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/fault"
)

// putBeat writes a beat that is age old.
func (r *rig) putBeat(c key.Cluster, instance string, age time.Duration, b beat.Beat) {
	r.t.Helper()
	value, err := b.Value(r.clients.Now().Add(-age))
	if err != nil {
		r.t.Fatal(err)
	}
	r.do(r.admin.HSet(r.t.Context(), c.Agents(), instance, value))
}

// putScore puts the cluster on the list of clusters.
func (r *rig) putScore(score float64) {
	r.t.Helper()
	r.do(r.admin.ZAdd(r.t.Context(), key.Clusters, redis.Z{Member: string(cluster), Score: score}))
}

// Never seen, not collected yet, expired and unreadable are different answers.
func TestWhyASectionIsMissing(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		setup func(*rig)
		want  fault.Code
		says  string
	}{
		{"never seen", func(*rig) {}, fault.ClusterUnknown, "east"},
		{"agent just started", func(r *rig) { r.putBeat(cluster, "a1", 0, beat.Beat{}) }, fault.NotReady, "first snapshot"},
		{"section not collected", func(r *rig) { r.publish(r.writer(nil), good(r.t, "other", 1)) }, fault.NotReady, "not been collected yet"},
		{"evicted", func(r *rig) {
			r.publish(r.writer(nil), good(r.t, "a", 1))
			r.do(r.admin.Del(r.t.Context(), cluster.Snapshot()))
		}, fault.NotReady, "Redis lost section a of cluster east"},
		{"evicted, then the collection failed", func(r *rig) {
			w := r.writer(nil)
			r.publish(w, good(r.t, "a", 1))
			r.publish(w, snapshot.Update{Name: "a", Err: "away"})
			r.do(r.admin.Del(r.t.Context(), cluster.Snapshot()))
		}, fault.NotReady, "Redis lost section a of cluster east"},
		{"never collected", func(r *rig) {
			r.publish(r.writer(nil), snapshot.Update{Name: "a", Err: "away"})
		}, fault.NotReady, "never collected: away"},
		{"agent died", func(r *rig) {
			at := r.clients.Now().Add(-2 * time.Minute)
			r.putBeat(cluster, "a1", 90*time.Second, beat.Beat{PublishedAt: at, Interval: 10 * time.Second})
		}, fault.SnapshotExpired, "expired at"},
		{"agent lives and does not publish", func(r *rig) {
			at := r.clients.Now().Add(-2 * time.Minute)
			r.putBeat(cluster, "a1", 0, beat.Beat{PublishedAt: at, Interval: 10 * time.Second})
		}, fault.SnapshotExpired, "last wrote at"},
		{"emptied a moment ago", func(r *rig) {
			r.putBeat(cluster, "a1", 0, beat.Beat{PublishedAt: r.clients.Now(), Interval: 10 * time.Second})
		}, fault.NotReady, "Redis lost"},
		{"seen days ago", func(r *rig) {
			r.putScore(float64(time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC).UnixMilli()))
		}, fault.SnapshotExpired, "2026-05-01T12:00:00Z"},
		{"a score that is no time", func(r *rig) { r.putScore(-1) }, fault.ClusterUnknown, "ever seen"},
		{"a score from the future", func(r *rig) { r.putScore(math.Inf(1)) }, fault.ClusterUnknown, "ever seen"},
		{"Redis's clock was set back", func(r *rig) {
			r.putBeat(cluster, "a1", 0, beat.Beat{PublishedAt: r.clients.Now().Add(time.Hour), Interval: 10 * time.Second})
		}, fault.SnapshotExpired, "expired at"},
		{"other layout", func(r *rig) {
			r.publish(r.writer(nil), good(r.t, "a", 1))
			r.do(r.admin.HSet(r.t.Context(), cluster.Meta(), key.MetaSchema, "7"))
		}, fault.StoreUnavailable, "layout"},
		{"hostile meta", func(r *rig) {
			r.publish(r.writer(nil), good(r.t, "a", 1))
			r.do(r.admin.HSet(r.t.Context(), cluster.Meta(), "a.at", "9223372036854775808"))
		}, fault.StoreUnavailable, "a.at"},
		{"unknown codec", func(r *rig) {
			r.publish(r.writer(nil), good(r.t, "a", 1))
			r.do(r.admin.HSet(r.t.Context(), cluster.Meta(), "a.codec", "lzma"))
		}, fault.StoreUnavailable, "unpacked"},
		{"not zstd", func(r *rig) {
			r.publish(r.writer(nil), good(r.t, "a", 1))
			r.do(r.admin.HSet(r.t.Context(), cluster.Meta(), "a.codec", "zstd"))
		}, fault.StoreUnavailable, "unpacked"},
		{"no meta", func(r *rig) { r.do(r.admin.HSet(r.t.Context(), cluster.Snapshot(), "a", "x")) }, fault.StoreUnavailable, "no meta"},
		{"not a hash", func(r *rig) { r.do(r.admin.Set(r.t.Context(), cluster.Snapshot(), "x", 0)) }, fault.StoreUnavailable, "WRONGTYPE"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			tt.setup(r)
			_, err := r.reader.Section(t.Context(), cluster, "a")
			if !fault.Is(err, tt.want) || !strings.Contains(fault.From(err).Message, tt.says) {
				t.Errorf("%v, want %s that says %q", err, tt.want, tt.says)
			}
		})
	}
	r := newRig(t)
	for name, c := range map[string]key.Cluster{"east": "east", "bad": "No{*}"} {
		if _, err := r.reader.Section(t.Context(), c, "no such {section}"); !fault.Is(err, fault.BadRequest) {
			t.Errorf("%s: %v, want bad_request", name, err)
		}
	}
}

func TestTTLRunsOut(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	w := r.writer(func(c *snapshot.WriterConfig) { c.Interval = 10 * time.Millisecond })
	r.publish(w, good(t, "a", 1))
	if err := w.Beat(t.Context(), snapshot.Beat{}); err != nil {
		t.Fatal(err)
	}
	redistest.Eventually(t, "the snapshot expires", func() bool {
		_, err := r.reader.Section(t.Context(), cluster, "a")
		return fault.Is(err, fault.SnapshotExpired)
	})
	r.publish(w, good(t, "a", 1))
}

func TestBeats(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	started := time.UnixMilli(1_700_000_000_000).UTC()
	w := r.writer(nil)
	p := r.publish(w, good(t, "a", 1))
	if err := w.Beat(t.Context(), snapshot.Beat{Version: "v9", Slots: 16, Busy: 3, StartedAt: started}); err != nil {
		t.Fatal(err)
	}
	r.putBeat(cluster, "dead", key.BeatExpiry+time.Minute, beat.Beat{})
	r.putBeat(cluster, "leaving", 0, beat.Beat{Leaving: true})
	r.do(r.admin.HSet(t.Context(), cluster.Agents(), "junk", "\xff", "Bad {name}", "x", "long", strings.Repeat("x", 10_000)))

	info, err := r.reader.Cluster(t.Context(), cluster)
	if err != nil {
		t.Fatal(err)
	}
	if info.Status != snapshot.Online || info.Seq != p.Seq || len(info.Sections) != 1 || info.Sections["a"].Bytes != 1 {
		t.Errorf("info = %+v", info)
	}
	type row struct {
		Instance      string
		Live, Leaving bool
	}
	var rows []row
	for _, a := range info.Agents {
		rows = append(rows, row{a.Instance, a.Live, a.Leaving})
	}
	if diff := cmp.Diff([]row{{"a1", true, false}, {"dead", false, false}, {"leaving", true, true}}, rows); diff != "" {
		t.Errorf("agents (-want +got)\n%s", diff)
	}
	if a := info.Agents[0]; a.Version != "v9" || a.Slots != 16 || a.Busy != 3 || !a.StartedAt.Equal(started) || a.LastSeen.Before(info.PublishedAt) {
		t.Errorf("agent = %+v", a)
	}

	// The next beat prunes what no longer says anything.
	r.putBeat(cluster, "ancient", key.AgentsTTL+time.Minute, beat.Beat{})
	if err := w.Beat(t.Context(), snapshot.Beat{}); err != nil {
		t.Fatal(err)
	}
	left := r.admin.HGetAll(t.Context(), cluster.Agents()).Val()
	for _, gone := range []string{"junk", "long", "ancient"} {
		if _, ok := left[gone]; ok {
			t.Errorf("%s was not pruned", gone)
		}
	}
	if _, ok := left["dead"]; !ok {
		t.Error("a dead agent is forgotten before its commands can be taken back")
	}
	if ttl := r.admin.PTTL(t.Context(), cluster.Agents()).Val(); ttl <= key.AgentsTTL-time.Minute || ttl > key.AgentsTTL {
		t.Errorf("the agents live %v", ttl)
	}

	// Who leaves is off the list, unless commands would be left behind.
	r.do(r.admin.RPush(t.Context(), cluster.Claimed("a1"), "command"))
	if err := w.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !r.admin.HExists(t.Context(), cluster.Agents(), "a1").Val() {
		t.Error("an agent that leaves commands behind is off the list")
	}
	r.do(r.admin.Del(t.Context(), cluster.Claimed("a1")))
	if err := w.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r.admin.HExists(t.Context(), cluster.Agents(), "a1").Val() {
		t.Error("an agent that left is on the list")
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	status := func() snapshot.Status {
		t.Helper()
		info, err := r.reader.Cluster(t.Context(), cluster)
		if err != nil {
			t.Fatal(err)
		}
		return info.Status
	}
	w := r.writer(nil)
	r.publish(w, good(t, "a", 1))
	if got := status(); got != snapshot.Offline {
		t.Errorf("without a beat: %s", got)
	}
	if err := w.Beat(t.Context(), snapshot.Beat{}); err != nil {
		t.Fatal(err)
	}
	if got := status(); got != snapshot.Online {
		t.Errorf("with a beat: %s", got)
	}
	r.do(r.admin.HSet(t.Context(), cluster.Meta(), key.MetaAt, milli(r.clients.Now().Add(-31*time.Second))))
	if got := status(); got != snapshot.Stale {
		t.Errorf("published 3 intervals ago: %s", got)
	}
	if _, err := r.reader.Cluster(t.Context(), "nobody"); !fault.Is(err, fault.ClusterUnknown) {
		t.Errorf("unknown: %v", err)
	}
}

func TestGather(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ids := func() (out []key.Cluster) {
		t.Helper()
		infos, err := r.reader.Clusters(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range infos {
			out = append(out, i.ID)
		}
		return out
	}
	r.putBeat("west", "a1", 2*time.Minute, beat.Beat{})
	r.do(r.admin.Set(t.Context(), key.Cluster("odd").Agents(), "not a hash", 0))
	r.do(r.admin.HSet(t.Context(), key.Namespace+"{Bad}:agents", "a", "b"))
	r.do(r.admin.ZAdd(t.Context(), key.Clusters, redis.Z{Member: "forgotten", Score: float64(time.Now().Add(-8 * 24 * time.Hour).UnixMilli())},
		redis.Z{Member: "No {id}", Score: float64(time.Now().UnixMilli())}, redis.Z{Member: "forged", Score: math.Inf(1)}))
	stop := r.gather()
	redistest.Eventually(t, "the first look", func() bool { return cmp.Equal(ids(), []key.Cluster{"west"}) })
	infos, err := r.reader.Clusters(t.Context())
	if err != nil || infos[0].Status != snapshot.Offline || time.Since(infos[0].LastSeen) < time.Minute {
		t.Errorf("west = %+v, %v", infos, err)
	}

	if left, err := r.admin.ZRange(t.Context(), key.Clusters, 0, -1).Result(); err != nil || slices.Contains(left, "forged") {
		t.Errorf("the list has %v, %v; want no entry from the future", left, err)
	}

	// A cluster that comes later is there with its first publish.
	w := r.writer(nil)
	redistest.Eventually(t, "east is on the list", func() bool {
		r.publish(w, good(t, "a", 1))
		return cmp.Equal(ids(), []key.Cluster{"east", "west"})
	})
	// The list is rebuilt from the beats when Redis was emptied.
	stop()
	r.server.FlushAll()
	if err := w.Beat(t.Context(), snapshot.Beat{}); err != nil {
		t.Fatal(err)
	}
	defer r.gather()()
	redistest.Eventually(t, "east is found again", func() bool { return cmp.Equal(ids(), []key.Cluster{"east"}) })
}
