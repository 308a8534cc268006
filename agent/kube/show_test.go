package kube

import (
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/atlhyper/observe/shared/codec"
	"github.com/atlhyper/observe/shared/model"
)

func TestEventsAreRecentAndFew(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var items []*item
	add := func(name string, age time.Duration) {
		e := showEvent(&corev1.Event{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: name}, LastTimestamp: metav1.NewTime(now.Add(-age))})
		items = append(items, &item{namespace: "n", name: name, shown: e})
	}
	names := func(at time.Time) (out []string, until time.Time) {
		value, until := events(kind{}).value(items, at)
		list, ok := value.([]*model.KubeEvent)
		if !ok {
			t.Fatalf("%T", value)
		}
		for _, e := range list {
			out = append(out, e.Name)
		}
		return out, until
	}
	add("old", eventAge)
	add("b", time.Minute)
	add("a", time.Minute)
	add("oldest", eventAge-time.Second)
	add("new", time.Second)
	got, until := names(now)
	if diff := cmp.Diff([]string{"new", "a", "b", "oldest"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if want := now.Add(time.Second); !until.Equal(want) {
		t.Errorf("holds until %s, not until the oldest is an hour old at %s", until, want)
	}
	if got, _ := names(until); len(got) != 3 {
		t.Errorf("the oldest is still there: %v", got)
	}

	for range maxEvents {
		add("flood", 2*time.Second)
	}
	if got, _ = names(now); len(got) != maxEvents || got[0] != "new" || got[maxEvents-1] != "flood" {
		t.Errorf("%d events, the first %s", len(got), got[0])
	}
}

func TestEventsOfBothGenerations(t *testing.T) {
	t.Parallel()
	first, last := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC), time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, e := range map[string]*corev1.Event{
		"counts itself": {FirstTimestamp: metav1.NewTime(first), LastTimestamp: metav1.NewTime(last), Count: 4, Source: corev1.EventSource{Component: "kubelet"}},
		"a series":      {EventTime: metav1.NewMicroTime(first), Series: &corev1.EventSeries{Count: 4, LastObservedTime: metav1.NewMicroTime(last)}, ReportingController: "kubelet"},
	} {
		e.InvolvedObject = corev1.ObjectReference{Kind: "Node", Name: "a"}
		want := model.KubeEvent{Count: 4, FirstTimestamp: model.NewTime(first), LastTimestamp: model.NewTime(last), Component: "kubelet", InvolvedObject: model.KubeRef{Kind: "Node", Name: "a"}}
		if diff := cmp.Diff(&want, showEvent(e).shown); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestPodReason(t *testing.T) {
	t.Parallel()
	waits := func(reason string) []corev1.ContainerStatus {
		return []corev1.ContainerStatus{{Name: "c", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}}}}
	}
	ended := func(reason string, exit int32) []corev1.ContainerStatus {
		return []corev1.ContainerStatus{{Name: "c", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: reason, ExitCode: exit}}}}
	}
	now := metav1.Now()
	for _, tt := range []struct {
		want string
		pod  corev1.Pod
	}{
		{"", corev1.Pod{Status: corev1.PodStatus{Phase: "Running", ContainerStatuses: []corev1.ContainerStatus{{Name: "c", Ready: true}}}}},
		{"", corev1.Pod{Status: corev1.PodStatus{Phase: "Succeeded", ContainerStatuses: ended("Completed", 0)}}},
		{"CrashLoopBackOff", corev1.Pod{Status: corev1.PodStatus{Phase: "Running", ContainerStatuses: waits("CrashLoopBackOff")}}},
		{"OOMKilled", corev1.Pod{Status: corev1.PodStatus{Phase: "Failed", ContainerStatuses: ended("OOMKilled", 137)}}},
		{"Evicted", corev1.Pod{Status: corev1.PodStatus{Phase: "Failed", Reason: "Evicted"}}},
		{"Init:ErrImagePull", corev1.Pod{Status: corev1.PodStatus{Phase: "Pending", InitContainerStatuses: waits("ErrImagePull"), ContainerStatuses: waits("PodInitializing")}}},
		{"Init:Error", corev1.Pod{Status: corev1.PodStatus{Phase: "Pending", InitContainerStatuses: ended("", 1)}}},
		{"Terminating", corev1.Pod{ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: &now}, Status: corev1.PodStatus{Phase: "Running"}}},
	} {
		tt.pod.Spec.Containers = []corev1.Container{{Name: "c"}}
		if got := showPod(&tt.pod).Reason; got != tt.want {
			t.Errorf("%q, want %q of %+v", got, tt.want, tt.pod.Status)
		}
	}
}

func TestNodeNames(t *testing.T) {
	t.Parallel()
	node := func(name string, addresses ...model.KubeAddress) *model.KubeNode {
		return &model.KubeNode{Metadata: model.KubeMetadata{Name: name}, Addresses: addresses}
	}
	got := namesOf([]*model.KubeNode{
		node("a", model.KubeAddress{Type: "InternalIP", Address: "10.0.0.1"}, model.KubeAddress{Type: "Hostname", Address: "host-a"}, model.KubeAddress{Type: "ExternalIP", Address: "192.0.2.1"}),
		node("b", model.KubeAddress{Type: "InternalIP", Address: "10.0.0.2"}, model.KubeAddress{Type: "InternalIP", Address: "fd00::2"}, model.KubeAddress{Type: "InternalIP", Address: "10.0.0.9"}),
		node("c", model.KubeAddress{Type: "InternalIP", Address: "10.0.0.9"}, model.KubeAddress{Type: "Hostname", Address: "a"}),
	})
	want := map[string]string{"a": "a", "b": "b", "c": "c", "10.0.0.1": "a", "host-a": "a", "10.0.0.2": "b", "fd00::2": "b"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCounts(t *testing.T) {
	t.Parallel()
	pods := []*item{
		{shown: &model.KubePod{Phase: "Running", Ready: 1, Containers: make([]model.KubeContainer, 1)}},
		{shown: &model.KubePod{Phase: "Running", Ready: 1, Restarts: 3, Containers: make([]model.KubeContainer, 2)}},
		{shown: &model.KubePod{Phase: "Pending", Containers: make([]model.KubeContainer, 1)}},
		{shown: &model.KubePod{}},
	}
	if diff := cmp.Diff(&model.KubePodCounts{Total: 4, Pending: 1, Running: 2, Unknown: 1, NotReady: 1, Restarts: 3}, countPods(pods)); diff != "" {
		t.Errorf("pods (-want +got):\n%s", diff)
	}
	nodes := []*item{{shown: &model.KubeNode{Ready: true}}, {shown: &model.KubeNode{Unschedulable: true}}}
	if diff := cmp.Diff(&model.KubeNodeCounts{Total: 2, Ready: 1, Unschedulable: 1}, countNodes(nodes)); diff != "" {
		t.Errorf("nodes (-want +got):\n%s", diff)
	}
	workloads := []*item{
		{shown: &model.KubeDeployment{Replicas: 2, AvailableReplicas: 1}}, {shown: &model.KubeDeployment{}},
		{shown: &model.KubeStatefulSet{Replicas: 1, ReadyReplicas: 1}}, {shown: &model.KubeDaemonSet{DesiredNumberScheduled: 1}},
	}
	if diff := cmp.Diff(&model.KubeWorkloadCounts{Total: 4, Healthy: 2}, countWorkloads(workloads)); diff != "" {
		t.Errorf("workloads (-want +got):\n%s", diff)
	}
	jobs := []*item{{shown: &model.KubeJob{Status: jobFailed}}, {shown: &model.KubeJob{Status: jobComplete}}, {shown: &model.KubeJob{Status: jobSuspended}}}
	if diff := cmp.Diff(&model.KubeJobCounts{Total: 3, Complete: 1, Failed: 1}, countJobs(jobs)); diff != "" {
		t.Errorf("jobs (-want +got):\n%s", diff)
	}
}

// TestTransformSurvivesABug: the object is missing, the informer goes on.
func TestTransformSurvivesABug(t *testing.T) {
	t.Parallel()
	inf := &informer{kind: row("", corev1.SchemeGroupVersion.WithResource("pods"), func(*corev1.Pod) *model.KubePod { panic("a bug") }), logger: discard()}
	out, err := inf.transform(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "a"}})
	if it, ok := out.(*item); err != nil || !ok || it.name != "a" || it.shown != nil {
		t.Errorf("%+v, %v", out, err)
	}
}

// FuzzShow: whatever an API server sends is shown, within the bounds of the wire.
func FuzzShow(f *testing.F) {
	table := kinds()
	for i, k := range table {
		m, ok := k.object.(interface{ Marshal() ([]byte, error) })
		if !ok {
			f.Fatalf("%T has no protobuf", k.object)
		}
		data, err := m.Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(i), data)
	}
	pod := corev1.Pod{ObjectMeta: named("a"), Spec: template("b").Spec, Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{Name: "main"}}}}
	data, err := pod.Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint8(1), data)
	f.Fuzz(func(t *testing.T, which uint8, data []byte) {
		k := table[int(which)%len(table)]
		object, ok := reflect.New(reflect.TypeOf(k.object).Elem()).Interface().(interface {
			runtime.Object
			Unmarshal([]byte) error
		})
		if !ok {
			t.Fatalf("%T has no protobuf", k.object)
		}
		if object.Unmarshal(data) != nil {
			return
		}
		shown := k.show(object)
		if shown == nil {
			return
		}
		value, _ := k.value([]*item{{shown: shown}}, time.Unix(0, 0))
		if _, err := codec.Encode(value); err != nil && k.section != "" {
			t.Errorf("%s: %v", k.resource.Resource, err)
		}
	})
}

func FuzzClip(f *testing.F) {
	f.Add("short", 10)
	f.Add(strings.Repeat("ü", 40), 20)
	f.Fuzz(func(t *testing.T, s string, n int) {
		if n < 3 || n > 1000 {
			return
		}
		got := clip(s, n)
		if len(got) > n || len(s) <= n && got != s || utf8.ValidString(s) && !utf8.ValidString(got) {
			t.Errorf("clip(%q, %d) = %q", s, n, got)
		}
	})
}
