package dashboard

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/atlhyper/observe/master/envelope"
	"github.com/atlhyper/observe/master/flight"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
)

const (
	// fleetIdle is how long the list of clusters is kept up to date after the last
	// request for it.
	fleetIdle = time.Minute
	// fleetOld is the age at which a list is shown no more.
	fleetOld = time.Minute
)

// Fleet is all clusters at a glance.
type Fleet struct {
	Clusters []FleetCluster // by id
	// CollectedAt is when the list was read, on Redis's clock.
	CollectedAt time.Time
	// Stale is true, and Error says why, when Redis cannot be asked.
	Stale bool
	Error string
}

// FleetCluster is one cluster at a glance.
type FleetCluster struct {
	ID       string        `json:"id"`
	Status   string        `json:"status"` // as in Cluster; unknown while Redis cannot be asked about it
	LastSeen model.Time    `json:"lastSeen"`
	Snapshot FleetSnapshot `json:"snapshot"`
	// Overview is the section otel.overview; null when there is none.
	Overview *FleetOverview `json:"overview"`
	// Nodes and Pods are null while they are not known.
	Nodes *int64 `json:"nodes"`
	Pods  *int64 `json:"pods"`
}

// FleetSnapshot is Snapshot with the age of the last publish.
type FleetSnapshot struct {
	Snapshot
	AgeSeconds float64 `json:"ageSeconds"` // 0 when nothing tells of a publish
}

// FleetOverview is a section otel.overview with what its meta would say of it.
type FleetOverview struct {
	Data        json.RawMessage `json:"data"` // null when it was never collected
	CollectedAt model.Time      `json:"collectedAt"`
	AgeSeconds  float64         `json:"ageSeconds"`
	Stale       bool            `json:"stale"`
	Error       string          `json:"error,omitempty"`
}

// fleet is the list of clusters while somebody asks for it.
type fleet struct {
	used    atomic.Int64 // instant of the last request
	list    atomic.Pointer[fleetList]
	reading flight.Group[struct{}, *fleetList]
}

// fleetList is not changed once it is there.
type fleetList struct {
	clusters []snapshot.ClusterInfo // by id
	asked    instant                // when it was asked for
	tried    instant                // when that was tried last
	away     error                  // why that failed
	reached  bool                   // Redis answered about some of the clusters
	at       time.Time              // Redis's clock at asked
}

func (f *fleet) inUse(now instant) bool { return now.sub(instant(f.used.Load())) <= fleetIdle }

// fleetSections are what the fleet shows of a cluster.
func fleetSections() [2]model.Section {
	return [2]model.Section{model.SectionOverview, model.SectionMetricsSummary}
}

// Fleet returns all clusters that were seen: from memory, unless nobody asked for
// them lately. Errors: store_unavailable.
func (s *Service) Fleet(ctx context.Context) (Fleet, error) {
	now := s.now()
	s.fleet.used.Store(int64(now))
	list := s.fleet.list.Load()
	if list == nil || now.sub(list.asked) > freshFor && (list.away == nil || now.sub(list.tried) > retried) {
		var err error
		if list, _, err = s.fleet.reading.Do(ctx, struct{}{}, s.readFleet); err != nil {
			return Fleet{}, err
		}
		now = s.now()
	}
	stale := list.away != nil && now.sub(list.asked) > freshFor
	if stale && !list.reached && now.sub(list.asked) > fleetOld {
		return Fleet{}, list.away
	}
	all := Fleet{Clusters: make([]FleetCluster, len(list.clusters)), CollectedAt: list.at, Stale: stale}
	if stale {
		all.Error = since(list.away, list.at)
	}
	for i := range list.clusters {
		all.Clusters[i] = s.glance(&list.clusters[i], now)
	}
	return all, nil
}

// glance is one cluster of the fleet.
func (s *Service) glance(info *snapshot.ClusterInfo, now instant) FleetCluster {
	c := FleetCluster{
		ID: string(info.ID), Status: string(info.Status), LastSeen: model.NewTime(info.LastSeen),
		Snapshot: FleetSnapshot{Snapshot: snapshotOf(info)},
	}
	e := s.cache.entry(info.ID)
	if e == nil {
		return c
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	redis := e.redis(now)
	if e.skew.Load() != 0 && !info.LastPublishedAt.IsZero() {
		c.Snapshot.AgeSeconds = seconds(redis.Sub(info.LastPublishedAt))
	}
	for _, name := range fleetSections() {
		h := e.sections[name]
		if h == nil {
			continue
		}
		h.used.Store(int64(now))
		v := e.judge(h, now)
		switch name {
		case model.SectionOverview:
			c.Overview = overview(h, v, redis)
		case model.SectionMetricsSummary:
			if v.kind == serve || v.kind == check {
				c.Nodes = h.nodes
			}
		}
	}
	return c
}

// overview is what there is to say of a section; nil for nothing.
func overview(h *held, v verdict, redis time.Time) *FleetOverview {
	switch {
	case h.there && (v.kind == serve || v.kind == check):
		return &FleetOverview{
			Data: h.data, CollectedAt: model.NewTime(h.meta.At), AgeSeconds: seconds(redis.Sub(h.meta.At)),
			Stale: v.say.stale, Error: envelope.Clip(v.say.reason),
		}
	case v.kind == none && h.meta.Error != "":
		return &FleetOverview{Stale: true, Error: envelope.Clip(h.meta.Error)}
	default:
		return nil
	}
}

func seconds(age time.Duration) float64 { return max(age, 0).Round(time.Millisecond).Seconds() }

// followFleet keeps the list of clusters up to date while it is in use.
func (s *Service) followFleet(ctx context.Context) error {
	ticker := time.NewTicker(s.cfg.CheckInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		list := s.fleet.list.Load()
		if list == nil {
			continue // the next request reads it
		}
		if !s.fleet.inUse(s.now()) {
			s.fleet.list.CompareAndSwap(list, nil)
			continue
		}
		// What fails is said to who asks for the fleet; the watcher logs it.
		if _, _, err := s.fleet.reading.Do(ctx, struct{}{}, s.readFleet); err != nil {
			s.cfg.Logger.DebugContext(ctx, "the list of clusters cannot be read", "error", err)
		}
	}
}

// readFleet reads the list, and what is shown of clusters that are new on it. The
// error says why, when there is nothing to show.
func (s *Service) readFleet(ctx context.Context) (*fleetList, error) {
	before := s.fleet.list.Load()
	next := &fleetList{asked: s.now(), at: s.cfg.ListNow()}
	listed, err := read(ctx, s.cfg.ReadTimeout, s.reader.Listed)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		if listed == nil {
			listed = make(map[key.Cluster]time.Time)
		}
		next.asked, next.away = 0, err
		if before != nil {
			next.asked, next.at = before.asked, before.at
			for i := range before.clusters {
				id := before.clusters[i].ID
				listed[id] = listed[id] // also without it, it was there
			}
		}
	}
	s.followAll(ctx, slices.Sorted(maps.Keys(listed)))
	next.tried = s.now()
	s.judgeAll(next, listed)
	if err != nil && !next.reached && next.tried.sub(next.asked) > fleetOld {
		return nil, err
	}
	s.fleet.list.Store(next)
	return next, nil
}

// judgeAll fills in what the list and the checks say of the clusters.
func (s *Service) judgeAll(next *fleetList, listed map[key.Cluster]time.Time) {
	next.clusters = make([]snapshot.ClusterInfo, 0, len(listed))
	for _, id := range slices.Sorted(maps.Keys(listed)) {
		info, reached := s.lastInfo(id)
		next.reached = next.reached || reached
		known := true
		if reached {
			info, known = s.reader.Judge(info, listed[id])
		} else {
			info.Status, info.State = snapshot.Unknown, snapshot.SnapshotUnreachable
			if info.LastSeen.IsZero() {
				info.LastSeen = listed[id]
			}
		}
		if known {
			next.clusters = append(next.clusters, info)
		}
	}
}

// lastInfo is what the last check of a cluster said, and whether it worked.
func (s *Service) lastInfo(id key.Cluster) (info snapshot.ClusterInfo, reached bool) {
	e := s.cache.entry(id)
	if e == nil {
		return snapshot.ClusterInfo{ID: id}, false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	info, info.ID = e.info, id
	return info, e.asked != 0 && (e.away == nil || s.now().sub(e.asked) <= freshFor)
}

// followAll has the fleet's sections of all clusters held, and asks about those that
// have not been asked about lately.
func (s *Service) followAll(ctx context.Context, ids []key.Cluster) {
	var due []key.Cluster
	for _, id := range ids {
		e := s.cache.lock(id)
		isDue := false
		for _, name := range fleetSections() {
			h := s.cache.want(e, name, s.now())
			h.pinned = true
			isDue = e.judge(h, s.now()).kind == check || isDue
		}
		e.mu.Unlock()
		if isDue {
			due = append(due, id)
		}
	}
	if len(due) == 0 {
		return
	}
	err := s.check(ctx, s.cfg.ReadTimeout, due...)
	if err == nil || ctx.Err() != nil {
		return
	}
	for _, id := range due {
		e := s.cache.lock(id)
		if now := s.now(); now.sub(e.asked) > freshFor {
			e.fail(now, err)
		}
		e.mu.Unlock()
	}
}

// since says to users what fails, and from when on.
func since(err error, at time.Time) string {
	return fault.From(err).Message + " since " + at.UTC().Format(time.RFC3339)
}
