package world_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/atlhyper/observe/agent/kube"
	"github.com/atlhyper/observe/loadtest/kubesim"
	"github.com/atlhyper/observe/loadtest/kubesim/world"
	"github.com/atlhyper/observe/shared/model"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve runs a server until the test ends.
func serve(t *testing.T) (server *kubesim.Server, address string) {
	t.Helper()
	listening := make(chan net.Addr, 1)
	server, err := kubesim.New(kubesim.Config{Listen: "127.0.0.1:0", OnListen: func(a net.Addr) { listening <- a }})
	if err != nil {
		t.Fatal(err)
	}
	background(t, server.Run)
	return server, (<-listening).String()
}

func background(t *testing.T, f func(context.Context) error) {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- f(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for !cond() {
		select {
		case <-ticker.C:
		case <-t.Context().Done():
			t.Fatalf("the test ended before: %s", what)
		}
	}
}

// follow runs an agent's view of the cluster until the test ends.
func follow(t *testing.T, address string, now func() time.Time) *kube.Cluster {
	t.Helper()
	api, err := clientcmd.RESTConfigFromKubeConfig(kubesim.Kubeconfig(address))
	if err != nil {
		t.Fatal(err)
	}
	cluster, err := kube.New(kube.Config{API: api, Clock: now, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	background(t, func(ctx context.Context) error {
		cluster.Run(ctx)
		return nil
	})
	return cluster
}

// names are what a section lists, as namespace/name.
func names(t *testing.T, c *kube.Cluster, section model.Section) map[string]bool {
	t.Helper()
	s, err := c.Section(section)
	if err != nil {
		return nil
	}
	data, err := json.Marshal(s.Value)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(data), world.Marker) {
		t.Errorf("%s shows what it must not", section)
	}
	var list []struct {
		Metadata        model.KubeMetadata
		Namespace, Name string // of events
	}
	if err := json.Unmarshal(data, &list); err != nil {
		t.Fatalf("%s: %v", section, err)
	}
	out := make(map[string]bool, len(list))
	for _, o := range list {
		out[o.Metadata.Namespace+o.Namespace+"/"+o.Metadata.Name+o.Name] = true
	}
	return out
}

// shown are the sections of the objects' types.
func shown() map[model.Section]string {
	return map[model.Section]string{
		model.SectionKubeNodes: "Node", model.SectionKubePods: "Pod", model.SectionKubeDeployments: "Deployment",
		model.SectionKubeStatefulSets: "StatefulSet", model.SectionKubeDaemonSets: "DaemonSet", model.SectionKubeReplicaSets: "ReplicaSet",
		model.SectionKubeJobs: "Job", model.SectionKubeCronJobs: "CronJob", model.SectionKubeServices: "Service",
		model.SectionKubeIngresses: "Ingress", model.SectionKubeNamespaces: "Namespace", model.SectionKubeConfigMaps: "ConfigMap",
		model.SectionKubeSecrets: "Secret", model.SectionKubePVs: "PersistentVolume", model.SectionKubePVCs: "PersistentVolumeClaim",
		model.SectionKubeResourceQuotas: "ResourceQuota", model.SectionKubeLimitRanges: "LimitRange",
		model.SectionKubeNetworkPolicies: "NetworkPolicy", model.SectionKubeServiceAccounts: "ServiceAccount", model.SectionKubeEvents: "Event",
	}
}

// expected are the names of objects of a kind; of replica sets those that have pods.
func expected(objects []runtime.Object, kind string) map[string]bool {
	out := make(map[string]bool)
	for _, o := range objects {
		if reflect.TypeOf(o).Elem().Name() != kind {
			continue
		}
		if set, ok := o.(*appsv1.ReplicaSet); ok && *set.Spec.Replicas == 0 {
			continue
		}
		m := reflect.ValueOf(o).Elem()
		out[m.FieldByName("Namespace").String()+"/"+m.FieldByName("Name").String()] = true
	}
	return out
}

// TestAnAgentFollowsIt: all kinds are there, and as time goes on, the sections show the
// world as it is then.
func TestAnAgentFollowsIt(t *testing.T) {
	w := newWorld(t, "demo-east", 0, 7)
	server, address := serve(t)
	applied := make(map[string]runtime.Object)
	now := start()
	if err := w.Step(server, now, applied); err != nil {
		t.Fatal(err)
	}
	cluster := follow(t, address, start) // its clock stands still: events do not age out
	if got, want := len(cluster.Sections()), len(shown())+1; got != want {
		t.Errorf("the agent has %d sections, the test knows %d", got, want)
	}
	for _, d := range []time.Duration{0, 20 * time.Second, 2 * time.Minute, 4*time.Minute + 30*time.Second, 20 * time.Minute} {
		now = start().Add(d)
		if err := w.Step(server, now, applied); err != nil {
			t.Fatal(err)
		}
		objects := w.At(now)
		for section, kind := range shown() {
			want := expected(objects, kind)
			if len(want) == 0 {
				t.Errorf("there is no %s", kind)
			}
			eventually(t, string(section)+" shows what there is", func() bool {
				return reflect.DeepEqual(names(t, cluster, section), want)
			})
		}
		checkShown(t, cluster, objects)
	}
	checkIdentity(t, cluster, w)
}

// checkShown compares what is said of pods with the objects.
func checkShown(t *testing.T, cluster *kube.Cluster, objects []runtime.Object) {
	t.Helper()
	phases, restarts := map[corev1.PodPhase]int64{}, int64(0)
	for _, p := range of[*corev1.Pod](t, objects) {
		phases[p.Status.Phase]++
		for _, c := range p.Status.ContainerStatuses {
			restarts += int64(c.RestartCount)
		}
	}
	eventually(t, "the summary counts the pods", func() bool {
		s, err := cluster.Section(model.SectionKubeSummary)
		summary, ok := s.Value.(*model.KubeSummary)
		return err == nil && ok && summary.Pods != nil && len(summary.Unknown) == 0 &&
			summary.Pods.Running == phases[corev1.PodRunning] && summary.Pods.Pending == phases[corev1.PodPending] &&
			summary.Pods.Succeeded == phases[corev1.PodSucceeded] && summary.Pods.Failed == phases[corev1.PodFailed] &&
			summary.Pods.Restarts == restarts
	})
}

func checkIdentity(t *testing.T, cluster *kube.Cluster, w *world.World) {
	t.Helper()
	id, err := cluster.ID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := string(of[*corev1.Namespace](t, w.At(start()))["/kube-system"].UID); id != want || id == "" {
		t.Errorf("the cluster's id is %q, want %q", id, want)
	}
	nodes, err := cluster.NodeNames()
	if err != nil {
		t.Fatal(err)
	}
	for ip, want := range map[string]string{"10.0.1.11": "demo-east-worker-1", "10.0.1.13": "demo-east-worker-3", "10.0.1.10": "demo-east-control-1"} {
		if nodes[ip] != want {
			t.Errorf("%s is %q, want %q", ip, nodes[ip], want)
		}
	}
}

// TestRun keeps the server at the time of its clock.
func TestRun(t *testing.T) {
	w := newWorld(t, "demo-east", 0, 7)
	server, address := serve(t)
	ready := make(chan struct{})
	background(t, func(ctx context.Context) error { return w.Run(ctx, server, start, ready) })
	<-ready
	cluster := follow(t, address, start)
	want := expected(w.At(start()), "Pod")
	eventually(t, "the pods are there", func() bool { return reflect.DeepEqual(names(t, cluster, model.SectionKubePods), want) })
}
