package bus_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/atlhyper/observe/redis/bus"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/redistest"
)

// asking starts a request of the client and returns the command, which no agent has
// taken, and what becomes of it.
func (r *rig) asking(client *bus.Client) (bus.Command, <-chan string) {
	r.t.Helper()
	got := make(chan string, 1)
	go func() {
		reply, err := client.Do(r.t.Context(), cluster, echoRequest(r.t, 1))
		if err != nil {
			got <- err.Error()
			return
		}
		got <- decode[string](r.t, reply.Data)
	}()
	return r.fakeAgent(), got
}

// announce publishes what somebody hears.
func (r *rig) announce(c key.Cluster, cmd bus.Command, announcement string) {
	r.t.Helper()
	redistest.Eventually(r.t, "somebody listens", func() bool {
		return r.admin.Publish(r.t.Context(), c.Replies(cmd.Replica), announcement).Val() > 0
	})
}

// patient is longer than any test: what is found was not found by a sweep.
const patient = time.Hour

// A short reply is delivered when it is announced, and its key is deleted afterwards; a
// long one is read from its key, and so is one for a master that wants it there.
func TestCarriedReplies(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	client, err := bus.NewClient(r.open("master"), bus.ClientConfig{Replica: "m1", SweepInterval: patient})
	if err != nil {
		t.Fatal(err)
	}
	stop := r.run(client.Run)
	redistest.Eventually(t, "it listens", func() bool { return r.admin.PubSubNumPat(t.Context()).Val() > 0 })
	_, _ = r.agent(bus.ServerConfig{Handle: echo})
	for i, length := range []int{10, 8000, 9000} {
		text := strings.Repeat("x", length)
		reply, err := client.Do(t.Context(), cluster, echoRequest(t, text))
		if err != nil {
			t.Fatal(err)
		}
		if decode[string](t, reply.Data) != text {
			t.Errorf("%d bytes: got the reply of another", length)
		}
		stats := client.Stats()
		if want := int64(min(i+1, 2)); stats.Carried != want {
			t.Errorf("%d bytes: %d replies came with their announcements, want %d", length, stats.Carried, want)
		}
		if stats.ReplyBytes < int64(length) {
			t.Errorf("%d bytes: %d counted", length, stats.ReplyBytes)
		}
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if keys := r.keys(cluster.Reply("*")); len(keys) > 0 {
		t.Errorf("%q are left", keys)
	}

	announcements := r.admin.Subscribe(t.Context(), cluster.Replies("m2"))
	defer func() {
		if err := announcements.Close(); err != nil {
			t.Error(err)
		}
	}()
	if _, err := announcements.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	for id, carry := range map[string]int{"none": 0, "negative": -1, "less": 40} {
		r.do(r.admin.RPush(t.Context(), cluster.Commands(), r.command(id, func(c *bus.Command) { c.Carry = carry })))
		message, err := announcements.ReceiveMessage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if message.Payload != id {
			t.Errorf("announced %q, want the id %s alone", message.Payload, id)
		}
		r.reply(id)
	}
}

func (r *rig) keys(pattern string) []string {
	r.t.Helper()
	// The braces of a cluster's keys are literal in patterns.
	keys, err := r.admin.Keys(r.t.Context(), pattern).Result()
	if err != nil {
		r.t.Fatal(err)
	}
	return keys
}

// Replies that come with their announcement alone, from agents that break off after it.
func TestAnnouncedWithoutAKey(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.beats("a1")
	client := r.client(bus.ClientConfig{SweepInterval: patient})
	cmd, got := r.asking(client)
	reply := func(text string) string {
		return cmd.ID + " " + string(encode(t, bus.Reply{V: bus.Version, ID: cmd.ID, Agent: "a1", Data: encode(t, text)}))
	}
	r.announce(cluster, cmd, reply("first"))
	r.announce(cluster, cmd, reply("second"))
	if text := <-got; text != "first" {
		t.Errorf("got %q, want the first reply", text)
	}
}

// What is announced is not trusted more than what lies in a key: when it cannot be
// used, the key is read.
func TestHostileAnnouncements(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.beats("a1")
	client := r.client(bus.ClientConfig{SweepInterval: patient})
	for name, tt := range map[string]struct {
		from         key.Cluster
		announcement func(id string, reply []byte) string
	}{
		"nothing":    {cluster, func(id string, _ []byte) string { return id + " " }},
		"junk":       {cluster, func(id string, _ []byte) string { return id + " \xdf\xff\xff\xff\xff" }},
		"deep":       {cluster, func(id string, _ []byte) string { return id + " " + strings.Repeat("\x91", 900) }},
		"truncated":  {cluster, func(id string, reply []byte) string { return id + " " + string(reply[:len(reply)-1]) }},
		"more":       {cluster, func(id string, reply []byte) string { return id + " " + string(reply) + "x" }},
		"two spaces": {cluster, func(id string, reply []byte) string { return id + "  " + string(reply) }},
		"too long":   {cluster, func(id string, _ []byte) string { return id + " " + forged(t, id, strings.Repeat("x", 9000)) }},
		"version":    {cluster, func(id string, _ []byte) string { return id + " " + string(encode(t, bus.Reply{V: 2, ID: id})) }},
		"other id":   {cluster, func(id string, _ []byte) string { return id + " " + forged(t, "x", "forged") }},
		"other code": {cluster, func(id string, _ []byte) string {
			return id + " " + string(encode(t, bus.Reply{V: bus.Version, ID: id, Code: "sudo"}))
		}},
		"other cluster": {"west", func(id string, _ []byte) string { return id + " " + forged(t, id, "forged") }},
		"no id":         {cluster, func(string, []byte) string { return " " }},
		"not an id":     {cluster, func(id string, reply []byte) string { return "../" + id + " " + string(reply) }},
	} {
		cmd, got := r.asking(client)
		r.announce(tt.from, cmd, tt.announcement(cmd.ID, encode(t, bus.Reply{V: bus.Version, ID: cmd.ID, Data: encode(t, "half")})))
		// Whatever was made of that, the reply that is there now is read.
		r.do(r.admin.RPush(t.Context(), cluster.Reply(cmd.ID), forged(t, cmd.ID, "true")))
		r.announce(cluster, cmd, cmd.ID)
		if text := <-got; text != "true" {
			t.Errorf("%s: got %q", name, text)
		}
	}
	if carried := client.Stats().Carried; carried != 0 {
		t.Errorf("%d hostile announcements were taken for replies", carried)
	}
}

func forged(t *testing.T, id, text string) string {
	t.Helper()
	return string(encode(t, bus.Reply{V: bus.Version, ID: id, Data: encode(t, text)}))
}

// Many replies are deleted long before the sweep comes.
func TestManyCarriedRepliesAreDeleted(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	client := r.client(bus.ClientConfig{SweepInterval: patient})
	_, _ = r.agent(bus.ServerConfig{Handle: echo})
	const n = 600
	if failed := flood(t, client, n, 20); len(failed) > 0 {
		t.Fatal(failed[0])
	}
	redistest.Eventually(t, "most of them are deleted", func() bool { return len(r.keys(cluster.Reply("*"))) < n/2 })
}

// Commands that come one by one are taken without a look for more, and what is taken
// lives no longer than an agent could need it, should that vanish.
func TestOneByOneIsNotDrained(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var lives []time.Duration
	client := r.client(bus.ClientConfig{})
	_, _ = r.agent(bus.ServerConfig{Handle: func(ctx context.Context, cmd bus.Command) bus.Reply {
		// That is set a moment after the command is handed out.
		redistest.Eventually(t, "the claimed list has an end", func() bool { return r.admin.PTTL(ctx, cluster.Claimed("a1")).Val() > 0 })
		lives = append(lives, r.admin.PTTL(ctx, cluster.Claimed("a1")).Val())
		return echo(ctx, cmd)
	}})
	const n = 20
	if failed := flood(t, client, n, 1); len(failed) > 0 {
		t.Fatal(failed[0])
	}
	if moves := r.calls("lmove"); moves > 0 {
		t.Errorf("%d looks for more", moves)
	}
	if len(lives) != n {
		t.Errorf("%d commands ran, want %d", len(lives), n)
	}
	for _, life := range lives {
		if life <= 0 || life > key.ClaimedTTL {
			t.Errorf("the claimed list lives for %s", life)
		}
	}
}

// An announcement is a shortcut: what a master that has just subscribed again did not
// hear is read from its key.
func TestCarriedAndNotHeard(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.beats("a1")
	client := r.client(bus.ClientConfig{SweepInterval: patient})
	cmd, got := r.asking(client)
	// As if it had been published while nobody listened.
	r.do(r.admin.RPush(t.Context(), cluster.Reply(cmd.ID), forged(t, cmd.ID, "true")))
	// A cut may come before the subscription; then one more ends the wait.
	redistest.Eventually(t, "the subscription comes back", func() bool {
		r.do(r.admin.ClientKillByFilter(t.Context(), "TYPE", "pubsub"))
		return len(got) > 0
	})
	if text := <-got; text != "true" {
		t.Errorf("got %q", text)
	}
}
