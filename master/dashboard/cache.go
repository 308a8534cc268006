package dashboard

import (
	"sync"

	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/shared/model"
)

// cache finds entries and their sections. Its lock is held for the time of a look
// into a map, and taken last.
type cache struct {
	mu       sync.RWMutex
	entries  map[key.Cluster]*entry
	sections map[sectionKey]*held
}

type sectionKey struct {
	cluster key.Cluster
	section model.Section
}

// section returns what is held of a section, nil for nothing.
func (c *cache) section(cluster key.Cluster, name model.Section) *held {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.sections[sectionKey{cluster, name}]
}

// entry returns what is held of a cluster, nil for nothing.
func (c *cache) entry(cluster key.Cluster) *entry {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.entries[cluster]
}

// lock returns the locked entry of a cluster, a new one if there is none.
func (c *cache) lock(cluster key.Cluster) *entry {
	for {
		c.mu.Lock()
		e := c.entries[cluster]
		if e == nil {
			e = newEntry(cluster)
			c.entries[cluster] = e
		}
		c.mu.Unlock()
		e.mu.Lock()
		if !e.dropped {
			return e
		}
		e.mu.Unlock()
	}
}

// all returns all entries.
func (c *cache) all() []*entry {
	c.mu.RLock()
	defer c.mu.RUnlock()
	all := make([]*entry, 0, len(c.entries))
	for _, e := range c.entries {
		all = append(all, e)
	}
	return all
}

// count returns how many clusters and sections are held.
func (c *cache) count() (clusters, sections int) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.entries), len(c.sections)
}

// want returns the section of a locked entry, which is followed from now on.
func (c *cache) want(e *entry, name model.Section, now instant) *held {
	if h := e.sections[name]; h != nil {
		return h
	}
	h := &held{name: name}
	h.used.Store(int64(now))
	e.sections[name] = h
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sections[sectionKey{e.cluster, name}] = h
	return h
}

// remove takes a section off a locked entry.
func (s *Service) remove(e *entry, h *held) {
	h.drop()
	s.resize(h)
	delete(e.sections, h.name)
	s.cache.mu.Lock()
	defer s.cache.mu.Unlock()
	delete(s.cache.sections, sectionKey{e.cluster, h.name})
}

// tidy drops a locked entry that nothing is held of. One that showed a snapshot
// stays until that one's TTL ends, so that no older one is shown after it.
func (s *Service) tidy(e *entry, now instant) {
	if len(e.sections) > 0 || len(e.subs) > 0 || e.loads > 0 || now < e.until || e.dropped {
		return
	}
	e.dropped = true
	s.cache.mu.Lock()
	defer s.cache.mu.Unlock()
	delete(s.cache.entries, e.cluster)
}
