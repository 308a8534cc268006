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
			c.outage.Note(ctx, c.fetcher.fetch(context.WithoutCancel(ctx), nil, false))
			return
		case <-ticker.C:
			c.outage.Note(ctx, c.fetchWaiting(ctx))
		}
	}
}

func (c *Client) fetchWaiting(ctx context.Context) error {
	for batch := range slices.Chunk(c.fetcher.waiting(), fetchBatch) {
		if err := c.fetcher.fetch(ctx, batch, true); err != nil {
			return err
		}
	}
	return c.fetcher.fetch(ctx, nil, true)
}
