package bus

import (
	"context"
	"sync"

	"golang.org/x/sync/semaphore"

	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/key"
)

// fetcher knows who waits and fetches what is there.
type fetcher struct {
	clients *conn.Clients
	cfg     ClientConfig
	stats   *clientStats
	there   chan *ask           // replies that were announced
	large   chan largeReply     // replies that are too long for a batch
	budget  *semaphore.Weighted // bytes of replies on their way
	one     *conn.Script

	mu      sync.Mutex
	asks    map[string]*ask     // by id
	waiters map[key.Cluster]int // asks of each cluster
	spent   []string            // reply keys that were read
}

// largeReply is one to fetch by itself.
type largeReply struct {
	ask   *ask
	bytes int
}

func newFetcher(clients *conn.Clients, cfg ClientConfig, stats *clientStats) *fetcher {
	return &fetcher{
		clients: clients, cfg: cfg, stats: stats,
		there: make(chan *ask, cfg.MaxWaiters), large: make(chan largeReply, cfg.MaxWaiters),
		budget: semaphore.NewWeighted(int64(cfg.MaxFetchBytes)), one: conn.NewScript(fetchLua),
		asks: make(map[string]*ask), waiters: make(map[key.Cluster]int),
	}
}

// add notes that somebody waits, unless too many do.
func (f *fetcher) add(a *ask) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case len(f.asks) >= f.cfg.MaxWaiters:
		f.stats.fullReplica.Add(1)
		return queueFull("%d requests wait on this replica already", f.cfg.MaxWaiters)
	case f.waiters[a.cluster] >= f.cfg.MaxClusterWaiters:
		f.stats.fullCluster.Add(1)
		return queueFull("%d requests for cluster %s wait on this replica already", f.cfg.MaxClusterWaiters, a.cluster)
	}
	f.asks[a.id] = a
	f.waiters[a.cluster]++
	return nil
}

func (f *fetcher) remove(a *ask) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.asks[a.id] != a {
		return
	}
	delete(f.asks, a.id)
	if f.waiters[a.cluster]--; f.waiters[a.cluster] == 0 {
		delete(f.waiters, a.cluster)
	}
}

func (f *fetcher) len() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.asks)
}

// waiting lists who waits.
func (f *fetcher) waiting() []*ask {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]*ask, 0, len(f.asks))
	for _, a := range f.asks {
		out = append(out, a)
	}
	return out
}

// announce has a reply fetched; one that nobody waits for any more is deleted.
func (f *fetcher) announce(ctx context.Context, cluster key.Cluster, id string) {
	f.mu.Lock()
	a := f.asks[id]
	if a == nil {
		f.spend(cluster.Reply(id))
	}
	f.mu.Unlock()
	if a == nil || a.cluster != cluster {
		return
	}
	a.announced.Store(true)
	select {
	case f.there <- a:
	case <-ctx.Done():
	}
}

func (f *fetcher) fetchAll(ctx context.Context) {
	for _, a := range f.waiting() {
		f.announce(ctx, a.cluster, a.id)
	}
}

// spend notes a key to delete; the lock is held.
func (f *fetcher) spend(key string) {
	if len(f.spent) < maxSpent {
		f.spent = append(f.spent, key)
	}
}
