package key_test

import (
	"strings"
	"testing"

	"github.com/atlhyper/observe/redis/key"
)

// The spelling is a contract with people who use redis-cli and with ACL rules.
func TestSpelling(t *testing.T) {
	t.Parallel()
	c := key.Cluster("prod-1")
	for got, want := range map[string]string{
		c.Pattern():          "atlhyper:{prod-1}:*",
		c.Snapshot():         "atlhyper:{prod-1}:snapshot",
		c.Meta():             "atlhyper:{prod-1}:meta",
		c.Agents():           "atlhyper:{prod-1}:agents",
		c.Commands():         "atlhyper:{prod-1}:commands",
		c.Claimed("a.1"):     "atlhyper:{prod-1}:claimed:a.1",
		c.Reply("x"):         "atlhyper:{prod-1}:reply:x",
		c.Result("h"):        "atlhyper:{prod-1}:result:h",
		c.Events():           "atlhyper:{prod-1}:events",
		c.Replies("m1"):      "atlhyper:{prod-1}:replies:m1",
		c.Cancels():          "atlhyper:{prod-1}:cancels",
		string(key.Clusters): "atlhyper:clusters",

		key.RepliesPattern("m1"): "atlhyper:{*}:replies:m1",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestClusterOf(t *testing.T) {
	t.Parallel()
	if c, ok := key.ClusterOf("atlhyper:{prod-1}:events"); !ok || c != "prod-1" {
		t.Errorf("ClusterOf = %q, %v", c, ok)
	}
	for _, bad := range []string{"", "atlhyper:clusters", "other:{a}:events", "atlhyper:{a", "atlhyper:{}:events", "atlhyper:{A*}:events"} {
		if c, ok := key.ClusterOf(bad); ok {
			t.Errorf("ClusterOf(%q) = %q, want none", bad, c)
		}
	}
}

func TestValidateCluster(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"a", "prod-1", strings.Repeat("x", 63)} {
		if err := key.ValidateCluster(good); err != nil {
			t.Errorf("ValidateCluster(%q) = %v", good, err)
		}
	}
	for _, bad := range []string{"", "A", "a b", "a}", "{a", "a*", "a?", "a[", "ü", "a\x00", "a_b", strings.Repeat("x", 64)} {
		err := key.ValidateCluster(bad)
		if err == nil || !strings.HasPrefix(err.Error(), "cluster_id: ") {
			t.Errorf("ValidateCluster(%q) = %v, want an error that names cluster_id", bad, err)
		}
	}
}
