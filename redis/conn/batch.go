package conn

import (
	"context"
	"slices"
	"sync"

	"github.com/redis/go-redis/v9"
)

const (
	// batchLanes is how many round trips of one Batch may be under way: enough that one
	// that is slow does not hold up the next, few enough that what comes meanwhile
	// goes together.
	batchLanes = 4
	// batchSize bounds the calls of one round trip.
	batchSize = 64
)

// Batch runs one script for many goroutines. One that finds a free lane runs at once;
// those that come while all lanes are taken go together with the next, so that the
// more there are the fewer round trips, connections and wake-ups each costs. Its
// methods may be called from several goroutines at once.
type Batch struct {
	script *Script
	client redis.UniversalClient
	// apart is true where calls may go to several servers: one that hangs would hold up
	// the calls to the others.
	apart bool

	mu     sync.Mutex
	lanes  int // taken
	queued []*call
}

// call is one that waits; done holds one.
type call struct {
	Call
	gone <-chan struct{} // closed when nobody waits for it any more
	done chan Answer
}

// NewBatch returns the Batch of a script.
func (c *Clients) NewBatch(script *Script) *Batch {
	return &Batch{script: script, client: c.Normal, apart: c.topology == Cluster}
}

// Run is Script.Run. When ctx ends first, the script may still run, as it may when a
// connection is given up.
func (b *Batch) Run(ctx context.Context, keys []string, args ...any) (any, error) {
	if b.apart {
		return b.script.Run(ctx, b.client, keys, args...)
	}
	if b.enter() {
		defer b.leave(context.WithoutCancel(ctx))
		return b.script.Run(ctx, b.client, keys, args...)
	}
	c := &call{Call: Call{Keys: keys, Args: args}, gone: ctx.Done(), done: make(chan Answer, 1)}
	b.mu.Lock()
	b.queued = append(b.queued, c)
	b.mu.Unlock()
	// A lane may have become free in between.
	if b.enter() {
		go b.work(context.WithoutCancel(ctx))
	}
	select {
	case answer := <-c.done:
		return answer.Value, answer.Err
	case <-ctx.Done():
		return nil, Unavailable(ctx.Err())
	}
}

// enter takes a lane if there is one.
func (b *Batch) enter() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lanes == batchLanes {
		return false
	}
	b.lanes++
	return true
}

// leave gives the lane to those that came meanwhile, or back.
func (b *Batch) leave(ctx context.Context) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queued) > 0 {
		go b.work(ctx)
		return
	}
	b.lanes--
}

// work runs what is queued until nothing is. The clients' own time-outs bound each
// round trip: the callers' contexts are others.
func (b *Batch) work(ctx context.Context) {
	for {
		calls := b.next()
		if calls == nil {
			return
		}
		list := make([]Call, len(calls))
		for i, c := range calls {
			list[i] = c.Call
		}
		for i, answer := range b.script.RunAll(ctx, b.client, list) {
			calls[i].done <- answer
		}
	}
}

// next takes what somebody waits for, or gives the lane back.
func (b *Batch) next() []*call {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.queued = slices.DeleteFunc(b.queued, func(c *call) bool {
		select {
		case <-c.gone:
			return true
		default:
			return false
		}
	})
	n := min(len(b.queued), batchSize)
	if n == 0 {
		b.lanes--
		return nil
	}
	calls := slices.Clone(b.queued[:n])
	b.queued = slices.Delete(b.queued, 0, n)
	return calls
}
