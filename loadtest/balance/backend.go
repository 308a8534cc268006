package balance

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"
)

// backend is one master and what is known about its health.
type backend struct {
	url *url.URL
	// restUntil is when it is tried like the others again, in Unix ns.
	restUntil atomic.Int64
	// unready is what the last check of /readyz said.
	unready atomic.Bool
}

func (b *backend) fail(rest time.Duration) { b.restUntil.Store(time.Now().Add(rest).UnixNano()) }

func (b *backend) healthy() bool {
	return !b.unready.Load() && time.Now().UnixNano() >= b.restUntil.Load()
}

// order returns the backends in the order in which a request tries them: round
// robin, the healthy ones first. The others stay in it: what is known may be old,
// and a last try costs less than a failed request.
func (b *Balancer) order() []*backend {
	n := uint64(len(b.backends))
	start := b.next.Add(1)
	order := make([]*backend, 0, n)
	var resting []*backend
	for i := range n {
		candidate := b.backends[(start+i)%n]
		if candidate.healthy() {
			order = append(order, candidate)
		} else {
			resting = append(resting, candidate)
		}
	}
	return append(order, resting...)
}

// check asks every backend's /readyz until ctx is done.
func (b *Balancer) check(ctx context.Context) {
	ticker := time.NewTicker(b.cfg.CheckInterval)
	defer ticker.Stop()
	for {
		for _, candidate := range b.backends {
			err := b.ready(ctx, candidate)
			if ctx.Err() != nil {
				return
			}
			if was := candidate.unready.Swap(err != nil); was != (err != nil) {
				b.cfg.Logger.InfoContext(ctx, "backend changed", "backend", candidate.url.Host, "ready", err == nil)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (b *Balancer) ready(ctx context.Context, candidate *backend) error {
	ctx, cancel := context.WithTimeout(ctx, b.cfg.CheckInterval)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, candidate.url.JoinPath("/readyz").String(), nil)
	if err != nil {
		return fmt.Errorf("check: %w", err)
	}
	resp, err := b.transport.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("check: %w", err)
	}
	if err := resp.Body.Close(); err != nil {
		return fmt.Errorf("check: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("check: %s", resp.Status)
	}
	return nil
}
