package scale

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// near is as much as sums of decimal fractions differ by.
func near() cmp.Option { return cmpopts.EquateApprox(1e-12, 0) }

// made is a measurement in round figures.
func made() Measured {
	const us = 1e-6
	return Measured{
		Cores: 4, Clusters: 100, Interval: 20 * time.Second,
		Small: Size{
			Memory: 40_000, Values: 30_000, Changed: Cost{36_000, 400 * us},
			Whole: 90 * us, NotModified: 30 * us,
		},
		Large: Size{
			Memory: 250_000, Values: 180_000, Changed: Cost{216_000, 1_400 * us},
			Whole: 210 * us, NotModified: 30 * us,
		},
		Beats:  Cost{3_000, 500 * us},
		Agent:  Agent{In: 4_000, Out: 500, Redis: 200 * us, Connections: 5, Memory: 60_000},
		Follow: Follow{In: 1_000, Out: 2_000, Redis: 50 * us, Master: 100 * us, Memory: 80_000},
		Detail: Detail{Master: 1_000 * us, Agent: 700 * us, Redis: 400 * us},
	}
}

// given are assumptions in round figures: 6 requests a second, a quarter of them whole,
// and a detail each 10 s.
func given() Assumed {
	return Assumed{
		Masters: 4, Viewers: 6, Sections: 5, Refresh: 5 * time.Second, Whole: 0.25, DetailEvery: 10 * time.Second,
		Utilisation: 0.5, MaxClients: 6_000, Memory: 500e6, Network: 21.25e6, CacheBytes: 160e6,
	}
}

func TestCluster(t *testing.T) {
	t.Parallel()
	small := Cluster{
		Snapshot: 40_000, ConnectionMemory: 60_000, Connections: 5,
		In:    8_000,   // 4,000 + 4 × 1,000
		Out:   8_500,   // 500 + 4 × 2,000
		Redis: 0.00044, // 200 + 4 × 50 + 400 ÷ 10 µs
		// 6 × (90 ÷ 4 + 30 × 3 ÷ 4) + 1,000 ÷ 10 µs
		Answering: 0.00037, FollowingRedis: 0.00005, Following: 0.0001,
		Held: 80_000, Requests: 6, Publishes: 0.05, Details: 0.1, Keys: 3,
	}
	large := small
	large.Snapshot = 250_000
	large.In = 17_000     // 180,000 more each 20 s
	large.Out = 38_500    // 150,000 more each 20 s, for each of 4
	large.Redis = 0.00049 // 1,000 µs more each 20 s
	// 6 × (210 ÷ 4 + 30 × 3 ÷ 4) + 1,000 ÷ 10 µs
	large.Answering = 0.00055
	large.Held = 480_000 // 80,000 × 6
	m := made()
	if diff := cmp.Diff(small, m.cluster(given(), m.Small), near()); diff != "" {
		t.Errorf("small (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(large, m.cluster(given(), m.Large), near()); diff != "" {
		t.Errorf("large (-want +got):\n%s", diff)
	}
	// 400 µs each 20 s and 50 µs each second.
	if diff := cmp.Diff(70e-6, m.Writing(), near()); diff != "" {
		t.Errorf("publishes and beats (-want +got):\n%s", diff)
	}
}

func TestNeed(t *testing.T) {
	t.Parallel()
	want := Need{
		Clusters: 5_000,
		Cluster: Cluster{
			Snapshot: 200e6, ConnectionMemory: 300e6, Connections: 25_000, In: 40e6, Out: 42.5e6,
			Redis: 2.2, FollowingRedis: 0.25, Answering: 1.85, Following: 0.5,
			Held: 400e6, Requests: 30_000, Publishes: 250, Details: 500, Keys: 15_000,
		},
		Messages:     1_000, // 250 to each of 4
		DetailsRedis: 0.2,   // 500 × 400 µs
		Shards:       5,     // 2.2 ÷ 0.5 = 4.4
		MasterCores:  2,     // (0.5 + 1.85 ÷ 4) ÷ 0.5 = 1.925
	}
	if diff := cmp.Diff(want, made().need(given(), 5_000, false), near()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := made().need(given(), 1, true); got.Shards != 1 || got.MasterCores != 1 || !got.Large {
		t.Errorf("one cluster: %+v: want one of each", got)
	}
}

func TestLimitsStandInTheirOrder(t *testing.T) {
	t.Parallel()
	want := []Limit{
		{limitThread, 0.5, 0.00044, 1136},
		{limitConnections, 6_000, 5, 1200},
		{limitCache, 160e6, 80_000, 2000},
		{limitNetwork, 21.25e6, 8_500, 2500}, // out: more than in
		{limitMaster, 0.5, 0.0001925, 2597},  // 100 + 370 ÷ 4 µs
		{limitMemory, 500e6, 100_000, 5000},
	}
	got, err := made().limits(given())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, near()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}

	others := made()
	others.Agent.Connections = 100 // 6,000 ÷ 100
	others.Follow.In = 10_000      // 4,000 + 4 × 10,000: more than out
	got, err = others.limits(given())
	if err != nil {
		t.Fatal(err)
	}
	first := []Limit{{limitConnections, 6_000, 100, 60}, {limitNetwork, 21.25e6, 44_000, 482}}
	if diff := cmp.Diff(first, got[:2], near()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}

	for name, none := range map[string]func(*Measured){
		"connections": func(m *Measured) { m.Agent.Connections = 0 },
		"cache":       func(m *Measured) { m.Small.Values = 0 }, // 0 ÷ 0
	} {
		m := made()
		none(&m)
		if _, err := m.limits(given()); err == nil {
			t.Errorf("%s: a limit that a cluster takes nothing of", name)
		}
	}
}

func TestApart(t *testing.T) {
	t.Parallel()
	want := Apart{
		Clusters: 6_000, Masters: 12, Each: 3, Followed: 1_500,
		Core: 0.15, Held: 120e6,
		Redis:          2.34, // 6,000 × (200 + 3 × 50 + 40 µs)
		RedisOtherwise: 5.04, // 6,000 × (200 + 12 × 50 + 40 µs)
	}
	if diff := cmp.Diff(want, made().apart(given(), 6_000, 12, 3), near()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestFigures(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]string{
		0: "0", 0.00404: "0.0040", 0.068: "0.068", 0.4: "0.40", 1: "1.0", 9.94: "9.9", 9.96: "10", 404.4: "404",
		1485: "1,485", 53300: "53,300", 1234567: "1,234,567", -1485: "-1,485", -485: "-485", -0.25: "-0.25",
	} {
		if got := figure(v); got != want {
			t.Errorf("figure(%v) = %q, want %q", v, got, want)
		}
	}
	for v, want := range map[float64]string{
		264: "264 bytes", 999.6: "1.0 KB", 32363: "32 KB", 999_600: "1.0 MB", 1.9e9: "1.9 GB", 5e13: "50,000 GB",
	} {
		if got := sizeOf(v); got != want {
			t.Errorf("sizeOf(%v) = %q, want %q", v, got, want)
		}
	}
}
