package dashboard

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"time"

	"github.com/atlhyper/observe/master/envelope"
	"github.com/atlhyper/observe/master/flight"
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
func fleetSections() [3]model.Section {
	counted := countSections()
	return [3]model.Section{model.SectionOverview, counted[0], counted[1]}
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
	var known counts
	for _, name := range fleetSections() {
		h := e.sections[name]
		if h == nil {
			continue
		}
		h.used.Store(int64(now))
		v := e.judge(h, now)
		if name == model.SectionOverview {
			c.Overview = overview(h, v, redis)
		} else if v.kind == serve || v.kind == check {
			known.add(h.counts)
		}
	}
	c.Nodes, c.Pods = known.nodes, known.pods
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

// seconds has three digits after the point: Duration.Seconds adds two parts, whose sum
// may show more.
func seconds(age time.Duration) float64 {
	return float64(max(age, 0).Round(time.Millisecond).Milliseconds()) / 1000
}

// since says to users what fails, and from when on.
func since(err error, at time.Time) string {
	return fault.From(err).Message + " since " + at.UTC().Format(time.RFC3339)
}
