package conn

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// listenPatience is how long a subscription may be silent before it is asked
// whether it lives, and how long it may take to answer.
const listenPatience = 3 * time.Second

// Subscription says what is listened to, and who is told.
type Subscription struct {
	// Channels and Patterns are heard; one of the two is required.
	Channels, Patterns []string
	// OnMessage is told every message, one after the other; while it does not return,
	// messages wait. Required.
	OnMessage func(channel, payload string)
	// OnSubscribe, if set, is told when messages begin to be heard, also again after a
	// cut: what was published meanwhile was not heard.
	OnSubscribe func()
}

// Listen hears messages until ctx is done; it comes back after every cut, and from
// servers that are there and say nothing: the library's own channels would stay with
// a frozen or unreachable one for as long as its kernel, or ours, keeps the
// connection.
func (c *Clients) Listen(ctx context.Context, s Subscription) {
	var backoff Backoff
	for ctx.Err() == nil {
		err := c.listen(ctx, s, backoff.Reset)
		if cluster, ok := c.Normal.(*redis.ClusterClient); ok && !answered(err) {
			// Its server may be gone for good.
			cluster.ReloadState(ctx)
		}
		backoff.Wait(ctx)
	}
}

// listen hears messages on one connection; works is called when it does.
func (c *Clients) listen(ctx context.Context, s Subscription, works func()) error {
	pubsub := c.Normal.Subscribe(ctx)
	defer c.hangUp(pubsub)
	if len(s.Channels) > 0 {
		if err := pubsub.Subscribe(ctx, s.Channels...); err != nil {
			return err
		}
	}
	if len(s.Patterns) > 0 {
		if err := pubsub.PSubscribe(ctx, s.Patterns...); err != nil {
			return err
		}
	}
	var heard atomic.Int64
	var watching sync.WaitGroup
	defer watching.Wait()
	ended, end := context.WithCancel(ctx)
	defer end()
	watching.Go(func() {
		c.watch(ended, pubsub, &heard)
		// A receive heeds no context.
		c.hangUp(pubsub)
	})
	for {
		received, err := pubsub.Receive(ctx)
		if err != nil {
			return err
		}
		heard.Add(1)
		works()
		switch m := received.(type) {
		case *redis.Subscription:
			if s.OnSubscribe != nil {
				s.OnSubscribe()
			}
		case *redis.Message:
			s.OnMessage(m.Channel, m.Payload)
		}
	}
}

// watch returns when ctx is done or the subscription does not answer.
func (c *Clients) watch(ctx context.Context, pubsub *redis.PubSub, heard *atomic.Int64) {
	ticker := time.NewTicker(listenPatience)
	defer ticker.Stop()
	before, asked := int64(0), false
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := heard.Load()
		if now != before {
			before, asked = now, false
			continue
		}
		if asked || pubsub.Ping(ctx) != nil {
			return
		}
		asked = true
	}
}

// hangUp closes a subscription, perhaps for the second time.
func (c *Clients) hangUp(p *redis.PubSub) {
	if err := p.Close(); err != nil && !errors.Is(err, redis.ErrClosed) {
		c.logger.Debug("close a subscription", "error", err)
	}
}
