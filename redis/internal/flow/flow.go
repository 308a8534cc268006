// Package flow does, for tests, everything that an agent and a master do with
// Redis: what works here works on a topology, and what a user of Redis needs here
// is what it must be allowed.
package flow

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/atlhyper/observe/redis/beat"
	"github.com/atlhyper/observe/redis/bus"
	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/codec"
	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/fault"
)

// Config says who takes part.
type Config struct {
	// Cluster whose keys are used. Required, one for each flow.
	Cluster key.Cluster
	// Admin may do everything: it sets up what other processes would have left.
	Admin redis.UniversalClient
	// Agent and Master are the two that are tested.
	Agent, Master *conn.Clients
	// Patience is how long one command may take. 0 means a minute.
	Patience time.Duration
	// SweepInterval is between the master's looks for replies whose announcement was
	// lost. 0 means 100 ms.
	SweepInterval time.Duration
	// Logger gets what they log.
	Logger *slog.Logger
}

const instance, replica = "a1", "m1"

// flow is one run.
type flow struct {
	Config

	writer *snapshot.Writer
	reader *snapshot.Reader
	client *bus.Client
	server *bus.Server
	// hold keeps commands of kind logs running until it is closed or they are cancelled.
	hold chan struct{}
}

// Run does everything once; the error names the step that failed.
func Run(ctx context.Context, cfg Config) error {
	f, err := newFlow(cfg)
	if err != nil {
		return err
	}
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"the work of a lost agent is set up", f.leaveWork},
		{"an agent beats and publishes", f.publish},
		{"it publishes again after Redis was emptied", f.publishAgain},
	} {
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	// The master outlives the agent.
	master := start(ctx, f.reader.Gather, f.client.Run)
	agent := start(ctx, f.server.Run, f.beat)
	err = f.together(ctx)
	if err == nil {
		err = f.handBack(ctx)
	}
	err = errors.Join(err, agent.stop())
	if err == nil {
		err = f.afterwards(ctx)
	}
	return errors.Join(err, master.stop())
}

func newFlow(cfg Config) (*flow, error) {
	if cfg.Patience == 0 {
		cfg.Patience = time.Minute
	}
	if cfg.SweepInterval == 0 {
		cfg.SweepInterval = 100 * time.Millisecond
	}
	f := &flow{Config: cfg, hold: make(chan struct{})}
	var err error
	f.writer, err = snapshot.NewWriter(cfg.Agent, snapshot.WriterConfig{Cluster: cfg.Cluster, Instance: instance, Logger: cfg.Logger})
	if err != nil {
		return nil, err
	}
	f.reader = snapshot.NewReader(cfg.Master, snapshot.ReaderConfig{GatherInterval: 100 * time.Millisecond, Logger: cfg.Logger})
	f.client, err = bus.NewClient(cfg.Master, bus.ClientConfig{Replica: replica, SweepInterval: cfg.SweepInterval, Logger: cfg.Logger})
	if err != nil {
		return nil, err
	}
	f.server, err = bus.NewServer(cfg.Agent, bus.ServerConfig{
		// One look at what agents left, when it starts: later ones would disturb handBack.
		Cluster: cfg.Cluster, Instance: instance, Slots: 2, TidyInterval: time.Hour, Handle: f.handle, Logger: cfg.Logger,
	})
	return f, err
}

// beat says that the agent lives, often enough for a machine that is busy.
func (f *flow) beat(ctx context.Context) error {
	ticker := time.NewTicker(key.BeatInterval / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			if err := f.writer.Beat(ctx, snapshot.Beat{Slots: 2}); err != nil && ctx.Err() == nil {
				f.Logger.WarnContext(ctx, "a beat failed", "error", err)
			}
		}
	}
}

func (f *flow) handle(ctx context.Context, cmd bus.Command) bus.Reply {
	if cmd.Kind != detail.KindLogs {
		return bus.Reply{Data: cmd.Params}
	}
	select {
	case <-ctx.Done():
	case <-f.hold:
	}
	return bus.Reply{Data: cmd.Params}
}

// leaveWork leaves a command of an agent that stopped beating.
func (f *flow) leaveWork(ctx context.Context) error {
	value, err := beat.Beat{}.Value(f.Agent.Clock(f.Cluster).Now().Add(-key.BeatExpiry - time.Minute))
	if err != nil {
		return err
	}
	raw, err := f.command("left", f.Patience)
	return errors.Join(err,
		f.Admin.HSet(ctx, f.Cluster.Agents(), "lost", value).Err(),
		f.Admin.RPush(ctx, f.Cluster.Claimed("lost"), raw).Err())
}

func (f *flow) command(id string, left time.Duration) ([]byte, error) {
	return codec.Encode(bus.Command{
		// Other params: the result would be shared, and the master would fetch nothing.
		V: bus.Version, ID: id, Kind: detail.KindNode, Params: codec.Raw{8}, Replica: "m2",
		Deadline: f.Agent.Clock(f.Cluster).Now().Add(left).UnixMilli(),
	})
}

// params is the msgpack of the number 7.
func params() codec.Raw { return codec.Raw{7} }

// together is what both do while both run.
func (f *flow) together(ctx context.Context) error {
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"the master answers pings", f.Master.Ping},
		{"both tell the time", f.time},
		{"subscriptions tell that they live", f.health},
		{"the master lists the cluster", f.listed},
		{"the master reads a section", f.read},
		{"a command is answered", func(ctx context.Context) error { return f.ask(ctx, detail.KindNode) }},
		{"its result is shared", func(ctx context.Context) error { return f.ask(ctx, detail.KindNode) }},
		{"a command is answered at length", f.askLong},
		{"the work of a lost agent is taken back", f.tookOver},
		{"an expired command is dropped", f.drop},
		{"a command that runs is cancelled", f.cancel},
		{"a command that nobody took is taken back", f.takeBack},
		{"a reply that nobody waits for is deleted", f.tidyReply},
	} {
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return nil
}

func (f *flow) time(ctx context.Context) error {
	return errors.Join(f.Agent.SyncClocks(ctx), f.Master.SyncClocks(ctx))
}

// health is what the library asks every 3 s on a subscription that hears nothing.
func (f *flow) health(ctx context.Context) error {
	for _, s := range []*redis.PubSub{
		f.Agent.Normal.Subscribe(ctx, f.Cluster.Cancels()), f.Master.Normal.PSubscribe(ctx, key.EventsPattern),
	} {
		_, err := s.Receive(ctx)
		if err == nil {
			err = s.Ping(ctx)
		}
		if err == nil {
			_, err = s.Receive(ctx)
		}
		if err := errors.Join(err, s.Close()); err != nil {
			return err
		}
	}
	return nil
}

func (f *flow) ask(ctx context.Context, kind detail.Kind) error {
	return f.echoed(ctx, kind, params())
}

// askLong gets a reply that does not fit into its announcement.
func (f *flow) askLong(ctx context.Context) error {
	long, err := codec.Encode(strings.Repeat("x", 16<<10))
	if err != nil {
		return err
	}
	return f.echoed(ctx, detail.KindTrace, long)
}

func (f *flow) echoed(ctx context.Context, kind detail.Kind, params codec.Raw) error {
	reply, err := f.client.Do(ctx, f.Cluster, bus.Request{Kind: kind, Params: params, Timeout: f.Patience})
	if err == nil && !bytes.Equal(reply.Data, params) {
		err = fmt.Errorf("answered %.40x, want %.40x", reply.Data, params)
	}
	return err
}

func (f *flow) tookOver(ctx context.Context) error {
	return until(ctx, func() (bool, error) {
		n, err := f.Admin.LLen(ctx, f.Cluster.Reply("left")).Result()
		return n == 1, err
	})
}

func (f *flow) drop(ctx context.Context) error {
	raw, err := f.command("late", -time.Second)
	if err := errors.Join(err, f.Admin.RPush(ctx, f.Cluster.Commands(), raw).Err()); err != nil {
		return err
	}
	return f.nothingLeft(ctx)
}

// nothingLeft waits until no command is in a list.
func (f *flow) nothingLeft(ctx context.Context) error {
	return until(ctx, func() (bool, error) {
		n, err := f.Admin.Exists(ctx, f.Cluster.Commands(), f.Cluster.Claimed(instance)).Result()
		return n == 0, err
	})
}

// hang asks something that is not answered; the returned function hangs up.
func (f *flow) hang(ctx context.Context) (hangUp func() error) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- f.ask(ctx, detail.KindLogs) }()
	return func() error {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			return fmt.Errorf("hung up, but: %w", err)
		}
		return nil
	}
}

func (f *flow) cancel(ctx context.Context) error {
	hangUp := f.hang(ctx)
	err := f.busy(ctx, 1)
	return errors.Join(err, hangUp(), f.busy(ctx, 0), f.nothingLeft(ctx))
}

func (f *flow) busy(ctx context.Context, n int) error {
	return until(ctx, func() (bool, error) { return f.server.Busy() == n, nil })
}

// takeBack fills the slots, so that one more command stays in the list.
func (f *flow) takeBack(ctx context.Context) error {
	first, second := f.hang(ctx), f.hang(ctx)
	err := f.busy(ctx, 2)
	third := f.hang(ctx)
	waiting := func(n int64) error {
		return until(ctx, func() (bool, error) {
			got, err := f.Admin.LLen(ctx, f.Cluster.Commands()).Result()
			return got == n, err
		})
	}
	return errors.Join(err, waiting(1), third(), waiting(0), first(), second(), f.nothingLeft(ctx))
}

func (f *flow) tidyReply(ctx context.Context) error {
	name := f.Cluster.Reply("forgotten")
	if err := f.Admin.RPush(ctx, name, "x").Err(); err != nil {
		return err
	}
	return until(ctx, func() (bool, error) {
		// Announced again and again: the master may be about to subscribe.
		err := f.Admin.Publish(ctx, f.Cluster.Replies(replica), "forgotten").Err()
		if err != nil {
			return false, err
		}
		n, err := f.Admin.Exists(ctx, name).Result()
		return n == 0, err
	})
}

// handBack leaves in the claimed list what a taker would have when the agent stops.
func (f *flow) handBack(ctx context.Context) error {
	raw, err := f.command("back", f.Patience)
	return errors.Join(err, f.Admin.RPush(ctx, f.Cluster.Claimed(instance), raw).Err())
}

// afterwards is what is there when the agent has stopped.
func (f *flow) afterwards(ctx context.Context) error {
	n, err := f.Admin.LLen(ctx, f.Cluster.Commands()).Result()
	if err != nil || n != 1 {
		return fmt.Errorf("an agent that stops hands back: %d commands are there, want 1; %w", n, err)
	}
	if err := f.writer.Leave(ctx); err != nil {
		return fmt.Errorf("an agent leaves: %w", err)
	}
	err = f.ask(ctx, detail.KindNodeSeries)
	if !fault.Is(err, fault.AgentOffline) {
		return fmt.Errorf("a cluster without agents: %w", err)
	}
	if err := f.Admin.Del(ctx, f.Cluster.Agents()).Err(); err != nil {
		return err
	}
	err = f.ask(ctx, detail.KindNodeSeries)
	if !fault.Is(err, fault.AgentOffline) {
		return fmt.Errorf("a cluster that has no agents any more: %w", err)
	}
	return nil
}

// running is what was started.
type running struct {
	cancel context.CancelFunc
	ended  []chan error
}

func start(ctx context.Context, parts ...func(context.Context) error) *running {
	ctx, cancel := context.WithCancel(ctx)
	r := &running{cancel: cancel}
	for _, part := range parts {
		ended := make(chan error, 1)
		r.ended = append(r.ended, ended)
		go func() { ended <- part(ctx) }()
	}
	return r
}

func (r *running) stop() error {
	r.cancel()
	var err error
	for _, ended := range r.ended {
		err = errors.Join(err, <-ended)
	}
	return err
}

// until polls cond until it is true; an error of it ends the wait when ctx does.
func until(ctx context.Context, cond func() (bool, error)) error {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for {
		ok, err := cond()
		if ok {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		case <-ticker.C:
		}
	}
}
