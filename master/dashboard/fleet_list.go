package dashboard

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/snapshot"
)

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
				if _, there := listed[id]; !there {
					listed[id] = time.Time{}
				}
			}
		}
	}
	s.followAll(ctx, slices.Sorted(maps.Keys(listed)))
	next.tried = s.now()
	s.judgeAll(next, listed)
	s.fleet.list.Store(next) // also when it is too old: who asks next is told at once
	if err != nil && !next.reached && next.tried.sub(next.asked) > fleetOld {
		return nil, err
	}
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
			h.shown = s.now()
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
