package e2e_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/atlhyper/observe/loadtest/e2e/reference"
	"github.com/atlhyper/observe/shared/model"
)

// The windows of the contract.
const (
	rateWindow  = 5 * time.Minute
	traceWindow = 15 * time.Minute
	sloWindow   = 5 * time.Minute
)

// exactSpans is how many spans of a service quantiles are exact for; of more
// they come from a sample of that size.
const exactSpans = 8192

func testNodes(t *testing.T, s *stack, c cluster) { //nolint:thelper // the body of a subtest
	want := s.rows.Nodes(c.at, rateWindow)
	if len(want) != 3 || want[0].Timestamp == "" {
		t.Fatalf("the rows have %d nodes, want 3", len(want))
	}
	got := decode[[]model.NodeMetrics](t, s.dashboard(t, c, "/observe/metrics/nodes").Data)
	equal(t, "metrics/nodes", want, got)
	summary := decode[model.MetricsSummary](t, s.dashboard(t, c, "/observe/metrics/summary").Data)
	equal(t, "metrics/summary", reference.Summary(want), summary)
}

func testIngress(t *testing.T, s *stack, c cluster) { //nolint:thelper // the body of a subtest
	want := s.rows.Ingress(c.at, sloWindow)
	if len(want) != 6 {
		t.Fatalf("the rows have %d services behind the ingress, want 6", len(want))
	}
	got := decode[[]model.IngressSLO](t, s.dashboard(t, c, "/observe/slo/ingress").Data)
	equal(t, "slo/ingress", want, got, cmpopts.IgnoreFields(model.IngressSLO{}, "DisplayName"))
	for _, g := range got {
		if g.DisplayName == "" {
			t.Errorf("slo/ingress: %s has no display name", g.ServiceKey)
		}
	}
}

func testMesh(t *testing.T, s *stack, c cluster) { //nolint:thelper // the body of a subtest
	services := decode[[]model.MeshService](t, s.dashboard(t, c, "/observe/slo/services").Data)
	equal(t, "slo/services", s.meshServices(c.at, sloWindow), services)
	edges := decode[[]model.MeshEdge](t, s.dashboard(t, c, "/observe/slo/edges").Data)
	equal(t, "slo/edges", s.meshEdges(c.at, sloWindow), edges)
}

func testSLOSummary(t *testing.T, s *stack, c cluster) { //nolint:thelper // the body of a subtest
	got := decode[model.SLOSummary](t, s.dashboard(t, c, "/observe/slo/summary").Data)
	equal(t, "slo/summary", reference.SLOSummary(s.rows.Ingress(c.at, sloWindow), s.meshServices(c.at, sloWindow)), got)
}

// testServices compares the spans of each service, whose calls are those it
// serves, or all its spans where it serves none.
func testServices(t *testing.T, s *stack, c cluster) { //nolint:thelper // the body of a subtest
	got := decode[[]model.Service](t, s.dashboard(t, c, "/observe/traces/services").Data)
	compareServices(t, s.rows.ServiceCalls(c.at.Add(-traceWindow), c.at), got, traceWindow)
}

func compareServices(t *testing.T, calls map[string]reference.Calls, got []model.Service, window time.Duration) {
	t.Helper()
	want := []model.Service{}
	for name, c := range calls {
		want = append(want, model.Service{
			Name: name, Namespace: c.Namespace, Environment: c.Environment, SpanCount: c.Count, ErrorCount: c.Errors,
			SuccessRate: 1 - float64(c.Errors)/float64(c.Count), AvgDurationMs: c.AvgMs, RPS: float64(c.Count) / window.Seconds(),
		})
	}
	slices.SortFunc(want, func(a, b model.Service) int { return strings.Compare(a.Namespace+" "+a.Name, b.Namespace+" "+b.Name) })
	equal(t, "traces/services", want, got, cmpopts.IgnoreFields(model.Service{}, "P50Ms", "P99Ms"))
	for _, g := range got {
		sorted := calls[g.Name].DurationsMs
		if !quantileNear(0.5, sorted, g.P50Ms, exactSpans) || !quantileNear(0.99, sorted, g.P99Ms, exactSpans) {
			t.Errorf("traces/services: %s: p50 %v, p99 %v; of its %d spans %v, %v", g.Name, g.P50Ms, g.P99Ms,
				len(sorted), quantileOf(0.5, sorted), quantileOf(0.99, sorted))
		}
	}
}

func testTopology(t *testing.T, s *stack, c cluster) { //nolint:thelper // the body of a subtest
	got := decode[model.Topology](t, s.dashboard(t, c, "/observe/traces/topology").Data)
	compareTopology(t, s.rows, c.at.Add(-traceWindow), c.at, got)
}

func compareTopology(t *testing.T, rows *reference.Data, start, end time.Time, got model.Topology) {
	t.Helper()
	nodes := map[string]model.TopologyNode{}
	for i, n := range got.Nodes {
		if _, twice := nodes[n.ID]; twice || (i > 0 && n.ID < got.Nodes[i-1].ID) {
			t.Errorf("traces/topology: node %s is there twice or out of order", n.ID)
		}
		nodes[n.ID] = n
	}
	compareTopologyServices(t, rows.ServiceCalls(start, end), nodes, end.Sub(start))
	between, toDatabases := map[reference.Edge]model.TopologyEdge{}, map[reference.Edge]model.TopologyEdge{}
	for _, e := range got.Edges {
		source, target := nodes[e.Source], nodes[e.Target]
		if source.ID == "" || target.ID == "" {
			t.Errorf("traces/topology: edge %s -> %s has an end that is no node", e.Source, e.Target)
		}
		e.Source, e.Target = "", ""
		switch target.Type {
		case model.TypeService:
			between[reference.Edge{Source: source.Name, Target: target.Name}] = e
		case model.TypeDatabase:
			system, _, _ := strings.Cut(strings.TrimPrefix(target.ID, "database:"), "/")
			toDatabases[reference.Edge{Source: source.Name, Target: system}] = e
		case model.TypeMessaging, model.TypeExternal:
			// The capture has no queues; what is external is not laid down.
		}
	}
	equal(t, "traces/topology: edges between services", edgesOf(rows.ServiceEdges(start, end)), between)
	equal(t, "traces/topology: edges to databases", edgesOf(rows.DatabaseCalls(start, end)), toDatabases)
}

func edgesOf(calls map[reference.Edge]reference.Calls) map[reference.Edge]model.TopologyEdge {
	edges := map[reference.Edge]model.TopologyEdge{}
	for e, c := range calls {
		edges[e] = model.TopologyEdge{CallCount: c.Count, AvgMs: c.AvgMs, ErrorRate: float64(c.Errors) / float64(c.Count)}
	}
	return edges
}

// compareTopologyServices checks the nodes that are services: all are there, with
// their own traffic and the status that goes with it.
func compareTopologyServices(t *testing.T, calls map[string]reference.Calls, nodes map[string]model.TopologyNode, window time.Duration) {
	t.Helper()
	want, got := map[string]model.TopologyNode{}, map[string]model.TopologyNode{}
	for name, c := range calls {
		success := 1 - float64(c.Errors)/float64(c.Count)
		want[name] = model.TopologyNode{
			Name: name, Namespace: c.Namespace, Type: model.TypeService, Status: statusOf(success),
			RPS: float64(c.Count) / window.Seconds(), SuccessRate: success,
		}
	}
	for _, n := range nodes {
		if n.Type == model.TypeService {
			if !quantileNear(0.99, calls[n.Name].DurationsMs, n.P99Ms, exactSpans) {
				t.Errorf("traces/topology: %s: p99 %v, want %v", n.Name, n.P99Ms, quantileOf(0.99, calls[n.Name].DurationsMs))
			}
			got[n.Name] = n
		}
	}
	equal(t, "traces/topology: services", want, got, cmpopts.IgnoreFields(model.TopologyNode{}, "ID", "P99Ms"))
}

func statusOf(success float64) model.Status {
	switch {
	case success >= 0.999:
		return model.StatusHealthy
	case success >= 0.99:
		return model.StatusWarning
	default:
		return model.StatusCritical
	}
}

// testOverview compares it with the other sections as they were answered: those
// were compared with the rows already.
func testOverview(t *testing.T, s *stack, c cluster) { //nolint:thelper // the body of a subtest
	got := decode[model.Overview](t, s.dashboard(t, c, "/observe/overview").Data)
	want := reference.Overview(
		decode[[]model.Service](t, s.dashboard(t, c, "/observe/traces/services").Data),
		s.rows.Ingress(c.at, sloWindow), s.meshServices(c.at, sloWindow), reference.Summary(s.rows.Nodes(c.at, rateWindow)))
	equal(t, "overview", want, got)
}

// testWindows checks what each section says it speaks of.
func testWindows(t *testing.T, s *stack, c cluster) { //nolint:thelper // the body of a subtest
	for section, path := range sectionPaths() {
		want := rateWindow // and sloWindow
		if strings.HasPrefix(string(section), "traces.") {
			want = traceWindow
		}
		if got := s.dashboard(t, c, path).Meta.WindowSeconds; section != model.SectionOverview && got != int64(want.Seconds()) {
			t.Errorf("%s: windowSeconds %d, want %s", path, got, want)
		}
	}
}

// testRanges asks for the traces and SLO lists over another range than the
// snapshot's: the agent then computes them, for each instant as if it were now.
func testRanges(t *testing.T, s *stack, c cluster) { //nolint:thelper // the body of a subtest
	at, window := c.at.Add(-90*time.Second), 3*time.Minute
	ask := func(path string) answer {
		return s.detail(t, c, path, "start_time", at.Add(-window).Format(time.RFC3339), "end_time", at.Format(time.RFC3339))
	}
	if got := ask("/observe/slo/ingress").Meta.WindowSeconds; got != 180 {
		t.Errorf("slo/ingress over 3 minutes: windowSeconds %d, want 180", got)
	}
	ingress, services := s.rows.Ingress(at, window), s.meshServices(at, window)
	equal(t, "slo/ingress over 3 minutes", ingress,
		decode[[]model.IngressSLO](t, ask("/observe/slo/ingress").Data), cmpopts.IgnoreFields(model.IngressSLO{}, "DisplayName"))
	equal(t, "slo/services over 3 minutes", services, decode[[]model.MeshService](t, ask("/observe/slo/services").Data))
	equal(t, "slo/edges over 3 minutes", s.meshEdges(at, window), decode[[]model.MeshEdge](t, ask("/observe/slo/edges").Data))
	equal(t, "slo/summary over 3 minutes", reference.SLOSummary(ingress, services), decode[model.SLOSummary](t, ask("/observe/slo/summary").Data))
	compareServices(t, s.rows.ServiceCalls(at.Add(-window), at),
		decode[[]model.Service](t, ask("/observe/traces/services").Data), window)
	compareTopology(t, s.rows, at.Add(-window), at, decode[model.Topology](t, ask("/observe/traces/topology").Data))
}
