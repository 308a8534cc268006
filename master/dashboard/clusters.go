package dashboard

import (
	"context"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/atlhyper/observe/master/envelope"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/model"
)

// Cluster is one cluster as the API shows it.
type Cluster struct {
	ID       string     `json:"id"`
	Status   string     `json:"status"` // online, stale or offline; unknown: its server of Redis Cluster is away
	LastSeen model.Time `json:"lastSeen"`
	Agents   []Agent    `json:"agents"` // by instance
	Snapshot Snapshot   `json:"snapshot"`
	// Sections holds every section that was ever tried, by name.
	Sections map[model.Section]SectionState `json:"sections"`
	// Nodes and Pods are absent while they are not known.
	Nodes *int64 `json:"nodes,omitempty"`
	Pods  *int64 `json:"pods,omitempty"`
}

// Agent is the last beat of one agent of a cluster.
type Agent struct {
	Instance  string     `json:"instance"`
	Version   string     `json:"version"`
	StartedAt model.Time `json:"startedAt"`
	LastBeat  model.Time `json:"lastBeat"`
	Live      bool       `json:"live"`    // its beats go on
	Leaving   bool       `json:"leaving"` // it takes no more requests
	Slots     int        `json:"slots"`   // detail requests that it runs at once
	Busy      int        `json:"busy"`    // of them at the last beat
}

// Snapshot says whether the sections can be read, and if not, why.
type Snapshot struct {
	// State is live; none: nothing was published yet; expired: nothing was published
	// any more; lost: Redis has lost it, and the next publish brings it back;
	// unreadable: this build cannot read it; or unreachable: its server is away.
	State string `json:"state"`
	Seq   int64  `json:"seq,omitempty"` // of the last publish
	// PublishedAt is the last publish; "" when nothing tells of one.
	PublishedAt model.Time `json:"publishedAt"`
	ExpiredAt   model.Time `json:"expiredAt,omitempty"` // when expired
}

// SectionState is how one section of a cluster does.
type SectionState struct {
	At         model.Time `json:"at"`         // last successful collection; "" for none
	AgeSeconds float64    `json:"ageSeconds"` // since then, on Redis's clock
	Seq        int64      `json:"seq"`
	Bytes      int64      `json:"bytes"`
	// What the last collection read of ClickHouse. What several sections are made of
	// counts for each of them.
	Statements int64  `json:"statements"`
	RowsRead   int64  `json:"rowsRead"`
	BytesRead  int64  `json:"bytesRead"` // uncompressed
	Stale      bool   `json:"stale"`
	Error      string `json:"error,omitempty"`
}

// readers bounds the concurrent reads of counts for a list of clusters.
const readers = 8

// Clusters returns all clusters that were seen, by id. Errors are *fault.Error.
func (s *Service) Clusters(ctx context.Context) ([]Cluster, error) {
	infos, err := read(ctx, s.cfg.ReadTimeout, s.reader.Clusters)
	if err != nil {
		return nil, err
	}
	clusters := make([]Cluster, len(infos))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(readers)
	for i, info := range infos {
		group.Go(func() (err error) {
			clusters[i], err = s.view(ctx, info)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	slices.SortFunc(clusters, func(a, b Cluster) int { return strings.Compare(a.ID, b.ID) })
	return clusters, nil
}

// Cluster returns one cluster. Errors are *fault.Error, cluster_unknown among them.
func (s *Service) Cluster(ctx context.Context, id key.Cluster) (Cluster, error) {
	info, err := read(ctx, s.cfg.ReadTimeout, func(ctx context.Context) (snapshot.ClusterInfo, error) {
		return s.reader.Cluster(ctx, id)
	})
	if err != nil {
		return Cluster{}, err
	}
	return s.view(ctx, info)
}

// Held returns a cluster as it is held in memory, of its sections those that are. Its
// status is unknown while Redis does not answer. false when it was not asked lately.
func (s *Service) Held(id key.Cluster) (Cluster, bool) {
	e := s.cache.entry(id)
	if e == nil {
		return Cluster{}, false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	now := s.now()
	isFresh := now.sub(e.asked) <= freshFor
	if e.asked == 0 || !isFresh && e.away == nil {
		return Cluster{}, false
	}
	info, known := e.info, counts{}
	if !isFresh {
		info.Status, info.State = snapshot.Unknown, snapshot.SnapshotUnreachable
	}
	info.ID, info.Sections = id, make(map[model.Section]snapshot.SectionMeta, len(e.sections))
	for name, h := range e.sections {
		v, meta := e.judge(h, now), h.meta
		if meta.At.IsZero() && meta.Error == "" {
			continue // it was never tried
		}
		if !meta.At.IsZero() { // else it was tried, and never collected
			meta.Age = max(0, e.redis(now).Sub(meta.At))
		}
		meta.Stale = meta.Stale || v.say.stale
		if v.say.stale {
			meta.Error = v.say.reason
		}
		info.Sections[name] = meta
		if v.kind == serve {
			known.add(h.counts)
		}
	}
	return clusterOf(&info, known), true
}

func (s *Service) view(ctx context.Context, info snapshot.ClusterInfo) (Cluster, error) {
	known, err := s.counts(ctx, info)
	if err != nil {
		return Cluster{}, err
	}
	return clusterOf(&info, known), nil
}

func clusterOf(info *snapshot.ClusterInfo, known counts) Cluster {
	c := Cluster{
		ID:       string(info.ID),
		Status:   string(info.Status),
		LastSeen: model.NewTime(info.LastSeen),
		Agents:   make([]Agent, 0, len(info.Agents)),
		Sections: make(map[model.Section]SectionState, len(info.Sections)),
		Nodes:    known.nodes,
		Pods:     known.pods,
		Snapshot: snapshotOf(info),
	}
	for _, a := range info.Agents {
		c.Agents = append(c.Agents, Agent{
			Instance:  a.Instance,
			Version:   envelope.Clip(a.Version),
			StartedAt: model.NewTime(a.StartedAt),
			LastBeat:  model.NewTime(a.LastSeen),
			Live:      a.Live,
			Leaving:   a.Leaving,
			Slots:     a.Slots,
			Busy:      a.Busy,
		})
	}
	slices.SortFunc(c.Agents, func(a, b Agent) int { return strings.Compare(a.Instance, b.Instance) })
	for name, meta := range info.Sections {
		c.Sections[name] = SectionState{
			At:         model.NewTime(meta.At),
			AgeSeconds: seconds(meta.Age),
			Seq:        meta.Seq,
			Bytes:      meta.Bytes,
			Statements: meta.Reads.Statements,
			RowsRead:   meta.Reads.Rows,
			BytesRead:  meta.Reads.Bytes,
			Stale:      meta.Stale,
			Error:      envelope.Clip(meta.Error),
		}
	}
	return c
}

func snapshotOf(info *snapshot.ClusterInfo) Snapshot {
	return Snapshot{
		State: string(info.State), Seq: info.Seq,
		PublishedAt: model.NewTime(info.LastPublishedAt), ExpiredAt: model.NewTime(info.ExpiredAt),
	}
}
