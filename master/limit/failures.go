package limit

import (
	"fmt"
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// Failures bounds how many credentials an address may try that are none. nil bounds
// nothing. It is safe for concurrent use.
//
// Only different ones count: a page that was left open with a session that has ended, or
// a script with a token that was withdrawn, guesses nothing and must not lock out those
// who share its address.
type Failures struct {
	buckets *Buckets[netip.Addr]
	seed    maphash.Seed

	mu    sync.Mutex
	tried *simplelru.LRU[tried, struct{}]
}

// tried is a credential that was refused; only its hash is kept, and that of this process.
type tried struct {
	from netip.Addr
	sum  uint64
}

// NewFailures returns Failures. Config.Rate and Burst are how many an address may try.
func NewFailures(cfg Config) (*Failures, error) {
	buckets, err := New[netip.Addr](cfg)
	if err != nil {
		return nil, err
	}
	known, err := simplelru.NewLRU[tried, struct{}](buckets.cfg.MaxKeys, nil)
	if err != nil {
		return nil, fmt.Errorf("limit: %w", err)
	}
	return &Failures{buckets: buckets, seed: maphash.MakeSeed(), tried: known}, nil
}

// Wait returns how long the address must try no other credential, 0 when it may. Zero
// addresses, which nobody could name, share one bucket.
func (f *Failures) Wait(from netip.Addr) time.Duration {
	if f == nil {
		return 0
	}
	return f.buckets.Wait(Network(from))
}

// Refused notes that a credential from the address was refused.
func (f *Failures) Refused(from netip.Addr, credential string) {
	if f == nil {
		return
	}
	from = Network(from)
	if f.isNew(tried{from, maphash.String(f.seed, credential)}) {
		f.buckets.Take(from, 1)
	}
}

func (f *Failures) isNew(t tried) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, known := f.tried.Get(t); known {
		return false
	}
	f.tried.Add(t, struct{}{})
	return true
}

// Network is what one party has: an IPv4 address, or the /64 of an IPv6 one, all of
// which whoever has one address has (RFC 6177).
func Network(addr netip.Addr) netip.Addr {
	addr = addr.Unmap()
	if !addr.Is6() {
		return addr
	}
	return netip.PrefixFrom(addr.WithZone(""), 64).Masked().Addr()
}
