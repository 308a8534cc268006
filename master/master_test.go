package master_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/atlhyper/observe/master"
	"github.com/atlhyper/observe/redis/bus"
	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/codec"
	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
)

func TestMain(m *testing.M) {
	// A pool that could not connect looks once a second whether it was closed.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

const cluster = "prod-1"

// replica is a master that runs in this process.
type replica struct {
	url    string
	client *http.Client
	end    context.CancelFunc
	ended  <-chan error
}

func startMaster(t *testing.T, cfg master.Config) *replica {
	t.Helper()
	listening := make(chan net.Addr, 1)
	cfg.Listen = "127.0.0.1:0"
	cfg.OnListen = func(a net.Addr) { listening <- a }
	m, err := master.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- m.Run(ctx)
		close(ended)
	}()
	transport := &http.Transport{}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("master: %v", err)
		}
	})
	select {
	case addr := <-listening:
		return &replica{url: "http://" + addr.String(), client: &http.Client{Transport: transport}, end: cancel, ended: ended}
	case err := <-ended:
		t.Fatalf("master ended: %v", err)
		return nil
	}
}

type response struct {
	status int
	header http.Header
	body   []byte
}

func (r *replica) do(ctx context.Context, method, path, body string) (response, error) {
	req, err := http.NewRequestWithContext(ctx, method, r.url+path, strings.NewReader(body))
	if err != nil {
		return response{}, err
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return response{}, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return response{resp.StatusCode, resp.Header, data}, err
}

func (r *replica) get(t *testing.T, path string) response {
	t.Helper()
	resp, err := r.do(t.Context(), http.MethodGet, path, "")
	if err != nil {
		t.Fatalf("GET %s: %v", path, err)
	}
	return resp
}

// ready waits until the replica is, as a load balancer does: Redis has a second to answer.
func (r *replica) ready(t *testing.T) {
	t.Helper()
	eventually(t, "the replica is ready", func() bool { return r.get(t, "/readyz").status == http.StatusOK })
}

func (r response) code(t *testing.T) string {
	t.Helper()
	var f struct{ Error, Code string }
	if err := json.Unmarshal(r.body, &f); err != nil || f.Error == "" {
		t.Errorf("%d: %s is no failure", r.status, r.body)
	}
	return f.Code
}

// eventually polls until the condition holds; the test's deadline ends it.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatalf("%s: not within a minute", what)
		case <-ticker.C:
		}
	}
}

// agent is the other end: the real Writer and bus.Server, with scripted answers.
type agent struct {
	clients *conn.Clients
	writer  *snapshot.Writer
	stop    func()
}

func startAgent(t *testing.T, url string, handle func(context.Context, bus.Command) bus.Reply) *agent {
	t.Helper()
	// It is not tested how long Redis may take to answer it.
	clients, err := conn.Open(conn.Config{URL: url, Timeout: time.Minute, DialTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	a := &agent{clients: clients}
	a.writer = a.newWriter(t, cluster, 10*time.Second)
	server, err := bus.NewServer(clients, bus.ServerConfig{Cluster: cluster, Instance: "agent-1", MaxReplyBytes: 64 << 10, Handle: handle})
	if err != nil {
		t.Fatal(err)
	}
	a.beat(t)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := server.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("agent: %v", err)
		}
	})
	running.Go(func() {
		ticker := time.NewTicker(key.BeatInterval / 4)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				if err := a.writer.Beat(ctx, snapshot.Beat{Version: "v1", Slots: 16}); err != nil && ctx.Err() == nil {
					t.Errorf("beat: %v", err)
				}
			}
		}
	})
	a.stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		if err := clients.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(a.stop)
	return a
}

func (a *agent) newWriter(t *testing.T, id key.Cluster, interval time.Duration) *snapshot.Writer {
	t.Helper()
	w, err := snapshot.NewWriter(a.clients, snapshot.WriterConfig{Cluster: id, Instance: "agent-1", Version: "v1", Interval: interval})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (a *agent) beat(t *testing.T) {
	t.Helper()
	if err := a.writer.Beat(t.Context(), snapshot.Beat{Version: "v1", Slots: 16}); err != nil {
		t.Fatal(err)
	}
}

func publish(t *testing.T, w *snapshot.Writer, values map[model.Section]any) {
	t.Helper()
	var updates []snapshot.Update
	for name, value := range values {
		updates = append(updates, snapshot.Update{Name: name, Data: encode(t, value), At: time.Now(), Window: 15 * time.Minute})
	}
	if _, err := w.Publish(t.Context(), updates); err != nil {
		t.Fatal(err)
	}
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	data, err := codec.Encode(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// sections are believable values of all nine.
func sections() map[model.Section]any {
	return map[model.Section]any{
		model.SectionOverview:       model.Overview{TotalServices: 3, AvgSuccessRate: 0.999},
		model.SectionMetricsSummary: model.MetricsSummary{TotalNodes: 2, OnlineNodes: 2, AvgCPUPct: 12.5},
		model.SectionMetricsNodes:   []model.NodeMetrics{{NodeName: "n1", Timestamp: "2026-03-01T12:00:00Z"}},
		model.SectionTracesServices: []model.Service{{Name: "cart", Namespace: "shop", SpanCount: 10, SuccessRate: 0.9}},
		model.SectionTracesTopology: model.Topology{Nodes: []model.TopologyNode{{ID: "cart", Type: model.TypeService}}},
		model.SectionSLOSummary:     model.SLOSummary{TotalServices: 1, HealthyServices: 1, AvgSuccessRate: 100},
		model.SectionSLOIngress:     []model.IngressSLO{{ServiceKey: "web@docker", RPS: 2.5}},
		model.SectionSLOServices:    []model.MeshService{},
		model.SectionSLOEdges:       []model.MeshEdge{{SrcName: "a", DstName: "b"}},
	}
}

// details are what the scripted agent answers.
func details() map[detail.Kind]any {
	return map[detail.Kind]any{
		detail.KindNode:       model.NodeMetrics{NodeName: "n1"},
		detail.KindNodeSeries: model.NodeSeries{Metric: "cpu", Unit: "percent"},
		detail.KindTraces:     []model.TraceSummary{{TraceID: "x", Services: []string{"cart"}}},
		detail.KindTrace:      model.Trace{TraceID: "x"},
		detail.KindLogs:       model.LogPage{Total: 7},
		detail.KindSLOSeries:  model.SLOSeries{Name: "cart"},
		detail.KindSection:    []model.MeshEdge{{SrcName: "over another range"}},
	}
}

// scripted answers by kind, and for the node that a request names, with a fault.
// slow, if not nil, is told of each request that is not going to be answered.
func scripted(t *testing.T, slow chan<- struct{}) func(context.Context, bus.Command) bus.Reply {
	t.Helper()
	values := map[detail.Kind]codec.Raw{}
	for kind, value := range details() {
		values[kind] = encode(t, value)
	}
	return func(ctx context.Context, cmd bus.Command) bus.Reply {
		var node detail.Node
		if cmd.Kind == detail.KindNode {
			if err := codec.Decode(cmd.Params, &node); err != nil {
				return bus.Refusal(fault.New(fault.BadRequest, "%s", err))
			}
		}
		switch node.Name {
		case "missing":
			return bus.Refusal(fault.New(fault.NotFound, "there is no node missing"))
		case "broken":
			return bus.Refusal(fault.New(fault.AgentError, "code 241: memory limit"))
		case "huge":
			return bus.Reply{Data: encode(t, strings.Repeat("x", 100<<10))}
		case "slow":
			select {
			case slow <- struct{}{}:
			default:
			}
			<-ctx.Done()
			return bus.Refusal(fault.New(fault.Timeout, "the deadline passed"))
		case "panics":
			panic("boom")
		default:
			return bus.Reply{Data: values[cmd.Kind], Meta: detail.Meta{WindowSeconds: 3600}}
		}
	}
}

// normal is JSON with sorted keys, to compare values that were written by two encoders.
func normal(t *testing.T, v any) any {
	t.Helper()
	data, ok := v.([]byte)
	if !ok {
		var err error
		if data, err = json.Marshal(v); err != nil {
			t.Fatal(err)
		}
	}
	var out any
	if err := json.Unmarshal(data, &out); err != nil {
		t.Fatalf("%v in %s", err, data)
	}
	return out
}

func TestAllEndpoints(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	a := startAgent(t, redis.URL(), scripted(t, nil))
	publish(t, a.slowWriter(t), sections())
	m := startMaster(t, master.Config{Redis: redis.URL()})

	const id = "0af7651916cd43dd8448eb211c80319c"
	q := "?cluster_id=" + cluster
	for _, c := range []struct {
		method, path, body string
		want               any
		dashboard          bool
	}{
		{"GET", "overview" + q, "", model.SectionOverview, true},
		{"GET", "metrics/summary" + q, "", model.SectionMetricsSummary, true},
		{"GET", "metrics/nodes" + q, "", model.SectionMetricsNodes, true},
		{"GET", "traces/services" + q, "", model.SectionTracesServices, true},
		{"GET", "traces/topology" + q, "", model.SectionTracesTopology, true},
		{"GET", "slo/summary" + q, "", model.SectionSLOSummary, true},
		{"GET", "slo/ingress" + q, "", model.SectionSLOIngress, true},
		{"GET", "slo/services" + q, "", model.SectionSLOServices, true},
		{"GET", "slo/edges" + q, "", model.SectionSLOEdges, true},
		{"GET", "slo/edges" + q + "&time_range=15m", "", model.SectionSLOEdges, true},
		{"GET", "slo/edges" + q + "&time_range=6h", "", detail.KindSection, false},
		{"GET", "metrics/nodes/n1" + q, "", detail.KindNode, false},
		{"GET", "metrics/nodes/n1/series" + q + "&metric=cpu&minutes=30", "", detail.KindNodeSeries, false},
		{"GET", "traces" + q + "&service=cart", "", detail.KindTraces, false},
		{"GET", "traces/" + strings.ToUpper(id) + q, "", detail.KindTrace, false},
		{"POST", "logs/query", `{"cluster_id":"` + cluster + `","level":"warn"}`, detail.KindLogs, false},
		{"GET", "slo/timeseries" + q + "&service=cart", "", detail.KindSLOSeries, false},
	} {
		resp, err := m.do(t.Context(), c.method, "/api/v2/observe/"+c.path, c.body)
		if err != nil || resp.status != 200 {
			t.Errorf("%s %s: %v, %d %s", c.method, c.path, err, resp.status, resp.body)
			continue
		}
		var env struct {
			Message string
			Data    json.RawMessage
			Meta    map[string]any
		}
		if err := json.Unmarshal(resp.body, &env); err != nil {
			t.Errorf("%s: %v", c.path, err)
			continue
		}
		want := any(nil)
		switch name := c.want.(type) {
		case model.Section:
			want = sections()[name]
		case detail.Kind:
			want = details()[name]
		}
		// Through msgpack once, which makes absent lists empty ones.
		want, err = codec.ToJSON(nil, encode(t, want))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(normal(t, want), normal(t, []byte(env.Data))); diff != "" || env.Message != "ok" {
			t.Errorf("%s: data -want +got\n%s", c.path, diff)
		}
		required := []string{"clusterId", "collectedAt", "windowSeconds", "stale"}
		if c.dashboard {
			required = append(required, "seq")
		} else {
			required = append(required, "tookMs", "agent")
		}
		for _, name := range required {
			if _, ok := env.Meta[name]; !ok {
				t.Errorf("%s: meta lacks %s: %v", c.path, name, env.Meta)
			}
		}
		if hasTag := resp.header.Get("ETag") != ""; hasTag != c.dashboard {
			t.Errorf("%s: ETag %q", c.path, resp.header.Get("ETag"))
		}
	}

	// The list is gathered in the background.
	eventually(t, "the cluster is listed", func() bool {
		resp := m.get(t, "/api/v2/clusters")
		return resp.status == 200 && bytes.Contains(resp.body, []byte(`"id":"`+cluster+`"`)) && bytes.Contains(resp.body, []byte(`"nodes":2`))
	})
	if resp := m.get(t, "/api/v2/clusters/"+cluster); resp.status != 200 || !bytes.Contains(resp.body, []byte(`"status":"online"`)) {
		t.Errorf("one cluster: %d %s", resp.status, resp.body)
	}
	if resp := m.get(t, "/healthz"); resp.status != 200 {
		t.Errorf("/healthz: %d %s", resp.status, resp.body)
	}
	m.ready(t)
}

// Every code that this build can reach, from the real thing.
func TestAllCodes(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	slow := make(chan struct{}, 1)
	a := startAgent(t, redis.URL(), scripted(t, slow))
	publish(t, a.writer, map[model.Section]any{model.SectionMetricsNodes: []model.NodeMetrics{}})
	// A cluster whose agent wrote once, with a TTL of 60 ms, and left.
	gone := a.newWriter(t, "gone", 10*time.Millisecond)
	publish(t, gone, map[model.Section]any{model.SectionMetricsNodes: []model.NodeMetrics{}})
	if err := gone.Beat(t.Context(), snapshot.Beat{}); err != nil {
		t.Fatal(err)
	}
	m := startMaster(t, master.Config{Redis: redis.URL()})
	// The masters remember a cluster that they saw.
	eventually(t, "the cluster is listed", func() bool {
		return bytes.Contains(m.get(t, "/api/v2/clusters").body, []byte(`"id":"gone"`))
	})
	if err := gone.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	full := startMaster(t, master.Config{Redis: redis.URL(), MaxWaiters: 1})

	nodes := func(id string) string { return "/api/v2/observe/metrics/nodes?cluster_id=" + id }
	node := func(name, id string) string { return "/api/v2/observe/metrics/nodes/" + name + "?cluster_id=" + id }
	eventually(t, "the snapshot expires", func() bool {
		resp := m.get(t, nodes("gone"))
		return resp.status == 404 && resp.code(t) == "snapshot_expired"
	})

	waiting, hangUp := context.WithCancel(t.Context())
	waited := make(chan struct{})
	go func() {
		defer close(waited)
		if _, err := full.do(waiting, http.MethodGet, node("slow", cluster)+"&timeout=30s", ""); !errors.Is(err, context.Canceled) {
			t.Errorf("the one that waits: %v", err)
		}
	}()
	<-slow // now this replica is full

	for _, c := range []struct {
		m      *replica
		path   string
		status int
		code   string
	}{
		{m, nodes("PROD"), 400, "bad_request"},
		{m, nodes(cluster) + "&tyme_range=5m", 400, "bad_request"},
		{m, "/api/v2/observe/traces/xyz?cluster_id=" + cluster, 400, "bad_request"},
		{m, nodes("nowhere"), 404, "cluster_unknown"},
		{m, node("n1", "nowhere"), 404, "cluster_unknown"},
		{m, "/api/v2/clusters/nowhere", 404, "cluster_unknown"},
		{m, "/api/v2/observe/slo/edges?cluster_id=" + cluster, 404, "not_ready"},
		{m, nodes("gone"), 404, "snapshot_expired"},
		{m, node("missing", cluster), 404, "not_found"},
		{m, "/api/v2/nothing", 404, "not_found"},
		{m, "/api/v2/observe/logs/query", 405, "method_not_allowed"},
		{m, node("huge", cluster), 413, "result_too_large"},
		{full, node("n1", cluster), 429, "queue_full"},
		{m, node("broken", cluster), 502, "agent_error"},
		{m, node("panics", cluster), 502, "agent_error"},
		{m, node("n1", "gone"), 503, "agent_offline"},
		// Not so short that Redis could need it to take the command: that would be 503.
		{m, node("slow", cluster) + "&timeout=2s", 504, "timeout"},
	} {
		resp := c.m.get(t, c.path)
		if got := resp.code(t); resp.status != c.status || got != c.code {
			t.Errorf("%s: %d %s, want %d %s", c.path, resp.status, resp.body, c.status, c.code)
		}
		if retry := resp.header.Get("Retry-After"); (retry != "") != (c.status == 429 || c.status == 503) {
			t.Errorf("%s: Retry-After %q with %d", c.path, retry, c.status)
		}
	}
	hangUp()
	<-waited

	a.stop()
	redis.Stop()
	for _, path := range []string{nodes(cluster), node("n1", cluster), "/api/v2/clusters", "/api/v2/clusters/" + cluster, "/readyz"} {
		if resp := m.get(t, path); resp.status != 503 || resp.code(t) != "store_unavailable" || resp.header.Get("Retry-After") == "" {
			t.Errorf("%s without Redis: %d %s", path, resp.status, resp.body)
		}
	}
	if resp := m.get(t, "/healthz"); resp.status != 200 {
		t.Errorf("/healthz without Redis: %d", resp.status)
	}
}

func TestShutdownFinishesRequestsUnderWay(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	started, release := make(chan struct{}), make(chan struct{})
	data := encode(t, model.NodeMetrics{NodeName: "n1"})
	startAgent(t, redis.URL(), func(context.Context, bus.Command) bus.Reply {
		close(started)
		<-release
		return bus.Reply{Data: data}
	})
	m := startMaster(t, master.Config{Redis: redis.URL()})

	type result struct {
		resp response
		err  error
	}
	done := make(chan result, 1)
	go func() {
		resp, err := m.do(t.Context(), http.MethodGet, "/api/v2/observe/metrics/nodes/n1?cluster_id="+cluster+"&timeout=30s", "")
		done <- result{resp, err}
	}()
	<-started
	m.end()
	var dialer net.Dialer
	eventually(t, "nothing is accepted any more", func() bool {
		c, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(m.url, "http://"))
		if err != nil {
			return true
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		return false
	})
	select {
	case err := <-m.ended:
		t.Fatalf("ended with a request under way: %v", err)
	default:
	}
	close(release)
	if got := <-done; got.err != nil || got.resp.status != 200 {
		t.Errorf("the request under way: %v, %d %s", got.err, got.resp.status, got.resp.body)
	}
	if err := <-m.ended; err != nil {
		t.Errorf("the master ended with %v", err)
	}
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	for want, cfg := range map[string]master.Config{
		"listen":        {Listen: "8080"},
		"replica":       {Replica: "Not Good"},
		"max range":     {MaxRange: time.Second},
		"timeout":       {Timeout: time.Minute},
		"max timeout":   {MaxTimeout: time.Hour},
		"drain timeout": {DrainTimeout: -1},
		"max waiters":   {MaxQueue: -1},
		"redis":         {Redis: "http://user:hunter2@x"},
	} {
		_, err := master.New(cfg)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%+v: %v, want an error about %s", cfg, err, want)
		}
	}
}

func TestATakenAddress(t *testing.T) {
	t.Parallel()
	var listen net.ListenConfig
	l, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	m, err := master.New(master.Config{Listen: l.Addr().String(), Redis: "redis://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Run(t.Context()); err == nil || !strings.Contains(err.Error(), strconv.Itoa(l.Addr().(*net.TCPAddr).Port)) {
		t.Errorf("%v, want an error that names the address", err)
	}
}
