package snapshot

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/atlhyper/observe/redis/key"
)

// memory is what this process knows of clusters from before Redis lost it, so that
// a cluster which was shown a moment ago is not unknown until its agents are back.
// Nobody needs it to be there: a replica that has just started has none.
type memory struct {
	mu       sync.Mutex
	clusters map[key.Cluster]sighting
}

// sighting is when a cluster was seen, on this process's clock.
type sighting struct {
	seen      time.Time     // its last beat or publish
	published time.Time     // its last publish; zero when none is known of
	ttl       time.Duration // how long that is in Redis; 0 when it is not known
}

// expirySlack is how much earlier than it does a snapshot counts as expired: when an
// event came is later than its publish.
const expirySlack = 2 * time.Second

// note keeps the later of what is known and s.
func (m *memory) note(c key.Cluster, s sighting) {
	m.mu.Lock()
	defer m.mu.Unlock()
	known, there := m.clusters[c]
	if !there && len(m.clusters) >= 2*maxClusters {
		return // prune makes room for the newest
	}
	if m.clusters == nil {
		m.clusters = make(map[key.Cluster]sighting)
	}
	if s.seen.Before(known.seen) {
		s.seen = known.seen
	}
	if s.published.Before(known.published) {
		s.published = known.published
	}
	if s.ttl == 0 {
		s.ttl = known.ttl
	}
	m.clusters[c] = s
}

// forget drops a cluster unless it was seen since.
func (m *memory) forget(c key.Cluster, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s, there := m.clusters[c]; there && !s.seen.After(at) {
		delete(m.clusters, c)
	}
}

// get is what is known of a cluster as of now.
func (m *memory) get(c key.Cluster, now time.Time) (sighting, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, there := m.clusters[c]
	return s, there && now.Sub(s.seen) <= key.ClustersAge
}

// all is a copy of what is known as of now, at most maxClusters of them: it drops
// those that were silent for long, and of too many those that were silent longest.
func (m *memory) all(now time.Time) map[key.Cluster]sighting {
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.clusters, func(_ key.Cluster, s sighting) bool { return now.Sub(s.seen) > key.ClustersAge })
	if excess := len(m.clusters) - maxClusters; excess > 0 {
		byAge := slices.SortedFunc(maps.Keys(m.clusters), func(a, b key.Cluster) int {
			return cmp.Or(m.clusters[a].seen.Compare(m.clusters[b].seen), cmp.Compare(a, b))
		})
		for _, c := range byAge[:excess] {
			delete(m.clusters, c)
		}
	}
	return maps.Clone(m.clusters)
}

// lifetime is how long after its publish the snapshot is lost if it is not there, and
// not expired.
func (s sighting) lifetime() time.Duration {
	ttl := s.ttl
	if ttl == 0 {
		ttl = defaultInterval * key.SnapshotIntervals
	}
	return ttl - min(expirySlack, ttl/2)
}

// Known tells whether this process has seen the cluster in the last 7 days, also
// when Redis has lost it.
func (r *Reader) Known(c key.Cluster) bool {
	_, known := r.memory.get(c, r.clients.Here())
	return known
}
