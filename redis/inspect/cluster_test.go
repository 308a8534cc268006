package inspect_test

import (
	"fmt"
	"testing"
	"time"

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
	// The product's timeouts: what is frozen is not waited for.
	clients := conntest.Open(t, conn.Config{URL: topology.URL(), Timeout: 3 * time.Second, DialTimeout: 3 * time.Second})
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
	// Each server has a second to answer, which is not much on a machine that is busy.
	shows := func(what string, is func(inspect.Clusters) bool) {
		t.Helper()
		redistest.Eventually(t, what, func() bool {
			got, err := i.Clusters(t.Context())
			ok := err == nil && is(got)
			if !ok {
				t.Logf("%+v, %v", got, err)
			}
			return ok
		})
	}
	shows("all three, with their queues", func(got inspect.Clusters) bool {
		for _, c := range got.Clusters {
			if c.Waiting == nil || *c.Waiting != 1 || c.Error != "" || c.Listed == (c.ID == string(unlisted)) {
				return false
			}
		}
		return len(got.Clusters) == 3 && got.Incomplete == ""
	})

	farServer := topology.Owner(far.Meta())
	topology.Replica(farServer).Stop()
	farServer.Freeze()
	shows("what is there, and that clusters may be missing", func(got inspect.Clusters) bool {
		known := map[string]inspect.Cluster{}
		for _, c := range got.Clusters {
			known[c.ID] = c
		}
		away, there := known[string(far)], known[string(near)]
		return got.Incomplete != "" &&
			away.Status == "unknown" && away.Snapshot.State == "unreachable" && away.Waiting == nil && away.Error != "" &&
			there.Status != "unknown" && there.Waiting != nil && *there.Waiting == 1
	})
	farServer.Thaw()
}
