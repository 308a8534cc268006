package clustermetrics_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"go.uber.org/goleak"

	"github.com/atlhyper/observe/master/clustermetrics"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/model"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fleet answers in the place of Redis.
type fleet struct {
	infos []snapshot.ClusterInfo
	err   error
	asked int
	most  int
}

func (f *fleet) health(_ context.Context, most int) ([]snapshot.ClusterInfo, int, error) {
	f.asked++
	f.most = most
	left := max(0, len(f.infos)-most)
	return f.infos[:len(f.infos)-left], left, f.err
}

func register(t *testing.T, f *fleet, change func(*clustermetrics.Config)) *prometheus.Registry {
	t.Helper()
	registry := prometheus.NewRegistry()
	cfg := clustermetrics.Config{
		Health: f.health, Sections: []model.Section{"a", "b"}, Interval: time.Nanosecond, Metrics: registry, Logger: slog.New(slog.DiscardHandler),
	}
	change(&cfg)
	if err := clustermetrics.Register(cfg); err != nil {
		t.Fatal(err)
	}
	return registry
}

func asIs(*clustermetrics.Config) {}

// text is what a scrape shows, without comments and with ages in whole minutes.
func text(t *testing.T, registry *prometheus.Registry) string {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if problems, err := promlint.NewWithMetricFamilies(families).Lint(); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
	var out strings.Builder
	for _, f := range families {
		for _, m := range f.GetMetric() {
			value := m.GetGauge().GetValue() + m.GetCounter().GetValue()
			if strings.Contains(f.GetName(), "_age_") {
				value = float64(int(value / 60))
			}
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			fmt.Fprintf(&out, "%s{%s} %v\n", strings.TrimPrefix(f.GetName(), "atlhyper_"), strings.Join(labels, ","), value)
		}
	}
	return out.String()
}

func old(minutes int, failure string) snapshot.SectionMeta {
	age := time.Duration(minutes)*time.Minute + 10*time.Second
	return snapshot.SectionMeta{At: time.UnixMilli(1), Age: age, Error: failure}
}

func clusters() []snapshot.ClusterInfo {
	seen := time.UnixMilli(1_700_000_000_500)
	return []snapshot.ClusterInfo{
		{
			ID: "east", Status: snapshot.Online, State: snapshot.SnapshotLive, LastSeen: seen, Queue: 3,
			Agents: []snapshot.AgentInfo{{Live: false}, {Live: true}},
			Sections: map[model.Section]snapshot.SectionMeta{
				"a": old(2, ""), "b": old(7, "1"), "never": {Error: "1"}, "someone's own": old(9, ""),
			},
		},
		{
			ID: "gone", Status: snapshot.Offline, State: snapshot.SnapshotExpired, LastSeen: seen,
			Agents: []snapshot.AgentInfo{{Live: false}}, Sections: map[model.Section]snapshot.SectionMeta{"a": old(600, "")},
		},
		{ID: "new", Status: snapshot.Stale, State: snapshot.SnapshotNone, LastSeen: seen, Queue: -1, Agents: []snapshot.AgentInfo{{Live: true}}},
		{ID: "shard", Status: snapshot.Unknown, State: snapshot.SnapshotUnreachable},
	}
}

func TestClusters(t *testing.T) {
	t.Parallel()
	f := &fleet{infos: clusters()}
	registry := register(t, f, asIs)
	const want = `cluster_last_seen_timestamp_seconds{cluster=east} 1.7000000005e+09
cluster_last_seen_timestamp_seconds{cluster=gone} 1.7000000005e+09
cluster_last_seen_timestamp_seconds{cluster=new} 1.7000000005e+09
cluster_queue_length{cluster=east} 3
cluster_queue_length{cluster=gone} 0
cluster_sections_failing{cluster=east} 2
cluster_snapshot_age_seconds{cluster=east} 9
cluster_up{cluster=east} 1
cluster_up{cluster=gone} 0
cluster_up{cluster=new} 1
clusters{status=offline} 1
clusters{status=online} 1
clusters{status=stale} 1
clusters{status=unknown} 1
clusters_look_failures_total{} 0
clusters_without_series{} 0
section_age_max_seconds{section=a} 2
section_age_max_seconds{section=b} 7
`
	if got := text(t, registry); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if f.most != 1000 {
		t.Errorf("asked for %d clusters", f.most)
	}
}

// While Redis is away nothing is said of clusters but which there were.
func TestRedisAway(t *testing.T) {
	t.Parallel()
	f := &fleet{infos: clusters()}
	registry := register(t, f, asIs)
	text(t, registry)
	f.err = errors.New("away")
	got := text(t, registry)
	for _, want := range []string{"clusters{status=unknown} 4\n", "clusters{status=online} 0\n", "clusters_look_failures_total{} 1\n", "last_seen_timestamp_seconds{cluster=east} 1.7"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
	if found := regexp.MustCompile(`cluster_up|_age_|queue|failing`).FindString(got); found != "" {
		t.Errorf("%s is said of clusters that nobody can ask about", found)
	}
	f.err = nil
	if got := text(t, registry); !strings.Contains(got, "cluster_up{cluster=east} 1\n") || !strings.Contains(got, "clusters{status=unknown} 1\n") {
		t.Errorf("Redis is back, and there is\n%s", got)
	}
}

// A Redis that hangs fails the look before Prometheus gives the scrape up, and the log
// says so.
func TestRedisHangs(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	hangs := func(cfg *clustermetrics.Config) {
		cfg.Timeout, cfg.Logger = time.Millisecond, slog.New(slog.NewTextHandler(&log, nil))
		cfg.Health = func(ctx context.Context, _ int) ([]snapshot.ClusterInfo, int, error) {
			<-ctx.Done()
			return nil, 0, ctx.Err()
		}
	}
	if got := text(t, register(t, &fleet{}, hangs)); !strings.Contains(got, "clusters_look_failures_total{} 1\n") {
		t.Errorf("no failure in\n%s", got)
	}
	if !strings.Contains(log.String(), "it fails") {
		t.Errorf("the log says nothing of it: %q", log.String())
	}
	text(t, register(t, &fleet{}, func(cfg *clustermetrics.Config) {
		cfg.Health = func(ctx context.Context, _ int) ([]snapshot.ClusterInfo, int, error) {
			if end, ok := ctx.Deadline(); !ok || time.Until(end) >= 5*time.Second {
				t.Errorf("by default a look may take until %v", end)
			}
			return nil, 0, nil
		}
	}))
}

// Neither scrapes nor clusters ask Redis without bound.
func TestBounds(t *testing.T) {
	t.Parallel()
	f := &fleet{}
	for i := range 50 {
		info := clusters()[0]
		info.ID = key.Cluster(fmt.Sprintf("c%02d", i))
		info.Sections = map[model.Section]snapshot.SectionMeta{model.Section(info.ID): old(1, "")}
		f.infos = append(f.infos, info)
	}
	registry := register(t, f, func(c *clustermetrics.Config) { c.Interval, c.MaxClusters = time.Hour, 40 })
	for range 3 {
		n, err := testutil.GatherAndCount(registry)
		if err != nil || n != 40*5+4+2 {
			t.Errorf("%d series, %v; want 5 of each cluster and 6", n, err)
		}
	}
	if got := text(t, registry); !strings.Contains(got, "clusters_without_series{} 10\n") {
		t.Errorf("it is not said how many were left out:\n%s", got)
	}
	if f.asked != 1 {
		t.Errorf("asked %d times within an interval", f.asked)
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	logger, health := slog.New(slog.DiscardHandler), (&fleet{}).health
	for name, cfg := range map[string]clustermetrics.Config{
		"no health": {Logger: logger}, "no logger": {Health: health},
		"negative": {Health: health, Logger: logger, Interval: -1},
	} {
		if err := clustermetrics.Register(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if err := clustermetrics.Register(clustermetrics.Config{Health: health, Logger: logger}); err != nil {
		t.Errorf("nobody asks: %v", err)
	}
}
