package master_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/atlhyper/observe/master"
	"github.com/atlhyper/observe/master/access"
	"github.com/atlhyper/observe/redis/bus"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
)

// loose is what an agent says that passes on what its driver said.
const loose = "clickhouse://otel:hunter2@ch-0.secret.svc:9440/otel?secure=1: dial tcp 10.66.77.88:9440: code 60: " +
	"password=hunter2 while it ran SELECT card FROM payments.cards WHERE owner = 'bob'"

// neverShown is what no answer may hold, in its body or its headers: nothing that could
// be a part of a request's id, a tag or a time.
func neverShown() []string {
	return []string{"hunter2", "10.66.77.88", "secret.svc", ":9440", "SELECT", "payments", "clickhouse://", "127.0.0.1:", "goroutine ", ".go:"}
}

// everywhere is a request for every kind of answer, about the cluster.
func everywhere() []string {
	const q = "?cluster_id=" + cluster
	paths := []string{"/healthz", "/readyz", "/api/v2/clusters", "/api/v2/clusters/" + cluster, "/api/v2/fleet", "/api/v2/overview" + q}
	for _, path := range []string{
		"overview", "metrics/summary", "metrics/nodes", "traces/services", "traces/topology", "slo/summary", "slo/ingress", "slo/services", "slo/edges",
		"metrics/nodes/n1", "traces", "traces/" + strings.Repeat("0a", 16),
	} {
		paths = append(paths, "/api/v2/observe/"+path+q)
	}
	return append(paths,
		"/api/v2/observe/traces/services"+q+"&time_range=1h", "/api/v2/observe/metrics/nodes/n1/series"+q+"&metric=cpu",
		"/api/v2/observe/slo/timeseries"+q+"&service=cart", "/api/v2/pods"+q, "/api/v2/pods/default/web"+q, "/api/v2/nodes/n1"+q)
}

// checkNoLeaks asks for everything and returns how the answers end, by path.
func checkNoLeaks(t *testing.T, m *replica, caller string, forbidden []string) map[string]int {
	t.Helper()
	statuses := map[string]int{}
	ask := func(method, path, body string) {
		resp := m.as(t, caller, method, path, body)
		statuses[path] = resp.status
		var head strings.Builder
		if err := resp.header.Write(&head); err != nil {
			t.Fatal(err)
		}
		for _, secret := range forbidden {
			if strings.Contains(string(resp.body), secret) || strings.Contains(head.String(), secret) {
				t.Errorf("%s %s: %d: %q in\n%s%s", method, path, resp.status, secret, head.String(), resp.body)
			}
		}
	}
	for _, path := range everywhere() {
		ask(http.MethodGet, path, "")
	}
	ask(http.MethodPost, "/api/v2/observe/logs/query", `{"cluster_id":"`+cluster+`"}`)
	return statuses
}

func TestAgentsThatTellTooMuch(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	a := startAgent(t, redis.URL(), func(context.Context, bus.Command) bus.Reply {
		return bus.Refusal(fault.New(fault.AgentError, "%s", loose))
	})
	publish(t, a.writer, sections())
	var failed []snapshot.Update
	for name := range sections() {
		failed = append(failed, snapshot.Update{Name: name, Err: loose})
	}
	failed = append(failed, snapshot.Update{Name: model.SectionKubePods, Err: loose}, snapshot.Update{Name: model.SectionKubeSummary, Err: loose})
	if _, err := a.writer.Publish(t.Context(), failed); err != nil {
		t.Fatal(err)
	}
	m := startMaster(t, master.Config{Redis: redis.URL()})
	statuses := checkNoLeaks(t, m, "", neverShown())
	for path, want := range map[string]int{
		"/api/v2/observe/metrics/nodes?cluster_id=" + cluster: 200, "/api/v2/observe/traces?cluster_id=" + cluster: 502,
		"/api/v2/pods?cluster_id=" + cluster: 404, "/api/v2/clusters": 200, "/api/v2/observe/logs/query": 502,
	} {
		if statuses[path] != want {
			t.Errorf("%s: %d, want %d: it is not tested", path, statuses[path], want)
		}
	}
	if resp := m.get(t, "/api/v2/observe/metrics/nodes?cluster_id="+cluster); !strings.Contains(string(resp.body), `"error":"(address)`) {
		t.Errorf("the failure is not said at all: %s", resp.body)
	}
}

// Redis with a password that is wrong, and one that is not there.
func TestRedisThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	address, err := url.Parse(redis.URL())
	if err != nil {
		t.Fatal(err)
	}
	address.User = url.UserPassword("medicus", "hunter2")
	for name, at := range map[string]string{"refuses": address.String(), "is away": "redis://medicus:hunter2@127.0.0.1:1/0"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := startMaster(t, master.Config{Redis: at})
			for path, status := range checkNoLeaks(t, m, "", append(neverShown(), "medicus", "dial tcp")) {
				if path != "/healthz" && status != 503 {
					t.Errorf("%s: %d, want 503", path, status)
				}
			}
		})
	}
}

// A caller reads nothing of clusters that are not its own, whatever it asks for.
func TestOtherClustersAreNotNamed(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	a := startAgent(t, redis.URL(), scripted(t, nil))
	publish(t, a.writer, sections())
	other := a.newWriter(t, "prod-2", 10*time.Second)
	if err := other.Beat(t.Context(), snapshot.Beat{Version: "v1", Slots: 1}); err != nil {
		t.Fatal(err)
	}
	publish(t, other, sections())
	m := startMaster(t, master.Config{Redis: redis.URL(), Auth: access.Config{Mode: access.ModeTokens, TokensFile: tokensFile(t)}})
	statuses := checkNoLeaks(t, m, "bob", append(neverShown(), "prod-2"))
	if statuses["/api/v2/clusters"] != 200 || statuses["/api/v2/observe/metrics/nodes?cluster_id="+cluster] != 200 {
		t.Errorf("not tested: %v", statuses)
	}
}
