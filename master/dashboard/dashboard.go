// Package dashboard answers from what lies in Redis: the sections of a cluster's
// snapshot as ready response bodies, and the list of clusters. It never waits
// for a cluster.
//
// A Service is a cache: what is asked for is held ready and followed, so that a
// request on it touches Redis not at all. An entry (one cluster) is asked about by
// a snapshot.Watcher, which calls follower.Take (follow.go); judge (entry.go) says
// what holds of a section at a moment; held sections (held.go) are found through
// cache (cache.go) and let go by sweep (sweep.go).
package dashboard

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/atlhyper/observe/master/compress"
	"github.com/atlhyper/observe/master/flight"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
)

// Service turns sections into answers, and keeps them.
type Service struct {
	cfg        Config
	reader     Reader
	compressor *compress.Compressor
	watcher    *snapshot.Watcher
	epoch      time.Time
	cache      cache
	bytes      atomic.Int64 // of all that is held
	flights    flight.Group[sectionKey, *Answer]
	fleet      fleet
	stats      stats
}

// New returns a Service. It answers at once; what it holds is kept up to date
// while Run runs, and else checked when it is asked for.
func New(cfg Config) (*Service, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("dashboard: %w", err)
	}
	s := &Service{
		cfg: cfg, reader: cfg.Reader, compressor: cfg.Compressor, epoch: cfg.Now().Add(-time.Hour),
		cache: cache{entries: make(map[key.Cluster]*entry), sections: make(map[sectionKey]*held)},
	}
	s.watcher, err = snapshot.NewWatcher(snapshot.WatcherConfig{
		Source: cfg.Reader, Follower: follower{s}, Interval: cfg.CheckInterval, Timeout: cfg.ReadTimeout, Logger: cfg.Logger,
	})
	if err != nil {
		return nil, fmt.Errorf("dashboard: %w", err)
	}
	return s, s.register()
}

// Run keeps what is held up to date until ctx is done. It returns nil.
func (s *Service) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.watcher.Run(ctx) })
	group.Go(func() error { return s.sweeps(ctx) })
	group.Go(func() error { return s.followFleet(ctx) })
	return group.Wait()
}

func (s *Service) now() instant { return s.at(s.cfg.Now()) }

func (s *Service) at(t time.Time) instant { return instant(t.Sub(s.epoch)) }

// Now is the time on the clock of the Redis server that holds the cluster, by the
// last check of it; false when nothing of the cluster is held.
func (s *Service) Now(cluster key.Cluster) (time.Time, bool) {
	e := s.cache.entry(cluster)
	if e == nil || e.skew.Load() == 0 {
		return time.Time{}, false
	}
	return e.redis(s.now()), true
}

// Section returns the answer for a section of a cluster: from memory when it is
// held and Redis was asked at most 2 s ago, or fails to answer; else once Redis
// answered. Errors are *fault.Error: cluster_unknown, not_ready, snapshot_expired,
// and store_unavailable, also when what lies in Redis cannot be read.
func (s *Service) Section(ctx context.Context, cluster key.Cluster, name model.Section) (*Answer, error) {
	now := s.now()
	h := s.cache.section(cluster, name)
	if h != nil {
		h.used.Store(int64(now))
		// In this order: the answer is at least as new as what it is valid by.
		if int64(now) < h.valid.Load() {
			if answer := h.answer.Load(); answer != nil {
				s.stats.hits.Add(1)
				return answer, nil
			}
		}
	}
	// Also when it is not held: that Redis failed to answer about the cluster a moment
	// ago is known without asking again.
	if answer, v := s.held(ctx, cluster, name); v.kind == serve || v.kind == none {
		s.stats.hits.Add(1)
		return answer, v.err
	}
	s.stats.misses.Add(1)
	answer, _, err := s.flights.Do(ctx, sectionKey{cluster, name}, func(ctx context.Context) (*Answer, error) {
		return s.load(ctx, cluster, name)
	})
	return answer, err
}

// held judges a section that is held, and returns its answer if there is one.
func (s *Service) held(ctx context.Context, cluster key.Cluster, name model.Section) (*Answer, verdict) {
	e := s.cache.entry(cluster)
	if e == nil {
		return nil, verdict{kind: check}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return s.judged(ctx, e, e.sections[name], s.now())
}

// judged is held of a locked entry; h may be nil.
func (s *Service) judged(ctx context.Context, e *entry, h *held, now instant) (*Answer, verdict) {
	v := e.judge(h, now)
	if v.kind != serve {
		return nil, v
	}
	s.settleSection(ctx, e, h, now)
	answer := h.answer.Load()
	if answer == nil || h.dirty {
		return nil, verdict{kind: none, err: h.err}
	}
	return answer, v
}

// load asks Redis, and returns what is held then.
func (s *Service) load(ctx context.Context, cluster key.Cluster, name model.Section) (*Answer, error) {
	e := s.cache.lock(cluster)
	h := s.cache.want(e, name, s.now())
	e.loads++
	h.loads++
	wait := s.cfg.ReadTimeout
	if h.there && s.now() < h.until {
		wait = min(wait, s.cfg.OverdueWait)
	}
	e.mu.Unlock()
	defer s.release(e, h)
	// Twice, for a snapshot that comes while it is found out why there is none.
	for range 2 {
		began := s.now()
		err := s.check(ctx, wait, cluster)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		e.mu.Lock()
		if err != nil {
			e.fail(s.now(), err)
		}
		now := s.now()
		if e.asked >= began {
			// However long it took, nothing is newer that was there when the request came.
			now = min(now, e.asked.add(freshFor))
		}
		answer, v := s.judged(ctx, e, h, now)
		e.mu.Unlock()
		if v.kind == serve || v.kind == none {
			return answer, v.err
		}
		if err := s.why(ctx, cluster, name); err != nil {
			return nil, err
		}
	}
	return nil, fault.New(fault.StoreUnavailable, "the snapshot of cluster %s came and went while it was read", cluster).After(time.Second)
}

// why returns why Redis has no section, nil when it has one now.
func (s *Service) why(ctx context.Context, cluster key.Cluster, name model.Section) error {
	_, err := read(ctx, s.cfg.ReadTimeout, func(ctx context.Context) (snapshot.Section, error) {
		return s.reader.Section(ctx, cluster, name)
	})
	return err
}

// release ends a load.
func (s *Service) release(e *entry, h *held) {
	e.mu.Lock()
	e.loads--
	h.loads--
	if h.loads == 0 && (!h.there || h.huge) && !h.pinned(s.now()) && e.sections[h.name] == h {
		s.remove(e, h)
	}
	s.tidy(e, s.now())
	e.mu.Unlock()
	s.trim()
}

// read bounds one read of Redis in time. Our own bound running out means that
// Redis does not answer; the caller's context ending stays what it is.
func read[T any](ctx context.Context, timeout time.Duration, fn func(context.Context) (T, error)) (T, error) {
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	value, err := fn(bounded)
	if err != nil && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		return value, fault.Wrap(err, fault.StoreUnavailable, "Redis did not answer within %s", timeout).After(time.Second)
	}
	return value, err
}
