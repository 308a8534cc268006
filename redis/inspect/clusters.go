package inspect

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/atlhyper/observe/redis/bus"
	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
)

// Clusters are all clusters that Redis knows of.
type Clusters struct {
	Clusters []Cluster `json:"clusters"` // by id
	// Incomplete says why clusters may be missing; "" when none is.
	Incomplete string `json:"incomplete,omitempty"`
}

// Cluster is one cluster at a glance. Times are on Redis's clock.
type Cluster struct {
	ID     string `json:"id"`
	Status string `json:"status"` // online, stale, offline; unknown: its server of Redis Cluster is away
	// Listed is false when no master has put it on the list of clusters.
	Listed          bool       `json:"listed"`
	LastSeen        model.Time `json:"lastSeen"`        // newest beat or publish
	LastSeenSeconds float64    `json:"lastSeenSeconds"` // since then
	AgentCount      int        `json:"agentCount"`      // beats that are there
	LiveAgents      int        `json:"liveAgents"`      // of them those that go on
	Snapshot        Snapshot   `json:"snapshot"`
	SectionCount    int        `json:"sectionCount"`
	StaleSections   int        `json:"staleSections"` // of them those that failed or are old
	// Waiting is how many commands wait; null, and Error says why, when that cannot be
	// told.
	Waiting *int64 `json:"waiting"`
	Error   string `json:"error,omitempty"`
}

const (
	// maxClusters bounds the clusters that are shown.
	maxClusters = 10_000
	// queuesBatch is how many queues' lengths are read in one round trip.
	queuesBatch = 200
)

// Clusters reads all clusters: those that masters have listed, and those that have
// agents and no master has seen yet.
func (i *Inspector) Clusters(ctx context.Context) (Clusters, error) {
	listed, err := i.reader.Clusters(ctx)
	if err != nil {
		return Clusters{}, err
	}
	out := Clusters{Clusters: make([]Cluster, 0, len(listed))}
	known := make(map[key.Cluster]bool)
	for n := range listed {
		known[listed[n].ID] = true
		out.Clusters = append(out.Clusters, i.clusterOf(&listed[n], true))
	}
	others, err := i.unlisted(ctx, known)
	if err != nil && (len(listed) == 0 || ctx.Err() != nil) {
		return Clusters{}, err
	}
	if err != nil {
		out.Incomplete = "clusters that no master has listed cannot be looked for: " + fault.From(err).Message
	}
	out.Clusters = append(out.Clusters, others...)
	slices.SortFunc(out.Clusters, func(a, b Cluster) int { return cmp.Compare(a.ID, b.ID) })
	i.queues(ctx, out.Clusters)
	return out, ctx.Err()
}

func (i *Inspector) clusterOf(info *snapshot.ClusterInfo, listed bool) Cluster {
	c := Cluster{
		ID: string(info.ID), Status: string(info.Status), Listed: listed,
		LastSeen: model.NewTime(info.LastSeen), AgentCount: len(info.Agents),
		Snapshot: snapshotOf(info), SectionCount: len(info.Sections),
	}
	if !info.LastSeen.IsZero() {
		c.LastSeenSeconds = seconds(max(0, i.clients.Clock(info.ID).Now().Sub(info.LastSeen)))
	}
	for _, a := range info.Agents {
		if a.Live {
			c.LiveAgents++
		}
	}
	for _, s := range info.Sections {
		if s.Stale {
			c.StaleSections++
		}
	}
	return c
}

// unlisted finds clusters that have agents and are not known.
func (i *Inspector) unlisted(ctx context.Context, known map[key.Cluster]bool) ([]Cluster, error) {
	var ids []key.Cluster
	err := conn.Scan(ctx, i.clients.Normal, key.AgentsPattern, func(keys []string) error {
		for _, k := range keys {
			if c, ok := key.ClusterOf(k); ok && !known[c] && len(known) < maxClusters {
				known[c] = true
				ids = append(ids, c)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := make([]Cluster, 0, len(ids))
	for _, c := range ids {
		info, err := i.reader.Cluster(ctx, c)
		if fault.Is(err, fault.ClusterUnknown) {
			continue // gone meanwhile
		}
		if err != nil {
			return out, err
		}
		out = append(out, i.clusterOf(&info, false))
	}
	return out, nil
}

// queues fills in how many commands wait, where somebody can be asked.
func (i *Inspector) queues(ctx context.Context, clusters []Cluster) {
	there := make([]*Cluster, 0, len(clusters))
	for n := range clusters {
		if clusters[n].Status == string(snapshot.Unknown) {
			clusters[n].Error = "the server of Redis Cluster that holds it is away"
			continue
		}
		there = append(there, &clusters[n])
	}
	for batch := range slices.Chunk(there, queuesBatch) {
		i.someQueues(ctx, batch)
	}
}

func (i *Inspector) someQueues(ctx context.Context, clusters []*Cluster) {
	calls := make([]conn.Call, len(clusters))
	for n, c := range clusters {
		calls[n] = conn.Call{Keys: []string{key.Cluster(c.ID).Commands()}, Args: []any{0, bus.MaxCommandBytes, listsBytes}}
	}
	for n, answer := range i.readLists.RunAll(ctx, i.clients.Normal, calls) {
		c, err := clusters[n], answer.Err
		var lists []list
		if err == nil {
			lists, _, err = listsOf(answer.Value, 1)
		}
		switch {
		case err != nil:
			c.Error = "how many commands wait cannot be told: " + fault.From(err).Message
		case lists[0].odd:
			c.Error = key.Cluster(c.ID).Commands() + " is not a list"
		default:
			c.Waiting = &lists[0].length
		}
	}
}

// Agents are the agents of a cluster, also those that are offline since at most 10
// minutes.
type Agents struct {
	ClusterID string  `json:"clusterId"`
	Status    string  `json:"status"` // online, stale, offline
	Agents    []Agent `json:"agents"` // by instance
}

// Agent is the last beat of one agent. Times are on Redis's clock, but for StartedAt.
type Agent struct {
	Instance       string     `json:"instance"`
	Version        string     `json:"version"`
	State          string     `json:"state"` // live, leaving, offline
	StartedAt      model.Time `json:"startedAt"`
	LastBeat       model.Time `json:"lastBeat"`
	BeatAgeSeconds float64    `json:"beatAgeSeconds"` // since then
	Slots          int        `json:"slots"`          // commands that it runs at once
	Busy           int        `json:"busy"`           // of them at the last beat
	Publishes      bool       `json:"publishes"`      // it published last
}

// Agents reads the agents of a cluster.
func (i *Inspector) Agents(ctx context.Context, c key.Cluster) (Agents, error) {
	info, err := i.reader.Cluster(ctx, c)
	if err != nil {
		return Agents{}, err
	}
	now := i.clients.Clock(c).Now()
	out := Agents{ClusterID: string(c), Status: string(info.Status), Agents: make([]Agent, 0, len(info.Agents))}
	for _, a := range info.Agents {
		out.Agents = append(out.Agents, Agent{
			Instance: a.Instance, Version: a.Version, State: stateOf(a), StartedAt: model.NewTime(a.StartedAt),
			LastBeat: model.NewTime(a.LastSeen), BeatAgeSeconds: seconds(max(0, now.Sub(a.LastSeen))),
			Slots: a.Slots, Busy: a.Busy, Publishes: a.Instance == info.Publisher,
		})
	}
	return out, nil
}

// clip bounds a name that others wrote.
func clip(s string) string {
	if len(s) <= maxName {
		return s
	}
	return strings.ToValidUTF8(s[:maxName], "") + "…"
}
