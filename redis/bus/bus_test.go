package bus_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/atlhyper/observe/redis/beat"
	"github.com/atlhyper/observe/redis/bus"
	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/conn/conntest"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/codec"
	"github.com/atlhyper/observe/shared/fault"
)

const cluster = key.Cluster("east")

// rig is a Redis with masters and agents around it.
type rig struct {
	t      *testing.T
	server *redistest.Server
	admin  *redis.Client
	// beatOnce has agents beat once, for tests in which their beats must not come back.
	beatOnce bool
}

func newRig(t *testing.T) *rig {
	t.Helper()
	s := redistest.Start(t)
	return &rig{t: t, server: s, admin: s.Client(t)}
}

func (r *rig) open(name string) *conn.Clients {
	r.t.Helper()
	return conntest.Open(r.t, conn.Config{URL: r.server.URL(), ClientName: name})
}

// run runs fn until the test ends, or until the returned function is called.
func (r *rig) run(fn func(context.Context) error) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- fn(ctx) }()
	stop = sync.OnceValue(func() error { cancel(); return <-done })
	r.t.Cleanup(func() {
		if err := stop(); err != nil && !errors.Is(err, context.Canceled) {
			r.t.Errorf("run: %v", err)
		}
	})
	return stop
}

// client is a running master, m1 unless cfg says otherwise: two of one name would
// delete each other's replies.
func (r *rig) client(cfg bus.ClientConfig) *bus.Client {
	r.t.Helper()
	cfg.Replica = cmp.Or(cfg.Replica, "m1")
	c, err := bus.NewClient(r.open("master"), cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	r.run(c.Run)
	return c
}

// agent is a running agent that beats.
func (r *rig) agent(cfg bus.ServerConfig) (s *bus.Server, stop func() error) {
	r.t.Helper()
	s = r.idle(cfg)
	return s, r.run(s.Run)
}

// idle is an agent that beats and does not take commands yet.
func (r *rig) idle(cfg bus.ServerConfig) *bus.Server {
	r.t.Helper()
	cfg.Cluster = cluster
	if cfg.Instance == "" {
		cfg.Instance = "a1"
	}
	s, err := bus.NewServer(r.open("agent"), cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	if r.beatOnce {
		r.beat(cfg.Instance)
	} else {
		r.beats(cfg.Instance)
	}
	return s
}

func (r *rig) beat(instance string) {
	r.t.Helper()
	w, err := snapshot.NewWriter(r.open("beat"), snapshot.WriterConfig{Cluster: cluster, Instance: instance})
	if err != nil {
		r.t.Fatal(err)
	}
	if err := w.Beat(r.t.Context(), snapshot.Beat{Slots: 16}); err != nil {
		r.t.Fatal(err)
	}
}

// oldBeat writes the beat of an agent that is gone.
func (r *rig) oldBeat(instance string, age time.Duration) {
	r.t.Helper()
	value, err := beat.Beat{}.Value(time.Now().Add(-age))
	if err != nil {
		r.t.Fatal(err)
	}
	r.do(r.admin.HSet(r.t.Context(), cluster.Agents(), instance, value))
}

func (r *rig) do(cmd redis.Cmder) {
	r.t.Helper()
	if cmd.Err() != nil {
		r.t.Fatalf("%v: %v", cmd.Name(), cmd.Err())
	}
}

// command encodes a command with a deadline in a while.
func (r *rig) command(id string, change func(*bus.Command)) string {
	r.t.Helper()
	cmd := bus.Command{
		V: bus.Version, ID: id, Kind: "echo", Params: encode(r.t, id), Replica: "m2", // m1 would delete what it does not wait for
		Deadline: time.Now().Add(time.Minute).UnixMilli(),
	}
	if change != nil {
		change(&cmd)
	}
	return string(encode(r.t, cmd))
}

func (r *rig) list(key string) []string {
	r.t.Helper()
	list, err := r.admin.LRange(r.t.Context(), key, 0, -1).Result()
	if err != nil {
		r.t.Fatal(err)
	}
	return list
}

// reply waits for the reply to a command.
func (r *rig) reply(id string) bus.Reply {
	r.t.Helper()
	var data []string
	redistest.Eventually(r.t, "reply to "+id, func() bool { data = r.list(cluster.Reply(id)); return len(data) > 0 })
	if len(data) != 1 {
		r.t.Errorf("%d replies to %s, want 1", len(data), id)
	}
	return decode[bus.Reply](r.t, []byte(data[0]))
}

func encode(tb testing.TB, v any) []byte {
	tb.Helper()
	data, err := codec.Encode(v)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func decode[T any](tb testing.TB, data []byte) (v T) {
	tb.Helper()
	if err := codec.Decode(data, &v); err != nil {
		tb.Fatal(err)
	}
	return v
}

// echo answers with the params.
func echo(_ context.Context, cmd bus.Command) bus.Reply { return bus.Reply{Data: cmd.Params} }

func echoRequest(tb testing.TB, v any) bus.Request {
	tb.Helper()
	return bus.Request{Kind: "echo", Params: encode(tb, v), Timeout: time.Minute}
}

func wantCode(tb testing.TB, err error, code fault.Code) {
	tb.Helper()
	if !fault.Is(err, code) {
		tb.Errorf("error = %v, want %s", err, code)
	}
}

func TestRequestAndReply(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	agent, stop := r.agent(bus.ServerConfig{Handle: echo})
	client := r.client(bus.ClientConfig{})
	reply, err := client.Do(t.Context(), cluster, echoRequest(t, "hello"))
	if err != nil {
		t.Fatal(err)
	}
	if got := decode[string](t, reply.Data); got != "hello" || reply.Agent != "a1" {
		t.Errorf("reply = %q from %q, want hello from a1", got, reply.Agent)
	}
	redistest.Eventually(t, "the reply is deleted", func() bool { return len(r.list(cluster.Reply(reply.ID))) == 0 })
	// The slot of a run is free after its answer, for which a shutdown does not wait.
	redistest.Eventually(t, "nothing runs", func() bool { return agent.Busy() == 0 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if left := r.list(cluster.Claimed("a1")); len(left) != 0 {
		t.Errorf("%d commands are claimed after the answer", len(left))
	}
	if s := agent.Stats(); s.Claimed != 1 || s.Answered != 1 || s.Running != 0 {
		t.Errorf("stats = %+v, want one claimed and answered", s)
	}
}

// Commands that arrive together take as many rounds as there are slots for: in each
// round all slots are in use at the same time.
func TestFiftyCommandsOnSixteenSlots(t *testing.T) {
	t.Parallel()
	const slots, commands, wantRounds = 16, 50, 4
	r := newRig(t)
	entered, goOn := make(chan struct{}, commands), make(chan struct{})
	agent := r.idle(bus.ServerConfig{Slots: slots, Handle: func(ctx context.Context, cmd bus.Command) bus.Reply {
		entered <- struct{}{}
		<-goOn
		return echo(ctx, cmd)
	}})
	client := r.client(bus.ClientConfig{})
	errs := make(chan error, commands)
	for i := range commands {
		go func() {
			reply, err := client.Do(t.Context(), cluster, echoRequest(t, i))
			if err == nil && decode[int](t, reply.Data) != i {
				err = fmt.Errorf("command %d got the reply of another", i)
			}
			errs <- err
		}()
	}
	redistest.Eventually(t, "all are in the list", func() bool { return len(r.list(cluster.Commands())) == commands })
	r.run(agent.Run)
	rounds := 0
	for left := commands; left > 0; rounds++ {
		n := min(slots, left)
		for range n {
			<-entered // none of them ends before all of them have begun
		}
		left -= n
		if got := len(r.list(cluster.Commands())); got != left {
			t.Errorf("%d commands wait in Redis while all slots are in use, want %d", got, left)
		}
		redistest.Eventually(t, fmt.Sprintf("%d run in round %d", n, rounds), func() bool { return agent.Busy() == n })
		for range n {
			goOn <- struct{}{}
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
	}
	if rounds != wantRounds {
		t.Errorf("%d rounds, want %d", rounds, wantRounds)
	}
}

// Several agents of a cluster share its list, whichever of them publishes.
func TestAgentsShareTheList(t *testing.T) {
	t.Parallel()
	const agents = 3
	r := newRig(t)
	entered, goOn := make(chan string, agents), make(chan struct{})
	for i := range agents {
		instance := fmt.Sprint("a", i)
		_, _ = r.agent(bus.ServerConfig{Instance: instance, Slots: 1, Takers: 1, Handle: func(ctx context.Context, cmd bus.Command) bus.Reply {
			entered <- instance
			<-goOn
			return echo(ctx, cmd)
		}})
	}
	w, err := snapshot.NewWriter(r.open("writer"), snapshot.WriterConfig{Cluster: cluster, Instance: "a0"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Publish(t.Context(), []snapshot.Update{{Name: "a", Data: encode(t, 1)}}); err != nil {
		t.Fatal(err)
	}
	client := r.client(bus.ClientConfig{})
	errs := make(chan error, agents)
	for i := range agents {
		go func() {
			_, err := client.Do(t.Context(), cluster, echoRequest(t, i))
			errs <- err
		}()
	}
	seen := map[string]bool{}
	for range agents {
		seen[<-entered] = true
	}
	if len(seen) != agents {
		t.Errorf("%v run a command each, want all %d agents", seen, agents)
	}
	close(goOn)
	for range agents {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

func TestManyWaitsNeedFewConnections(t *testing.T) {
	t.Parallel()
	// So many at a time: whoever waits for a connection longer than a command may take
	// is refused, which a busy machine must not bring about.
	const waits, batch = 1000, 100
	r := newRig(t)
	gate := make(chan struct{})
	open := sync.OnceFunc(func() { close(gate) })
	defer open() // the agent ends also when this fails
	_, _ = r.agent(bus.ServerConfig{Slots: 1000, Handle: func(ctx context.Context, cmd bus.Command) bus.Reply {
		<-gate
		return echo(ctx, cmd)
	}})
	client := r.client(bus.ClientConfig{MaxQueue: waits, MaxClusterWaiters: waits})
	errs := make(chan error, waits)
	for i := range waits {
		go func() {
			_, err := client.Do(t.Context(), cluster, echoRequest(t, i))
			errs <- err
		}()
		if n := i + 1; n%batch == 0 {
			redistest.Eventually(t, "all wait", func() bool { return client.Waiting() == n && len(r.list(cluster.Commands())) == 0 })
		}
	}
	clients, err := r.admin.ClientList(t.Context()).Result()
	if err != nil {
		t.Fatal(err)
	}
	if n := count(clients, "name=master"); n > 32 {
		t.Errorf("%d connections for %d waits", n, waits)
	}
	open()
	for range waits {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
}
