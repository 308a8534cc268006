package conn

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/atlhyper/observe/redis/key"
)

func (c Config) newClock(measure func(context.Context) (time.Time, error)) *Clock {
	clock := newClock(measure, c.Timeout, c.Logger)
	clock.here = c.Now
	return clock
}

// shardClocks are the clocks of Redis Cluster's primaries: scripts on a key take
// the time of the server that owns it, and servers' clocks differ.
type shardClocks struct {
	cluster *redis.ClusterClient
	// owner is the client of the server that owns a key, found with a time limit of
	// its own: a clock is read where there is no context.
	owner    func(name string) (*redis.Client, error)
	newClock func(measure func(context.Context) (time.Time, error)) *Clock
	unknown  *Clock // while no server can be reached: this machine's time

	mu     sync.Mutex
	shards map[string]*shard // by address
	failed time.Time         // when the map of slots could not be read last
}

type shard struct {
	clock *Clock
	// node is the newest client of the server: the library replaces them.
	node atomic.Pointer[redis.Client]
}

func newShardClocks(cluster *redis.ClusterClient, cfg Config) *shardClocks {
	s := &shardClocks{cluster: cluster, newClock: cfg.newClock, shards: make(map[string]*shard)}
	s.owner = func(name string) (*redis.Client, error) {
		ctx, cancel := context.WithTimeout(context.Background(), min(cfg.Timeout, clockWait))
		defer cancel()
		return cluster.MasterForKey(ctx, name)
	}
	s.unknown = cfg.newClock(func(ctx context.Context) (time.Time, error) {
		node, err := cluster.MasterForKey(ctx, key.Clusters)
		if err != nil {
			return time.Time{}, Unavailable(err)
		}
		return timeOf(ctx, node)
	})
	return s
}

func timeOf(ctx context.Context, server redis.Cmdable) (time.Time, error) {
	t, err := server.Time(ctx).Result()
	return t, Unavailable(err)
}

// of returns the clock of the server that owns a key.
func (s *shardClocks) of(name string) *Clock {
	node := s.node(name)
	if node == nil {
		return s.unknown
	}
	return s.shard(node).clock
}

// node returns the client of the server that owns a key; nil when that is not known.
func (s *shardClocks) node(name string) *redis.Client {
	s.mu.Lock()
	wait := !s.failed.IsZero() && time.Since(s.failed) < clockRetry
	s.mu.Unlock()
	if wait {
		return nil
	}
	node, err := s.owner(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed = time.Time{}
	if err != nil {
		s.failed = time.Now()
		return nil
	}
	return node
}

func (s *shardClocks) shard(node *redis.Client) *shard {
	address := node.Options().Addr
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.shards[address]
	if known == nil {
		known = &shard{}
		known.clock = s.newClock(func(ctx context.Context) (time.Time, error) {
			return timeOf(ctx, known.node.Load())
		})
		s.shards[address] = known
	}
	known.node.Store(node)
	return known
}

// sync measures the clocks of all primaries.
func (s *shardClocks) sync(ctx context.Context) error {
	err := s.cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
		return s.shard(node).clock.Sync(ctx)
	})
	return Unavailable(err)
}

// toOther reads a time of one clock on another.
func toOther(at time.Time, from, to *Clock) time.Time {
	if from == to || at.IsZero() {
		return at
	}
	here := from.Here()
	return to.At(here).Add(at.Sub(from.At(here))).UTC()
}
