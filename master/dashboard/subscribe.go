package dashboard

import (
	"slices"
	"sync"

	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/shared/model"
)

// subscription is somebody who wants to know when answers change.
type subscription struct {
	sections []model.Section
	changed  chan struct{}
}

// Subscribe keeps a cluster followed until stop is called, and says on changed when
// an answer of it may be another one: something was published, became stale or
// expired, or Redis went away or came back. Signals that are not taken are one. Who
// is told asks Section again and compares the tags; so does who subscribes, since
// what is not held yet changes unseen. Sections are kept as long as there is room; of
// one that had to go, publishes are told, but not that it became old: who subscribes
// asks now and then anyway.
func (s *Service) Subscribe(cluster key.Cluster, sections []model.Section) (changed <-chan struct{}, stop func()) {
	sub := &subscription{sections: slices.Clone(sections), changed: make(chan struct{}, 1)}
	e := s.cache.lock(cluster)
	defer e.mu.Unlock()
	e.subs[sub] = struct{}{}
	return sub.changed, sync.OnceFunc(func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.subs, sub)
		s.tidy(e, s.now())
	})
}

// signal tells all subscribers of a locked entry.
func (e *entry) signal() {
	for sub := range e.subs {
		select {
		case sub.changed <- struct{}{}:
		default: // it has not taken the last one yet
		}
	}
}

// subscribed tells whether somebody wants to know of a section of a locked entry.
func (e *entry) subscribed(name model.Section) bool {
	for sub := range e.subs {
		if slices.Contains(sub.sections, name) {
			return true
		}
	}
	return false
}
