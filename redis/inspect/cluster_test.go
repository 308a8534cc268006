package inspect_test

import (
	"fmt"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/conn/conntest"
	"github.com/atlhyper/observe/redis/inspect"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/redis/snapshot"
)

// When one server of Redis Cluster is away, what the others hold is shown, and it is said
// what may be missing.
func TestOneServerOfRedisClusterIsAway(t *testing.T) {
	t.Parallel()
	topology := redistest.StartCluster(t, redistest.WithArgs("--cluster-require-full-coverage", "no"))
	clients := conntest.Open(t, conn.Config{URL: topology.URL()})
	listServer := topology.Owner(key.Clusters)
	var near, far, unlisted key.Cluster
	for n := 0; near == "" || far == "" || unlisted == ""; n++ {
		c := key.Cluster(fmt.Sprintf("c%d", n))
		switch isNear := topology.Owner(c.Meta()) == listServer; {
		case isNear && near == "":
			near = c
		case isNear && unlisted == "":
			unlisted = c
		case !isNear && far == "":
			far = c
		}
	}
	for _, c := range []key.Cluster{near, far, unlisted} {
		w, err := snapshot.NewWriter(clients, snapshot.WriterConfig{Cluster: c, Instance: "a1"})
		must(t, err)
		must(t, w.Beat(t.Context(), snapshot.Beat{}))
		must(t, clients.Normal.RPush(t.Context(), c.Commands(), "x").Err())
	}
	for _, c := range []key.Cluster{near, far} {
		must(t, clients.Normal.ZAdd(t.Context(), key.Clusters, redis.Z{Member: string(c), Score: float64(clients.Now().UnixMilli())}).Err())
	}
	i := inspect.New(clients, inspect.Config{})
	got, err := i.Clusters(t.Context())
	must(t, err)
	if len(got.Clusters) != 3 || got.Incomplete != "" {
		t.Fatalf("%+v, want three", got)
	}
	for _, c := range got.Clusters {
		if c.Waiting == nil || *c.Waiting != 1 || c.Error != "" || c.Listed == (c.ID == string(unlisted)) {
			t.Errorf("%+v", c)
		}
	}

	farServer := topology.Owner(far.Meta())
	topology.Replica(farServer).Stop()
	farServer.Freeze()
	got, err = i.Clusters(t.Context())
	must(t, err)
	if got.Incomplete == "" {
		t.Error("nothing says that clusters may be missing")
	}
	known := map[string]inspect.Cluster{}
	for _, c := range got.Clusters {
		known[c.ID] = c
	}
	if c := known[string(far)]; c.Status != "unknown" || c.Snapshot.State != "unreachable" || c.Waiting != nil || c.Error == "" {
		t.Errorf("the one that is away: %+v", c)
	}
	if c := known[string(near)]; c.Status == "unknown" || c.Waiting == nil || *c.Waiting != 1 {
		t.Errorf("the one that is there: %+v", c)
	}
	farServer.Thaw()
}
