package main

import (
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"github.com/atlhyper/observe/redis/acl"
	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/conn/conntest"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/redis/snapshot"
)

func forget(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var c commands
	parser, err := kong.New(&c, options()...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(append([]string{"forget"}, args...)); err != nil {
		return "", err
	}
	var out strings.Builder
	err = c.Forget.forget(t.Context(), &out)
	return out.String(), err
}

// A cluster whose agents have stopped is forgotten, with a master's rights; one that
// lives is not, nor one that nobody knows.
func TestForget(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	admin := server.Client(t)
	rules, err := acl.SetUser(acl.Config{Role: acl.Master, User: "master", Password: acl.Hash("secret")})
	if err != nil {
		t.Fatal(err)
	}
	set := []any{"ACL", "SETUSER"}
	for _, rule := range rules {
		set = append(set, rule)
	}
	if err := admin.Do(t.Context(), set...).Err(); err != nil {
		t.Fatal(err)
	}
	clients := conntest.Open(t, conn.Config{URL: server.URL()})
	agent, err := snapshot.NewWriter(clients, snapshot.WriterConfig{Cluster: "east", Instance: "a1"})
	if err != nil {
		t.Fatal(err)
	}
	publish := func() {
		t.Helper()
		if err := agent.Beat(t.Context(), snapshot.Beat{}); err != nil {
			t.Fatal(err)
		}
		if _, err := agent.Publish(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
	}
	flags := []string{"--redis", server.URL(), "--redis-username", "master", "--redis-password", "secret"}
	refused := func(cluster, says string) {
		t.Helper()
		if out, err := forget(t, append(flags, cluster)...); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %q, %v, want an error that says %q", cluster, out, err, says)
		}
	}
	refused("west", "cluster_unknown")
	refused("No {id}", "cluster_id")
	redistest.Eventually(t, "the answer comes within the life of a beat", func() bool {
		began := time.Now()
		publish()
		out, err := forget(t, append(flags, "east")...)
		if time.Since(began) >= key.BeatExpiry-clockError {
			return false // it may have been too old in the end
		}
		if err == nil || !strings.Contains(err.Error(), "a1 of cluster east is online") {
			t.Errorf("east lives: %q, %v", out, err)
		}
		return true
	})
	if err := agent.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	if out, err := forget(t, append(flags, "east")...); err != nil || !strings.Contains(out, "east is forgotten") {
		t.Errorf("%q, %v", out, err)
	}
	if keys := admin.Keys(t.Context(), "*").Val(); len(keys) != 1 || keys[0] != key.Clusters {
		t.Errorf("left are %v", keys)
	}
}
