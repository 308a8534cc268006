package fleet_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/atlhyper/observe/loadtest/fleet"
	"github.com/atlhyper/observe/redis/bus"
	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/conn/conntest"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/codec"
	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/model"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newFleet(t *testing.T, cfg fleet.Config) *fleet.Fleet {
	t.Helper()
	f, err := fleet.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// start runs f until the test ends.
func start(t *testing.T, f *fleet.Fleet) {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the fleet ended with: %v", err)
		}
	})
}

func toJSON(t *testing.T, packed []byte) []byte {
	t.Helper()
	text, err := codec.ToJSON(nil, packed)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// What lies in Redis is what the world says, for each section of each cluster, and
// values change as rounds go by.
func TestAFleetPublishes(t *testing.T) {
	server := redistest.Start(t)
	f := newFleet(t, fleet.Config{Redis: server.URL(), Clusters: 3, Agents: 2, Interval: time.Second, ChangeEvery: 1})
	start(t, f)
	reader := snapshot.NewReader(conntest.Open(t, conn.Config{URL: server.URL()}), snapshot.ReaderConfig{})
	for _, id := range f.Clusters() {
		world := f.World(id)
		first := map[model.Section]int64{}
		redistest.Eventually(t, "every section of "+id+" is there and changes", func() bool {
			changed := 0
			for _, name := range fleet.Sections() {
				section, err := reader.Section(t.Context(), key.Cluster(id), name)
				if err != nil {
					return false
				}
				version, err := world.CheckSection(name, toJSON(t, section.Data))
				if err != nil {
					t.Fatal(err)
				}
				if _, known := first[name]; !known {
					first[name] = version
				}
				if version > first[name] {
					changed++
				}
			}
			return changed == len(fleet.Sections())
		})
	}
}

// Each kind of detail request is answered by the world that was asked.
func TestAFleetAnswers(t *testing.T) {
	server := redistest.Start(t)
	f := newFleet(t, fleet.Config{Redis: server.URL(), Clusters: 2, Interval: time.Second, Items: 3})
	start(t, f)
	c := conntest.Open(t, conn.Config{URL: server.URL()})
	client, err := bus.NewClient(c, bus.ClientConfig{Replica: "m1"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- client.Run(ctx) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	hour := detail.Range{Start: 1_700_000_000_000, End: 1_700_003_600_000}
	for _, request := range []detail.Request{
		detail.Node{Name: "n1"},
		detail.NodeSeries{Name: "n1", Metric: "cpu", Range: hour},
		detail.Traces{Service: "s", Range: hour, Limit: 2, Sort: detail.SortTime},
		detail.Trace{TraceID: "0123456789abcdef0123456789abcdef"},
		detail.Logs{Query: "q", Range: hour, Limit: 10},
		detail.SLOSeries{Service: "s", Range: hour},
		detail.Section{Name: model.SectionSLOEdges, Range: hour},
	} {
		params, err := codec.Encode(request)
		if err != nil {
			t.Fatal(err)
		}
		var data []byte
		redistest.Eventually(t, "an answer to "+string(request.Kind()), func() bool {
			reply, err := client.Do(t.Context(), "sim-1", bus.Request{Kind: request.Kind(), Params: params, Timeout: 20 * time.Second})
			data = reply.Data
			return err == nil
		})
		if err := f.World("sim-1").CheckAnswer(request, toJSON(t, data)); err != nil {
			t.Error(err)
		}
		if err := f.World("sim-0").CheckAnswer(request, toJSON(t, data)); !errors.Is(err, fleet.ErrWrong) && request.Kind() != detail.KindSection {
			t.Errorf("%s: the answer of sim-1 passes for one of sim-0: %v", request.Kind(), err)
		}
	}
	if q := f.Queries(); q.Answered < 7 || q.Ended != 0 {
		t.Errorf("queries %+v, want 7 answered", q)
	}
}

// A value that is not of one piece is found out.
func TestMixedValuesAreWrong(t *testing.T) {
	t.Parallel()
	world := newFleet(t, fleet.Config{Redis: "redis://127.0.0.1:1", Clusters: 1}).World("sim-0")
	text := func(name model.Section, version int64) []byte {
		value, err := world.Value(name, version)
		if err != nil {
			t.Fatal(err)
		}
		packed, err := codec.Encode(value)
		if err != nil {
			t.Fatal(err)
		}
		return toJSON(t, packed)
	}
	for _, name := range fleet.Sections() {
		older, newer := text(name, 179_000_000), text(name, 179_000_003)
		if version, err := world.CheckSection(name, newer); err != nil || version != 179_000_003 {
			t.Errorf("%s: version %d, %v", name, version, err)
		}
		if bytes.Equal(older, newer) {
			t.Errorf("%s does not change", name)
		}
		half := len(newer) / 2
		for what, mixed := range map[string][]byte{
			"half of each":           append(bytes.Clone(older[:half]), newer[min(half, len(newer)):]...),
			"one digit":              bytes.Replace(newer, []byte("3"), []byte("4"), 1),
			"another section":        text(fleet.Sections()[0], 7),
			"nothing":                nil,
			"an empty list":          []byte("[]"),
			"an empty object":        []byte("{}"),
			"the end is not there":   newer[:len(newer)-1],
			"of one that is no list": []byte("null"),
		} {
			if what == "another section" && name == fleet.Sections()[0] || bytes.Equal(mixed, newer) || bytes.Equal(mixed, older) {
				continue
			}
			if _, err := world.CheckSection(name, mixed); !errors.Is(err, fleet.ErrWrong) {
				t.Errorf("%s: %s: %v, want an error", name, what, err)
			}
		}
	}
}

func TestConfigNamesTheField(t *testing.T) {
	t.Parallel()
	for _, cfg := range []fleet.Config{
		{},
		{Redis: "redis://127.0.0.1:1", Clusters: -1},
		{Redis: "redis://127.0.0.1:1", Prefix: "Not A Name"},
		{Redis: "redis://127.0.0.1:1", Interval: time.Millisecond},
		{Redis: "redis://127.0.0.1:1", Items: -1},
	} {
		if _, err := fleet.New(cfg); err == nil {
			t.Errorf("%+v: no error", cfg)
		}
	}
}
