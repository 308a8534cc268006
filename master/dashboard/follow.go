package dashboard

import (
	"context"
	"time"

	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/fault"
)

// follower is what the Watcher sees of a Service.
type follower struct{ *Service }

// Followed implements snapshot.Follower.
func (f follower) Followed() []key.Cluster {
	var ids []key.Cluster
	for _, e := range f.cache.all() {
		if e.inUse() {
			ids = append(ids, e.cluster)
		}
	}
	return ids
}

// Follows implements snapshot.Follower.
func (f follower) Follows(c key.Cluster) bool {
	e := f.cache.entry(c)
	return e != nil && e.inUse()
}

// inUse tells whether anything of the cluster is wanted: else the entry is there only
// to remember what was shown last.
func (e *entry) inUse() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.sections) > 0 || len(e.subs) > 0
}

// Ask implements snapshot.Follower.
func (f follower) Ask(c key.Cluster) snapshot.Ask {
	ask := snapshot.Ask{Cluster: c}
	e := f.cache.entry(c)
	if e == nil {
		return ask
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	ask.Seq = e.seq
	for _, h := range e.sections {
		ask.Sections = append(ask.Sections, snapshot.Held{Name: h.name, Hash: h.hash()})
		if h.checked != e.seq {
			ask.Seq = 0
		}
	}
	return ask
}

// Take implements snapshot.Follower.
func (f follower) Take(ctx context.Context, v snapshot.View) {
	e := f.cache.entry(v.Info.ID)
	if e == nil {
		return
	}
	e.mu.Lock()
	now := f.now()
	if v.Err != nil {
		f.stats.failed.Add(1)
		e.fail(now, v.Err)
	} else {
		f.take(e, &v, now)
	}
	f.settle(ctx, e, now)
	f.dropHuge(e)
	e.mu.Unlock()
	f.trim()
}

// take takes over what Redis says of a locked entry.
func (s *Service) take(e *entry, v *snapshot.View, now instant) {
	e.asked, e.tried, e.away, e.info = s.at(v.Asked), now, nil, v.Info
	e.skew.Store(v.Now.UnixNano() - int64(s.at(v.Here)))
	s.stats.checkedAt.Store(int64(e.asked))
	switch {
	case v.Unreadable != nil:
		s.stats.missing.Add(1)
		e.lost = fault.From(v.Unreadable).Message
		return
	case !v.Present():
		s.stats.missing.Add(1)
		e.lost = forgotten
		return
	case v.Info.Seq < e.seq && now < e.until:
		s.stats.missing.Add(1)
		e.lost = behind
		return
	case v.Info.Seq < e.seq:
		// What was shown last has expired, wherever it is now.
		for _, h := range e.sections {
			h.drop()
			s.resize(h)
		}
	}
	e.lost, e.seq = "", v.Info.Seq
	left := min(max(v.ExpiresAt.Sub(v.Now), 0), v.ExpiresAt.Sub(v.Info.PublishedAt))
	e.until = s.at(v.Here).add(left)
	if v.Changed {
		s.stats.changed.Add(1)
	} else {
		s.stats.unchanged.Add(1)
	}
	for _, h := range e.sections {
		found, told := v.Sections[h.name]
		switch {
		case told && (!found.Same || h.there):
			h.take(found, e.seq, e.until)
		case !v.Changed && h.checked == e.seq && h.lost == "":
			h.until = e.until
		}
	}
}

// settle makes anew what answers of a locked entry say no more what holds, and tells
// subscribers.
func (s *Service) settle(ctx context.Context, e *entry, now instant) {
	changed := false
	for _, h := range e.sections {
		changed = s.settleSection(ctx, e, h, now) || changed
	}
	state := state{e.seq, e.away != nil && now.sub(e.asked) > freshFor, e.lost, e.info.Status}
	if changed || state != e.state {
		e.state = state
		e.signal()
	}
}

// settleSection tells whether the answer is another one now. One that was not held
// and that a request waits for is none: it says what Redis holds, of which
// subscribers were told. Streams that have no room beside each other would else wake
// each other without end.
func (s *Service) settleSection(ctx context.Context, e *entry, h *held, now instant) bool {
	v := e.judge(h, now)
	if v.kind != serve {
		return h.valid.Swap(0) != 0
	}
	wasHeld := h.answer.Load() != nil
	anew := !wasHeld || h.dirty || h.said != v.say
	if anew {
		if err := s.build(e, h, v.say); err != nil {
			s.cfg.Logger.ErrorContext(ctx, "an answer cannot be made", "cluster", e.cluster, "section", h.name, "error", err)
			h.err = err
			h.valid.Store(0)
			return true
		}
	}
	h.valid.Store(int64(v.until))
	return anew && (wasHeld || h.loads == 0)
}

// check asks Redis about clusters now; wait bounds how long. What came of it is
// known to the entries; the error is of the wait.
func (s *Service) check(ctx context.Context, wait time.Duration, clusters ...key.Cluster) error {
	bounded, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	err := s.watcher.Check(bounded, clusters...)
	if err != nil && ctx.Err() == nil {
		return fault.Wrap(err, fault.StoreUnavailable, "Redis cannot be reached").After(time.Second)
	}
	return err
}
