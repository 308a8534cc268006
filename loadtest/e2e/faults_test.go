package e2e_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/atlhyper/observe/agent"
	"github.com/atlhyper/observe/agent/clickhouse"
	"github.com/atlhyper/observe/shared/model"
)

// clusterView is what the API says of one cluster.
type clusterView struct {
	ID       string     `json:"id"`
	Status   string     `json:"status"`
	LastSeen model.Time `json:"lastSeen"`
	Agents   []struct {
		Instance string `json:"instance"`
		Version  string `json:"version"`
		Live     bool   `json:"live"`
	} `json:"agents"`
	Sections map[model.Section]struct {
		AgeSeconds float64    `json:"ageSeconds"`
		At         model.Time `json:"at"`
		Stale      bool       `json:"stale"`
		Error      string     `json:"error"`
	} `json:"sections"`
	Nodes *int64 `json:"nodes"`
}

// startAgent runs an agent of a cluster until the returned function is called or
// the test ends.
func (s *stack) startAgent(t *testing.T, c cluster, change func(*agent.Config)) (stop func()) {
	t.Helper()
	cfg := agent.Config{
		ClusterID: c.id, Instance: c.id + "-agent", Version: "v0-test", Redis: s.redis.URL(),
		ClickHouse: clickhouse.Config{DSN: s.engine.DSN(s.db), Clock: func() time.Time { return c.at }},
	}
	if change != nil {
		change(&cfg)
	}
	a, err := agent.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return run(t, cfg.Instance, a.Run)
}

// awaitSections waits until every section of a cluster is there.
func (s *stack) awaitSections(t *testing.T, c cluster) {
	t.Helper()
	for _, path := range sectionPaths() {
		var last answer
		eventually(t, "the section of "+path+" of "+c.id, func() bool {
			last = s.masters[0].get(t, path, "cluster_id", c.id)
			return last.Status == http.StatusOK
		})
	}
}

// testClusters looks at what is around the data: clusters, probes, documents.
func testClusters(t *testing.T, s *stack, c cluster) { //nolint:thelper // the body of a subtest
	for _, m := range s.masters {
		for _, path := range []string{"/healthz", "/readyz"} {
			if a := m.do(t, http.MethodGet, path, ""); a.Status != http.StatusOK {
				t.Errorf("%s on %s: status %d", path, m.name, a.Status)
			}
		}
		var one clusterView
		// A machine that stood still for a moment may have missed beats.
		eventually(t, m.name+" shows "+c.id+" online and fresh", func() bool {
			one = decodeLoose[clusterView](t, m.get(t, "/clusters/"+c.id).ok(t, "a cluster").Data)
			for _, state := range one.Sections {
				if state.Stale {
					return false
				}
			}
			return one.Status == "online"
		})
		eventually(t, m.name+" lists "+c.id, func() bool {
			for _, each := range decodeLoose[[]clusterView](t, m.get(t, "/clusters").ok(t, "clusters").Data) {
				if each.ID == c.id && each.Status == "online" {
					return true
				}
			}
			return false
		})
		if one.ID != c.id || one.Status != "online" || one.LastSeen == "" || len(one.Agents) != 1 ||
			!strings.HasPrefix(one.Agents[0].Instance, c.id+"-agent-") || one.Agents[0].Version != "v0-test" || !one.Agents[0].Live {
			t.Errorf("cluster %s: %+v", c.id, one)
		}
		if one.Nodes == nil || *one.Nodes != 3 {
			t.Errorf("cluster %s: nodes %v, want 3", c.id, one.Nodes)
		}
		for section := range sectionPaths() {
			state, ok := one.Sections[section]
			if !ok || state.Stale || state.Error != "" || state.At == "" {
				t.Errorf("cluster %s: section %s is %+v", c.id, section, state)
			}
		}
	}
}

// testAgentLeaves stops an agent in order: details are refused at once, while
// dashboards answer until the snapshot's time is over.
func testAgentLeaves(t *testing.T, s *stack, at time.Time) { //nolint:thelper // the body of a subtest
	c := cluster{id: "leaving", at: at}
	// The snapshot outlives it by six intervals: that has to last for what is asked below.
	stop := s.startAgent(t, c, func(cfg *agent.Config) { cfg.Interval = 3 * time.Second })
	s.awaitSections(t, c)
	before := s.dashboard(t, c, "/observe/metrics/nodes")
	stop()
	for _, m := range s.masters {
		refused := m.get(t, "/observe/metrics/nodes/10.0.1.11", "cluster_id", c.id, "timeout", "30s")
		refused.refused(t, "a detail without an agent", http.StatusServiceUnavailable, "agent_offline")
		if refused.Took > 20*time.Second {
			t.Errorf("agent_offline took %s of a deadline of 30 s: not at once", refused.Took)
		}
		after := m.get(t, "/observe/metrics/nodes", "cluster_id", c.id).ok(t, "a dashboard without an agent")
		equal(t, "metrics/nodes without an agent", string(before.Data), string(after.Data))
	}
	var gone answer
	eventually(t, "the snapshot of "+c.id+" expires", func() bool {
		gone = s.masters[0].get(t, "/observe/metrics/nodes", "cluster_id", c.id)
		return gone.Status != http.StatusOK
	})
	gone.refused(t, "an expired snapshot", http.StatusNotFound, "snapshot_expired")
	view := decodeLoose[clusterView](t, s.masters[1].get(t, "/clusters/"+c.id).ok(t, "a cluster without an agent").Data)
	if view.Status != "offline" {
		t.Errorf("cluster %s is %s, want offline", c.id, view.Status)
	}
}

// testClickHouseAway cuts the agent from ClickHouse and mends it.
func testClickHouseAway(t *testing.T, s *stack, at time.Time) { //nolint:thelper // the body of a subtest
	c := cluster{id: "cut", at: at}
	wire := newLink(t, s.engine.Addr)
	s.startAgent(t, c, func(cfg *agent.Config) {
		cfg.Interval = time.Second
		cfg.ClickHouse.DSN = strings.Replace(cfg.ClickHouse.DSN, s.engine.Addr, wire.addr(), 1)
	})
	s.awaitSections(t, c)
	good := map[string]answer{}
	for _, path := range sectionPaths() {
		good[path] = s.dashboard(t, c, path)
	}
	wire.cut()
	for _, path := range sectionPaths() {
		var a answer
		eventually(t, path+" says that its collection fails", func() bool {
			a = s.masters[0].get(t, path, "cluster_id", c.id).ok(t, path)
			return a.Meta.Stale && a.Meta.Error != ""
		})
		equal(t, path+" without ClickHouse", string(good[path].Data), string(a.Data))
		for _, secret := range []string{wire.addr(), s.engine.Addr, "SELECT", s.db} {
			if strings.Contains(a.Meta.Error, secret) {
				t.Errorf("%s: the error tells %q: %s", path, secret, a.Meta.Error)
			}
		}
	}
	s.masters[1].get(t, "/observe/metrics/nodes/10.0.1.11", "cluster_id", c.id).
		refused(t, "a detail without ClickHouse", http.StatusBadGateway, "agent_error")
	wire.mend()
	for _, path := range sectionPaths() {
		eventually(t, path+" recovers", func() bool {
			a := s.masters[1].get(t, path, "cluster_id", c.id).ok(t, path)
			return !a.Meta.Stale && a.Meta.Error == "" && a.Meta.CollectedAt != good[path].Meta.CollectedAt
		})
	}
	testNodes(t, s, c)
}

// testNotReady asks for a cluster whose agent never saw its ClickHouse.
func testNotReady(t *testing.T, s *stack, at time.Time) { //nolint:thelper // the body of a subtest
	c := cluster{id: "blind", at: at}
	wire := newLink(t, s.engine.Addr)
	wire.cut()
	s.startAgent(t, c, func(cfg *agent.Config) {
		cfg.Interval = time.Second
		cfg.ClickHouse.DSN = strings.Replace(cfg.ClickHouse.DSN, s.engine.Addr, wire.addr(), 1)
	})
	var a answer
	eventually(t, "the cluster "+c.id+" is known", func() bool {
		a = s.masters[0].get(t, "/observe/slo/summary", "cluster_id", c.id)
		return a.Code != "cluster_unknown"
	})
	a.refused(t, "a section that was never collected", http.StatusNotFound, "not_ready")
	wire.mend()
	s.awaitSections(t, c)
}
