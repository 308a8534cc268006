package dashboard_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/atlhyper/observe/master/dashboard"
	"github.com/atlhyper/observe/master/envelope"
	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/conn/conntest"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
)

// enlist puts clusters on the list of clusters, as Gather does.
func enlist(tb testing.TB, server *redistest.Server, ids ...key.Cluster) {
	tb.Helper()
	members := make([]redis.Z, len(ids))
	for i, id := range ids {
		members[i] = redis.Z{Member: string(id), Score: float64(time.Now().UnixMilli())}
	}
	if err := server.Client(tb).ZAdd(tb.Context(), key.Clusters, members...).Err(); err != nil {
		tb.Fatal(err)
	}
}

// publishValues publishes what the fleet shows of a cluster, and more; nil values are
// failures.
func publishValues(tb testing.TB, clients *conn.Clients, c key.Cluster, values map[model.Section]any) {
	tb.Helper()
	w, err := snapshot.NewWriter(clients, snapshot.WriterConfig{Cluster: c, Instance: "agent-1", Interval: 100 * time.Second})
	if err != nil {
		tb.Fatal(err)
	}
	var updates []snapshot.Update
	for name, v := range values {
		u := snapshot.Update{Name: name, At: time.Now()}
		if v == nil {
			u.Err = "no such table"
		} else {
			u.Data = encode(tb, v)
		}
		updates = append(updates, u)
	}
	if _, err := w.Publish(tb.Context(), updates); err != nil {
		tb.Fatal(err)
	}
}

func glances(t *testing.T, r *replica) (dashboard.Fleet, map[string]dashboard.FleetCluster) {
	t.Helper()
	fleet, err := r.Fleet(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	byID := map[string]dashboard.FleetCluster{}
	for i, c := range fleet.Clusters {
		byID[c.ID] = c
		if i > 0 && fleet.Clusters[i-1].ID >= c.ID {
			t.Errorf("%s stands before %s", fleet.Clusters[i-1].ID, c.ID)
		}
	}
	return fleet, byID
}

// The fleet shows every listed cluster as /clusters and the sections' own endpoints
// do, from memory, and follows.
func TestFleet(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	r := startReplica(t, server)
	if fleet, _ := glances(t, r); len(fleet.Clusters) != 0 || fleet.Stale {
		t.Errorf("no cluster there: %+v", fleet)
	}
	a := newAgent(t, server, "whole", 10*time.Second)
	a.beat()
	overview := model.Overview{TotalServices: 7, AvgSuccessRate: 0.5}
	publishValues(t, a.clients, "whole", map[model.Section]any{
		model.SectionOverview: overview, model.SectionMetricsSummary: model.MetricsSummary{TotalNodes: 6}, edges: 1,
	})
	publishValues(t, a.clients, "failing", map[model.Section]any{model.SectionOverview: nil})
	publishValues(t, a.clients, "other", map[model.Section]any{edges: 1})
	publishValues(t, a.clients, "lost", map[model.Section]any{model.SectionOverview: overview})
	if err := server.Client(t).Del(t.Context(), key.Cluster("lost").Snapshot()).Err(); err != nil {
		t.Fatal(err)
	}
	enlist(t, server, "whole", "failing", "other", "gone", "lost")

	var fleet dashboard.Fleet
	var byID map[string]dashboard.FleetCluster
	redistest.Eventually(t, "all are listed", func() bool {
		fleet, byID = glances(t, r)
		return len(byID) == 5
	})
	if fleet.Stale || time.Since(fleet.CollectedAt).Abs() > time.Minute {
		t.Errorf("stale %t, read at %s", fleet.Stale, fleet.CollectedAt)
	}
	a.beat()
	var clusters []dashboard.Cluster
	redistest.Eventually(t, "the status follows", func() bool {
		a.beat()
		_, byID = glances(t, r)
		var err error
		if clusters, err = r.Clusters(t.Context()); err != nil {
			t.Fatal(err)
		}
		// A beat counts for 4 s, which a slow machine may need from one to the other.
		isOnline := func(c dashboard.Cluster) bool { return c.ID == "whole" && c.Status == "online" }
		return byID["whole"].Status == "online" && slices.ContainsFunc(clusters, isOnline)
	})
	for _, c := range clusters {
		got := byID[c.ID]
		if diff := cmp.Diff(c.Snapshot, got.Snapshot.Snapshot); diff != "" || c.Status != got.Status {
			t.Errorf("%s: status %s, want %s; -clusters +fleet\n%s", c.ID, got.Status, c.Status, diff)
		}
	}
	whole := byID["whole"]
	if whole.Nodes == nil || *whole.Nodes != 6 || whole.Pods != nil || whole.LastSeen == "" || whole.Snapshot.AgeSeconds < 0 {
		t.Errorf("whole: %+v", whole)
	}
	var got model.Overview
	if whole.Overview == nil || json.Unmarshal(whole.Overview.Data, &got) != nil || got != overview || whole.Overview.Stale || whole.Overview.CollectedAt == "" {
		t.Errorf("its overview: %+v", whole.Overview)
	}
	if f := byID["failing"]; f.Overview == nil || f.Overview.Data != nil || !f.Overview.Stale || f.Overview.Error != "no such table" || f.Nodes != nil {
		t.Errorf("failing: %+v, %+v", f, f.Overview)
	}
	for _, id := range []string{"other", "gone", "lost"} {
		if c := byID[id]; c.Overview != nil || c.Nodes != nil {
			t.Errorf("%s: %+v", id, c)
		}
	}

	overview.TotalServices++
	publishValues(t, a.clients, "whole", map[model.Section]any{model.SectionOverview: overview})
	redistest.Eventually(t, "the overview follows", func() bool {
		_, byID = glances(t, r)
		return strings.Contains(string(byID["whole"].Overview.Data), `"totalServices":8`)
	})
	// While nobody publishes, who asks costs Redis nothing.
	sent := r.commands.Load()
	for range 1000 {
		glances(t, r)
	}
	if sent = r.commands.Load() - sent; sent > 900 {
		t.Errorf("1000 requests sent %d commands", sent)
	}
}

// While Redis is away the fleet says so, and for how long it is shown is bounded.
func TestFleetWithoutRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	r := startReplica(t, server)
	a := newAgent(t, server, cluster, 10*time.Second)
	publishValues(t, a.clients, cluster, map[model.Section]any{model.SectionOverview: model.Overview{TotalServices: 7}})
	enlist(t, server, cluster)
	if _, byID := glances(t, r); byID[string(cluster)].Overview == nil {
		t.Fatalf("%+v", byID)
	}
	server.Stop()
	redistest.Eventually(t, "it says that Redis is away", func() bool {
		fleet, byID := glances(t, r)
		c := byID[string(cluster)]
		return fleet.Stale && strings.Contains(fleet.Error, " since ") && c.Status == "unknown" && c.Overview != nil && c.Overview.Stale && c.Overview.Error != ""
	})
	r.pass(2 * time.Minute)
	if _, err := r.Fleet(t.Context()); !fault.Is(err, fault.StoreUnavailable) {
		t.Errorf("two minutes later: %v", err)
	}
	server.Restart()
	redistest.Eventually(t, "Redis is back", func() bool {
		fleet, err := r.Fleet(t.Context())
		return err == nil && !fleet.Stale
	})
	idleReplica := newReplica(t, server, idle)
	idleReplica.stopClock()
	server.Stop()
	if _, err := idleReplica.Fleet(t.Context()); !fault.Is(err, fault.StoreUnavailable) {
		t.Errorf("without a list: %v", err)
	}
	before := idleReplica.commands.Load()
	if _, err := idleReplica.Fleet(t.Context()); !fault.Is(err, fault.StoreUnavailable) || idleReplica.commands.Load() != before {
		t.Errorf("again, which asks nobody: %v", err)
	}
}

// A cluster that was forgotten is held no more, also while the fleet is asked for.
func TestFleetLetsGoOfTheForgotten(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	r := startReplica(t, server)
	clients := newAgent(t, server, "one", 10*time.Second).clients
	for _, c := range []key.Cluster{"one", "two"} {
		publishValues(t, clients, c, map[model.Section]any{model.SectionOverview: model.Overview{}})
	}
	enlist(t, server, "one", "two")
	redistest.Eventually(t, "both are shown", func() bool {
		_, byID := glances(t, r)
		return len(byID) == 2
	})
	if err := snapshot.Forget(t.Context(), clients, "two"); err != nil {
		t.Fatal(err)
	}
	redistest.Eventually(t, "one is shown", func() bool {
		_, byID := glances(t, r)
		return len(byID) == 1
	})
	r.pass(dashboard.DefaultIdle + time.Hour)
	enlist(t, server, "one")
	redistest.Eventually(t, "one is held", func() bool {
		glances(t, r)
		return r.metric(t, "master_cache_clusters") == 1
	})
}

// BenchmarkFleet is one answer about 1,000 clusters, JSON included: warm, and the first.
func BenchmarkFleet(b *testing.B) {
	const n = 1000
	server := redistest.Start(b)
	clients := conntest.Open(b, conn.Config{URL: server.URL()})
	ids := make([]key.Cluster, n)
	for i := range ids {
		ids[i] = key.Cluster(fmt.Sprintf("cluster-%04d", i))
		publishValues(b, clients, ids[i], map[model.Section]any{
			model.SectionOverview:       model.Overview{TotalServices: int64(i), TotalRPS: 1234.5678, AvgSuccessRate: 0.98765},
			model.SectionMetricsSummary: model.MetricsSummary{TotalNodes: 6, AvgCPUPct: 12.34},
		})
	}
	enlist(b, server, ids...)
	answer := func(ctx context.Context, s *dashboard.Service) int {
		fleet, err := s.Fleet(ctx)
		if err != nil || len(fleet.Clusters) != n || fleet.Clusters[n-1].Overview == nil {
			b.Fatal(len(fleet.Clusters), err)
		}
		body, err := envelope.FromValue(fleet.Clusters, envelope.Meta{CollectedAt: model.NewTime(fleet.CollectedAt)})
		if err != nil {
			b.Fatal(err)
		}
		return len(body)
	}
	b.Run("warm", func(b *testing.B) {
		r := newReplica(b, server, idle)
		answer(b.Context(), r.Service)
		r.stopClock()
		for b.Loop() {
			b.SetBytes(int64(answer(b.Context(), r.Service)))
		}
	})
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			r := newReplica(b, server, idle)
			b.StartTimer()
			answer(b.Context(), r.Service)
		}
	})
	// What keeping 1,000 clusters up to date costs each second.
	b.Run("check", func(b *testing.B) {
		r := newReplica(b, server, idle)
		answer(b.Context(), r.Service)
		before := scriptTime(b, server)
		for b.Loop() {
			r.pass(3 * time.Second)
			answer(b.Context(), r.Service)
		}
		b.ReportMetric(float64((scriptTime(b, server)-before).Nanoseconds())/float64(b.N)/n, "redis-ns/cluster")
	})
}

// scriptTime is what scripts took of the server so far.
func scriptTime(b *testing.B, server *redistest.Server) time.Duration {
	b.Helper()
	stats, err := server.Client(b).InfoMap(b.Context(), "commandstats").Result()
	if err != nil {
		b.Fatal(err)
	}
	var calls, micros int64
	if _, err := fmt.Sscanf(stats["Commandstats"]["cmdstat_evalsha"], "calls=%d,usec=%d", &calls, &micros); err != nil {
		b.Fatal(err)
	}
	return time.Duration(micros) * time.Microsecond
}
