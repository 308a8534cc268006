package inspect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/atlhyper/observe/redis/bus"
	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
)

// FollowConfig says what is followed.
type FollowConfig struct {
	// Cluster whose commands are followed. Required.
	Cluster key.Cluster
	// Command is the id of the one to follow, until it is answered or gone. "" follows
	// all.
	Command string
	// Interval is between two looks at the lists, 50 ms to a minute. 0 means 200 ms.
	Interval time.Duration
	// See is told what happens, one after the other; its error ends Follow. Required.
	See func(Event) error
}

// Event is one thing that happened to a command. What is not known is left out.
type Event struct {
	At      model.Time `json:"at"` // when it was seen, on Redis's clock
	Command string     `json:"command"`
	// Event is waiting (also again: it was handed or taken back), claimed, canceled (the
	// master waits no more, and says so to the agents), answered, or gone (it is in no list
	// and was not answered: the master took it back, or it was dropped after its deadline).
	Event       string     `json:"event"`
	Kind        string     `json:"kind,omitempty"`
	Replica     string     `json:"replica,omitempty"`     // master that waits
	LeftSeconds float64    `json:"leftSeconds,omitempty"` // until its deadline
	Agent       string     `json:"agent,omitempty"`       // that claimed or answered it
	RunAt       model.Time `json:"runAt,omitempty"`       // when its run began
	TookMs      float64    `json:"tookMs,omitempty"`      // how long it ran
	Bytes       int64      `json:"bytes,omitempty"`       // of the reply
	Code        string     `json:"code,omitempty"`        // of a reply that is an error
	Message     string     `json:"message,omitempty"`
}

// The events.
const (
	eventWaiting  = "waiting"
	eventClaimed  = "claimed"
	eventCanceled = "canceled"
	eventAnswered = "answered"
	eventGone     = "gone"
)

const (
	shortestInterval, defaultInterval, longestInterval = 50 * time.Millisecond, 200 * time.Millisecond, time.Minute
	// heardBuffer is how many messages may wait to be told of.
	heardBuffer = 256
)

// Follow tells of what happens to commands until ctx is done, or to one until it has
// ended. It looks at the lists every Interval and hears announcements: what waits or runs
// for less than an Interval is not seen doing so, that it was answered is heard. It takes
// nothing and delays nobody. After the first look, failures are logged and the next look
// tries again. When ctx ends it returns nil.
func (i *Inspector) Follow(ctx context.Context, cfg FollowConfig) error {
	cfg, err := cfg.checked()
	if err != nil {
		return err
	}
	f := newFollower(i, cfg)
	if err = i.mayHear(ctx, cfg.Cluster); err == nil {
		err = f.look(ctx)
	}
	switch {
	case f.refused != nil:
		return f.refused
	case over(ctx):
		return nil
	case err != nil:
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	var listening sync.WaitGroup
	defer listening.Wait()
	defer stop()
	heard := make(chan message, heardBuffer)
	listening.Go(func() { i.listen(ctx, cfg.Cluster, heard) })
	ticker := time.NewTicker(cfg.Interval)
	defer ticker.Stop()
	for !f.ended {
		select {
		case <-ctx.Done():
			return nil
		case m := <-heard:
			err = f.hear(ctx, m)
		case <-ticker.C:
			err = f.look(ctx)
		}
		if f.refused != nil {
			return f.refused
		}
		f.outage.Note(ctx, err)
	}
	return nil
}

// over tells whether ctx has ended or is about to: reads that its deadline ends may fail a
// moment before it says so itself.
func over(ctx context.Context) bool {
	deadline, bounded := ctx.Deadline()
	return ctx.Err() != nil || bounded && !time.Now().Before(deadline)
}

func (cfg FollowConfig) checked() (FollowConfig, error) {
	cfg.Interval = cmp.Or(cfg.Interval, defaultInterval)
	if cfg.Interval < shortestInterval || cfg.Interval > longestInterval {
		return cfg, fault.New(fault.BadRequest, "interval: %s is not between %s and %s", cfg.Interval, shortestInterval, longestInterval)
	}
	if cfg.Command != "" {
		if err := bus.ValidateID(cfg.Command); err != nil {
			return cfg, fault.New(fault.BadRequest, "command: %s", err)
		}
	}
	if cfg.See == nil {
		return cfg, errors.New("inspect: See is required")
	}
	return cfg, nil
}

// message is one that was published.
type message struct{ channel, text string }

func (i *Inspector) listen(ctx context.Context, c key.Cluster, heard chan<- message) {
	i.clients.Listen(ctx, conn.Subscription{
		Channels: []string{c.Cancels()},
		Patterns: []string{c.Replies("*")},
		OnMessage: func(channel, text string) {
			select {
			case heard <- message{channel, text}:
			case <-ctx.Done():
			}
		},
	})
}

// mayHear finds out what Listen would try for ever: whether the user may subscribe.
func (i *Inspector) mayHear(ctx context.Context, c key.Cluster) (err error) {
	const patience = 5 * time.Second
	s := i.clients.Normal.Subscribe(ctx)
	defer func() { err = errors.Join(err, s.Close()) }()
	for _, subscribe := range []func() error{
		func() error { return s.Subscribe(ctx, c.Cancels()) },
		func() error { return s.PSubscribe(ctx, c.Replies("*")) },
	} {
		err := subscribe()
		if err == nil {
			_, err = s.ReceiveTimeout(ctx, patience)
		}
		if err != nil {
			return fmt.Errorf("listen: %w", conn.Unavailable(err))
		}
	}
	return nil
}
