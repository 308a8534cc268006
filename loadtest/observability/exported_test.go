package observability_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/atlhyper/observe/agent"
	"github.com/atlhyper/observe/agent/clickhouse"
	"github.com/atlhyper/observe/agent/kube"
	"github.com/atlhyper/observe/loadtest/kubesim"
	"github.com/atlhyper/observe/loadtest/observability"
	"github.com/atlhyper/observe/master"
	"github.com/atlhyper/observe/master/access"
	"github.com/atlhyper/observe/redis/redistest"
)

// TestExported: what alerts, dashboard and runbook ask for, by name and by label, is what
// a real master and a real agent export, on a real Redis. The agent's ClickHouse is not
// there, so that its sections fail.
func TestExported(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	agentURL := startAgent(t, redis.URL())
	api := startMaster(t, master.Config{Redis: redis.URL(), Guard: master.Guard{AuditLog: filepath.Join(t.TempDir(), "audit.log")}})
	seen := series{}
	for _, auth := range auths(t) { // of these only that they refuse, and what they tell of themselves
		guarded, metrics := startGuarded(t, master.Config{Redis: redis.URL(), Auth: auth})
		get(t, guarded+"/api/v2/clusters")
		redistest.Eventually(t, "a refusal is counted", func() bool {
			seen.scrape(t, metrics+"/metrics")
			return seen.any("atlhyper_http_requests_total", func(labels map[string]string) bool { return labels["code"] == "unauthorized" })
		})
	}
	look := func(paths ...string) []string {
		for _, path := range paths {
			get(t, api+path)
		}
		seen.scrape(t, api+"/metrics")
		seen.scrape(t, agentURL+"/metrics")
		return missing(t, seen)
	}
	const cluster = "?cluster_id=east"
	var left []string
	defer func() {
		if t.Failed() {
			t.Log("not exported:\n" + strings.Join(left, "\n"))
		}
	}()
	redistest.Eventually(t, "all is exported, also failures that did not happen yet", func() bool {
		left = look("/api/v2/clusters", "/api/v2/observe/overview"+cluster, "/api/v2/observe/metrics/nodes/n1"+cluster, "/no/such")
		return len(left) == 0
	})
}

// series are all that were seen: the labels of each, by the name that PromQL has for it
// and their text.
type series map[string]map[string]map[string]string

func (s series) add(name string, labels map[string]string) {
	if s[name] == nil {
		s[name] = map[string]map[string]string{}
	}
	s[name][fmt.Sprint(labels)] = labels
}

// any reports whether a series of the name is such.
func (s series) any(name string, such func(labels map[string]string) bool) bool {
	for _, labels := range s[name] {
		if such(labels) {
			return true
		}
	}
	return false
}

// missing are the selectors of all files that no series satisfies.
func missing(t *testing.T, there series) []string {
	t.Helper()
	files, err := observability.Expressions(path())
	if err != nil {
		t.Fatal(err)
	}
	recorded := map[string]bool{"ALERTS": true}
	for _, r := range alertRules(t) {
		recorded[r.Record] = true
	}
	var left []string
	for where, exprs := range files {
		for _, expr := range exprs {
			selectors, err := observability.Selectors(observability.Expand(expr))
			if err != nil {
				t.Fatalf("%s: %s: %v", where, expr, err)
			}
			for _, s := range selectors {
				if !recorded[s.Name] && !there.any(s.Name, func(labels map[string]string) bool { return satisfies(t, labels, s) }) {
					left = append(left, fmt.Sprintf("%s: %v", where, s))
				}
			}
		}
	}
	slices.Sort(left)
	return slices.Compact(left)
}

// satisfies reports whether a series of a scrape, which has no labels of the target yet,
// is one that is selected.
func satisfies(t *testing.T, labels map[string]string, s observability.Selector) bool {
	t.Helper()
	for _, m := range s.Matchers {
		if m.Label == "job" || m.Label == "namespace" || m.Label == "instance" {
			continue
		}
		pattern, err := regexp.Compile("^(?:" + m.Value + ")$")
		if err != nil {
			t.Fatalf("%v: %v", s, err)
		}
		value := labels[m.Label]
		if holds := map[string]bool{
			"=": value == m.Value, "!=": value != m.Value, "=~": pattern.MatchString(value), "!~": !pattern.MatchString(value),
		}[m.Op]; !holds {
			return false
		}
	}
	return true
}

// scrape adds what a process exports now.
func (s series) scrape(t *testing.T, url string) {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(get(t, url)))
	if err != nil {
		t.Fatalf("%s: %v", url, err)
	}
	for name, family := range families {
		for _, m := range family.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if family.GetType() == dto.MetricType_HISTOGRAM {
				for _, suffix := range []string{"_bucket", "_sum", "_count"} {
					s.add(name+suffix, labels)
				}
			} else {
				s.add(name, labels)
			}
		}
	}
}

func get(t *testing.T, url string) string {
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
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// run has something work until the test ends, and returns where it listens.
func run(t *testing.T, listening <-chan net.Addr, work func(context.Context) error) (address string) {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() {
		ended <- work(ctx)
		close(ended)
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	select {
	case at := <-listening:
		return at.String()
	case err := <-ended:
		t.Fatalf("ended: %v", err)
	case <-t.Context().Done():
		t.Fatal("it did not listen before the test's end")
	}
	return ""
}

// auths are the two ways to tell callers apart; nobody answers as the issuer.
func auths(t *testing.T) []access.Config {
	t.Helper()
	dir := t.TempDir()
	tokens, claims := filepath.Join(dir, "tokens.yaml"), filepath.Join(dir, "oidc.yaml")
	for name, text := range map[string]string{
		tokens: "tokens: []\n",
		claims: "issuer: http://127.0.0.1:1\naudience: atlhyper\ngrants: [{value: all, role: viewer, clusters: ['*']}]\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return []access.Config{
		{Mode: access.ModeTokens, TokensFile: tokens},
		{Mode: access.ModeOIDC, OIDC: access.OIDCConfig{File: claims}},
	}
}

func startMaster(t *testing.T, cfg master.Config) (url string) {
	t.Helper()
	listening := make(chan net.Addr, 1)
	cfg.Listen, cfg.OnListen = "127.0.0.1:0", func(at net.Addr) { listening <- at }
	m, err := master.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return "http://" + run(t, listening, m.Run)
}

// startGuarded is startMaster, and serves metrics apart, without credentials.
func startGuarded(t *testing.T, cfg master.Config) (api, metrics string) {
	t.Helper()
	listening := make(chan net.Addr, 1)
	cfg.MetricsListen, cfg.OnMetricsListen = "127.0.0.1:0", func(at net.Addr) { listening <- at }
	api = startMaster(t, cfg)
	select {
	case at := <-listening:
		return api, "http://" + at.String()
	case <-t.Context().Done():
		t.Fatal("no metrics before the test's end")
		return "", ""
	}
}

func startAgent(t *testing.T, redis string) (url string) {
	t.Helper()
	listening := make(chan net.Addr, 1)
	heard := func(at net.Addr) { listening <- at }
	simulated, err := kubesim.New(kubesim.Config{Listen: "127.0.0.1:0", OnListen: heard})
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(kubeconfig, kubesim.Kubeconfig(run(t, listening, simulated.Run)), 0o600); err != nil {
		t.Fatal(err)
	}
	connection, err := kube.Connect(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	kubernetes, err := kube.New(kube.Config{API: connection})
	if err != nil {
		t.Fatal(err)
	}
	a, err := agent.New(agent.Config{
		ClusterID: "east", Instance: "a1", Redis: redis, Kubernetes: kubernetes, Interval: time.Second,
		ClickHouse:    clickhouse.Config{DSN: "http://user:password@127.0.0.1:1/otel"}, // nobody listens there
		MetricsListen: "127.0.0.1:0", OnMetricsListen: heard,
	})
	if err != nil {
		t.Fatal(err)
	}
	return "http://" + run(t, listening, a.Run)
}
