package master_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/atlhyper/observe/master"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/model"
)

// part is a part of the overview.
type part struct {
	Data        json.RawMessage
	Total       *int
	CollectedAt string
	Stale       bool
	Error       string
}

type overview struct {
	Data struct {
		Cluster struct {
			ID, Status string
			Agents     []struct{ Instance string }
			Sections   map[string]struct {
				Seq   int64
				Error string
			}
			Nodes, Pods *int64
		}
		Summary, OTel, Metrics, SLO, Warnings part
		Unhealthy                             struct{ Nodes, Pods, Deployments, StatefulSets, DaemonSets, Jobs part }
	}
	Meta pageMeta
}

func names[V any](t *testing.T, p part, name func(V) string) []string {
	t.Helper()
	var values []V
	if err := json.Unmarshal(p.Data, &values); err != nil {
		t.Fatalf("%v in %s", err, p.Data)
	}
	out := []string{}
	for _, v := range values {
		out = append(out, name(v))
	}
	return out
}

func TestOverview(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	w := startAgent(t, redis.URL(), scripted(t, nil)).slowWriter(t)
	m := startMaster(t, master.Config{Redis: redis.URL()})
	of := func(name string) model.KubeMetadata { return model.KubeMetadata{Namespace: "shop", Name: name} }
	var events []model.KubeEvent
	for i := range 30 {
		events = append(events, model.KubeEvent{Namespace: "shop", Name: fmt.Sprintf("w-%02d", i), Type: "Warning",
			LastTimestamp: model.NewTime(time.Date(2026, 3, 1, 12, i, 0, 0, time.UTC))})
		events = append(events, model.KubeEvent{Namespace: "shop", Name: fmt.Sprintf("n-%02d", i), Type: "Normal",
			LastTimestamp: model.NewTime(time.Date(2026, 3, 1, 13, i, 0, 0, time.UTC))})
	}
	pods := somePods("shop", 100)
	for i := range 25 {
		pods[i*4].Phase = "Pending"
	}
	summary := model.KubeSummary{Pods: &model.KubePodCounts{Total: 100, Pending: 25, Running: 75}, Unknown: []string{"statefulsets"}}
	values := sections()
	for name, value := range map[model.Section]any{
		model.SectionKubeSummary: summary,
		model.SectionKubeEvents:  events,
		model.SectionKubePods:    pods,
		model.SectionKubeNodes: []model.KubeNode{
			{Metadata: model.KubeMetadata{Name: "n1"}, Ready: true}, {Metadata: model.KubeMetadata{Name: "n2"}},
		},
		model.SectionKubeDeployments: []model.KubeDeployment{
			{Metadata: of("half"), Replicas: 2, ReadyReplicas: 2, AvailableReplicas: 1}, {Metadata: of("whole"), Replicas: 2, AvailableReplicas: 2}, {Metadata: of("zero")},
		},
		model.SectionKubeDaemonSets: []model.KubeDaemonSet{{Metadata: of("d"), DesiredNumberScheduled: 3, NumberAvailable: 2}},
		model.SectionKubeJobs:       []model.KubeJob{{Metadata: of("failed"), Status: "Failed"}, {Metadata: of("active"), Status: "Active"}},
	} {
		values[name] = value
	}
	publish(t, w, values)
	publishOne(t, w, snapshot.Update{Name: model.SectionKubeStatefulSets, Err: "the agent may not list and watch statefulsets"})

	var got overview
	eventually(t, "the cluster is online", func() bool {
		got = readBody[overview](t, m.get(t, "/api/v2/overview?cluster_id="+cluster))
		return got.Data.Cluster.Status == "online"
	})
	d := got.Data
	for _, s := range []struct {
		part part
		want any
	}{
		{d.Summary, summary}, {d.OTel, values[model.SectionOverview]},
		{d.Metrics, values[model.SectionMetricsSummary]}, {d.SLO, values[model.SectionSLOSummary]},
	} {
		if diff := cmp.Diff(normal(t, s.want), normal(t, []byte(s.part.Data))); diff != "" || s.part.Stale || s.part.CollectedAt == "" || s.part.Total != nil {
			t.Errorf("%+v (-want +got)\n%s", s.part, diff)
		}
	}
	for _, s := range []struct {
		part  part
		names []string
		total int
		want  []string
	}{
		{d.Unhealthy.Nodes, names(t, d.Unhealthy.Nodes, func(v model.KubeNode) string { return v.Metadata.Name }), 1, []string{"n2"}},
		{d.Unhealthy.Deployments, names(t, d.Unhealthy.Deployments, func(v model.KubeDeployment) string { return v.Metadata.Name }), 1, []string{"half"}},
		{d.Unhealthy.DaemonSets, names(t, d.Unhealthy.DaemonSets, func(v model.KubeDaemonSet) string { return v.Metadata.Name }), 1, []string{"d"}},
		{d.Unhealthy.Jobs, names(t, d.Unhealthy.Jobs, func(v model.KubeJob) string { return v.Metadata.Name }), 1, []string{"failed"}},
	} {
		if diff := cmp.Diff(s.want, s.names); diff != "" || s.part.Total == nil || *s.part.Total != s.total {
			t.Errorf("%+v (-want +got)\n%s", s.part, diff)
		}
	}
	warnings := names(t, d.Warnings, func(v model.KubeEvent) string { return v.Name })
	if len(warnings) != 20 || warnings[0] != "w-29" || warnings[19] != "w-10" || *d.Warnings.Total != 30 {
		t.Errorf("warnings %v of %d", warnings, *d.Warnings.Total)
	}
	bad := names(t, d.Unhealthy.Pods, func(v model.KubePod) string { return v.Metadata.Name + v.Phase })
	if len(bad) != 20 || bad[19] != "pod-0076Pending" || *d.Unhealthy.Pods.Total != 25 {
		t.Errorf("pods %v of %d", bad, *d.Unhealthy.Pods.Total)
	}
	if s := d.Unhealthy.StatefulSets; string(s.Data) != "null" || !s.Stale || !strings.Contains(s.Error, "may not list and watch statefulsets") || s.Total != nil || s.CollectedAt != "" {
		t.Errorf("stateful sets: %+v", s)
	}
	c := d.Cluster
	if c.ID != cluster || len(c.Agents) != 1 || c.Sections["k8s.pods"].Seq == 0 || *c.Nodes != 2 || *c.Pods != 100 {
		t.Errorf("cluster: %+v", c)
	}
	if got.Meta.ClusterID != cluster || got.Meta.CollectedAt == "" || got.Meta.ClusterStatus != "online" {
		t.Errorf("meta: %+v", got.Meta)
	}
}

// Without Kubernetes the overview still shows the telemetry, and before anything was
// collected it says so.
func TestOverviewOfLess(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	w := startAgent(t, redis.URL(), scripted(t, nil)).slowWriter(t)
	m := startMaster(t, master.Config{Redis: redis.URL()})
	var got overview
	eventually(t, "the agent is seen", func() bool {
		r := m.get(t, "/api/v2/overview?cluster_id="+cluster)
		return r.status == 200 && json.Unmarshal(r.body, &got) == nil
	})
	if s := got.Data.Summary; string(s.Data) != "null" || !s.Stale || s.Error == "" || len(got.Data.Cluster.Agents) != 1 {
		t.Errorf("before the first collection: %+v", got.Data)
	}
	publish(t, w, sections())
	got = overview{}
	eventually(t, "the telemetry is shown", func() bool {
		got = readBody[overview](t, m.get(t, "/api/v2/overview?cluster_id="+cluster))
		return string(got.Data.OTel.Data) != "null"
	})
	for _, p := range []part{got.Data.Summary, got.Data.Warnings, got.Data.Unhealthy.Pods} {
		if string(p.Data) != "null" || !strings.Contains(p.Error, "shows no Kubernetes objects") {
			t.Errorf("without Kubernetes: %+v", p)
		}
	}
	if got.Data.Cluster.Pods != nil || *got.Data.Cluster.Nodes != 2 {
		t.Errorf("cluster: %+v", got.Data.Cluster)
	}
}

// The pods of k8s.summary are what lists of clusters show; no summary is no zero.
func TestPodsOfClusters(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	w := startAgent(t, redis.URL(), scripted(t, nil)).slowWriter(t)
	m := startMaster(t, master.Config{Redis: redis.URL()})
	publish(t, w, map[model.Section]any{model.SectionKubeSummary: model.KubeSummary{Unknown: []string{"pods"}}})
	type glance struct{ Nodes, Pods *int64 }
	check := func(want *int64) {
		t.Helper()
		for _, path := range []string{"clusters", "fleet"} {
			eventually(t, path, func() bool {
				body := readBody[struct{ Data []glance }](t, m.get(t, "/api/v2/"+path))
				return len(body.Data) == 1 && cmp.Equal(body.Data[0].Pods, want) && body.Data[0].Nodes == nil
			})
		}
		body := readBody[struct{ Data glance }](t, m.get(t, "/api/v2/clusters/"+cluster))
		if !cmp.Equal(body.Data.Pods, want) {
			t.Errorf("pods: %v", body.Data.Pods)
		}
	}
	check(nil)
	publish(t, w, map[model.Section]any{model.SectionKubeSummary: model.KubeSummary{Pods: &model.KubePodCounts{Total: 42}}})
	check(new(int64(42)))
}

// A stream takes sections of Kubernetes by name; it does not show them unasked.
func TestStreamOfKubernetes(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	w := startAgent(t, redis.URL(), scripted(t, nil)).slowWriter(t)
	publish(t, w, map[model.Section]any{model.SectionKubeSummary: model.KubeSummary{Namespaces: new(int64(7))}})
	m := startMaster(t, master.Config{Redis: redis.URL()})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, m.url+"/api/v2/observe/stream?sections=k8s.summary,k8s.pods&cluster_id="+cluster, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := m.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() && lines.Text() != "event: k8s.summary" {
	}
	if !lines.Scan() || !strings.Contains(lines.Text(), `"namespaces":7`) {
		t.Errorf("%q, %v", lines.Text(), lines.Err())
	}
	if r := m.get(t, "/api/v2/observe/stream?sections=k8s.nothing&cluster_id="+cluster); r.status != 400 || !strings.Contains(string(r.body), "k8s.pods") {
		t.Errorf("an unknown section: %s", r.body)
	}
}
