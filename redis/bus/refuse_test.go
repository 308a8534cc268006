package bus_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/atlhyper/observe/redis/bus"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/codec"
	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/fault"
)

func count(s, substr string) int { return strings.Count(s, substr) }

func TestNoLiveAgentIsAnsweredAtOnce(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		setup func(*rig)
		want  fault.Code
		known bool // to this process
	}{
		{name: "never seen", setup: func(*rig) {}, want: fault.ClusterUnknown},
		{name: "lost by Redis", setup: func(*rig) {}, want: fault.AgentOffline, known: true},
		{name: "forgotten", setup: func(r *rig) {
			if err := snapshot.Forget(r.t.Context(), r.open("operator"), cluster); err != nil {
				r.t.Fatal(err)
			}
		}, want: fault.ClusterUnknown, known: true},
		{name: "beat too old", setup: func(r *rig) { r.oldBeat("a1", key.BeatExpiry+time.Second) }, want: fault.AgentOffline},
		{name: "beat from the future", setup: func(r *rig) { r.oldBeat("a1", -time.Hour) }, want: fault.AgentOffline},
		{name: "not a beat", setup: func(r *rig) { r.do(r.admin.HSet(t.Context(), cluster.Agents(), "a1", "\xff\x00junk")) }, want: fault.AgentOffline},
		{name: "seen days ago", setup: func(r *rig) {
			r.do(r.admin.ZAdd(t.Context(), key.Clusters, redis.Z{Member: string(cluster), Score: 1_700_000_000_000}))
		}, want: fault.AgentOffline},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			tt.setup(r)
			client := r.client(bus.ClientConfig{Known: func(c key.Cluster) bool { return tt.known && c == cluster }})
			_, err := client.Do(t.Context(), cluster, echoRequest(t, 1))
			wantCode(t, err, tt.want)
			if left := r.list(cluster.Commands()); len(left) != 0 {
				t.Errorf("%d commands were pushed all the same", len(left))
			}
			if n := client.Waiting(); n != 0 {
				t.Errorf("%d still wait", n)
			}
		})
	}
}

func TestQueueAndWaitersAreBounded(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.beats("a1")
	client := r.client(bus.ClientConfig{MaxQueue: 3, MaxWaiters: 5, MaxClusterWaiters: 4})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 3)
	for range 3 {
		go func() {
			_, err := client.Do(ctx, cluster, echoRequest(t, 1))
			done <- err
		}()
	}
	redistest.Eventually(t, "three in the list", func() bool { return len(r.list(cluster.Commands())) == 3 })

	_, err := client.Do(t.Context(), cluster, echoRequest(t, 1))
	wantCode(t, err, fault.QueueFull)
	if e := fault.From(err); e.RetryAfter <= 0 || !strings.Contains(e.Message, "east") {
		t.Errorf("queue_full of the list = %+v, want the cluster and a time to retry", e)
	}

	narrow := r.client(bus.ClientConfig{MaxWaiters: 1})
	go func() {
		_, err := narrow.Do(ctx, cluster, echoRequest(t, 1))
		done <- err
	}()
	redistest.Eventually(t, "one waits", func() bool { return narrow.Waiting() == 1 && len(r.list(cluster.Commands())) == 4 })
	_, err = narrow.Do(t.Context(), cluster, echoRequest(t, 1))
	wantCode(t, err, fault.QueueFull)

	// Who hangs up leaves nothing behind.
	cancel()
	for range 4 {
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Do after cancel = %v, want %v", err, context.Canceled)
		}
	}
	redistest.Eventually(t, "all were taken back", func() bool { return len(r.list(cluster.Commands())) == 0 })
	redistest.Eventually(t, "nobody waits", func() bool { return client.Waiting() == 0 && narrow.Waiting() == 0 })
}

func TestBadRequests(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.beats("a1")
	client := r.client(bus.ClientConfig{})
	big := echoRequest(t, strings.Repeat("x", bus.MaxCommandBytes))
	late, never := echoRequest(t, 1), echoRequest(t, 1)
	late.Timeout, never.Timeout = time.Hour, 0
	broken := echoRequest(t, 1)
	broken.Params = codec.Raw("\xc1")
	for name, req := range map[string]bus.Request{"too long": big, "timeout": late, "no timeout": never, "params": broken} {
		if _, err := client.Do(t.Context(), cluster, req); !fault.Is(err, fault.BadRequest) {
			t.Errorf("%s: %v, want bad_request", name, err)
		}
	}
	_, err := client.Do(t.Context(), "No Such {Name}", echoRequest(t, 1))
	wantCode(t, err, fault.BadRequest)
}

// A claimed command is answered whatever it holds, or dropped when nobody could
// read the answer; nothing stays behind.
func TestEveryClaimedCommandIsAnswered(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	agent := r.idle(bus.ServerConfig{MaxReplyBytes: 1000, Handle: func(ctx context.Context, cmd bus.Command) bus.Reply {
		switch cmd.Kind {
		case "panic":
			panic("boom")
		case "large":
			return bus.Reply{Data: encode(t, strings.Repeat("x", 2000))}
		case "broken":
			return bus.Reply{Data: codec.Raw("\xc1")}
		default:
			return echo(ctx, cmd)
		}
	}})
	kind := func(k string) func(*bus.Command) {
		return func(c *bus.Command) { c.Kind = detail.Kind(k) }
	}
	for _, raw := range []string{
		r.command("ok", nil),
		r.command("panic", kind("panic")),
		r.command("large", kind("large")),
		r.command("broken", kind("broken")),
		r.command("version", func(c *bus.Command) { c.V = 99 }),
		r.command("trace", func(c *bus.Command) { c.Traceparent = strings.Repeat("x", 1000) }),
		r.command("replica", func(c *bus.Command) { c.Replica = "No {replica}*" }),
		r.command("expired", func(c *bus.Command) { c.Deadline = time.Now().Add(-time.Minute).UnixMilli() }),
		r.command("negative", func(c *bus.Command) { c.Deadline = -1 << 62 }),
		r.command("forever", func(c *bus.Command) { c.Deadline = 1 << 62 }),
		r.command("../../etc", nil), "", "junk", "\xc1", "\xdf\xff\xff\xff\xff", strings.Repeat("\x91", 100_000),
		string(encode(t, map[string]any{"v": 1, "id": "typed", "params": 1, "kind": 5, "deadline": time.Now().Add(time.Minute).UnixMilli()})),
	} {
		r.do(r.admin.RPush(t.Context(), cluster.Commands(), raw))
	}
	r.run(agent.Run)
	for id, want := range map[string]fault.Code{
		"ok": "", "panic": fault.AgentError, "large": fault.ResultTooLarge, "broken": fault.AgentError,
		"version": fault.BadRequest, "trace": fault.BadRequest, "replica": "", "forever": "", "typed": fault.BadRequest,
	} {
		got := r.reply(id)
		if got.Code != want || got.ID != id || got.Agent != "a1" || got.V != bus.Version {
			t.Errorf("%s: reply %+v, want code %q", id, got, want)
		}
		if got.Code != "" && (got.Message == "" || strings.Contains(got.Message, "boom")) {
			t.Errorf("%s: message %q", id, got.Message)
		}
	}
	redistest.Eventually(t, "nothing is left", func() bool {
		return len(r.list(cluster.Commands()))+len(r.list(cluster.Claimed("a1"))) == 0
	})
	redistest.Eventually(t, "2 expired, 6 undecodable, 3 refused, 1 panic, 1 too large", func() bool {
		s := agent.Stats()
		return s.Expired == 2 && s.Undecodable == 6 && s.Refused == 3 && s.Panics == 1 && s.TooLarge == 1
	})
	for _, id := range []string{"expired", "negative"} {
		if n := len(r.list(cluster.Reply(id))); n != 0 {
			t.Errorf("%s: %d replies, want none: nobody waits", id, n)
		}
	}
	if ttl := r.admin.PTTL(t.Context(), cluster.Reply("forever")).Val(); ttl <= 0 || ttl > 2*time.Minute {
		t.Errorf("the reply to a hostile deadline lives %v", ttl)
	}
}

// A handler that does not heed its context is answered for at the deadline.
func TestDeadlineIsAnswered(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ended, gate := make(chan error, 1), make(chan struct{})
	agent, stop := r.agent(bus.ServerConfig{MaxRuntime: 50 * time.Millisecond, Handle: func(ctx context.Context, _ bus.Command) bus.Reply {
		<-ctx.Done()
		ended <- ctx.Err()
		<-gate
		return bus.Reply{}
	}})
	// Until one is run: on a machine that is slow its time may be over before it begins,
	// and then its slot is free.
	for n := 0; len(ended) == 0; n++ {
		id := fmt.Sprint("slow", n)
		r.do(r.admin.RPush(t.Context(), cluster.Commands(), r.command(id, nil)))
		if got := r.reply(id).Code; got != fault.Timeout {
			t.Errorf("code %q, want %q", got, fault.Timeout)
		}
		redistest.Eventually(t, "it was run, or not", func() bool { return len(ended) > 0 || agent.Busy() == 0 })
	}
	if err := <-ended; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the handler's context ended with %v", err)
	}
	// Its slot is not free until it returns, but it does not hold up a shutdown.
	if n := agent.Busy(); n != 1 {
		t.Errorf("%d slots are in use, want 1", n)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	close(gate)
	redistest.Eventually(t, "the slot is free", func() bool { return agent.Busy() == 0 })
}
