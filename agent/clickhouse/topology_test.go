package clickhouse

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/atlhyper/observe/loadtest/telemetry"
	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/model"
)

func TestServices(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	prod := resource("service.namespace", "shop", "deployment.environment", "prod")
	s, _ := testStore(t, spans(
		// Both spellings of the enums; the client span is not what cart serves.
		testSpan(1, 1, 0, "cart", "Server", -10*time.Minute, 10*ms, prod),
		testSpan(2, 1, 0, "cart", "SPAN_KIND_SERVER", -9*time.Minute, 20*ms, prod, failed("STATUS_CODE_ERROR", "")),
		testSpan(3, 1, 0, "cart", "SPAN_KIND_CONSUMER", -8*time.Minute, 30*ms, prod, failed("Error", "")),
		testSpan(3, 2, 1, "cart", "Client", -8*time.Minute, 900*ms, prod, failed("Error", "")),
		// The same name elsewhere is another service.
		testSpan(4, 1, 0, "cart", "Server", -7*time.Minute, 40*ms, resource("k8s.namespace.name", "test", "deployment.environment.name", "qa")),
		// A job: its root spans count, not what they hold.
		testSpan(5, 1, 0, "job", "Internal", -6*time.Minute, 50*ms),
		testSpan(5, 2, 1, "job", "SPAN_KIND_CLIENT", -6*time.Minute, 7*ms),
		// A database that its callers report: all of its spans.
		testSpan(5, 3, 2, "mysql", "Client", -6*time.Minute, 6*ms),
		testSpan(5, 4, 2, "mysql", "Client", -6*time.Minute, 8*ms),
		// No name at all.
		testSpan(6, 1, 0, "", "Server", -5*time.Minute, 60*ms),
		// Just outside the window [-15m, 0).
		testSpan(7, 1, 0, "cart", "Server", -15*time.Minute-1, 1*ms, prod),
		testSpan(8, 1, 0, "cart", "Server", 0, 1*ms, prod),
	))
	got, err := s.services(t.Context(), before(15*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	want := []model.Service{
		{Name: "job", SpanCount: 1, SuccessRate: 1, AvgDurationMs: 50, P50Ms: 50, P99Ms: 50, RPS: 1.0 / 900},
		{Name: "mysql", SpanCount: 2, SuccessRate: 1, AvgDurationMs: 7, P50Ms: 7, P99Ms: 7.98, RPS: 2.0 / 900},
		{Name: "unknown_service", SpanCount: 1, SuccessRate: 1, AvgDurationMs: 60, P50Ms: 60, P99Ms: 60, RPS: 1.0 / 900},
		{
			Namespace: "shop", Name: "cart", Environment: "prod", SpanCount: 3, ErrorCount: 2,
			SuccessRate: 1.0 / 3, AvgDurationMs: 20, P50Ms: 20, P99Ms: 29.8, RPS: 3.0 / 900,
		},
		{
			Namespace: "test", Name: "cart", Environment: "qa", SpanCount: 1, SuccessRate: 1,
			AvgDurationMs: 40, P50Ms: 40, P99Ms: 40, RPS: 1.0 / 900,
		},
	}
	if diff := cmp.Diff(want, got, almost()); diff != "" {
		t.Error(diff)
	}
}

// almost compares floats to nine digits.
func almost() cmp.Option { return cmpopts.EquateApprox(1e-9, 0) }

func TestTopology(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	shop := resource("service.namespace", "shop")
	s, _ := testStore(t, spans(
		// web -> cart twice, in both spellings, one failed; web is the caller only.
		testSpan(1, 1, 0, "web", "Internal", -600*time.Second, 100*ms),
		testSpan(1, 2, 1, "web", "Client", -600*time.Second, 90*ms, attrs("server.address", "cart.local")),
		testSpan(1, 3, 2, "cart", "Server", -600*time.Second, 80*ms, shop),
		testSpan(2, 1, 0, "web", "SPAN_KIND_CLIENT", -590*time.Second, 50*ms),
		testSpan(2, 1, 0, "web", "SPAN_KIND_CLIENT", -590*time.Second, 50*ms), // delivered twice
		testSpan(2, 2, 1, "cart", "SPAN_KIND_SERVER", -590*time.Second, 40*ms, shop, failed("STATUS_CODE_ERROR", "")),
		// The parent is of any kind, and a producer's consumer is a callee.
		testSpan(3, 1, 0, "web", "Producer", -580*time.Second, 1*ms, attrs("messaging.system", "kafka")),
		testSpan(3, 2, 1, "mailer", "Consumer", -579*time.Second, 5*ms),
		// The parent started before the window.
		testSpan(4, 1, 0, "early", "Client", -901*time.Second, 5000*ms),
		testSpan(4, 2, 1, "cart", "Server", -899*time.Second, 60*ms, shop),
		// The callee's span starts after the window: no external call, and no edge in this window.
		testSpan(5, 1, 0, "web", "Client", -30*time.Second, 60_000*ms, attrs("server.address", "late.local")),
		testSpan(5, 2, 1, "cart", "Server", 5*time.Second, 60*ms, shop),
		// Databases, by both generations of names and over two callers.
		testSpan(6, 1, 0, "cart", "Client", -500*time.Second, 2*ms, shop, attrs("db.system", "mssql", "db.name", "orders")),
		testSpan(6, 2, 0, "web", "Client", -500*time.Second, 4*ms, attrs("db.system.name", "microsoft.sql_server", "db.namespace", "orders"), failed("Error", "")),
		testSpan(6, 3, 0, "web", "Client", -499*time.Second, 6*ms, attrs("db.system.name", "redis", "db.namespace", "0")),
		// A topic that nobody consumes, and a peer outside.
		testSpan(7, 1, 0, "web", "Producer", -400*time.Second, 3*ms, attrs("messaging.system", "kafka", "messaging.destination", "mails")),
		testSpan(7, 2, 0, "web", "Client", -400*time.Second, 7*ms, attrs("net.peer.name", "api.example.com")),
		testSpan(7, 3, 0, "web", "Client", -400*time.Second, 9*ms, attrs("http.url", "https://api.example.com:8443/x")),
		// An unanswered call to a service by its name; it says nothing of itself.
		testSpan(8, 1, 0, "web", "Client", -300*time.Second, 20*ms, attrs("peer.service", "mailer")),
		testSpan(8, 2, 0, "web", "Client", -300*time.Second, 20*ms, attrs("peer.service", "web")),
		// Too new to say that nobody answers.
		testSpan(9, 1, 0, "web", "Client", -5*time.Second, 1*ms, attrs("server.address", "new.local")),
		// A lone service, and a caller without any address.
		testSpan(10, 1, 0, "lone", "Server", -200*time.Second, 1*ms),
		testSpan(11, 1, 0, "lone", "Client", -200*time.Second, 1*ms),
	))
	got, err := s.topology(t.Context(), before(15*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	settled := 900.0 - settleTime.Seconds()
	service := func(namespace, name string, status model.Status, spans, success, p99 float64) model.TopologyNode {
		n := model.TopologyNode{
			ID: name, Name: name, Namespace: namespace, Type: model.TypeService, Status: status,
			RPS: spans / 900, SuccessRate: success, P99Ms: p99,
		}
		if namespace != "" {
			n.ID = namespace + "/" + name
		}
		return n
	}
	want := model.Topology{
		Nodes: []model.TopologyNode{
			{
				ID: "database:microsoft.sql_server/orders", Name: "orders", Type: model.TypeDatabase,
				Status: model.StatusCritical, RPS: 2.0 / 900, SuccessRate: 0.5, P99Ms: 3.98,
			},
			{ID: "database:redis", Name: "redis", Type: model.TypeDatabase, Status: model.StatusHealthy, RPS: 1.0 / 900, SuccessRate: 1, P99Ms: 6},
			service("", "early", model.StatusUnknown, 0, 0, 0),
			{
				ID: "external:api.example.com", Name: "api.example.com", Type: model.TypeExternal,
				Status: model.StatusHealthy, RPS: 2 / settled, SuccessRate: 1, P99Ms: 8.98,
			},
			service("", "lone", model.StatusHealthy, 1, 1, 1),
			service("", "mailer", model.StatusHealthy, 1, 1, 5),
			{ID: "messaging:kafka/mails", Name: "mails", Type: model.TypeMessaging, Status: model.StatusHealthy, RPS: 1 / settled, SuccessRate: 1, P99Ms: 3},
			service("shop", "cart", model.StatusCritical, 3, 2.0/3, 79.6),
			{ID: "web", Name: "web", Type: model.TypeService},
		},
		Edges: []model.TopologyEdge{
			{Source: "early", Target: "shop/cart", CallCount: 1, AvgMs: 60},
			{Source: "shop/cart", Target: "database:microsoft.sql_server/orders", CallCount: 1, AvgMs: 2},
			{Source: "web", Target: "database:microsoft.sql_server/orders", CallCount: 1, AvgMs: 4, ErrorRate: 1},
			{Source: "web", Target: "database:redis", CallCount: 1, AvgMs: 6},
			{Source: "web", Target: "external:api.example.com", CallCount: 2, AvgMs: 8},
			{Source: "web", Target: "mailer", CallCount: 2, AvgMs: 12.5}, // one consumed, one unanswered
			{Source: "web", Target: "messaging:kafka/mails", CallCount: 1, AvgMs: 3},
			{Source: "web", Target: "shop/cart", CallCount: 2, AvgMs: 60, ErrorRate: 0.5},
		},
	}
	// What web's own numbers are is the test of services.
	for i, n := range got.Nodes {
		if n.ID == "web" {
			got.Nodes[i] = model.TopologyNode{ID: n.ID, Name: n.Name, Type: n.Type}
		}
	}
	if diff := cmp.Diff(want, got, almost()); diff != "" {
		t.Error(diff)
	}
}

func TestTopologyStatus(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		calls callStats
		want  model.Status
	}{
		{callStats{}, model.StatusUnknown},
		{callStats{count: 1000, errors: 1}, model.StatusHealthy},
		{callStats{count: 1000, errors: 2}, model.StatusWarning},
		{callStats{count: 1000, errors: 10}, model.StatusWarning},
		{callStats{count: 1000, errors: 11}, model.StatusCritical},
	} {
		if got := statusOf(tc.calls); got != tc.want {
			t.Errorf("statusOf(%+v) = %s, want %s", tc.calls, got, tc.want)
		}
	}
}

func TestSectionsWithoutTable(t *testing.T) {
	t.Parallel()
	s, _ := emptyStore(t)
	services, err := s.services(t.Context(), before(time.Hour))
	if err != nil || services == nil || len(services) != 0 {
		t.Errorf("services: %v, %v; want an empty list", services, err)
	}
	topology, err := s.topology(t.Context(), before(time.Hour))
	if err != nil || topology.Nodes == nil || len(topology.Nodes)+len(topology.Edges) != 0 {
		t.Errorf("topology: %v, %v; want empty lists", topology, err)
	}
}

// TestTopologyOfCapture counts the capture's parents and children in Go.
func TestTopologyOfCapture(t *testing.T) {
	t.Parallel()
	rows := captured(t)
	s, _ := testStore(t, telemetry.Rows{Spans: rows.Spans})
	r := before(15 * time.Minute)
	got, err := s.topology(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	edges, served := map[string]int64{}, map[string]int64{}
	byID, answered := map[string]telemetry.Span{}, map[string]bool{}
	for _, sp := range rows.Spans {
		byID[sp.TraceID+sp.SpanID] = sp
		answered[sp.TraceID+sp.ParentSpanID] = answered[sp.TraceID+sp.ParentSpanID] || sp.Kind == "Server"
	}
	for _, sp := range rows.Spans {
		if parent, ok := byID[sp.TraceID+sp.ParentSpanID]; ok && parent.ServiceName != sp.ServiceName {
			edges[parent.ServiceName+" "+sp.ServiceName]++
		}
		switch {
		case sp.Kind == "Server":
			served[sp.ServiceName]++
		case sp.Attributes["db.system.name"] != "":
			edges[sp.ServiceName+" database:"+sp.Attributes["db.system.name"]]++
		case !answered[sp.TraceID+sp.SpanID]:
			edges[sp.ServiceName+" external:"+sp.Attributes["server.address"]]++
		}
	}
	gotEdges := map[string]int64{}
	for _, e := range got.Edges {
		gotEdges[e.Source+" "+e.Target] = e.CallCount
	}
	if diff := cmp.Diff(edges, gotEdges); diff != "" {
		t.Error(diff)
	}
	ids := map[string]bool{}
	for _, n := range got.Nodes {
		ids[n.ID] = true
		if want, ok := served[n.ID]; ok && float64(want)/900 != n.RPS {
			t.Errorf("%s: %v spans/s, want %d in 900 s", n.ID, n.RPS, want)
		}
	}
	for _, e := range got.Edges {
		if !ids[e.Source] || !ids[e.Target] {
			t.Errorf("edge %s -> %s ends at no node", e.Source, e.Target)
		}
	}
	if got := len(got.Nodes); got != 9 { // six services, mysql, redis, and 0.0.0.0
		t.Errorf("%d nodes, want 9", got)
	}
	empty, err := s.topology(t.Context(), detail.NewRange(testNow.Add(-48*time.Hour), testNow.Add(-47*time.Hour)))
	if err != nil || len(empty.Nodes) != 0 {
		t.Errorf("a range without spans: %v, %v", empty, err)
	}
}

// Many callers of many targets: no edge is lost, and each target keeps its node.
func TestTopologyOfManyCallers(t *testing.T) {
	t.Parallel()
	const callers, targets = 200, 30
	var rows telemetry.Rows
	for caller := range callers {
		for target := range targets {
			rows.Spans = append(rows.Spans, testSpan(caller+1, target+1, 0, fmt.Sprintf("caller%d", caller), "Client", -time.Minute,
				time.Millisecond, attrs("server.address", fmt.Sprintf("host%d.example", target))))
		}
	}
	s, _ := testStore(t, rows)
	got, err := s.topology(t.Context(), before(15*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Nodes) != callers+targets || len(got.Edges) != callers*targets {
		t.Errorf("%d nodes and %d edges, want %d and %d", len(got.Nodes), len(got.Edges), callers+targets, callers*targets)
	}
}

// Of more than the bounds the busiest are kept, and the log says so. A target
// stays though its callers are beyond their bound; one that is a service goes.
func TestTopologyBeyondItsBounds(t *testing.T) {
	t.Parallel()
	row := func(target, caller string) callRow {
		return callRow{
			kind: model.TypeExternal, target: target, caller: serviceKey{name: caller}, total: caller == "",
			calls: callStats{count: 1},
		}
	}
	rows := []callRow{row("web", ""), row("a", ""), row("b", ""), row("c", ""), row("web", "x"), row("a", "x"), row("b", "x"), row("c", "x")}
	kept := busiest(rows, 3, 2)
	if want := slices.Concat(rows[:3], rows[4:6]); !slices.Equal(kept, want) {
		t.Errorf("kept %v, want %v", kept, want)
	}
	g := newGraph([]model.Service{{Name: "web"}})
	g.addCalls(kept, time.Minute, time.Minute)
	var nodes, edges []string
	for _, n := range g.topology().Nodes {
		nodes = append(nodes, n.ID)
	}
	for _, e := range g.topology().Edges {
		edges = append(edges, e.Source+" "+e.Target)
	}
	if diff := cmp.Diff([]string{"external:a", "external:b", "web", "x"}, nodes); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"x external:a", "x web"}, edges); diff != "" {
		t.Error(diff)
	}

	s, exec := emptyStore(t)
	exec(`CREATE TABLE otel_traces ENGINE = MergeTree ORDER BY Timestamp AS
		SELECT ` + unixText(testNow.Add(-time.Minute)) + `::DateTime64(9) AS Timestamp, toString(number) AS TraceId, '1' AS SpanId, '' AS ParentSpanId,
			'web' AS ServiceName, 'Client' AS SpanKind, 'Unset' AS StatusCode, toUInt64(1) AS Duration,
			map('server.address', 'host' || toString(number)) AS SpanAttributes, map('service.name', 'web') AS ResourceAttributes
		FROM numbers(` + strconv.Itoa(maxTargets+1) + `)`)
	var log bytes.Buffer
	s.cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
	got, err := s.topology(t.Context(), before(15*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Nodes) != maxTargets+1 || len(got.Edges) != maxTargets { // and the caller
		t.Errorf("%d nodes and %d edges", len(got.Nodes), len(got.Edges))
	}
	if !strings.Contains(log.String(), "only the busiest") || !strings.Contains(log.String(), "max_targets=5000") {
		t.Errorf("logged %q", log.String())
	}
}

// A call of which only the remote procedure is known is a call of its service.
func TestTopologyOfRPCWithoutAddress(t *testing.T) {
	t.Parallel()
	call := func(id int, pairs ...string) telemetry.Span {
		return testSpan(id, 1, 0, "web", "Client", -time.Minute, time.Millisecond, attrs(pairs...))
	}
	s, _ := testStore(t, spans(
		call(1, "rpc.system", "grpc", "rpc.service", "shop.Cart", "rpc.method", "Add"),
		call(2, "rpc.system.name", "grpc", "rpc.method", "shop.Cart/Add"),
		call(3, "rpc.system.name", "grpc", "rpc.method", "/shop.Mail/Send"),
		call(4, "rpc.system.name", "grpc", "rpc.method", "_OTHER"),
		call(5, "rpc.service", "shop.Cart", "server.address", "cart.example"),
	))
	got, err := s.topology(t.Context(), before(15*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	calls := make(map[string]int64)
	for _, e := range got.Edges {
		calls[e.Source+" "+e.Target] = e.CallCount
	}
	want := map[string]int64{"web external:shop.Cart": 2, "web external:shop.Mail": 1, "web external:cart.example": 1}
	if diff := cmp.Diff(want, calls); diff != "" {
		t.Error(diff)
	}
}
