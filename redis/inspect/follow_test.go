package inspect_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/atlhyper/observe/redis/bus"
	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/conn/conntest"
	"github.com/atlhyper/observe/redis/inspect"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/codec"
	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
)

// following is a Follow that runs.
type following struct {
	t      *testing.T
	events chan inspect.Event
	done   chan error
	stop   context.CancelFunc
}

func follow(t *testing.T, clients *conn.Clients, cfg inspect.FollowConfig) *following {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	f := &following{t: t, events: make(chan inspect.Event, 1000), done: make(chan error, 1), stop: stop}
	t.Cleanup(stop)
	cfg.Cluster, cfg.Interval = east, 50*time.Millisecond
	cfg.See = func(e inspect.Event) error { f.events <- e; return nil }
	go func() {
		f.done <- inspect.New(clients, inspect.Config{}).Follow(ctx, cfg)
		close(f.events)
	}()
	return f
}

// next waits for the next event about a command and checks what it is.
func (f *following) next(id, event string) inspect.Event {
	f.t.Helper()
	limit := time.NewTimer(2 * time.Minute)
	defer limit.Stop()
	for {
		select {
		case e, ok := <-f.events:
			if !ok {
				f.t.Fatalf("following ended: %v; want %s", <-f.done, event)
			}
			if e.Command != id || e.Event == "canceled" && event != e.Event { // one of listens
				continue
			}
			if e.Event != event {
				f.t.Fatalf("%+v, want %s", e, event)
			}
			return e
		case <-limit.C:
			f.t.Fatalf("gave up waiting for %s", event)
		}
	}
}

// listens waits until cancels, and so announcements, are heard.
func (f *following) listens(admin *redis.Client, id string) {
	f.t.Helper()
	redistest.Eventually(f.t, "it listens", func() bool {
		must(f.t, admin.Publish(f.t.Context(), east.Cancels(), id).Err())
		select {
		case e := <-f.events:
			return e.Event == "canceled"
		default:
			return false
		}
	})
}

// end waits until following ends by itself, without another event.
func (f *following) end() {
	f.t.Helper()
	for e := range f.events {
		if e.Event == "canceled" {
			continue // one of listens
		}
		f.t.Errorf("one event more: %+v", e)
	}
	if err := <-f.done; err != nil {
		f.t.Error(err)
	}
}

// part is an agent and a master; what the agent runs is held until release is closed or
// nobody waits.
type part struct {
	clients *conn.Clients
	client  *bus.Client
	writer  *snapshot.Writer
	release chan struct{}
	stop    func()
}

func start(t *testing.T, url string) *part {
	t.Helper()
	p := &part{clients: conntest.Open(t, conn.Config{URL: url}), release: make(chan struct{})}
	var err error
	p.writer, err = snapshot.NewWriter(p.clients, snapshot.WriterConfig{Cluster: east, Instance: "a1"})
	must(t, err)
	must(t, p.writer.Beat(t.Context(), snapshot.Beat{}))
	p.client, err = bus.NewClient(p.clients, bus.ClientConfig{Replica: "m1"})
	must(t, err)
	return p
}

// serve runs the agent and the master until stop.
func (p *part) serve(t *testing.T, slots int) {
	t.Helper()
	server, err := bus.NewServer(p.clients, bus.ServerConfig{Cluster: east, Instance: "a1", Slots: slots, Handle: func(ctx context.Context, cmd bus.Command) bus.Reply {
		select {
		case <-ctx.Done():
			return bus.Refusal(fault.New(fault.Timeout, "held \x1b[2J"))
		case <-p.release:
			return bus.Reply{Data: cmd.Params}
		}
	}})
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 3)
	go func() { ended <- server.Run(ctx) }()
	go func() { ended <- p.client.Run(ctx) }()
	go func() {
		ticker := time.NewTicker(100 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				ended <- nil
				return
			case <-ticker.C:
				if err := p.writer.Beat(ctx, snapshot.Beat{}); err != nil && ctx.Err() == nil {
					t.Errorf("beat: %v", err)
				}
			}
		}
	}()
	p.stop = func() {
		cancel()
		for range 3 {
			must(t, <-ended)
		}
	}
}

// ask asks in the background.
func (p *part) ask(ctx context.Context, t *testing.T, kind detail.Kind, params any) <-chan error {
	t.Helper()
	must(t, p.writer.Beat(ctx, snapshot.Beat{}))
	done := make(chan error, 1)
	raw, err := codec.Encode(params)
	must(t, err)
	go func() {
		_, err := p.client.Do(ctx, east, bus.Request{Kind: kind, Params: raw, Timeout: time.Minute})
		done <- err
	}()
	return done
}

// A command is followed from the list to its answer, with the agent's own figures.
func TestFollowToTheAnswer(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	admin := server.Client(t)
	p := start(t, server.URL())
	f := follow(t, conntest.Open(t, conn.Config{URL: server.URL()}), inspect.FollowConfig{})
	asked := p.ask(t.Context(), t, detail.KindTrace, "x")
	redistest.Eventually(t, "the command is there", func() bool { return admin.LLen(t.Context(), east.Commands()).Val() == 1 })
	cmd, err := bus.DecodeCommand([]byte(admin.LIndex(t.Context(), east.Commands(), 0).Val()))
	must(t, err)
	one := follow(t, conntest.Open(t, conn.Config{URL: server.URL()}), inspect.FollowConfig{Command: cmd.ID})
	for _, f := range []*following{f, one} {
		e := f.next(cmd.ID, "waiting")
		// A minute, as the master measured Redis's clock.
		if e.Kind != "trace" || e.Replica != "m1" || e.LeftSeconds <= 0 || e.LeftSeconds > 70 || e.Agent != "" {
			t.Errorf("%+v", e)
		}
	}
	f.listens(admin, cmd.ID)
	one.listens(admin, cmd.ID)
	p.serve(t, 2)
	for _, f := range []*following{f, one} {
		if e := f.next(cmd.ID, "claimed"); e.Agent != "a1" || e.Kind != "trace" {
			t.Errorf("%+v", e)
		}
	}
	close(p.release)
	must(t, <-asked)
	data, err := admin.Get(t.Context(), onlyKey(t, admin.Keys(t.Context(), east.Result("*")).Val())).Bytes()
	must(t, err)
	reply, err := bus.DecodeReply(data)
	must(t, err)
	for _, f := range []*following{f, one} {
		got := f.next(cmd.ID, "answered")
		if got.At == "" {
			t.Error("no time")
		}
		got.At = ""
		want := inspect.Event{
			Command: cmd.ID, Event: "answered", Kind: "trace", Replica: "m1", Agent: "a1",
			RunAt: model.NewTime(time.UnixMilli(reply.At)), TookMs: reply.TookMs, Bytes: int64(len(data)),
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	one.end()
	// It is over: who begins to follow it now is told so, as long as its mark is there.
	late := follow(t, conntest.Open(t, conn.Config{URL: server.URL()}), inspect.FollowConfig{Command: cmd.ID})
	if e := late.next(cmd.ID, "answered"); e.Agent != "a1" {
		t.Errorf("%+v", e)
	}
	late.end()
	p.stop()
	f.stop()
	f.end()
}

func onlyKey(t *testing.T, keys []string) string {
	t.Helper()
	if len(keys) != 1 {
		t.Fatalf("keys %q, want one", keys)
	}
	return keys[0]
}

// Who hangs up cancels what runs, which is then answered all the same; what waits is
// taken back and gone.
func TestFollowCanceledAndGone(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	admin := server.Client(t)
	p := start(t, server.URL())
	f := follow(t, conntest.Open(t, conn.Config{URL: server.URL()}), inspect.FollowConfig{})

	ctx, hangUp := context.WithCancel(t.Context())
	asked := p.ask(ctx, t, detail.KindLogs, "waits")
	redistest.Eventually(t, "the command is there", func() bool { return admin.LLen(t.Context(), east.Commands()).Val() == 1 })
	cmd, err := bus.DecodeCommand([]byte(admin.LIndex(t.Context(), east.Commands(), 0).Val()))
	must(t, err)
	f.next(cmd.ID, "waiting")
	f.listens(admin, "probe")
	hangUp()
	if err := <-asked; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if e := f.next(cmd.ID, "gone"); e.Kind != "logs" || e.Replica != "m1" {
		t.Errorf("%+v", e)
	}

	p.serve(t, 2)
	ctx, hangUp = context.WithCancel(t.Context())
	asked = p.ask(ctx, t, detail.KindLogs, "runs")
	redistest.Eventually(t, "the command is claimed", func() bool { return admin.LLen(t.Context(), east.Claimed("a1")).Val() == 1 })
	cmd, err = bus.DecodeCommand([]byte(admin.LIndex(t.Context(), east.Claimed("a1"), 0).Val()))
	must(t, err)
	redistest.Eventually(t, "it is seen to be claimed", func() bool {
		e := <-f.events
		return e.Command == cmd.ID && e.Event == "claimed"
	})
	hangUp()
	if err := <-asked; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	// On a machine that is busy a look may find the answer before the cancel is heard.
	if e := f.next(cmd.ID, "answered"); e.Code != "timeout" || e.Agent != "a1" || e.Message == "" {
		t.Errorf("%+v", e)
	}
	p.stop()
	f.stop()
	f.end()
}

// What others publish and write is heard as masters hear it; nothing of it is believed
// that cannot be.
func TestFollowHostile(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	admin := server.Client(t)
	clients := conntest.Open(t, conn.Config{URL: server.URL()})
	setUp(t, clients)
	must(t, admin.RPush(t.Context(), east.Commands(), "\xc1", strings.Repeat("x", bus.MaxCommandBytes+1)).Err())
	must(t, admin.Set(t.Context(), east.Claimed("a1"), "left", 0).Err())
	f := follow(t, clients, inspect.FollowConfig{})
	f.next("waits", "waiting")
	f.listens(admin, "probe")
	say := func(channel, text string) { must(t, admin.Publish(t.Context(), channel, text).Err()) }
	say(east.Cancels(), "No \x1b")
	say(east.Replies("m1"), "")
	say(east.Replies("m1"), "No \x1b")
	say(east.Replies("M \x1b"), "other")
	say(east.Replies("m1"), "broken \xc1")
	if e := f.next("broken", "answered"); !strings.Contains(e.Message, "cannot be read") || e.Bytes != 1 {
		t.Errorf("%+v", e)
	}
	// A reply that is to another command, too long, or no list at all.
	other, err := codec.Encode(bus.Reply{V: bus.Version, ID: "b", Agent: "a1"})
	must(t, err)
	say(east.Replies("m1"), "c1 "+string(other))
	if e := f.next("c1", "answered"); e.Message != "the reply is to another command" || e.Agent != "" {
		t.Errorf("%+v", e)
	}
	must(t, admin.RPush(t.Context(), east.Reply("c2"), strings.Repeat("x", 1<<20)).Err())
	must(t, admin.Set(t.Context(), east.Answered("c2"), strings.Repeat("a", 1000), 0).Err())
	say(east.Replies("m1"), "c2")
	if e := f.next("c2", "answered"); e.Bytes != 1<<20 || len(e.Agent) > 70 || e.Message != "" {
		t.Errorf("%+v", e)
	}
	must(t, admin.Set(t.Context(), east.Reply("c3"), "x", 0).Err())
	must(t, admin.RPush(t.Context(), east.Answered("c3"), "x").Err())
	say(east.Replies("m1"), "c3")
	if e := f.next("c3", "answered"); e.Bytes != 0 || e.Agent != "" {
		t.Errorf("%+v", e)
	}
	// The same again is nothing new.
	say(east.Replies("m1"), "c3")
	say(east.Cancels(), "c4")
	f.next("c4", "canceled")
	say(east.Cancels(), "waits")
	if e := f.next("waits", "canceled"); e.Kind != "trace" {
		t.Errorf("%+v", e)
	}
	f.stop()
	f.end()
}

// Bad input, a cluster that nobody knows and one that takes no more events end it.
func TestFollowErrors(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	clients := conntest.Open(t, conn.Config{URL: server.URL()})
	i := inspect.New(clients, inspect.Config{})
	see := func(inspect.Event) error { return nil }
	for says, cfg := range map[string]inspect.FollowConfig{
		"cluster_unknown": {Cluster: "west", See: see},
		"cluster_id":      {Cluster: "W {", See: see},
		"interval":        {Cluster: "west", See: see, Interval: time.Millisecond},
		"command: id":     {Cluster: "west", See: see, Command: "No"},
		"See is required": {Cluster: "west"},
	} {
		if err := i.Follow(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want an error that says %q", err, says)
		}
	}
	setUp(t, clients)
	broken := errors.New("the pipe is closed")
	if err := i.Follow(t.Context(), inspect.FollowConfig{Cluster: east, See: func(inspect.Event) error { return broken }}); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}

// Following survives a Redis that is emptied and away.
func TestFollowThroughAnOutage(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	clients := conntest.Open(t, conn.Config{URL: server.URL()})
	setUp(t, clients)
	f := follow(t, clients, inspect.FollowConfig{})
	f.next("waits", "waiting")
	server.Restart()
	redistest.Eventually(t, "Redis is back", func() bool { return clients.Ping(t.Context()) == nil })
	setUp(t, clients)
	push(t, clients, "again")
	f.next("again", "waiting")
	f.stop()
	f.end()
}

// late is a context whose deadline has passed, and that has not noticed.
type late struct{ context.Context }

func (late) Deadline() (time.Time, bool) { return time.Now().Add(-time.Hour), true }

// Reads end at the deadline of a context, which may itself say so a moment later: that is
// its end, and no failure.
func TestFollowEndsWithItsDeadline(t *testing.T) {
	t.Parallel()
	clients := conntest.Open(t, conn.Config{URL: redistest.Start(t).URL()})
	err := inspect.New(clients, inspect.Config{}).Follow(late{t.Context()}, inspect.FollowConfig{
		Cluster: east, See: func(inspect.Event) error { return nil },
	})
	if err != nil {
		t.Error(err)
	}
}
