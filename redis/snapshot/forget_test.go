package snapshot_test

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/conn/conntest"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/redis/snapshot"
)

func TestEraseRemovesOneClusterAndNoOther(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	clients := conntest.Open(t, conn.Config{URL: server.URL()})
	client := server.Client(t)
	gone, kept := key.Cluster("a"), key.Cluster("a-2")
	for _, c := range []key.Cluster{gone, kept} {
		for _, k := range []string{c.Snapshot(), c.Meta(), c.Agents(), c.Commands(), c.Claimed("i"), c.Reply("1")} {
			if err := client.Set(t.Context(), k, "x", 0).Err(); err != nil {
				t.Fatal(err)
			}
		}
		if err := client.ZAdd(t.Context(), key.Clusters, redis.Z{Score: 1, Member: string(c)}).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := snapshot.Erase(t.Context(), clients, gone); err != nil {
		t.Fatal(err)
	}
	left, err := client.Keys(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range left {
		if c, ok := key.ClusterOf(k); ok && c == gone {
			t.Errorf("%s is still there", k)
		}
	}
	if len(left) != 6+1 {
		t.Errorf("%d keys are left, want the other cluster's 6 and the list", len(left))
	}
	members, err := client.ZRange(t.Context(), key.Clusters, 0, -1).Result()
	if err != nil || len(members) != 1 || members[0] != string(kept) {
		t.Errorf("the list holds %v, %v", members, err)
	}
}
