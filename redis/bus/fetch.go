package bus

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/shared/fault"
)

const (
	// fetchers is how many fetch replies at the same time, so that one large reply
	// does not hold back all others.
	fetchers = 4
	// fetchBatch is how many replies are asked for in one round trip.
	fetchBatch = 64
	// clockInterval is between measurements of Redis's clock, so that no request
	// has to take one.
	clockInterval = 10 * time.Second
	// maxSpent bounds the replies that wait to be deleted; the others expire.
	maxSpent = 10_000
)

// Run receives replies until ctx is done, and takes care of what is to be taken
// back before it returns nil. It can be called once.
func (c *Client) Run(ctx context.Context) error {
	if c.started.Swap(true) {
		return errRunTwice
	}
	var running sync.WaitGroup
	for range fetchers {
		running.Go(func() { c.fetcher.run(ctx) })
	}
	running.Go(func() { c.listen(ctx) })
	running.Go(func() { c.sweep(ctx) })
	running.Wait()
	c.parting.Wait()
	return nil
}

// listen hears which replies are there. One subscription serves all clusters.
func (c *Client) listen(ctx context.Context) {
	pubsub := c.clients.Normal.PSubscribe(ctx, key.RepliesPattern(c.cfg.Replica))
	defer func() {
		if err := pubsub.Close(); err != nil {
			c.cfg.Logger.DebugContext(ctx, "close the subscription to replies", "error", err)
		}
	}()
	messages := pubsub.ChannelWithSubscriptions(redis.WithChannelSize(fetchBatch*fetchers), redis.WithChannelSendTimeout(time.Second))
	for {
		select {
		case <-ctx.Done():
			return
		case message, ok := <-messages:
			if !ok {
				return
			}
			switch m := message.(type) {
			case *redis.Subscription:
				// New, or again after a cut: what was announced meanwhile was not heard.
				c.fetcher.fetchAll(ctx)
			case *redis.Message:
				cluster, ok := key.ClusterOf(m.Channel)
				if ok && validateID(m.Payload) == nil {
					c.fetcher.announce(ctx, cluster, m.Payload)
				}
			}
		}
	}
}

// sweep looks for replies whose announcement was lost, deletes those that were
// read and keeps the clock.
func (c *Client) sweep(ctx context.Context) {
	ticker := time.NewTicker(c.cfg.SweepInterval)
	defer ticker.Stop()
	var measured time.Time
	for {
		if time.Since(measured) > clockInterval {
			measured = time.Now()
			c.outage.Note(ctx, c.clients.Clock.Sync(ctx))
		}
		select {
		case <-ctx.Done():
			// What was read last is deleted as well.
			c.outage.Note(ctx, c.fetcher.fetch(context.WithoutCancel(ctx), nil))
			return
		case <-ticker.C:
			c.outage.Note(ctx, c.fetchWaiting(ctx))
		}
	}
}

func (c *Client) fetchWaiting(ctx context.Context) error {
	for batch := range slices.Chunk(c.fetcher.waiting(), fetchBatch) {
		if err := c.fetcher.fetch(ctx, batch); err != nil {
			return err
		}
	}
	return c.fetcher.fetch(ctx, nil)
}

// fetcher knows who waits and fetches what is there.
type fetcher struct {
	clients *conn.Clients
	cfg     ClientConfig
	there   chan *ask // replies that were announced

	mu    sync.Mutex
	asks  map[string]*ask // by id
	spent []string        // reply keys that were read
}

func newFetcher(clients *conn.Clients, cfg ClientConfig) *fetcher {
	return &fetcher{clients: clients, cfg: cfg, there: make(chan *ask, cfg.MaxWaiters), asks: make(map[string]*ask)}
}

// add notes that somebody waits; false when too many do.
func (f *fetcher) add(a *ask) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.asks) >= f.cfg.MaxWaiters {
		return false
	}
	f.asks[a.id] = a
	return true
}

func (f *fetcher) remove(a *ask) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.asks, a.id)
}

func (f *fetcher) len() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.asks)
}

// waiting lists who waits.
func (f *fetcher) waiting() []*ask {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]*ask, 0, len(f.asks))
	for _, a := range f.asks {
		out = append(out, a)
	}
	return out
}

// announce has a reply fetched; one that nobody waits for any more is deleted.
func (f *fetcher) announce(ctx context.Context, cluster key.Cluster, id string) {
	f.mu.Lock()
	a := f.asks[id]
	if a == nil {
		f.spend(cluster.Reply(id))
	}
	f.mu.Unlock()
	if a == nil || a.cluster != cluster {
		return
	}
	select {
	case f.there <- a:
	case <-ctx.Done():
	}
}

func (f *fetcher) fetchAll(ctx context.Context) {
	for _, a := range f.waiting() {
		f.announce(ctx, a.cluster, a.id)
	}
}

// spend notes a key to delete; the lock is held.
func (f *fetcher) spend(key string) {
	if len(f.spent) < maxSpent {
		f.spent = append(f.spent, key)
	}
}

// run fetches what is announced, all that is there in one round trip.
func (f *fetcher) run(ctx context.Context) {
	for {
		var batch []*ask
		select {
		case <-ctx.Done():
			return
		case a := <-f.there:
			batch = append(batch, a)
		}
	more:
		for len(batch) < fetchBatch {
			select {
			case a := <-f.there:
				batch = append(batch, a)
			default:
				break more
			}
		}
		// An error is met again, and logged, by the sweep, which tries again.
		if err := f.fetch(ctx, batch); err != nil && ctx.Err() == nil {
			f.cfg.Logger.DebugContext(ctx, "replies could not be fetched", "error", err)
		}
	}
}

// fetch reads the replies of some asks, where there are any, and deletes those
// that were read before. A reply is deleted only after it was read: what is cut
// on the wire can be read again.
func (f *fetcher) fetch(ctx context.Context, batch []*ask) error {
	f.mu.Lock()
	spent := f.spent
	f.spent = nil
	f.mu.Unlock()
	if len(batch) == 0 && len(spent) == 0 {
		return nil
	}
	lists := make([]*redis.StringSliceCmd, len(batch))
	_, err := f.clients.Normal.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, a := range batch {
			lists[i] = p.LRange(ctx, a.cluster.Reply(a.id), 0, 0)
		}
		for _, k := range spent {
			p.Unlink(ctx, k)
		}
		return nil
	})
	for i, a := range batch {
		list, err := lists[i].Result()
		switch {
		case redis.HasErrorPrefix(err, "WRONGTYPE"):
			f.deliver(a, outcome{err: fault.Wrap(err, fault.StoreUnavailable, "the agent's reply cannot be read")})
		case err == nil && len(list) > 0:
			f.deliver(a, f.read(a, list[0]))
		}
	}
	if err != nil && !redis.HasErrorPrefix(err, "WRONGTYPE") {
		return fmt.Errorf("fetch replies: %w", conn.Unavailable(err))
	}
	return nil
}

// read decodes a reply.
func (f *fetcher) read(a *ask, data string) outcome {
	if len(data) > f.cfg.MaxReplyBytes {
		return outcome{err: fault.New(fault.ResultTooLarge,
			"the result has %d bytes, more than %d; use a shorter time range or a lower limit", len(data), f.cfg.MaxReplyBytes)}
	}
	r, err := decodeReply([]byte(data), a.id)
	if err != nil {
		f.cfg.Logger.Warn("a reply cannot be read", "cluster", a.cluster, "id", a.id, "error", err)
		return outcome{err: fault.Wrap(err, fault.StoreUnavailable, "the agent's reply cannot be read: %s", readable(err))}
	}
	if r.Code != "" {
		return outcome{reply: r, err: fault.New(r.Code, "%s", r.Message)}
	}
	return outcome{reply: r}
}

// deliver hands the outcome to who waits, once, and has the reply deleted.
func (f *fetcher) deliver(a *ask, o outcome) {
	f.mu.Lock()
	f.spend(a.cluster.Reply(a.id))
	f.mu.Unlock()
	select {
	case a.got <- o:
	default: // it has one already
	}
}
