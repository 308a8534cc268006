package snapshot

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/atlhyper/observe/redis/beat"
	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/key"
)

// eventsBuffer is how many events may wait; those beyond are dropped, and the
// next look at all agents makes up for them.
const eventsBuffer = 1024

// eventsApart is how often an event of one cluster is written down.
const eventsApart = time.Second

// Gather keeps the list of clusters (key.Clusters) until ctx is done: from the
// agents' beats, looked at now and every GatherInterval, and from the events of
// clusters that were not there. Agents don't write the list, since it lies
// outside a cluster's own keys. Several masters may gather at the same time.
// Failures are logged once and the next look tries again. It returns nil.
func (r *Reader) Gather(ctx context.Context) error {
	events := make(chan key.Cluster, eventsBuffer)
	var listening sync.WaitGroup
	defer listening.Wait()
	listening.Go(func() {
		r.clients.Listen(ctx, conn.Subscription{
			Patterns: []string{key.EventsPattern},
			OnMessage: func(channel, _ string) {
				c, ok := key.ClusterOf(channel)
				if !ok {
					return
				}
				select {
				case events <- c:
				default:
				}
			},
		})
	})
	ticker := time.NewTicker(r.cfg.GatherInterval)
	defer ticker.Stop()
	g := gatherer{
		reader: r, seen: make(map[key.Cluster]time.Time),
		outage: conn.Outage{Logger: r.cfg.Logger, What: "keeping the list of clusters"},
	}
	g.look(ctx)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			g.look(ctx)
		case c := <-events:
			g.event(ctx, c)
		}
	}
}

type gatherer struct {
	reader *Reader
	seen   map[key.Cluster]time.Time // when each was put on the list
	outage conn.Outage
}

// event puts a cluster on the list that published, also one that should be there:
// Redis may have been emptied since the last look.
func (g *gatherer) event(ctx context.Context, c key.Cluster) {
	now := g.reader.clients.Now()
	if now.Sub(g.seen[c]).Abs() < eventsApart {
		return
	}
	g.outage.Note(ctx, g.write(ctx, map[key.Cluster]time.Time{c: now}))
}

// look reads all beats and writes the list.
func (g *gatherer) look(ctx context.Context) {
	newest, err := g.reader.newestBeats(ctx)
	if err == nil {
		g.seen = make(map[key.Cluster]time.Time, len(newest))
		err = g.write(ctx, newest)
	}
	if err == nil {
		err = g.prune(ctx)
	}
	g.outage.Note(ctx, err)
}

func (g *gatherer) write(ctx context.Context, clusters map[key.Cluster]time.Time) error {
	if len(clusters) == 0 {
		return nil
	}
	members := make([]redis.Z, 0, len(clusters))
	for c, at := range clusters {
		members = append(members, redis.Z{Member: string(c), Score: float64(at.UnixMilli())})
	}
	if err := g.reader.clients.Normal.ZAddGT(ctx, key.Clusters, members...).Err(); err != nil {
		return fmt.Errorf("gather: %w", conn.Unavailable(err))
	}
	for c, at := range clusters {
		g.seen[c] = at
	}
	return nil
}

// prune forgets who was silent for long, and entries from the future, which
// ZADD GT would keep for ever.
func (g *gatherer) prune(ctx context.Context) error {
	oldest, newest := key.SeenBetween(g.reader.clients.Now())
	_, err := g.reader.clients.Normal.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.ZRemRangeByScore(ctx, key.Clusters, "-inf", "("+strconv.FormatInt(oldest.UnixMilli(), 10))
		p.ZRemRangeByScore(ctx, key.Clusters, "("+strconv.FormatInt(newest.UnixMilli(), 10), "+inf")
		return nil
	})
	if err != nil {
		return fmt.Errorf("gather: %w", conn.Unavailable(err))
	}
	return nil
}

// newestBeats finds every cluster that has agents, and its newest beat, never in
// the future.
func (r *Reader) newestBeats(ctx context.Context) (map[key.Cluster]time.Time, error) {
	newest := make(map[key.Cluster]time.Time)
	err := conn.Scan(ctx, r.clients.Normal, key.AgentsPattern, func(keys []string) error {
		for batch := range slices.Chunk(keys, clustersBatch) {
			if err := r.beatsOf(ctx, batch, newest); err != nil {
				return err
			}
		}
		return nil
	})
	return newest, err
}

func (r *Reader) beatsOf(ctx context.Context, keys []string, newest map[key.Cluster]time.Time) error {
	answers := make(map[key.Cluster]*redis.Cmd, len(keys))
	_, err := r.clients.Normal.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, k := range keys {
			if c, ok := key.ClusterOf(k); ok {
				answers[c] = p.Eval(ctx, hashesLua, []string{k}, maxHashFields, maxHashBytes)
			}
		}
		return nil
	})
	if err := conn.Unavailable(err); err != nil {
		return fmt.Errorf("read beats: %w", err)
	}
	for c, answer := range answers {
		// A hash that cannot be read is reported by whoever reads the cluster.
		h, err := hashesOf(answer.Val(), 1)
		if err != nil {
			return fmt.Errorf("read beats: %w", err)
		}
		now := r.clients.Clock(c).Now()
		var last time.Time
		for _, value := range h.agents {
			// What is not a beat is reported by whoever reads the cluster.
			_, at, err := beat.Decode(value)
			if err == nil && at.After(last) && !at.After(now.Add(key.BeatExpiry)) {
				last = at
			}
		}
		if !last.IsZero() {
			newest[c] = r.clients.ToList(c, last)
		}
	}
	return nil
}
