package agent_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/atlhyper/observe/agent"
	"github.com/atlhyper/observe/agent/clickhouse"
	"github.com/atlhyper/observe/redis/bus"
	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/conn/conntest"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/codec"
	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/fault"
)

func TestMain(m *testing.M) { redistest.VerifyTestMain(m) }

const cluster = key.Cluster("c1")

func config(redis string) agent.Config {
	return agent.Config{
		ClusterID: string(cluster), Instance: "a1", Redis: redis, Interval: time.Second,
		ClickHouse: clickhouse.Config{DSN: "http://user:hunter2@127.0.0.1:1/otel"}, // nobody listens there
	}
}

// start runs an agent until the test ends, or until stop is called.
func start(t *testing.T, cfg agent.Config) (stop func()) {
	t.Helper()
	a, err := agent.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run of %s: %v", cfg.Instance, err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// startMeasured is start of an agent whose metrics are at the URL.
func startMeasured(t *testing.T, cfg agent.Config) (metrics string, stop func()) {
	t.Helper()
	listens := make(chan net.Addr, 1)
	cfg.MetricsListen, cfg.OnMetricsListen = "127.0.0.1:0", func(a net.Addr) { listens <- a }
	stop = start(t, cfg)
	return "http://" + (<-listens).String() + "/metrics", stop
}

// An agent without Redis and without ClickHouse goes on; when Redis comes, masters
// see it, read why its sections fail, and its commands are answered.
func TestAgentWithoutAnything(t *testing.T) {
	server := redistest.Start(t)
	server.Stop()
	metrics, stop := startMeasured(t, config(server.URL()))
	server.Restart()

	clients := conntest.Open(t, conn.Config{URL: server.URL()})
	reader := snapshot.NewReader(clients, snapshot.ReaderConfig{})
	var info snapshot.ClusterInfo
	redistest.Eventually(t, "the agent publishes why its nine sections fail", func() bool {
		var err error
		info, err = reader.Cluster(t.Context(), cluster)
		return err == nil && len(info.Sections) == 9 && len(info.Agents) == 1
	})
	for name, s := range info.Sections {
		if !strings.Contains(s.Error, "ClickHouse") || strings.Contains(s.Error, "hunter2") || strings.Contains(s.Error, "127.0.0.1") {
			t.Errorf("%s: error %q, want one about ClickHouse without secrets or addresses", name, s.Error)
		}
	}
	if _, err := reader.Section(t.Context(), cluster, "metrics.nodes"); !fault.Is(err, fault.NotReady) {
		t.Errorf("a section that was never collected: %v, want not_ready", err)
	}
	if err := ask(t, clients); !fault.Is(err, fault.AgentError) || strings.Contains(fault.From(err).Message, "hunter2") {
		t.Errorf("a command: %v, want agent_error without secrets", err)
	}
	checkMetrics(t, metrics, "atlhyper_agent_commands_total{outcome=\"answered\"} 1", "atlhyper_agent_slots 16", "atlhyper_agent_standby 0")

	stop()
	if info, err := reader.Cluster(t.Context(), cluster); err != nil || info.Status != snapshot.Offline {
		t.Errorf("after the end the cluster is %v, %v; want offline at once", info.Status, err)
	}
}

// ask sends a command as a master does.
func ask(t *testing.T, clients *conn.Clients) error {
	t.Helper()
	client, err := bus.NewClient(clients, bus.ClientConfig{Replica: "m1"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- client.Run(ctx) }()
	defer func() {
		stop()
		<-ended
	}()
	params, err := codec.Encode(detail.Node{Name: "n1"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.Do(ctx, cluster, bus.Request{Kind: detail.KindNode, Params: params, Timeout: 20 * time.Second})
	return err
}

func TestConfigNamesTheField(t *testing.T) {
	t.Parallel()
	for field, change := range map[string]func(*agent.Config){
		"cluster_id":      func(c *agent.Config) { c.ClusterID = "Prod" },
		"instance":        func(c *agent.Config) { c.Instance = "a b" },
		"instance: is":    func(c *agent.Config) { c.Instance = strings.Repeat("x", 60) },
		"interval":        func(c *agent.Config) { c.Interval = time.Millisecond },
		"section timeout": func(c *agent.Config) { c.SectionTimeout = time.Hour },
		"metrics listen":  func(c *agent.Config) { c.MetricsListen = "9090" },
		"slots":           func(c *agent.Config) { c.Slots = 5000 },
		"max reply bytes": func(c *agent.Config) { c.MaxReplyBytes = 1 },
		"DSN":             func(c *agent.Config) { c.ClickHouse.DSN = "" },
		"redis":           func(c *agent.Config) { c.Redis = "ftp://user:hunter2@host" },
	} {
		cfg := config("redis://127.0.0.1:1")
		change(&cfg)
		_, err := agent.New(cfg)
		if err == nil || !strings.Contains(err.Error(), field) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: error %v, want one that names it and no secret", field, err)
		}
	}
}

// Two agents that are told the same name share no claimed list and no lease.
func TestTwoAgentsOfOneName(t *testing.T) {
	server := redistest.Start(t)
	reader := snapshot.NewReader(conntest.Open(t, conn.Config{URL: server.URL()}), snapshot.ReaderConfig{})
	for range 2 {
		start(t, config(server.URL()))
	}
	redistest.Eventually(t, "both are seen", func() bool {
		info, err := reader.Cluster(t.Context(), cluster)
		if err != nil || len(info.Agents) != 2 {
			return false
		}
		for _, a := range info.Agents {
			if !strings.HasPrefix(a.Instance, "a1-") {
				t.Errorf("instance %q, want a1 and a random part", a.Instance)
			}
		}
		return true
	})
}

// scrape returns what /metrics says.
func scrape(t *testing.T, url string) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// checkMetrics waits until /metrics has the lines: what an agent did is seen before it
// is counted. It must say what Prometheus's linter likes.
func checkMetrics(t *testing.T, url string, lines ...string) {
	t.Helper()
	var text []byte
	for _, line := range lines {
		redistest.Eventually(t, "metrics have the line "+line, func() bool {
			text = scrape(t, url)
			return bytes.Contains(text, []byte("\n"+line+"\n"))
		})
	}
	problems, err := promlint.New(bytes.NewReader(text)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}
