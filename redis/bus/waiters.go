package bus

import (
	"context"
	"slices"
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
	many    chan struct{}       // many replies wait to be deleted
	budget  *semaphore.Weighted // bytes of replies on their way
	one     *conn.Script

	mu       sync.Mutex
	asks     map[string]*ask          // by id
	waiters  map[key.Cluster]int      // asks of each cluster
	spent    map[key.Cluster][]string // reply keys that were read
	spending int                      // how many they are
}

// largeReply is one to fetch by itself.
type largeReply struct {
	ask   *ask
	bytes int
}

func newFetcher(clients *conn.Clients, cfg ClientConfig, stats *clientStats) *fetcher {
	return &fetcher{
		clients: clients, cfg: cfg, stats: stats,
		there: make(chan *ask, cfg.MaxWaiters), large: make(chan largeReply, cfg.MaxWaiters), many: make(chan struct{}, 1),
		budget: semaphore.NewWeighted(int64(cfg.MaxFetchBytes)), one: conn.NewScript(fetchLua),
		asks: make(map[string]*ask), waiters: make(map[key.Cluster]int), spent: make(map[key.Cluster][]string),
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

// hear takes an announcement: the id of a command that was answered, or that and the
// reply. What is carried is not more than a shortcut: one that cannot be used is read
// from its key, as if it were not there.
func (f *fetcher) hear(ctx context.Context, channel, announcement string) {
	id, reply, names := Announced(announcement)
	cluster, ok := key.ClusterOf(channel)
	if !ok || !names {
		return
	}
	if reply != "" && len(reply) <= min(maxCarried, f.cfg.MaxReplyBytes) && f.handOver(cluster, id, reply) {
		return
	}
	f.announce(ctx, cluster, id)
}

// handOver gives a reply that was announced to who waits for it; false when nobody
// does, or it cannot be read.
func (f *fetcher) handOver(cluster key.Cluster, id, reply string) bool {
	f.mu.Lock()
	a := f.asks[id]
	f.mu.Unlock()
	if a == nil || a.cluster != cluster {
		return false
	}
	r, err := decodeReply([]byte(reply), id)
	if err != nil {
		return false
	}
	f.stats.carried.Add(1)
	f.stats.replyBytes.Add(int64(len(reply)))
	f.deliver(a, outcomeOf(r))
	return true
}

// announce has a reply fetched; one that nobody waits for any more is deleted.
func (f *fetcher) announce(ctx context.Context, cluster key.Cluster, id string) {
	f.mu.Lock()
	a := f.asks[id]
	if a == nil {
		f.spend(cluster, id)
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

// spend notes a key to delete, of which none waits for longer than the sweep takes to
// come; the lock is held.
func (f *fetcher) spend(cluster key.Cluster, id string) {
	if f.spending >= maxSpent {
		return
	}
	f.spending++
	f.spent[cluster] = append(f.spent[cluster], cluster.Reply(id))
	if f.spending >= spentBatch {
		select {
		case f.many <- struct{}{}:
		default: // somebody was told
		}
	}
}

// takeSpent returns the keys to delete, each list of one cluster and not too long.
func (f *fetcher) takeSpent() (lists [][]string) {
	f.mu.Lock()
	spent := f.spent
	f.spent, f.spending = make(map[key.Cluster][]string), 0
	f.mu.Unlock()
	for _, keys := range spent {
		lists = slices.AppendSeq(lists, slices.Chunk(keys, unlinkBatch))
	}
	return lists
}
