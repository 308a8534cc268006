package bus_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/atlhyper/observe/redis/bus"
	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/conn/conntest"
	"github.com/atlhyper/observe/redis/internal/cut"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/fault"
)

// tally counts how often each command ran, and how often a reply to it was put into
// Redis: each of those is announced once.
type tally struct {
	mu            sync.Mutex
	runs, replies map[string]int
}

// tally listens to announcements until the test ends.
func (r *rig) tally() *tally {
	r.t.Helper()
	c := &tally{runs: make(map[string]int), replies: make(map[string]int)}
	pubsub := r.admin.PSubscribe(r.t.Context(), key.RepliesPattern("*"))
	if _, err := pubsub.Receive(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	var done sync.WaitGroup
	messages := pubsub.Channel(redis.WithChannelSize(100_000))
	done.Go(func() {
		for m := range messages {
			c.mu.Lock()
			id, _, _ := strings.Cut(m.Payload, " ")
			c.replies[id]++
			c.mu.Unlock()
		}
	})
	r.t.Cleanup(func() {
		if err := pubsub.Close(); err != nil {
			r.t.Error(err)
		}
		done.Wait()
	})
	return c
}

func (c *tally) echo(ctx context.Context, cmd bus.Command) bus.Reply {
	c.mu.Lock()
	c.runs[cmd.ID]++
	c.mu.Unlock()
	return echo(ctx, cmd)
}

// check wants each of n commands run once and answered once.
func (c *tally) check(t *testing.T, n int) {
	t.Helper()
	redistest.Eventually(t, "all replies are announced", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.replies) >= n
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.runs) != n || len(c.replies) != n {
		t.Errorf("%d commands ran and %d were answered, want %d", len(c.runs), len(c.replies), n)
	}
	for name, counts := range map[string]map[string]int{"ran": c.runs, "was answered": c.replies} {
		for id, times := range counts {
			if times != 1 {
				t.Errorf("%s %s %d times", id, name, times)
			}
		}
	}
}

// flood asks n times, some at a time, and returns the errors that were not nil.
func flood(t *testing.T, client *bus.Client, n, inFlight int) (failed []error) {
	t.Helper()
	var next atomic.Int64
	var mu sync.Mutex
	var askers sync.WaitGroup
	for range inFlight {
		askers.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				reply, err := client.Do(t.Context(), cluster, echoRequest(t, i))
				if err == nil && decode[int64](t, reply.Data) != i {
					err = fmt.Errorf("request %d got the reply of another", i)
				}
				if err != nil {
					mu.Lock()
					failed = append(failed, err)
					mu.Unlock()
				}
			}
		})
	}
	askers.Wait()
	return failed
}

// through returns clients whose connections go over the link.
func (r *rig) through(link *cut.Link, name string) *conn.Clients {
	r.t.Helper()
	return conntest.Open(r.t, conn.Config{URL: "redis://" + link.Addr(), ClientName: name})
}

// beats has an agent beat until the test ends, also when Redis is away for a while.
func (r *rig) beats(instance string) {
	r.t.Helper()
	w, err := snapshot.NewWriter(r.open("beat"), snapshot.WriterConfig{Cluster: cluster, Instance: instance})
	if err != nil {
		r.t.Fatal(err)
	}
	if err := w.Beat(r.t.Context(), snapshot.Beat{Slots: 16}); err != nil {
		r.t.Fatal(err)
	}
	r.run(func(ctx context.Context) error {
		ticker := time.NewTicker(testBeat)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-ticker.C:
				if err := w.Beat(ctx, snapshot.Beat{Slots: 16}); err != nil && ctx.Err() == nil && !fault.Is(err, fault.StoreUnavailable) {
					return err
				}
			}
		}
	})
}

// One in a hundred of Redis's answers to the agent does not arrive whole, nor does
// the connection go on: of 10,000 commands none is lost, run or answered twice.
func TestCutAnswersLoseNothing(t *testing.T) {
	t.Parallel()
	const commands = 10_000
	r := newRig(t)
	count := r.tally()
	r.beats("a1")
	link := cut.New(t, r.server.Addr())
	link.Answers(100)
	agent, err := bus.NewServer(r.through(link, "agent"), bus.ServerConfig{Cluster: cluster, Instance: "a1", Handle: count.echo})
	if err != nil {
		t.Fatal(err)
	}
	r.run(agent.Run)
	client := r.client(bus.ClientConfig{})
	for _, err := range flood(t, client, commands, 64) {
		t.Errorf("a request failed: %v", err)
	}
	link.Answers(0)
	count.check(t, commands)
	redistest.Eventually(t, "nothing is left", func() bool {
		return len(r.list(cluster.Commands()))+len(r.list(cluster.Claimed("a1"))) == 0
	})
	if s := client.Stats(); s.Pushed != commands || s.Answered != commands {
		t.Errorf("stats = %+v", s)
	}
	if link.Cuts() == 0 {
		t.Error("nothing was cut")
	}
	t.Logf("%d cuts: %+v", link.Cuts(), agent.Stats())
}

// The same between the master and Redis: a request is answered, or fails because
// Redis could not be asked; it never waits in vain, and nothing runs twice.
func TestCutAnswersToTheMaster(t *testing.T) {
	t.Parallel()
	const requests = 2000
	r := newRig(t)
	count := r.tally()
	_, _ = r.agent(bus.ServerConfig{Handle: count.echo})
	link := cut.New(t, r.server.Addr())
	client, err := bus.NewClient(r.through(link, "master"), bus.ClientConfig{Replica: "m1"})
	if err != nil {
		t.Fatal(err)
	}
	r.run(client.Run)
	link.Answers(100)
	failed := flood(t, client, requests, 32)
	link.Answers(0)
	for _, err := range failed {
		if !fault.Is(err, fault.StoreUnavailable) {
			t.Errorf("a request failed: %v, want store_unavailable at most", err)
		}
	}
	redistest.Eventually(t, "nothing is left", func() bool {
		return len(r.list(cluster.Commands()))+len(r.list(cluster.Claimed("a1"))) == 0 && client.Waiting() == 0
	})
	count.mu.Lock()
	defer count.mu.Unlock()
	for id, times := range count.runs {
		if times != 1 {
			t.Errorf("%s ran %d times", id, times)
		}
	}
	if s := client.Stats(); s.Pushed != s.Answered || s.Unavailable != int64(len(failed)) || s.Pushed+s.Unavailable != requests {
		t.Errorf("stats = %+v after %d failures", s, len(failed))
	}
	if link.Cuts() == 0 {
		t.Error("nothing was cut")
	}
	t.Logf("%d cuts, %d requests of %d failed", link.Cuts(), len(failed), requests)
}

// Agents come and go under load, as in rolling updates: every command is run once
// and answered once.
func TestAgentsComeAndGoUnderLoad(t *testing.T) {
	t.Parallel()
	const commands, generations = 4000, 6
	r := newRig(t)
	count := r.tally()
	client := r.client(bus.ClientConfig{})
	start := func(generation int) (stop func() error) {
		instance := fmt.Sprint("g", generation)
		_, stop = r.agent(bus.ServerConfig{Instance: instance, Slots: 4, Handle: count.echo})
		return stop
	}
	stop := start(0)
	failed := make(chan []error, 1)
	go func() { failed <- flood(t, client, commands, 64) }()
	for g := 1; g <= generations; g++ {
		// The next one comes when some of the work is done, then the last one goes.
		redistest.Eventually(t, "some are answered", func() bool {
			return client.Stats().Answered >= int64(commands*(g-1)/generations)
		})
		next := start(g)
		if err := stop(); err != nil {
			t.Errorf("generation %d: %v", g-1, err)
		}
		if left := r.list(cluster.Claimed(fmt.Sprint("g", g-1))); len(left) > 0 {
			t.Errorf("generation %d left with %d commands", g-1, len(left))
		}
		stop = next
	}
	for _, err := range <-failed {
		t.Errorf("a request failed: %v", err)
	}
	count.check(t, commands)
}

// Many agents stop while Redis hands commands to their blocked takers: each command
// is answered, or in the list again.
func TestStoppingWaitsLoseNothing(t *testing.T) {
	t.Parallel()
	const agents, commands = 12, 120
	r := newRig(t)
	count := r.tally()
	stops := make([]func() error, agents)
	for i := range agents {
		_, stops[i] = r.agent(bus.ServerConfig{Instance: fmt.Sprint("a", i), Slots: 2, Handle: count.echo})
	}
	redistest.Eventually(t, "all takers wait", func() bool {
		info, err := r.admin.InfoMap(t.Context(), "clients").Result()
		return err == nil && info["Clients"]["blocked_clients"] == strconv.Itoa(2*agents)
	})
	var all sync.WaitGroup
	for i := range agents {
		all.Go(func() {
			if err := stops[i](); err != nil {
				t.Errorf("agent %d: %v", i, err)
			}
		})
	}
	for i := range commands {
		r.do(r.admin.RPush(t.Context(), cluster.Commands(), r.command(fmt.Sprint("c", i), nil)))
	}
	all.Wait()
	left := map[string]bool{}
	for _, raw := range r.list(cluster.Commands()) {
		left[decode[bus.Command](t, []byte(raw)).ID] = true
	}
	redistest.Eventually(t, "all replies are announced", func() bool {
		count.mu.Lock()
		defer count.mu.Unlock()
		return len(count.replies) == len(count.runs)
	})
	count.mu.Lock()
	defer count.mu.Unlock()
	for i := range commands {
		id := fmt.Sprint("c", i)
		if count.replies[id] > 1 || (count.replies[id] == 1) == left[id] {
			t.Errorf("%s: %d replies, in the list again %v", id, count.replies[id], left[id])
		}
	}
	for i := range agents {
		if n := len(r.list(cluster.Claimed(fmt.Sprint("a", i)))); n > 0 {
			t.Errorf("agent %d left with %d commands", i, n)
		}
	}
	t.Logf("%d answered, %d in the list again", len(count.replies), len(left))
}

// A reply that comes twice or after its asker has gone reaches nobody else, and is
// deleted.
func TestDoubledAndLateReplies(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.beats("a1")
	client := r.client(bus.ClientConfig{})
	reply := func(cmd bus.Command, text string) {
		r.do(r.admin.RPush(t.Context(), cluster.Reply(cmd.ID), encode(t, bus.Reply{V: bus.Version, ID: cmd.ID, Agent: "a1", Data: encode(t, text)})))
		r.do(r.admin.Publish(t.Context(), cluster.Replies(cmd.Replica), cmd.ID))
	}
	ask := func(ctx context.Context) <-chan string {
		got := make(chan string, 1)
		go func() {
			reply, err := client.Do(ctx, cluster, echoRequest(t, 1))
			if err != nil {
				got <- err.Error()
				return
			}
			got <- decode[string](t, reply.Data)
		}()
		return got
	}
	got := ask(t.Context())
	cmd := r.fakeAgent()
	reply(cmd, "first")
	if text := <-got; text != "first" {
		t.Errorf("got %q, want the first reply", text)
	}
	reply(cmd, "second")
	redistest.Eventually(t, "the second reply is deleted", func() bool { return len(r.list(cluster.Reply(cmd.ID))) == 0 })

	ctx, hangUp := context.WithCancel(t.Context())
	got = ask(ctx)
	cmd = r.fakeAgent()
	hangUp()
	if text := <-got; !strings.Contains(text, context.Canceled.Error()) {
		t.Errorf("who hung up got %q", text)
	}
	redistest.Eventually(t, "nobody waits", func() bool { return client.Waiting() == 0 })
	reply(cmd, "late")
	redistest.Eventually(t, "the late reply is deleted", func() bool { return len(r.list(cluster.Reply(cmd.ID))) == 0 })
	// Another cluster cannot answer for this one.
	got = ask(t.Context())
	cmd = r.fakeAgent()
	r.do(r.admin.RPush(t.Context(), key.Cluster("west").Reply(cmd.ID), encode(t, bus.Reply{V: bus.Version, ID: cmd.ID, Data: encode(t, "forged")})))
	r.do(r.admin.Publish(t.Context(), key.Cluster("west").Replies(cmd.Replica), cmd.ID))
	reply(cmd, "true")
	if text := <-got; text != "true" {
		t.Errorf("got %q", text)
	}
}
