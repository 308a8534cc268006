package dashboard

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// sweepInterval is between two looks at all that is held.
const sweepInterval = time.Second

// sweeps looks at all that is held until ctx is done.
func (s *Service) sweeps(ctx context.Context) error {
	ticker := time.NewTicker(sweepInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			s.sweep(ctx)
		}
	}
}

// sweep drops what nobody asked for during Idle, tells subscribers of what became
// old, and counts the forms that were made of answers since.
func (s *Service) sweep(ctx context.Context) {
	for _, e := range s.cache.all() {
		e.mu.Lock()
		now := s.now()
		for _, h := range e.sections {
			if h.pinned(now) {
				continue
			}
			if !e.subscribed(h.name) && h.loads == 0 && now.sub(instant(h.used.Load())) > s.cfg.Idle {
				s.remove(e, h)
				s.stats.idle.Add(1)
				continue
			}
			s.resize(h)
		}
		s.dropHuge(e)
		if len(e.subs) > 0 {
			s.settle(ctx, e, now)
		}
		s.tidy(e, now)
		e.mu.Unlock()
	}
	s.trim()
}

// dropHuge lets go of what is larger than the whole cache in a locked entry: it is
// read for each who asks.
func (s *Service) dropHuge(e *entry) {
	for _, h := range e.sections {
		if h.huge && h.loads == 0 {
			s.remove(e, h)
			s.stats.evicted.Add(1)
		}
	}
}

// trimTo is the part of CacheBytes that is left when something had to go, so that it
// is not one section at a time.
const trimTo = 0.95

// trim lets go of the least recently used sections when all that is held takes more
// than CacheBytes. Subscribers are not told: what they have is still what Redis holds.
func (s *Service) trim() {
	if s.bytes.Load() <= s.cfg.CacheBytes {
		return
	}
	type candidate struct {
		e    *entry
		h    *held
		used instant
	}
	now := s.now()
	var all []candidate
	for _, e := range s.cache.all() {
		e.mu.Lock()
		for _, h := range e.sections {
			if h.pinned(now) || h.loads > 0 || h.size == 0 {
				continue
			}
			all = append(all, candidate{e, h, instant(h.used.Load())})
		}
		e.mu.Unlock()
	}
	slices.SortFunc(all, func(a, b candidate) int { return cmp.Compare(a.used, b.used) })
	for _, c := range all {
		if float64(s.bytes.Load()) <= trimTo*float64(s.cfg.CacheBytes) {
			return
		}
		c.e.mu.Lock()
		if c.h.loads == 0 && c.e.sections[c.h.name] == c.h {
			s.remove(c.e, c.h)
			s.stats.evicted.Add(1)
		}
		c.e.mu.Unlock()
	}
}
