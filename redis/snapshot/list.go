package snapshot

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/key"
)

// listBatch is how many clusters are written to the list by one script.
const listBatch = 1000

// keepLua notes when clusters were seen: never an earlier time than the list has, nor
// one at which the cluster was yet to be forgotten.
//
//	KEYS[1] clusters
//	ARGV    cluster, ms on the list's clock, …
const keepLua = `
for i = 1, #ARGV, 2 do
  local at, known = tonumber(ARGV[i + 1]), tonumber(redis.call('ZSCORE', KEYS[1], ARGV[i]))
  if not known or at > math.abs(known) then redis.call('ZADD', KEYS[1], ARGV[i + 1], ARGV[i]) end
end
`

// forgetLua notes that a cluster is to be forgotten, on the list's clock.
//
//	KEYS[1] clusters
//	ARGV    cluster
const forgetLua = `
local time = redis.call('TIME')
redis.call('ZADD', KEYS[1], string.format('-%.0f', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)), ARGV[1])
`

// readList reads the list of clusters: when each was seen, on the list's clock. What
// it says is remembered, and what it says is forgotten, is forgotten.
func (r *Reader) readList(ctx context.Context) (map[key.Cluster]time.Time, error) {
	ctx, cancel := r.forOneServer(ctx)
	defer cancel()
	entries, err := r.clients.Normal.ZRevRangeWithScores(ctx, key.Clusters, 0, maxClusters-1).Result()
	if err := conn.Unavailable(err); err != nil {
		return nil, fmt.Errorf("list clusters: %w", err)
	}
	now := r.clients.Now()
	seen := make(map[key.Cluster]time.Time, len(entries))
	for _, z := range entries {
		id, ok := z.Member.(string)
		if !ok || key.ValidateCluster(id) != nil {
			r.cfg.Logger.WarnContext(ctx, "an entry of the list of clusters is not a cluster id", "key", key.Clusters)
			continue
		}
		c := key.Cluster(id)
		if at, ok := key.ForgottenAt(z.Score, now); ok {
			r.memory.forget(c, r.here(c, at))
			continue
		}
		at, ok := key.SeenAt(z.Score, now)
		if !ok {
			r.cfg.Logger.WarnContext(ctx, "an entry of the list of clusters is no time in the past", "key", key.Clusters, "cluster", id)
		}
		seen[c] = at
	}
	return seen, nil
}

// listed is when the list says that a cluster was seen, on the list's clock; zero
// when it does not. Errors are those of readList.
func (r *Reader) listed(ctx context.Context, c key.Cluster) (time.Time, error) {
	ctx, cancel := r.forOneServer(ctx)
	defer cancel()
	score, err := r.clients.Normal.ZScore(ctx, key.Clusters, string(c)).Result()
	if err := conn.Unavailable(err); err != nil {
		return time.Time{}, fmt.Errorf("read cluster: %w", err)
	}
	now := r.clients.Now()
	if at, ok := key.ForgottenAt(score, now); ok {
		r.memory.forget(c, r.here(c, at))
	}
	at, _ := key.SeenAt(score, now)
	return at, nil
}

// keep writes when clusters were seen, on the list's clock.
func (r *Reader) keep(ctx context.Context, clusters map[key.Cluster]time.Time) error {
	for batch := range slices.Chunk(slices.Sorted(maps.Keys(clusters)), listBatch) {
		args := make([]any, 0, 2*len(batch))
		for _, c := range batch {
			args = append(args, string(c), strconv.FormatInt(clusters[c].UnixMilli(), 10))
		}
		if _, err := r.keepList.Run(ctx, r.clients.Normal, []string{key.Clusters}, args...); err != nil {
			return fmt.Errorf("keep the list of clusters: %w", err)
		}
	}
	return nil
}

// here reads a time of the list's clock on this process's.
func (r *Reader) here(c key.Cluster, at time.Time) time.Time {
	return r.clients.Clock(c).Local(r.clients.FromList(c, at))
}

// onList reads a time of this process's clock on the list's.
func (r *Reader) onList(c key.Cluster, here time.Time) time.Time {
	return r.clients.ToList(c, r.clients.Clock(c).At(here))
}
