package snapshot

import (
	"context"
	"errors"
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
// clusters that were not there; and what Redis lost of it, from what this process has
// seen. Agents don't write the list, since it lies outside a cluster's own keys.
// Several masters may gather at the same time. Failures are logged once and the next
// look tries again. It returns nil.
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
		reader: r, written: make(map[key.Cluster]time.Time),
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
	reader  *Reader
	written map[key.Cluster]time.Time // what was put on the list, on its clock
	outage  conn.Outage
}

// event puts a cluster on the list that published, also one that should be there:
// Redis may have been emptied since the last look.
func (g *gatherer) event(ctx context.Context, c key.Cluster) {
	here := g.reader.clients.Here()
	g.reader.memory.note(c, sighting{seen: here, published: here})
	now := g.reader.clients.Now()
	if now.Sub(g.written[c]).Abs() < eventsApart {
		return
	}
	g.outage.Note(ctx, g.write(ctx, map[key.Cluster]time.Time{c: now}))
}

// look reads all beats and the list, and writes what the list does not have. What a
// server of Redis Cluster holds that is away is left as it was.
func (g *gatherer) look(ctx context.Context) {
	newest, beatsErr := g.reader.newestBeats(ctx)
	listed, listErr := g.reader.readList(ctx)
	err := errors.Join(beatsErr, listErr)
	if listErr == nil {
		g.written = make(map[key.Cluster]time.Time, len(newest))
		err = errors.Join(err, g.write(ctx, g.missing(listed, newest)), g.prune(ctx))
	}
	g.outage.Note(ctx, err)
}

// missing are the clusters with newer beats than the list says, and those that it
// has lost; it remembers the ones that it has.
func (g *gatherer) missing(listed, newest map[key.Cluster]time.Time) map[key.Cluster]time.Time {
	r := g.reader
	for c, at := range listed {
		if !at.IsZero() {
			r.memory.note(c, sighting{seen: r.here(c, at)})
		}
	}
	for c, s := range r.memory.all(r.clients.Here()) {
		if _, known := listed[c]; !known && len(listed) < maxClusters {
			newest[c] = later(newest[c], r.onList(c, s.seen))
		}
	}
	return newest
}

func (g *gatherer) write(ctx context.Context, clusters map[key.Cluster]time.Time) error {
	if err := g.reader.keep(ctx, clusters); err != nil {
		return err
	}
	for c, at := range clusters {
		g.written[c] = at
	}
	return nil
}

// prune drops who was silent, or is forgotten, for long, and entries from the future,
// which keepLua would keep for ever.
func (g *gatherer) prune(ctx context.Context) error {
	oldest, newest := key.SeenBetween(g.reader.clients.Now())
	old, ahead := strconv.FormatInt(oldest.UnixMilli(), 10), strconv.FormatInt(newest.UnixMilli(), 10)
	_, err := g.reader.clients.Normal.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.ZRemRangeByScore(ctx, key.Clusters, "-inf", "(-"+ahead)
		p.ZRemRangeByScore(ctx, key.Clusters, "(-"+old, "("+old)
		p.ZRemRangeByScore(ctx, key.Clusters, "("+ahead, "+inf")
		return nil
	})
	if err != nil {
		return fmt.Errorf("prune the list of clusters: %w", conn.Unavailable(err))
	}
	return nil
}

// newestBeats finds every cluster that has agents, remembers it, and returns its
// newest beat, never in the future, on the list's clock. After an error it is those
// that could be read.
func (r *Reader) newestBeats(ctx context.Context) (map[key.Cluster]time.Time, error) {
	newest := make(map[key.Cluster]time.Time)
	var failed []error
	err := conn.Scan(ctx, r.clients.Normal, key.AgentsPattern, func(keys []string) error {
		for batch := range slices.Chunk(keys, clustersBatch) {
			failed = append(failed, r.beatsOf(ctx, batch, newest))
		}
		return ctx.Err()
	})
	return newest, errors.Join(err, errors.Join(failed...))
}

// beatsOf reads the beats of some clusters. After an error, newest has those that
// could be read.
func (r *Reader) beatsOf(ctx context.Context, keys []string, newest map[key.Cluster]time.Time) error {
	var ids []key.Cluster
	var calls []conn.Call
	for _, k := range keys {
		if c, ok := key.ClusterOf(k); ok {
			ids = append(ids, c)
			calls = append(calls, conn.Call{Keys: []string{k}, Args: []any{maxHashFields, maxHashBytes}})
		}
	}
	var failed error
	for i, answer := range r.readHashes.RunAll(ctx, r.clients.Normal, calls) {
		err := answer.Err
		var h hashes
		if err == nil {
			h, err = hashesOf(answer.Value, 1)
		}
		if err != nil {
			failed = fmt.Errorf("read beats: %w", err)
			continue
		}
		// A hash that cannot be read is reported by whoever reads the cluster.
		r.newestBeat(ids[i], h.agents, newest)
	}
	return failed
}

// newestBeat notes when one cluster was seen.
func (r *Reader) newestBeat(c key.Cluster, beats map[string]string, newest map[key.Cluster]time.Time) {
	clock := r.clients.Clock(c)
	now := clock.Now()
	var last, published time.Time
	var ttl time.Duration
	for _, value := range beats {
		// What is not a beat is reported by whoever reads the cluster.
		b, at, err := beat.Decode(value)
		if err != nil || at.After(now.Add(key.BeatExpiry)) {
			continue
		}
		last = later(last, at)
		if b.PublishedAt.After(published) && !b.PublishedAt.After(now.Add(key.BeatExpiry)) {
			published, ttl = b.PublishedAt, b.Interval*key.SnapshotIntervals
		}
	}
	if last.IsZero() {
		return
	}
	s := sighting{seen: clock.Local(last), ttl: ttl}
	if !published.IsZero() {
		s.published = clock.Local(published)
	}
	r.memory.note(c, s)
	newest[c] = r.clients.ToList(c, last)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
