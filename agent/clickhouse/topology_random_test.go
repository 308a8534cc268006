package clickhouse

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/atlhyper/observe/loadtest/telemetry"
	"github.com/atlhyper/observe/shared/model"
)

// Of random traces: every service is a node, once; every edge ends at nodes; the
// edges between services are the pairs of parent and child, counted here in Go,
// with callees that start in the window and parents up to five minutes outside.
func TestTopologyOfRandomTraces(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(7, 8))
	kinds := []string{"Server", "SPAN_KIND_SERVER", "Client", "SPAN_KIND_CLIENT", "Producer", "Consumer", "Internal", ""}
	targets := []string{"peer.service", "server.address", "db.system", "db.system.name", "messaging.system", "messaging.destination.name", "http.url", "net.peer.name"}
	values := []string{"s1", "s2", "mysql", "kafka", "http://s3:80/x", "out.example", "", "0.0.0.0"}
	var rows telemetry.Rows
	for trace := range 250 {
		// Some around either edge of the window of 15 minutes.
		start := []time.Duration{-8 * time.Minute, -15 * time.Minute, 0}[rng.IntN(3)] + time.Duration(rng.IntN(240)-120)*time.Second
		for id := range 1 + rng.IntN(8) {
			span := testSpan(trace+1, id+1, rng.IntN(id+1), fmt.Sprintf("s%d", rng.IntN(5)), kinds[rng.IntN(len(kinds))],
				start+time.Duration(rng.IntN(60))*time.Second, time.Duration(rng.IntN(1000))*time.Millisecond)
			for range rng.IntN(3) {
				attrs(targets[rng.IntN(len(targets))], values[rng.IntN(len(values))])(&span)
			}
			if rng.IntN(3) == 0 {
				resource("service.namespace", "shop")(&span)
			}
			rows.Spans = append(rows.Spans, span)
		}
	}
	s, _ := testStore(t, rows)
	window := before(15 * time.Minute)
	services, err := s.services(t.Context(), window)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.topologyOf(t.Context(), window, services)
	if err != nil {
		t.Fatal(err)
	}
	nodes := make(map[string]model.TopologyNode)
	for _, n := range got.Nodes {
		if _, twice := nodes[n.ID]; twice || n.ID == "" || n.Name == "" {
			t.Errorf("node %+v is there twice or without a name", n)
		}
		nodes[n.ID] = n
	}
	for _, sv := range services {
		if id := (serviceKey{sv.Namespace, sv.Name}).id(); nodes[id].Type != model.TypeService {
			t.Errorf("service %s is no node", id)
		}
	}
	want, pairs := edgesInGo(rows.Spans), make(map[edgeKey]int64)
	for _, e := range got.Edges {
		source, target := nodes[e.Source], nodes[e.Target]
		if source.ID == "" || target.ID == "" || source.Type != model.TypeService || e.CallCount <= 0 || e.ErrorRate < 0 || e.ErrorRate > 1 {
			t.Errorf("edge %+v from %+v to %+v", e, source, target)
		}
		// A call that nobody answers, to what bears a service's name, is on an edge between services too.
		if key := (edgeKey{e.Source, e.Target}); target.Type == model.TypeService && want[key] > 0 {
			pairs[key] = min(e.CallCount, want[key])
		}
	}
	if diff := gocmp.Diff(want, pairs); diff != "" || len(want) < 20 {
		t.Errorf("%d edges between services: %s", len(want), diff)
	}
}

// edgesInGo counts the spans that start in the last 15 minutes and whose parent is
// of another service.
func edgesInGo(spans []telemetry.Span) map[edgeKey]int64 {
	id := func(s telemetry.Span) string {
		return serviceKey{s.Resource["service.namespace"], s.ServiceName}.id()
	}
	byID := make(map[string]telemetry.Span)
	for _, s := range spans {
		byID[s.TraceID+s.SpanID] = s
	}
	from, to := testNow.Add(-15*time.Minute), testNow
	edges := make(map[edgeKey]int64)
	for _, s := range spans {
		parent, ok := byID[s.TraceID+s.ParentSpanID]
		inside := !s.Timestamp.Before(from) && s.Timestamp.Before(to)
		near := !parent.Timestamp.Before(from.Add(-topologyMargin)) && parent.Timestamp.Before(to.Add(topologyMargin))
		if ok && s.ParentSpanID != "" && inside && near && id(parent) != id(s) {
			edges[edgeKey{id(parent), id(s)}]++
		}
	}
	return edges
}
