package dashboard_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/codec"
	"github.com/atlhyper/observe/shared/model"
)

// The snapshot outlives its agent: while it does, answers and the list of clusters
// say that the agent is gone.
func TestAnAgentThatLeftIsSaid(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.publish(t, model.SectionMetricsNodes, []model.NodeMetrics{}, "")
	there, b := h.once(t, model.SectionMetricsNodes, "the cluster is online", func(b body) bool {
		h.beat(t)
		return b.Meta.ClusterStatus == "online"
	})
	if string(b.Data) != "[]" {
		t.Errorf("an empty section of a live cluster: %+v with %s", b.Meta, b.Data)
	}

	if err := h.writer.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	gone, b := h.once(t, model.SectionMetricsNodes, "the agent left", func(b body) bool { return b.Meta.ClusterStatus == "offline" })
	if *b.Meta.Stale || gone.ETag() == there.ETag() {
		t.Errorf("after the agent left: %+v, tag %q and %q", b.Meta, there.ETag(), gone.ETag())
	}
	c, err := h.service.Cluster(t.Context(), cluster)
	if err != nil || c.Status != "offline" || c.Snapshot.State != "live" || c.Snapshot.PublishedAt == "" || c.Snapshot.ExpiredAt != "" {
		t.Errorf("cluster %+v, %v", c, err)
	}

	// Old data of a cluster without an agent says why it is old.
	data, err := codec.Encode([]model.NodeMetrics{})
	if err != nil {
		t.Fatal(err)
	}
	old := snapshot.Update{Name: model.SectionMetricsNodes, Data: data, At: time.Now().Add(-45 * time.Second)}
	if _, err := h.writer.Publish(t.Context(), []snapshot.Update{old}); err != nil {
		t.Fatal(err)
	}
	h.once(t, model.SectionMetricsNodes, "it is 45 s old", func(b body) bool {
		return *b.Meta.Stale && b.Meta.Error == "no agent of the cluster is online; the last collection is over 3 intervals old"
	})

	// The beat tells of the snapshot when it is gone.
	if err := h.writer.Beat(t.Context(), snapshot.Beat{}); err != nil {
		t.Fatal(err)
	}
	if err := h.redis.Client(t).Del(t.Context(), cluster.Meta(), cluster.Snapshot()).Err(); err != nil {
		t.Fatal(err)
	}
	c, err = h.service.Cluster(t.Context(), cluster)
	if err != nil || c.Status != "stale" || c.Snapshot.State != "lost" || c.Snapshot.PublishedAt == "" {
		t.Errorf("cluster %+v, %v", c, err)
	}
	// One that only the list of clusters knows, and no replica remembers, expired when it
	// was last seen.
	if err := h.redis.Client(t).Del(t.Context(), cluster.Agents()).Err(); err != nil {
		t.Fatal(err)
	}
	if err := h.putListed(t, time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	c, err = newService(t, waiting(snapshot.NewReader(h.clients, snapshot.ReaderConfig{}))).Cluster(t.Context(), cluster)
	if err != nil || c.Status != "offline" || c.Snapshot.State != "expired" || c.Snapshot.ExpiredAt == "" || c.Snapshot.ExpiredAt != c.LastSeen {
		t.Errorf("cluster %+v, %v", c, err)
	}
}

func (h *house) putListed(t *testing.T, at time.Time) error {
	t.Helper()
	return h.redis.Client(t).ZAdd(t.Context(), key.Clusters, redis.Z{Member: string(cluster), Score: float64(at.UnixMilli())}).Err()
}
