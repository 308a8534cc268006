package conn

import (
	"context"
	"math/rand/v2"
	"time"
)

// Backoff spaces tries: each wait is twice the last, up to Max, of which half is
// random, so that many processes do not come back in the same moment.
type Backoff struct {
	// Min is the first wait. 0 means 100 ms.
	Min time.Duration
	// Max is the longest wait. 0 means 10 s.
	Max time.Duration

	next time.Duration
}

// Reset starts again from Min: something worked.
func (b *Backoff) Reset() { b.next = 0 }

// Next is how long to wait before the next try.
func (b *Backoff) Next() time.Duration {
	low, high := b.Min, b.Max
	if low == 0 {
		low = 100 * time.Millisecond
	}
	if high == 0 {
		high = 10 * time.Second
	}
	wait := min(max(b.next, low), high)
	b.next = wait * 2
	return wait/2 + rand.N(wait/2+1)
}

// Wait waits for Next or until ctx is done.
func (b *Backoff) Wait(ctx context.Context) {
	timer := time.NewTimer(b.Next())
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
