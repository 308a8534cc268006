package fleet_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/atlhyper/observe/loadtest/fleet"
	"github.com/atlhyper/observe/shared/codec"
	"github.com/atlhyper/observe/shared/model"
)

func value[T any](t *testing.T, w fleet.World, name model.Section) T {
	t.Helper()
	v, err := w.Value(name, 179_000_000)
	if err != nil {
		t.Fatal(err)
	}
	return v.(T)
}

// A cluster is of the size that was asked for: each edge once, from a service to
// another one, the same ones in the topology and in the mesh.
func TestAClusterHasTheSizeAskedFor(t *testing.T) {
	t.Parallel()
	for _, size := range []struct{ nodes, services, edges int }{{6, 10, 15}, {1, 2, 1}, {3, 4, 12}, {100, 50, 400}} {
		cfg := fleet.Config{Redis: "redis://127.0.0.1:1", Clusters: 1, Nodes: size.nodes, Services: size.services, Edges: size.edges}
		w := newFleet(t, cfg).World("sim-0")
		topology, mesh := value[model.Topology](t, w, model.SectionTracesTopology), value[[]model.MeshEdge](t, w, model.SectionSLOEdges)
		if n := len(value[[]model.NodeMetrics](t, w, model.SectionMetricsNodes)); n != size.nodes {
			t.Errorf("%+v: %d nodes", size, n)
		}
		if len(topology.Nodes) != size.services || len(topology.Edges) != size.edges || len(mesh) != size.edges {
			t.Fatalf("%+v: %d services, %d and %d edges", size, len(topology.Nodes), len(topology.Edges), len(mesh))
		}
		seen, last := map[string]bool{}, ""
		for i, e := range topology.Edges {
			pair := e.Source + " " + e.Target
			if e.Source == e.Target || seen[pair] || pair < last {
				t.Errorf("%+v: edge %d is %s after %s", size, i, pair, last)
			}
			if mesh[i].SrcName != e.Source || mesh[i].DstName != e.Target {
				t.Errorf("%+v: edge %d is %s, of the mesh %s %s", size, i, pair, mesh[i].SrcName, mesh[i].DstName)
			}
			seen[pair], last = true, pair
		}
	}
}

// What is counted several ways adds up.
func TestRowsAddUp(t *testing.T) {
	t.Parallel()
	w := newFleet(t, fleet.Config{Redis: "redis://127.0.0.1:1", Clusters: 1}).World("sim-0")
	for _, row := range value[[]model.IngressSLO](t, w, model.SectionSLOIngress) {
		var codes, methods, buckets int64
		for _, c := range row.StatusCodes {
			codes += c.Count
		}
		for _, m := range row.Methods {
			methods += m.Count
		}
		for _, b := range row.LatencyBuckets {
			buckets += b.Count
		}
		if codes != row.TotalRequests || methods != row.TotalRequests || buckets > row.TotalRequests {
			t.Errorf("%s: %d requests, %d by code, %d by method, %d in buckets", row.ServiceKey, row.TotalRequests, codes, methods, buckets)
		}
	}
	for _, n := range value[[]model.NodeMetrics](t, w, model.SectionMetricsNodes) {
		used := 100 * (1 - float64(n.Memory.AvailableBytes)/float64(n.Memory.TotalBytes))
		if d := used - n.Memory.UsagePct; d < -0.001 || d > 0.001 || n.CPU.UsagePct > 100 {
			t.Errorf("%s: memory %v%% by bytes, %v%% said; cpu %v%%", n.NodeName, used, n.Memory.UsagePct, n.CPU.UsagePct)
		}
	}
}

// The sizes of the reference cluster, for the record: go test -v -run Sizes.
func TestSizes(t *testing.T) {
	t.Parallel()
	w := newFleet(t, fleet.Config{Redis: "redis://127.0.0.1:1", Clusters: 1, Nodes: 6, Services: 10, Edges: 15}).World("sim-0")
	total := 0
	for _, name := range fleet.Sections() {
		v, err := w.Value(name, w.Version(name, w.Round(time.Now())))
		if err != nil {
			t.Fatal(err)
		}
		packed, err := codec.Encode(v)
		if err != nil {
			t.Fatal(err)
		}
		total += len(packed)
		t.Logf("%-18s %6d bytes of msgpack, %6d of JSON", name, len(packed), len(toJSON(t, packed)))
	}
	if total < 10<<10 || total > 40<<10 {
		t.Errorf("a cluster of 6 nodes and 10 services is %d bytes: not as real ones", total)
	}
}

func TestSizesAreBounded(t *testing.T) {
	t.Parallel()
	for _, cfg := range []fleet.Config{
		{Services: 10, Edges: 91}, {Services: 10, Edges: -1}, {Services: 1, Edges: 2}, {QuerySpread: -time.Second},
	} {
		cfg.Redis = "redis://127.0.0.1:1"
		if _, err := fleet.New(cfg); err == nil {
			t.Errorf("%s: no error", fmt.Sprintf("%+v", cfg))
		}
	}
}
