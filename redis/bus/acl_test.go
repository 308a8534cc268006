package bus_test

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/atlhyper/observe/redis/bus"
	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/fault"
)

// agentACL is what an agent needs, and nothing outside its cluster's keys.
const agentACL = "resetkeys resetchannels -@all ~atlhyper:{east}:* &atlhyper:{east}:* " +
	"+set +hset +hdel +hget +hgetall +hexists +hlen +del +exists +expire +pexpire +pttl " +
	"+lmove +blmove +lpush +rpush +lrange +lrem +publish +subscribe +unsubscribe " +
	"+multi +exec +evalsha +eval +time +ping +client|setname"

// An agent with the rights above can do all it does, and nothing to other clusters.
func TestAgentWithLeastRights(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	args := []any{"ACL", "SETUSER", "east", "on", ">secret"}
	for _, rule := range strings.Fields(agentACL) {
		args = append(args, rule)
	}
	r.do(r.admin.Do(t.Context(), args...))
	client := r.client(bus.ClientConfig{})

	agent, err := conn.Open(conn.Config{URL: strings.Replace(r.server.URL(), "redis://", "redis://east:secret@", 1), ClientName: "agent"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := agent.Close(); err != nil {
			t.Error(err)
		}
	})
	w, err := snapshot.NewWriter(agent, snapshot.WriterConfig{Cluster: cluster, Instance: "a1"})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		_, err := w.Publish(t.Context(), []snapshot.Update{{Name: "a", Data: encode(t, 1)}, {Name: "b", Err: "away"}})
		if err := errors.Join(err, w.Beat(t.Context(), snapshot.Beat{})); err != nil {
			t.Fatal(err)
		}
		// The second time Redis has to be filled again.
		if _, err := r.admin.Del(t.Context(), cluster.Snapshot()).Result(); err != nil {
			t.Fatal(err)
		}
	}
	r.oldBeat("dead", 11_000_000_000)
	r.do(r.admin.RPush(t.Context(), cluster.Claimed("dead"), r.command("c1", nil)))
	s, err := bus.NewServer(agent, bus.ServerConfig{Cluster: cluster, Instance: "a1", Handle: echo, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	stop := r.run(s.Run)
	if _, err := client.Do(t.Context(), cluster, echoRequest(t, 1)); err != nil {
		t.Error(err)
	}
	if reply := r.reply("c1"); reply.Agent != "a1" {
		t.Errorf("the command of a dead agent: %+v", reply)
	}
	redistest.Eventually(t, "cancels are heard", func() bool {
		r.do(r.admin.Publish(t.Context(), cluster.Cancels(), "x"))
		return s.Stats().Canceled > 0
	})
	if err := stop(); err != nil {
		t.Error(err)
	}
	if err := w.Leave(t.Context()); err != nil {
		t.Error(err)
	}
	log, err := r.admin.ACLLog(t.Context(), 10).Result()
	if err != nil || len(log) != 0 {
		t.Errorf("refused: %+v, %v", log, err)
	}

	other, err := snapshot.NewWriter(agent, snapshot.WriterConfig{Cluster: "west", Instance: "a1"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = other.Publish(t.Context(), []snapshot.Update{{Name: "a", Data: encode(t, 1)}})
	wantCode(t, err, fault.StoreUnavailable)
	wantCode(t, other.Beat(t.Context(), snapshot.Beat{}), fault.StoreUnavailable)
}
