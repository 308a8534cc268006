package agent_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/atlhyper/observe/agent"
	"github.com/atlhyper/observe/agent/collect"
	"github.com/atlhyper/observe/agent/kube"
	"github.com/atlhyper/observe/agent/worker"
	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/conn/conntest"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/codec"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
)

// kubernetes is an API that the test writes: sections of a value, or of an error.
type kubernetes struct {
	changed chan struct{}
	id      func() (string, error)
	end     chan struct{} // closed when Run may return; nil: at once
	ended   bool          // Run has returned
	names   func() error  // of NodeNames; nil: none

	mu       sync.Mutex
	sections map[model.Section]kube.Section
}

func newKubernetes(names ...model.Section) *kubernetes {
	k := &kubernetes{changed: make(chan struct{}, 1), sections: make(map[model.Section]kube.Section)}
	for _, n := range names {
		k.set(n, []string{string(n)})
	}
	return k
}

func (k *kubernetes) set(name model.Section, value any) {
	k.mu.Lock()
	k.sections[name] = kube.Section{Value: value, Version: k.sections[name].Version + 1}
	k.mu.Unlock()
	select {
	case k.changed <- struct{}{}:
	default:
	}
}

func (k *kubernetes) Run(ctx context.Context) {
	<-ctx.Done()
	if k.end != nil {
		<-k.end
	}
	k.ended = true
}

func (k *kubernetes) Changed() <-chan struct{} { return k.changed }

func (k *kubernetes) Sections() []model.Section {
	k.mu.Lock()
	defer k.mu.Unlock()
	var out []model.Section
	for name := range k.sections {
		out = append(out, name)
	}
	return out
}

func (k *kubernetes) Section(name model.Section) (kube.Section, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.sections[name]
	if err, ok := s.Value.(error); ok {
		return kube.Section{}, err
	}
	return s, nil
}

func (k *kubernetes) ID(context.Context) (string, error) { return k.id() }

func (k *kubernetes) NodeNames() (map[string]string, error) {
	if k.names == nil {
		return nil, nil
	}
	return nil, k.names()
}

// telemetry is a source with one section, which counts its collections.
type telemetry struct {
	begins func() // when one begins; nil: nobody asks
}

func (s telemetry) Collector(cfg agent.Config, p collect.Publisher) (agent.Collector, error) {
	n := 0
	return collect.New(collect.Config[int]{
		Sections: []collect.Section[int]{{Name: model.SectionMetricsSummary, Collect: func(_ context.Context, n int) (any, error) { return n, nil }}},
		Begin: func(context.Context, time.Time) int {
			if s.begins != nil {
				s.begins()
			}
			n++
			return n
		},
		Publisher: p, Interval: cfg.Interval,
	})
}

func (telemetry) Handlers(*worker.Registry) {}
func (telemetry) Close() error              { return nil }

// running is an agent that runs until the test ends.
type running struct {
	server  *redistest.Server
	reader  *snapshot.Reader
	metrics string
	stop    func()
}

func run(t *testing.T, change func(*agent.Config)) *running {
	t.Helper()
	r := &running{server: redistest.Start(t)}
	cfg := config(r.server.URL())
	change(&cfg)
	r.metrics, r.stop = startMeasured(t, cfg)
	r.reader = snapshot.NewReader(conntest.Open(t, conn.Config{URL: r.server.URL()}), snapshot.ReaderConfig{})
	return r
}

// text is the section as JSON, or why there is none.
func (r *running) text(t *testing.T, name model.Section) string {
	t.Helper()
	s, err := r.reader.Section(t.Context(), cluster, name)
	if err != nil {
		return err.Error()
	}
	json, err := codec.ToJSON(nil, s.Data)
	if err != nil {
		t.Fatal(err)
	}
	return string(json)
}

// metric is a number of /metrics.
func (r *running) metric(t *testing.T, name string) int {
	t.Helper()
	found := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` (\S+)$`).FindSubmatch(scrape(t, r.metrics))
	if found == nil {
		t.Fatalf("no metric %s", name)
	}
	n, err := strconv.ParseFloat(string(found[1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	return int(n)
}

// Nothing is collected before the nodes' names are known: they would be called otherwise
// for an interval.
func TestNodesHaveTheirNamesFromTheFirstCollection(t *testing.T) {
	const unread = 3 // as often as this they were not read yet
	var asked, early atomic.Int64
	k := newKubernetes(model.SectionKubePods)
	k.names = func() error {
		if asked.Add(1) <= unread {
			return fault.New(fault.NotReady, "nodes have not been read yet")
		}
		return nil
	}
	begins := func() {
		if asked.Load() <= unread {
			early.Add(1)
		}
	}
	r := run(t, func(c *agent.Config) { c.Kubernetes, c.Source = k, telemetry{begins} })
	redistest.Eventually(t, "a second collection is published", func() bool {
		n, err := strconv.Atoi(r.text(t, model.SectionMetricsSummary))
		return err == nil && n >= 2
	})
	if n := early.Load(); n > 0 {
		t.Errorf("%d collections began before the names were known", n)
	}
}

// What Kubernetes shows is in the snapshot while ClickHouse is away: each section by
// itself, a forbidden one as its error, a large one compressed; an interval without a
// change writes none of them, and a change its own.
func TestKubernetesWithoutClickHouse(t *testing.T) {
	var all []model.Section
	for i := range 20 {
		all = append(all, model.Section(fmt.Sprintf("k8s.kind-%d", i)))
	}
	k := newKubernetes(all...)
	k.set(model.SectionKubeSecrets, fault.New(fault.Forbidden, "the agent may not list and watch secrets"))
	large := slices.Repeat([]string{"pod"}, 50_000)
	k.set(model.SectionKubePods, large)
	r := run(t, func(c *agent.Config) { c.Kubernetes = k })

	var info snapshot.ClusterInfo
	redistest.Eventually(t, "all sections are there", func() bool {
		var err error
		info, err = r.reader.Cluster(t.Context(), cluster)
		return err == nil && len(info.Sections) == 9+22
	})
	for name, s := range info.Sections {
		switch {
		case name == model.SectionKubeSecrets:
			if s.Error != "the agent may not list and watch secrets" || s.Hash != "" {
				t.Errorf("a forbidden section is %+v", s)
			}
		case strings.HasPrefix(string(name), "k8s."):
			if s.Error != "" || s.At.IsZero() {
				t.Errorf("%s is %+v", name, s)
			}
		case !strings.Contains(s.Error, "ClickHouse"):
			t.Errorf("%s is %+v", name, s)
		}
	}
	if got := r.text(t, all[3]); got != `["k8s.kind-3"]` {
		t.Errorf("a section is %s", got)
	}
	if s, err := r.reader.Section(t.Context(), cluster, model.SectionKubePods); err != nil || !bytes.Equal(s.Data, encoded(t, large)) {
		t.Errorf("the large section is %d bytes, %v", len(s.Data), err)
	}
	client := r.server.Client(t)
	if codec := client.HGet(t.Context(), cluster.Meta(), "k8s.pods.codec").Val(); codec != "zstd" {
		t.Errorf("200 KB are stored with codec %q", codec)
	}

	// Times go on, and nothing else is written.
	for range 2 {
		before := info.Sections[model.SectionKubePods].At
		redistest.Eventually(t, "the next interval", func() bool {
			var err error
			info, err = r.reader.Cluster(t.Context(), cluster)
			return err == nil && info.Sections[model.SectionKubePods].At.After(before)
		})
	}
	// Redis lost them where the test stood still for so long that the snapshot expired.
	redistest.Eventually(t, "each of 21 was written once, and again only when Redis had lost it", func() bool {
		return r.metric(t, "atlhyper_agent_sections_written_total") == 21*(1+r.metric(t, "atlhyper_agent_snapshot_resent_total"))
	})
	if n := r.metric(t, "atlhyper_agent_kubernetes_sections_failing"); n != 1 {
		t.Errorf("%d sections fail", n)
	}
	k.set(all[3], []string{"new"})
	k.set(model.SectionKubeSecrets, []string{"allowed now"})
	redistest.Eventually(t, "changes are published", func() bool {
		return r.text(t, all[3]) == `["new"]` && r.text(t, model.SectionKubeSecrets) == `["allowed now"]`
	})
	checkMetrics(t, r.metrics, "atlhyper_agent_kubernetes_sections_encoded_total 23", "atlhyper_agent_kubernetes_sections_failing 0")

	r.server.FlushAll()
	redistest.Eventually(t, "Redis lost all, and it is back", func() bool {
		return r.text(t, all[3]) == `["new"]` && r.text(t, all[4]) == `["k8s.kind-4"]`
	})
	r.stop()
	if !k.ended {
		t.Error("the agent ended and Kubernetes is still followed")
	}
}

// Masters and the other agents hear of the end at once, however long it takes to follow
// Kubernetes no more.
func TestLeavingDoesNotWaitForKubernetes(t *testing.T) {
	k, office := newKubernetes(model.SectionKubePods), newOffice(false)
	k.end = make(chan struct{})
	r := run(t, func(c *agent.Config) {
		c.Kubernetes, c.Interval = k, 30*time.Minute // nothing of it expires meanwhile
		c.Elect = func(string, string) (agent.Election, error) { return office, nil }
	})
	end := sync.OnceFunc(func() { close(k.end) })
	t.Cleanup(end)
	agents := func(n int) func() bool {
		return func() bool {
			info, err := r.reader.Cluster(t.Context(), cluster)
			return err == nil && len(info.Agents) == n
		}
	}
	redistest.Eventually(t, "it beats", agents(1))
	redistest.Eventually(t, "it publishes", func() bool { return r.text(t, model.SectionKubePods) == `["k8s.pods"]` })

	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.stop()
	}()
	redistest.Eventually(t, "it has left", agents(0))
	for _, want := range []bool{true, false} {
		if got := <-office.running; got != want {
			t.Fatalf("it takes part in the election: %t", got)
		}
	}
	select {
	case <-ended:
		t.Error("the agent ended and Kubernetes is still followed")
	default:
	}
	end()
	<-ended
	if !k.ended {
		t.Error("the agent ended before Kubernetes did")
	}
}

func encoded(t *testing.T, v any) []byte {
	t.Helper()
	data, err := codec.Encode(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// An API server that is away is an error of its sections, and dashboards go on.
func TestClickHouseWithoutKubernetes(t *testing.T) {
	config := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(config, []byte(`{"apiVersion":"v1","kind":"Config","current-context":"c",
		"contexts":[{"name":"c","context":{"cluster":"c"}}],
		"clusters":[{"name":"c","cluster":{"server":"http://127.0.0.1:1"}}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	api, err := kube.Connect(config)
	if err != nil {
		t.Fatal(err)
	}
	k, err := kube.New(kube.Config{API: api})
	if err != nil {
		t.Fatal(err)
	}
	r := run(t, func(c *agent.Config) { c.Kubernetes, c.Source = k, telemetry{} })
	var info snapshot.ClusterInfo
	redistest.Eventually(t, "all sections of Kubernetes fail", func() bool {
		info, err = r.reader.Cluster(t.Context(), cluster)
		return err == nil && len(info.Sections) == 1+len(k.Sections())
	})
	for _, name := range k.Sections() {
		if s := info.Sections[name]; s.Error == "" || strings.Contains(s.Error, "127.0.0.1") {
			t.Errorf("%s: error %q, want one without addresses", name, s.Error)
		}
	}
	first := r.text(t, model.SectionMetricsSummary)
	redistest.Eventually(t, "dashboards go on", func() bool {
		s, err := r.reader.Section(t.Context(), cluster, model.SectionMetricsSummary)
		return err == nil && s.Meta.Error == "" && r.text(t, model.SectionMetricsSummary) != first
	})
}

func TestIdentified(t *testing.T) {
	t.Parallel()
	const uid = "0b0bbd3a-6e2c-4a0b-9f3b-1c2d3e4f5a6b"
	away := errors.New("connection refused")
	for name, c := range map[string]struct {
		cluster string
		ids     []any // what each question is answered with
		want    string
		after   time.Duration // at least
	}{
		"named":     {cluster: "prod", want: "prod"},
		"asked":     {ids: []any{uid}, want: uid},
		"away":      {ids: []any{away, away, away, uid}, want: uid, after: 3 * time.Second},
		"no name":   {ids: []any{"", uid}, want: uid, after: time.Second / 2},
		"a bad one": {ids: []any{"A/B", uid}, want: uid, after: time.Second / 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				k, asked, start := newKubernetes(), 0, time.Now()
				k.id = func() (string, error) {
					asked++
					if err, ok := c.ids[asked-1].(error); ok {
						return "", err
					}
					return fmt.Sprint(c.ids[asked-1]), nil
				}
				cfg := config("redis://127.0.0.1:1")
				cfg.ClusterID, cfg.Kubernetes = c.cluster, k
				got, err := cfg.Identified(t.Context())
				if err != nil || got.ClusterID != c.want || asked != len(c.ids) || time.Since(start) < c.after {
					t.Errorf("%q, %v after %d questions and %s", got.ClusterID, err, asked, time.Since(start))
				}
			})
		})
	}
	cfg := config("redis://127.0.0.1:1")
	cfg.ClusterID = ""
	if _, err := cfg.Identified(t.Context()); err == nil || !strings.Contains(err.Error(), "cluster_id") {
		t.Errorf("without Kubernetes: %v", err)
	}
	k := newKubernetes()
	k.id = func() (string, error) { return "", away }
	cfg.Kubernetes = k
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("told to end"))
	if _, err := cfg.Identified(ctx); err == nil || !strings.Contains(err.Error(), "told to end") {
		t.Errorf("told to end: %v", err)
	}
}
