package snapshot

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/atlhyper/observe/redis/beat"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
)

// maxClusters bounds the list of clusters.
const maxClusters = 10_000

// Clusters lists every cluster seen in the last 7 days, by id. One whose entries
// cannot be read is listed with what can be; one whose server of Redis Cluster cannot
// be reached, while others can, is listed with status Unknown. Errors:
// store_unavailable.
func (r *Reader) Clusters(ctx context.Context) ([]ClusterInfo, error) {
	infos, _, err := r.clusters(ctx, maxClusters, r.read)
	return infos, err
}

// clusters reads the first most clusters by id; left is how many there are besides.
func (r *Reader) clusters(ctx context.Context, most int, read reading) (infos []ClusterInfo, left int, err error) {
	listed, listErr := r.readList(ctx)
	remembered := r.memory.all(r.clients.Here())
	ids := slices.AppendSeq(slices.Collect(maps.Keys(listed)), maps.Keys(remembered))
	slices.Sort(ids)
	ids = slices.Compact(ids)
	left = max(0, len(ids)-most)
	all, err := r.readAll(ctx, ids[:len(ids)-left], read)
	if err == nil && len(all) == 0 {
		err = listErr
	}
	if err != nil {
		return nil, 0, err
	}
	infos = make([]ClusterInfo, 0, len(all))
	for _, info := range all {
		if info.State == SnapshotUnreachable {
			// The clock to read these times on is on the server that is away.
			info.LastSeen = later(listed[info.ID], remembered[info.ID].seen.UTC())
		} else {
			r.judge(&info, listed[info.ID])
		}
		if info.known() {
			infos = append(infos, info)
		}
	}
	return infos, left, nil
}

// Cluster reads one cluster. Errors: cluster_unknown, store_unavailable.
func (r *Reader) Cluster(ctx context.Context, c key.Cluster) (ClusterInfo, error) {
	if err := key.ValidateCluster(string(c)); err != nil {
		return ClusterInfo{}, fault.New(fault.BadRequest, "%s", err)
	}
	// The list first: it is made of beats, so that a cluster which is listed
	// before its agents are read has an agent, or lost all it had.
	listed, err := r.listed(ctx, c)
	if err != nil && !r.Known(c) {
		return ClusterInfo{}, err
	}
	infos, failed := r.read(ctx, []key.Cluster{c})
	if failed[0] != nil {
		return ClusterInfo{}, failed[0]
	}
	info := infos[0]
	r.judge(&info, listed)
	if !info.known() {
		return ClusterInfo{}, fault.UnknownCluster(string(c))
	}
	return info, nil
}

// judge notes what the list of clusters and this process's memory say, too.
func (r *Reader) judge(c *ClusterInfo, listed time.Time) {
	clock := r.clients.Clock(c.ID)
	now := clock.Now()
	c.sawAt(r.clients.FromList(c.ID, listed), now)
	if s, known := r.memory.get(c.ID, r.clients.Here()); known {
		c.sawAt(clock.At(s.seen), now)
		if !s.published.IsZero() {
			c.heardAt, c.heardTTL = clock.At(s.published), s.lifetime()
		}
	}
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
	info.Publisher = boundText(m[key.MetaAgent], maxSectionName)
	return nil
}
