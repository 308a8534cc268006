package snapshot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/atlhyper/observe/redis/beat"
	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
)

const (
	// maxClusters bounds the list of clusters.
	maxClusters = 10_000
	// clustersBatch is how many clusters are read in one round trip.
	clustersBatch = 100
)

// Clusters lists every cluster seen in the last 7 days, by id. One whose entries
// cannot be read is listed with what can be. Errors: store_unavailable.
func (r *Reader) Clusters(ctx context.Context) ([]ClusterInfo, error) {
	seen, err := r.clients.Normal.ZRevRangeWithScores(ctx, key.Clusters, 0, maxClusters-1).Result()
	if err := conn.Unavailable(err); err != nil {
		return nil, fmt.Errorf("list clusters: %w", err)
	}
	now := r.clients.Now()
	known := make(map[key.Cluster]time.Time, len(seen))
	ids := make([]key.Cluster, 0, len(seen))
	for _, z := range seen {
		id, ok := z.Member.(string)
		if !ok || key.ValidateCluster(id) != nil {
			r.cfg.Logger.WarnContext(ctx, "an entry of the list of clusters is not a cluster id", "key", key.Clusters)
			continue
		}
		at, ok := key.SeenAt(z.Score, now)
		if !ok {
			r.cfg.Logger.WarnContext(ctx, "an entry of the list of clusters is no time in the past", "key", key.Clusters, "cluster", id)
		}
		ids = append(ids, key.Cluster(id))
		known[key.Cluster(id)] = at
	}
	slices.Sort(ids)
	out := make([]ClusterInfo, 0, len(ids))
	for batch := range slices.Chunk(ids, clustersBatch) {
		infos, err := r.read(ctx, batch)
		if err != nil {
			return nil, err
		}
		for _, info := range infos {
			info.listed(r.clients.FromList(info.ID, known[info.ID]), r.clients.Clock(info.ID).Now())
			if info.known() {
				out = append(out, info)
			}
		}
	}
	return out, nil
}

// Cluster reads one cluster. Errors: cluster_unknown, store_unavailable.
func (r *Reader) Cluster(ctx context.Context, c key.Cluster) (ClusterInfo, error) {
	if err := key.ValidateCluster(string(c)); err != nil {
		return ClusterInfo{}, fault.New(fault.BadRequest, "%s", err)
	}
	// The list first: it is made of beats, so that a cluster which is listed
	// before its agents are read has an agent, or lost all it had.
	score, err := r.clients.Normal.ZScore(ctx, key.Clusters, string(c)).Result()
	if err := conn.Unavailable(err); err != nil {
		return ClusterInfo{}, fmt.Errorf("read cluster: %w", err)
	}
	listed, _ := key.SeenAt(score, r.clients.Now())
	infos, err := r.read(ctx, []key.Cluster{c})
	if err != nil {
		return ClusterInfo{}, err
	}
	info := infos[0]
	info.listed(r.clients.FromList(c, listed), r.clients.Clock(c).Now())
	if !info.known() {
		return ClusterInfo{}, fault.New(fault.ClusterUnknown, "no cluster %s was ever seen, or Redis lost it and its agents are not back yet", c)
	}
	return info, nil
}

// listed notes what the list of clusters says.
func (c *ClusterInfo) listed(seen, now time.Time) {
	c.sawAt(seen, now)
	c.judgeSnapshot(now)
}

// known tells whether anything says that the cluster was ever there.
func (c *ClusterInfo) known() bool { return !c.LastSeen.IsZero() || len(c.Agents) > 0 }

// collected tells whether meta says that the snapshot holds a section.
func (c *ClusterInfo) collected() bool {
	for _, s := range c.Sections {
		if s.collected() {
			return true
		}
	}
	return false
}

// read reads the agents and the meta of some clusters in one round trip.
func (r *Reader) read(ctx context.Context, ids []key.Cluster) ([]ClusterInfo, error) {
	answers := make([]*redis.Cmd, len(ids))
	_, err := r.clients.Normal.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, id := range ids {
			answers[i] = p.Eval(ctx, hashesLua, []string{id.Agents(), id.Meta(), id.Snapshot()}, maxHashFields, maxHashBytes)
		}
		return nil
	})
	if err := conn.Unavailable(err); err != nil {
		return nil, fmt.Errorf("read clusters: %w", err)
	}
	out := make([]ClusterInfo, len(ids))
	for i, id := range ids {
		h, err := hashesOf(answers[i].Val(), 3)
		if err != nil {
			return nil, fmt.Errorf("read clusters: %w", err)
		}
		if h.agentsErr != nil {
			r.cfg.Logger.WarnContext(ctx, "the agents of a cluster cannot be read", "cluster", id, "error", h.agentsErr)
		}
		info := ClusterInfo{ID: id, Agents: r.parseAgents(ctx, id, h.agents)}
		if err := errors.Join(h.metaErr, h.fieldErr, r.parseMeta(&info, h.meta)); err != nil {
			r.cfg.Logger.WarnContext(ctx, "the snapshot of a cluster cannot be read", "cluster", id, "error", err)
			info.unreadable = true
		}
		info.lost = h.fieldErr == nil && h.snapshotFields == 0 && info.collected()
		info.judge(r.clients.Clock(id).Now())
		out[i] = info
	}
	return out, nil
}

// parseAgents reads beats; what is not one is left out and logged.
func (r *Reader) parseAgents(ctx context.Context, c key.Cluster, entries map[string]string) []AgentInfo {
	now := r.clients.Clock(c).Now()
	agents := make([]AgentInfo, 0, min(len(entries), maxAgents))
	for instance, value := range entries {
		if len(agents) == maxAgents {
			r.cfg.Logger.WarnContext(ctx, "a cluster has too many agents; some are not listed", "cluster", c, "listed", maxAgents)
			break
		}
		if err := key.ValidateInstance(instance); err != nil {
			r.cfg.Logger.WarnContext(ctx, "the name of an agent cannot be read", "cluster", c, "error", err)
			continue
		}
		b, at, err := beat.Decode(value)
		if err != nil {
			r.cfg.Logger.WarnContext(ctx, "the beat of an agent cannot be read", "cluster", c, "instance", instance, "error", err)
			continue
		}
		agents = append(agents, AgentInfo{
			Instance: instance, Version: boundText(b.Version, maxSectionName), LastSeen: at, StartedAt: b.StartedAt,
			Live: isLive(at, now), Leaving: b.Leaving, Slots: b.Slots, Busy: b.Busy,
			publishedAt: b.PublishedAt, interval: b.Interval,
		})
	}
	slices.SortFunc(agents, func(a, b AgentInfo) int { return cmp.Compare(a.Instance, b.Instance) })
	return agents
}

// parseMeta fills in what the meta hash says. After an error info is as if there
// were no snapshot.
func (r *Reader) parseMeta(info *ClusterInfo, entries map[string]string) error {
	m := metaMap(entries)
	if err := m.checkSchema(); err != nil {
		return err
	}
	seq, err := m.integer(key.MetaSeq)
	if err != nil {
		return err
	}
	at, err := m.milli(key.MetaAt)
	if err != nil {
		return err
	}
	names, err := m.sections()
	if err != nil {
		return err
	}
	now := r.clients.Clock(info.ID).Now()
	sections := make(map[model.Section]SectionMeta, len(names))
	for _, name := range names {
		if sections[name], err = r.parseSection(m, name, now); err != nil {
			return err
		}
	}
	interval, err := m.integer(key.MetaInterval)
	if err != nil {
		return err
	}
	info.Seq, info.PublishedAt, info.Sections = seq, at, sections
	info.interval = millis(interval)
	return nil
}
