package snapshot_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/atlhyper/observe/redis/beat"
	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/conn/conntest"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/fault"
)

// replica is the rig with a reader that gathers, as a master's does, until the test
// ends, and has seen the cluster.
func (r *rig) replica() *rig {
	r.t.Helper()
	other := *r
	other.reader = snapshot.NewReader(r.clients, snapshot.ReaderConfig{GatherInterval: 20 * time.Millisecond})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- other.reader.Gather(ctx) }()
	r.t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			r.t.Errorf("Gather: %v", err)
		}
	})
	redistest.Eventually(r.t, "the replica has seen the cluster", func() bool { return other.reader.Known(cluster) })
	return &other
}

func (r *rig) onList() bool {
	return r.admin.ZScore(r.t.Context(), key.Clusters, string(cluster)).Err() == nil
}

// wantSection wants the section to be missing for a reason.
func (r *rig) wantSection(code fault.Code, says string) {
	r.t.Helper()
	_, err := r.reader.Section(r.t.Context(), cluster, "a")
	if !fault.Is(err, code) || !strings.Contains(fault.From(err).Message, says) {
		r.t.Errorf("%v, want %s that says %q", err, code, says)
	}
}

// A master tells a cluster that Redis lost from one that was never there, until its
// agents are back, and puts it on the list again.
func TestClustersThatRedisLostAreKnown(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		setup func(*rig)
		want  fault.Code
		says  string
		state snapshot.State
	}{
		{"published a moment ago", func(r *rig) {
			r.putBeat(cluster, "a1", 0, beat.Beat{PublishedAt: r.clients.Now(), Interval: 10 * time.Second})
		}, fault.NotReady, "Redis lost the snapshot", snapshot.SnapshotLost},
		{"published long ago", func(r *rig) {
			r.putBeat(cluster, "a1", 0, beat.Beat{PublishedAt: r.clients.Now().Add(-2 * time.Minute), Interval: 10 * time.Second})
		}, fault.SnapshotExpired, "its agent last wrote at", snapshot.SnapshotExpired},
		{"silent for days", func(r *rig) {
			r.putScore(float64(r.clients.Now().Add(-72 * time.Hour).UnixMilli()))
		}, fault.SnapshotExpired, "the cluster was last seen at", snapshot.SnapshotExpired},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			tt.setup(r)
			r = r.replica()
			for range 2 {
				r.server.FlushAll()
				r.wantSection(tt.want, tt.says)
				info, err := r.reader.Cluster(t.Context(), cluster)
				if err != nil || info.State != tt.state || info.Status != snapshot.Offline || info.LastSeen.IsZero() {
					t.Errorf("%+v, %v, want state %s", info, err, tt.state)
				}
				infos, err := r.reader.Clusters(t.Context())
				if err != nil || len(infos) != 1 || infos[0].ID != cluster || infos[0].State != tt.state {
					t.Errorf("the list is %+v, %v", infos, err)
				}
				redistest.Eventually(t, "it is on the list again", r.onList)
			}
			if _, err := r.reader.Cluster(t.Context(), "nobody"); !fault.Is(err, fault.ClusterUnknown) {
				t.Errorf("one that was never there: %v", err)
			}
			other := newRigOn(t, r.server)
			if _, err := other.reader.Cluster(t.Context(), cluster); err != nil {
				t.Errorf("a replica that never saw it: %v, want what the list says again", err)
			}
		})
	}
}

// newRigOn is a second replica of a rig.
func newRigOn(t *testing.T, server *redistest.Server) *rig {
	t.Helper()
	clients := conntest.Open(t, conn.Config{URL: server.URL()})
	return &rig{t: t, server: server, admin: server.Client(t), clients: clients, reader: snapshot.NewReader(clients, snapshot.ReaderConfig{})}
}

// A cluster that somebody has forgotten stays so, whoever remembers it, until its
// agents are there again.
func TestForgottenClustersStayForgotten(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.putBeat(cluster, "a1", time.Minute, beat.Beat{})
	first, second := r.replica(), newRigOn(t, r.server).replica()
	if err := snapshot.Forget(t.Context(), r.clients, cluster); err != nil {
		t.Fatal(err)
	}
	// A look that is under way may have seen its beat.
	redistest.Eventually(t, "it is unknown to both", func() bool {
		_, err := first.reader.Section(t.Context(), cluster, "a")
		infos, listErr := second.reader.Clusters(t.Context())
		return fault.Is(err, fault.ClusterUnknown) && listErr == nil && len(infos) == 0
	})
	// Not even a Redis that lost what was forgotten brings it back.
	redistest.Eventually(t, "both have forgotten it", func() bool { return !first.reader.Known(cluster) && !second.reader.Known(cluster) })
	if score := r.admin.ZScore(t.Context(), key.Clusters, string(cluster)).Val(); score >= 0 {
		t.Errorf("its score is %f, want the negative of a time", score)
	}
	r.server.FlushAll()
	first.wantSection(fault.ClusterUnknown, "ever seen")

	if err := snapshot.Forget(t.Context(), r.clients, cluster); err != nil {
		t.Fatal(err)
	}
	// The beat is one of after: Redis's clock counts milliseconds.
	redistest.Eventually(t, "it is known again", func() bool {
		r.putBeat(cluster, "a1", 0, beat.Beat{})
		return first.reader.Known(cluster) && second.reader.Known(cluster)
	})
	first.wantSection(fault.NotReady, "first snapshot")
	if err := snapshot.Forget(t.Context(), r.clients, "No {id}"); err == nil {
		t.Error("forgot what is no cluster")
	}
}

// In Redis Cluster one server may be away, for good if nothing replaces it: what the
// others hold is shown, and what it holds is not said to be offline.
func TestOneServerOfRedisClusterIsAway(t *testing.T) {
	t.Parallel()
	topology := redistest.StartCluster(t, redistest.WithArgs("--cluster-require-full-coverage", "no"))
	// The product's timeouts: what is frozen is not waited for.
	clients := conntest.Open(t, conn.Config{URL: topology.URL(), Timeout: 3 * time.Second, DialTimeout: 3 * time.Second})
	// Two clusters on the server of the list, and two on another one.
	listServer := topology.Owner(key.Clusters)
	var near, far []key.Cluster
	var farServer *redistest.Server
	for n := 0; len(near) < 2 || len(far) < 2; n++ {
		c := key.Cluster("c" + string(rune('a'+n)))
		switch owner := topology.Owner(c.Meta()); {
		case owner == listServer && len(near) < 2:
			near = append(near, c)
		case owner != listServer && (farServer == nil || owner == farServer) && len(far) < 2:
			far, farServer = append(far, c), owner
		}
	}
	r := &rig{t: t, clients: clients}
	for _, c := range slices.Concat(near, far) {
		w := r.writer(func(cfg *snapshot.WriterConfig) { cfg.Cluster, cfg.Interval = c, time.Hour }) // it outlives the test
		if err := w.Beat(t.Context(), snapshot.Beat{Slots: 4}); err != nil {
			t.Fatal(err)
		}
		r.publish(w, good(t, "a", 1))
	}
	reader := snapshot.NewReader(clients, snapshot.ReaderConfig{GatherInterval: 100 * time.Millisecond})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- reader.Gather(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	states := func() map[key.Cluster]snapshot.State {
		infos, err := reader.Clusters(t.Context())
		if err != nil {
			t.Logf("the list: %v", err)
			return nil
		}
		out := map[key.Cluster]snapshot.State{}
		for _, i := range infos {
			out[i.ID] = i.State
			if (i.State == snapshot.SnapshotUnreachable) != (i.Status == snapshot.Unknown) || i.LastSeen.IsZero() {
				t.Errorf("%s: status %s, state %s, last seen %v", i.ID, i.Status, i.State, i.LastSeen)
			}
		}
		return out
	}
	want := func(what string, near2, far2 snapshot.State) {
		t.Helper()
		redistest.Eventually(t, what, func() bool {
			got := states()
			return len(got) == 4 && got[near[0]] == near2 && got[near[1]] == near2 && got[far[0]] == far2 && got[far[1]] == far2
		})
	}
	want("all are there", snapshot.SnapshotLive, snapshot.SnapshotLive)

	topology.Replica(farServer).Stop()
	farServer.Freeze()
	want("those of the other server are there", snapshot.SnapshotLive, snapshot.SnapshotUnreachable)
	redistest.Eventually(t, "a section on a server that is there is read", func() bool {
		_, err := reader.Section(t.Context(), near[0], "a")
		return err == nil
	})
	if _, err := reader.Cluster(t.Context(), far[0]); !fault.Is(err, fault.StoreUnavailable) {
		t.Errorf("a cluster on the server that is away: %v", err)
	}
	farServer.Thaw()
	want("all are there again", snapshot.SnapshotLive, snapshot.SnapshotLive)

	// The list is away, too: what this process has seen is all that is left of it.
	topology.Replica(listServer).Stop()
	listServer.Freeze()
	want("those of the servers that are left are there", snapshot.SnapshotUnreachable, snapshot.SnapshotLive)
	redistest.Eventually(t, "a section that is not there is not ready", func() bool {
		_, err := reader.Section(t.Context(), far[0], "b")
		return fault.Is(err, fault.NotReady)
	})
	listServer.Thaw()
	want("all are there at last", snapshot.SnapshotLive, snapshot.SnapshotLive)
}
