package bus

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/key"
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
	for range largeFetchers {
		running.Go(func() { c.fetcher.runLarge(ctx) })
	}
	running.Go(func() { c.listen(ctx) })
	running.Go(func() { c.sweep(ctx) })
	running.Wait()
	c.parting.Wait()
	return nil
}

// listen hears which replies are there. One subscription serves all clusters.
func (c *Client) listen(ctx context.Context) {
	c.clients.Listen(ctx, conn.Subscription{
		Patterns:  []string{key.RepliesPattern(c.cfg.Replica)},
		OnMessage: func(channel, payload string) { c.fetcher.hear(ctx, channel, payload) },
		// New, or again after a cut: what was announced meanwhile was not heard.
		OnSubscribe: func() { c.fetcher.fetchAll(ctx) },
	})
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
			c.outage.Note(ctx, c.clients.SyncClocks(ctx))
		}
		select {
		case <-ctx.Done():
			// What was read last is deleted as well.
			_, err := c.fetcher.fetch(context.WithoutCancel(ctx), nil, false)
			c.outage.Note(ctx, err)
			return
		case <-ticker.C:
			if asked, err := c.fetchWaiting(ctx); asked || err != nil {
				c.outage.Note(ctx, err)
			}
		}
	}
}

// fetchWaiting looks for the replies of all who wait, and tells whether Redis was asked:
// otherwise that nothing failed says nothing of it.
func (c *Client) fetchWaiting(ctx context.Context) (asked bool, err error) {
	for batch := range slices.Chunk(c.fetcher.waiting(), fetchBatch) {
		did, err := c.fetcher.fetch(ctx, batch, true)
		if asked = asked || did; err != nil {
			return asked, err
		}
	}
	did, err := c.fetcher.fetch(ctx, nil, true)
	return asked || did, err
}
