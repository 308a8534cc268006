package bus_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/atlhyper/observe/redis/bus"
	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/conn/conntest"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/shared/fault"
)

// hearsCancels waits until the agents of the cluster do, so many of them.
func (r *rig) hearsCancels(agents int64) {
	r.t.Helper()
	redistest.Eventually(r.t, "the agents hear cancels", func() bool {
		return r.admin.PubSubNumSub(r.t.Context(), cluster.Cancels()).Val()[cluster.Cancels()] == agents
	})
}

// Who hangs up stops the run on the agent.
func TestCancelReachesTheHandler(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	entered, ended := make(chan struct{}), make(chan struct{})
	agent := r.idle(bus.ServerConfig{Handle: func(ctx context.Context, _ bus.Command) bus.Reply {
		close(entered)
		<-ctx.Done()
		close(ended)
		return bus.Refusal(fault.New(fault.Timeout, "stopped"))
	}})
	client := r.client(bus.ClientConfig{})
	r.run(agent.Run)
	r.hearsCancels(1)
	ctx, hangUp := context.WithCancel(t.Context())
	defer hangUp()
	done := make(chan error, 1)
	go func() {
		_, err := client.Do(ctx, cluster, echoRequest(t, 1))
		done <- err
	}()
	<-entered
	hangUp()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Do = %v", err)
	}
	<-ended
	redistest.Eventually(t, "nothing is claimed", func() bool { return len(r.list(cluster.Claimed("a1"))) == 0 })
}

// Who waited long enough stops the run, too.
func TestTimeoutReachesTheHandler(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ended := make(chan error, 100)
	_, _ = r.agent(bus.ServerConfig{Handle: func(ctx context.Context, _ bus.Command) bus.Reply {
		<-ctx.Done()
		ended <- ctx.Err()
		return bus.Refusal(fault.New(fault.Timeout, "stopped"))
	}})
	r.timesOut(r.client(bus.ClientConfig{}), echoRequest(t, 1), func() bool { return len(ended) > 0 })
	redistest.Eventually(t, "nothing is claimed", func() bool { return len(r.list(cluster.Claimed("a1"))) == 0 })
}

// timesOut asks what nobody answers, with more and more time, until the agent began to
// run it before the time was over: how much that takes is the machine's.
func (r *rig) timesOut(client *bus.Client, req bus.Request, ran func() bool) {
	r.t.Helper()
	for req.Timeout = 100 * time.Millisecond; ; req.Timeout *= 2 {
		_, err := client.Do(r.t.Context(), cluster, req)
		// In less time than a push takes Redis is not known to have answered.
		if !fault.Is(err, fault.Timeout) && !fault.Is(err, fault.StoreUnavailable) || req.Timeout > 10*time.Second {
			r.t.Fatalf("within %s: %v, want %s", req.Timeout, err, fault.Timeout)
		}
		// What the agent was given is answered, or dropped, at the deadline.
		redistest.Eventually(r.t, "the agent is done with it", func() bool {
			return len(r.list(cluster.Commands()))+len(r.list(cluster.Claimed("a1"))) == 0
		})
		if ran() && fault.Is(err, fault.Timeout) {
			return
		}
	}
}

// A cancel may be faster than its command.
func TestCancelBeforeTheCommand(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ran := make(chan struct{})
	agent, _ := r.agent(bus.ServerConfig{Handle: func(context.Context, bus.Command) bus.Reply {
		close(ran)
		return bus.Reply{}
	}})
	redistest.Eventually(t, "the cancel is heard", func() bool {
		r.do(r.admin.Publish(t.Context(), cluster.Cancels(), "early"))
		return agent.Stats().Canceled > 0
	})
	r.do(r.admin.Publish(t.Context(), cluster.Cancels(), strings.Repeat("{*}\xff", 1000)))
	r.do(r.admin.RPush(t.Context(), cluster.Commands(), r.command("early", nil)))
	if got := r.reply("early").Code; got != fault.Timeout {
		t.Errorf("code %q, want %q", got, fault.Timeout)
	}
	select {
	case <-ran:
		t.Error("a cancelled command ran")
	default:
	}
}

// fakeAgent takes one command as an agent would.
func (r *rig) fakeAgent() bus.Command {
	r.t.Helper()
	var raw string
	redistest.Eventually(r.t, "a command", func() bool {
		raw = r.admin.LPop(r.t.Context(), cluster.Commands()).Val()
		return raw != ""
	})
	return decode[bus.Command](r.t, []byte(raw))
}

func TestLostAnnouncementIsFoundBySweep(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.beats("a1")
	client := r.client(bus.ClientConfig{SweepInterval: 10 * time.Millisecond})
	got := make(chan bus.Reply, 1)
	go func() {
		reply, err := client.Do(t.Context(), cluster, echoRequest(t, 1))
		if err != nil {
			t.Error(err)
		}
		got <- reply
	}()
	cmd := r.fakeAgent()
	// No PUBLISH: the message was lost.
	r.do(r.admin.RPush(t.Context(), cluster.Reply(cmd.ID), encode(t, bus.Reply{V: bus.Version, ID: cmd.ID, Agent: "a1", Data: cmd.Params})))
	if reply := <-got; decode[int](t, reply.Data) != 1 {
		t.Errorf("reply = %+v", reply)
	}
}

func TestHostileReplies(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.beats("a1")
	client := r.client(bus.ClientConfig{SweepInterval: 10 * time.Millisecond, MaxReplyBytes: 1000})
	good := func(c bus.Command) bus.Reply { return bus.Reply{V: bus.Version, ID: c.ID, Agent: "a1", Data: c.Params} }
	for name, tt := range map[string]struct {
		make func(bus.Command) string
		want fault.Code
	}{
		"empty":      {func(bus.Command) string { return "" }, fault.StoreUnavailable},
		"junk":       {func(bus.Command) string { return "\xdf\xff\xff\xff\xff" }, fault.StoreUnavailable},
		"deep":       {func(bus.Command) string { return strings.Repeat("\x91", 900) }, fault.StoreUnavailable},
		"version":    {func(c bus.Command) string { g := good(c); g.V = 2; return string(encode(t, g)) }, fault.StoreUnavailable},
		"other id":   {func(c bus.Command) string { g := good(c); g.ID = "x"; return string(encode(t, g)) }, fault.StoreUnavailable},
		"no code":    {func(c bus.Command) string { g := good(c); g.Code = "sudo"; return string(encode(t, g)) }, fault.StoreUnavailable},
		"not theirs": {func(c bus.Command) string { g := good(c); g.Code = fault.Forbidden; return string(encode(t, g)) }, fault.StoreUnavailable},
		"too large": {func(c bus.Command) string {
			g := good(c)
			g.Data = encode(t, strings.Repeat("x", 2000))
			return string(encode(t, g))
		}, fault.ResultTooLarge},
		"refused": {func(c bus.Command) string {
			g := good(c)
			g.Code, g.Message = fault.NotFound, "no such node"
			return string(encode(t, g))
		}, fault.NotFound},
	} {
		done := make(chan error, 1)
		go func() {
			_, err := client.Do(t.Context(), cluster, echoRequest(t, 1))
			done <- err
		}()
		cmd := r.fakeAgent()
		r.do(r.admin.RPush(t.Context(), cluster.Reply(cmd.ID), tt.make(cmd)))
		if err := <-done; !fault.Is(err, tt.want) {
			t.Errorf("%s: %v, want %s", name, err, tt.want)
		}
	}
	done := make(chan error, 1)
	go func() {
		_, err := client.Do(t.Context(), cluster, echoRequest(t, 1))
		done <- err
	}()
	r.do(r.admin.Set(t.Context(), cluster.Reply(r.fakeAgent().ID), "not a list", 0))
	wantCode(t, <-done, fault.StoreUnavailable)
}

// The agent's connections are cut again and again while it waits, drains and
// answers: every command is run once and answered.
func TestCutConnectionsLoseNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var mu sync.Mutex
	runs := map[string]int{}
	agent, _ := r.agent(bus.ServerConfig{Handle: func(ctx context.Context, cmd bus.Command) bus.Reply {
		mu.Lock()
		runs[cmd.ID]++
		mu.Unlock()
		return echo(ctx, cmd)
	}})
	commands, cuts := 0, 0
	// A cut finds nothing while the agent waits before it comes back.
	for i := 0; i < 400 || cuts < 20; i++ {
		commands++
		r.do(r.admin.RPush(t.Context(), cluster.Commands(), r.command(fmt.Sprint("c", i), nil)))
		if i%10 == 0 {
			cuts += r.cut("agent")
		}
	}
	for i := range commands {
		// Delivered twice when the cut hit the delivery: the asker reads the first.
		id := fmt.Sprint("c", i)
		redistest.Eventually(t, "reply to "+id, func() bool { return len(r.list(cluster.Reply(id))) > 0 })
	}
	redistest.Eventually(t, "nothing is left", func() bool {
		return len(r.list(cluster.Commands()))+len(r.list(cluster.Claimed("a1"))) == 0
	})
	mu.Lock()
	defer mu.Unlock()
	for id, n := range runs {
		if n != 1 {
			t.Errorf("%s ran %d times", id, n)
		}
	}
	if len(runs) != commands {
		t.Errorf("%d of %d ran", len(runs), commands)
	}
	t.Logf("%d cuts: %+v", cuts, agent.Stats())
}

// cut kills the connections of one name and returns how many.
func (r *rig) cut(name string) int {
	r.t.Helper()
	all, err := r.admin.ClientList(r.t.Context()).Result()
	if err != nil {
		r.t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(all) {
		id, _, _ := strings.Cut(strings.TrimPrefix(line, "id="), " ")
		if strings.Contains(line, "name="+name+" ") && r.admin.ClientKillByFilter(r.t.Context(), "ID", id).Val() > 0 {
			n++
		}
	}
	return n
}

// At shutdown the agent answers what runs and gives back the rest, in order.
func TestShutdownHandsBack(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	entered, gate := make(chan string, 5), make(chan struct{})
	agent := r.idle(bus.ServerConfig{Slots: 2, Handle: func(ctx context.Context, cmd bus.Command) bus.Reply {
		entered <- cmd.ID
		<-gate
		return echo(ctx, cmd)
	}})
	// Five were claimed in an earlier life under the same name; one still waits.
	for _, id := range []string{"c1", "c2", "c3", "c4", "c5"} {
		r.do(r.admin.RPush(t.Context(), cluster.Claimed("a1"), r.command(id, nil)))
	}
	stop := r.run(agent.Run)
	started := []string{<-entered, <-entered}
	slices.Sort(started)
	if diff := cmp.Diff([]string{"c1", "c2"}, started); diff != "" {
		t.Fatalf("started (-want +got)\n%s", diff)
	}
	r.do(r.admin.RPush(t.Context(), cluster.Commands(), r.command("c6", nil)))
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	redistest.Eventually(t, "the rest is handed back", func() bool { return len(r.list(cluster.Commands())) == 4 })
	var back []string
	for _, raw := range r.list(cluster.Commands()) {
		back = append(back, decode[bus.Command](t, []byte(raw)).ID)
	}
	if diff := cmp.Diff([]string{"c3", "c4", "c5", "c6"}, back); diff != "" {
		t.Errorf("handed back (-want +got)\n%s", diff)
	}
	if ttl := r.admin.PTTL(t.Context(), cluster.Commands()).Val(); ttl <= 0 {
		t.Errorf("the list lives %v, want a TTL", ttl)
	}
	select {
	case err := <-stopped:
		t.Fatalf("the agent left (%v) while commands run", err)
	default:
	}
	close(gate)
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	for _, id := range started {
		if reply := r.reply(id); reply.Code != "" {
			t.Errorf("%s: %+v", id, reply)
		}
	}
	if left := r.list(cluster.Claimed("a1")); len(left) != 0 {
		t.Errorf("%d are claimed by an agent that left", len(left))
	}
	if got := agent.Stats().HandedBack; got != 3 {
		t.Errorf("%d handed back, want 3", got)
	}
}

func TestCommandsOfADeadAgentAreTakenBack(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.oldBeat("dead", key.BeatExpiry+time.Second)
	r.beats("live")
	agent := r.idle(bus.ServerConfig{Handle: echo})
	r.do(r.admin.HSet(t.Context(), cluster.Agents(), "Bad {name}", "x", "junk", "\xc1"))
	for _, id := range []string{"c1", "c2"} {
		r.do(r.admin.RPush(t.Context(), cluster.Claimed("dead"), r.command(id, nil)))
	}
	r.do(r.admin.RPush(t.Context(), cluster.Claimed("junk"), r.command("c3", nil)))
	r.do(r.admin.RPush(t.Context(), cluster.Claimed("live"), r.command("theirs", nil)))
	r.run(agent.Run)
	redistest.Eventually(t, "what an agent without a readable beat had is answered", func() bool {
		// A beat of another one prunes it; the look must see it.
		r.do(r.admin.HSet(t.Context(), cluster.Agents(), "junk", "\xc1"))
		return len(r.list(cluster.Reply("c3"))) > 0
	})
	for _, id := range []string{"c1", "c2", "c3"} {
		if reply := r.reply(id); reply.Agent != "a1" || reply.Code != "" {
			t.Errorf("%s: %+v", id, reply)
		}
	}
	if got := len(r.list(cluster.Claimed("live"))); got != 1 {
		t.Errorf("a live agent has %d commands, want its 1", got)
	}
	redistest.Eventually(t, "three are counted as taken back", func() bool { return agent.Stats().Reclaimed == 3 })
}

// An agent's beat is gone, for it left or was pruned, and Redis had still handed it a
// command: who has seen the agent takes it back. Of one that nobody has seen nothing is
// known; it may be about to beat.
func TestCommandsOfAnAgentWithoutABeatAreTakenBack(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.oldBeat("gone", key.BeatExpiry+time.Second)
	r.do(r.admin.RPush(t.Context(), cluster.Claimed("gone"), r.command("c1", nil)))
	r.do(r.admin.RPush(t.Context(), cluster.Claimed("stranger"), r.command("theirs", nil)))
	_, _ = r.agent(bus.ServerConfig{Handle: echo, TidyInterval: 20 * time.Millisecond})
	r.reply("c1") // it has seen the other one
	// One step, so that the command is never there beside an old beat.
	_, err := r.admin.TxPipelined(t.Context(), func(tx redis.Pipeliner) error {
		tx.HDel(t.Context(), cluster.Agents(), "gone")
		tx.RPush(t.Context(), cluster.Claimed("gone"), r.command("c2", nil))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	later(t, "the command is taken back", func() bool { return len(r.list(cluster.Reply("c2"))) > 0 })
	if reply := r.reply("c2"); reply.Agent != "a1" || reply.Code != "" {
		t.Errorf("c2: %+v", reply)
	}
	if got := len(r.list(cluster.Claimed("stranger"))); got != 1 {
		t.Errorf("one that nobody has seen has %d commands, want its 1", got)
	}
}

// Redis is killed and comes back empty: both ends go on by themselves.
func TestRedisRestarts(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.beatOnce = true
	_, _ = r.agent(bus.ServerConfig{Handle: echo})
	client := r.client(bus.ClientConfig{})
	if _, err := client.Do(t.Context(), cluster, echoRequest(t, 1)); err != nil {
		t.Fatal(err)
	}
	r.server.Stop()
	_, err := client.Do(t.Context(), cluster, echoRequest(t, 2))
	wantCode(t, err, fault.StoreUnavailable)
	if strings.Contains(fault.From(err).Message, r.server.Addr()) {
		t.Errorf("the message tells the address: %q", fault.From(err).Message)
	}
	r.server.Restart()
	_, err = client.Do(t.Context(), cluster, echoRequest(t, 3))
	wantCode(t, err, fault.ClusterUnknown)
	r.beats("a1")
	reply, err := client.Do(t.Context(), cluster, echoRequest(t, 4))
	if err != nil {
		t.Fatal(err)
	}
	if got := decode[int](t, reply.Data); got != 4 {
		t.Errorf("reply = %d, want 4", got)
	}
}

// Redis stands still for a moment: nothing is lost, nothing runs twice.
func TestRedisFreezes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, _ = r.agent(bus.ServerConfig{Handle: echo})
	client := r.client(bus.ClientConfig{})
	r.server.Freeze()
	short := echoRequest(t, 1)
	short.Timeout = 50 * time.Millisecond
	if _, err := client.Do(t.Context(), cluster, short); err == nil {
		t.Error("a frozen Redis answered")
	}
	r.server.Thaw()
	if _, err := client.Do(t.Context(), cluster, echoRequest(t, 2)); err != nil {
		t.Error(err)
	}
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]bus.ServerConfig{
		"cluster":  {Cluster: "{}", Instance: "a", Handle: echo},
		"instance": {Cluster: cluster, Instance: "A B", Handle: echo},
		"handle":   {Cluster: cluster, Instance: "a"},
		"slots":    {Cluster: cluster, Instance: "a", Handle: echo, Slots: -1},
	} {
		if _, err := bus.NewServer(nil, cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := bus.NewClient(nil, bus.ClientConfig{Replica: "*"}); err == nil {
		t.Error("replica: no error")
	}
	clients := conntest.Open(t, conn.Config{URL: "redis://127.0.0.1:1"}) // connects to nothing
	s, err := bus.NewServer(clients, bus.ServerConfig{Cluster: cluster, Instance: "a", Handle: echo})
	if err != nil {
		t.Fatal(err)
	}
	if s.Busy() != 0 {
		t.Error("a new server is busy")
	}
}
