package snapshot_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/atlhyper/observe/redis/beat"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/snapshot"
)

// What a cluster's entry says is what its sections and details say at the same
// moment.
func TestStates(t *testing.T) {
	t.Parallel()
	const interval = 10 * time.Second
	type state struct {
		Status  snapshot.Status
		State   snapshot.State
		Expired time.Duration // ago; 0 when it has not
	}
	ago := func(r *rig, d time.Duration) beat.Beat {
		return beat.Beat{PublishedAt: r.clients.Now().Add(-d), Interval: interval}
	}
	for name, tt := range map[string]struct {
		setup func(*rig)
		want  state
	}{
		"it has just started": {func(r *rig) { r.putBeat(cluster, "a1", 0, beat.Beat{}) },
			state{snapshot.Stale, snapshot.SnapshotNone, 0}},
		"all is well": {func(r *rig) {
			r.putBeat(cluster, "a1", 0, beat.Beat{})
			r.publish(r.writer(nil), good(r.t, "a", 1))
		}, state{snapshot.Online, snapshot.SnapshotLive, 0}},
		"its last agent is leaving": {func(r *rig) {
			r.putBeat(cluster, "a1", 0, beat.Beat{Leaving: true})
			r.publish(r.writer(nil), good(r.t, "a", 1))
		}, state{snapshot.Offline, snapshot.SnapshotLive, 0}},
		"one of its agents is leaving": {func(r *rig) {
			r.putBeat(cluster, "a1", 0, beat.Beat{Leaving: true})
			r.putBeat(cluster, "a2", 0, beat.Beat{})
			r.publish(r.writer(nil), good(r.t, "a", 1))
		}, state{snapshot.Online, snapshot.SnapshotLive, 0}},
		"its agent died and the snapshot lives on": {func(r *rig) {
			r.putBeat(cluster, "a1", key.BeatExpiry+time.Minute, beat.Beat{})
			r.publish(r.writer(nil), good(r.t, "a", 1))
		}, state{snapshot.Offline, snapshot.SnapshotLive, 0}},
		"its beat is from the future": {func(r *rig) {
			r.putBeat(cluster, "a1", -time.Hour, beat.Beat{})
			r.publish(r.writer(nil), good(r.t, "a", 1))
		}, state{snapshot.Offline, snapshot.SnapshotLive, 0}},
		"nothing is published any more": {func(r *rig) { r.putBeat(cluster, "a1", 0, ago(r, 3*time.Minute)) },
			state{snapshot.Stale, snapshot.SnapshotExpired, 2 * time.Minute}},
		"Redis lost it": {func(r *rig) { r.putBeat(cluster, "a1", 0, ago(r, interval)) },
			state{snapshot.Stale, snapshot.SnapshotLost, 0}},
		"Redis evicted its values": {func(r *rig) {
			r.putBeat(cluster, "a1", 0, ago(r, 0))
			r.publish(r.writer(nil), good(r.t, "a", 1))
			r.do(r.admin.Del(r.t.Context(), cluster.Snapshot()))
		}, state{snapshot.Stale, snapshot.SnapshotLost, 0}},
		"its snapshot is no hash": {func(r *rig) {
			r.putBeat(cluster, "a1", 0, ago(r, 0))
			r.publish(r.writer(nil), good(r.t, "a", 1))
			r.do(r.admin.Set(r.t.Context(), cluster.Snapshot(), "x", 0))
		}, state{snapshot.Stale, snapshot.SnapshotUnreadable, 0}},
		"a newer agent writes it": {func(r *rig) {
			r.putBeat(cluster, "a1", 0, ago(r, 0))
			r.publish(r.writer(nil), good(r.t, "a", 1))
			r.do(r.admin.HSet(r.t.Context(), cluster.Meta(), key.MetaSchema, "7"))
		}, state{snapshot.Stale, snapshot.SnapshotUnreadable, 0}},
		"its meta is no hash": {func(r *rig) {
			r.putBeat(cluster, "a1", 0, ago(r, 0))
			r.do(r.admin.Set(r.t.Context(), cluster.Meta(), "x", 0))
		}, state{snapshot.Stale, snapshot.SnapshotUnreadable, 0}},
		"only the list knows it": {func(r *rig) {
			r.putScore(float64(r.clients.Now().Add(-time.Hour).UnixMilli()))
		}, state{snapshot.Offline, snapshot.SnapshotExpired, time.Hour}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			tt.setup(r)
			info, err := r.reader.Cluster(t.Context(), cluster)
			if err != nil {
				t.Fatal(err)
			}
			got := state{info.Status, info.State, 0}
			if !info.ExpiredAt.IsZero() {
				got.Expired = r.clients.Now().Sub(info.ExpiredAt).Truncate(time.Minute)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("state (-want +got)\n%s", diff)
			}
			if info.LastSeen.After(r.clients.Now().Add(key.BeatExpiry)) {
				t.Errorf("last seen in the future: %s", info.LastSeen)
			}
			if section, err := r.reader.Section(t.Context(), cluster, "a"); (err == nil) != (info.State == snapshot.SnapshotLive) ||
				err == nil && section.Status != info.Status {
				t.Errorf("the section says %q, %v", section.Status, err)
			}
		})
	}
}

// What was collected before Redis's clock was set back is as old as nobody knows.
func TestCollectedInTheFuture(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	w := r.writer(nil)
	r.publish(w, good(t, "a", 1))
	r.do(r.admin.HSet(t.Context(), cluster.Meta(), "a.at", milli(r.clients.Now().Add(time.Hour))))
	if m := r.section("a").Meta; !m.Stale || m.Age != 0 {
		t.Errorf("meta = %+v, want a stale one", m)
	}
	// An agents key that is none hides the status, not the section.
	r.do(r.admin.Set(t.Context(), cluster.Agents(), "not a hash", 0))
	if s := r.section("a"); s.Status != snapshot.Offline {
		t.Errorf("status %q, want offline", s.Status)
	}
}
