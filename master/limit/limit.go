// Package limit says how often somebody may ask: token buckets by caller, by cluster and
// by address. They live in this process and bound what one replica does.
package limit

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"
)

// DefaultMaxKeys is the default of Config.MaxKeys: about 3 MB of buckets.
const DefaultMaxKeys = 10_000

// Config is what Buckets need.
type Config struct {
	// Rate is how many tokens a bucket gains per second. Required, more than 0.
	Rate float64
	// Burst is how many tokens a bucket holds, and the most that can be taken at once. 0
	// means those of 2 s, at least 1.
	Burst int
	// MaxKeys bounds the buckets that are held; the one that was not used for longest is
	// forgotten, and full when it is asked for again. 0 means 10,000.
	MaxKeys int
	// Now is the clock. nil means time.Now.
	Now func() time.Time
}

// MaxRate is the highest rate that makes sense: beyond it nothing is limited.
const MaxRate = 1_000_000

func (c Config) withDefaults() (Config, error) {
	if !(c.Rate > 0 && c.Rate <= MaxRate) { // also refuses NaN
		return c, fmt.Errorf("limit: Rate: %v is not between 0 and %d", c.Rate, MaxRate)
	}
	if c.Burst < 0 || c.MaxKeys < 0 {
		return c, errors.New("limit: Burst and MaxKeys must not be negative")
	}
	if c.Burst == 0 {
		c.Burst = int(math.Ceil(2 * c.Rate))
	}
	if c.MaxKeys == 0 {
		c.MaxKeys = DefaultMaxKeys
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c, nil
}

// Buckets are token buckets by key, each full at first. nil ones limit nothing. They are
// safe for concurrent use.
type Buckets[K comparable] struct {
	cfg Config

	mu   sync.Mutex
	held *simplelru.LRU[K, *rate.Limiter]
}

// New returns empty Buckets.
func New[K comparable](cfg Config) (*Buckets[K], error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	held, err := simplelru.NewLRU[K, *rate.Limiter](cfg.MaxKeys, nil)
	if err != nil {
		return nil, fmt.Errorf("limit: %w", err)
	}
	return &Buckets[K]{cfg: cfg, held: held}, nil
}

// Take takes tokens from the bucket of a key and returns 0, or takes none and returns
// how long it needs to gain them. More than Burst are taken as Burst.
func (b *Buckets[K]) Take(key K, tokens int) (wait time.Duration) {
	if b == nil || tokens <= 0 {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	bucket, ok := b.held.Get(key)
	if !ok {
		bucket = rate.NewLimiter(rate.Limit(b.cfg.Rate), b.cfg.Burst)
		b.held.Add(key, bucket)
	}
	now := b.cfg.Now()
	reservation := bucket.ReserveN(now, min(tokens, b.cfg.Burst))
	if wait = reservation.DelayFrom(now); wait > 0 {
		reservation.CancelAt(now) // nobody waits here: who is refused comes back
	}
	return wait
}

// Wait returns how long the bucket of a key needs to hold a token; 0 when it does.
func (b *Buckets[K]) Wait(key K) time.Duration {
	if b == nil {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	bucket, ok := b.held.Get(key)
	if !ok {
		return 0
	}
	missing := 1 - bucket.TokensAt(b.cfg.Now())
	if missing <= 0 {
		return 0
	}
	return time.Duration(math.Ceil(missing / b.cfg.Rate * float64(time.Second)))
}

// Len is how many buckets are held.
func (b *Buckets[K]) Len() int {
	if b == nil {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.held.Len()
}
