package world_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/atlhyper/observe/loadtest/kubesim/world"
)

func start() time.Time { return time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC) }

func newWorld(t *testing.T, name string, number uint8, seed uint64) *world.World {
	t.Helper()
	w, err := world.New(world.Config{Name: name, Number: number, Seed: seed, Start: start()})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// of are the objects of one type, by namespace/name.
func of[O runtime.Object](t *testing.T, objects []runtime.Object) map[string]O {
	t.Helper()
	out := make(map[string]O)
	for _, object := range objects {
		o, ok := object.(O)
		if !ok {
			continue
		}
		m, err := meta.Accessor(o)
		if err != nil {
			t.Fatal(err)
		}
		key := m.GetNamespace() + "/" + m.GetName()
		if _, twice := out[key]; twice {
			t.Fatalf("there are two %T %s", o, key)
		}
		out[key] = o
	}
	return out
}

// TestSameAtTheSameTime, whatever was asked before; another seed has other names.
func TestSameAtTheSameTime(t *testing.T) {
	t.Parallel()
	one, other := newWorld(t, "demo-east", 0, 1), newWorld(t, "demo-east", 0, 1)
	for _, d := range []time.Duration{time.Hour, 0, 17 * time.Minute} {
		one.At(start().Add(d / 2))
		if diff := cmp.Diff(one.At(start().Add(d)), other.At(start().Add(d))); diff != "" {
			t.Errorf("after %s (-one +other):\n%s", d, diff)
		}
	}
	pods, different := of[*corev1.Pod](t, one.At(start())), of[*corev1.Pod](t, newWorld(t, "demo-east", 0, 2).At(start()))
	same := 0
	for name := range pods {
		if _, ok := different[name]; ok {
			same++
		}
	}
	if same == len(pods) || len(pods) != len(different) {
		t.Errorf("%d of %d pods have the same name with another seed, which has %d", same, len(pods), len(different))
	}
}

// TestItHangsTogether at each moment of an hour: what objects say of each other is so.
func TestItHangsTogether(t *testing.T) {
	t.Parallel()
	for number, name := range []string{"demo-east", "demo-west"} {
		w := newWorld(t, name, uint8(number), 7)
		for d := time.Duration(0); d < 65*time.Minute; d += 13 * time.Second {
			checkMoment(t, w.At(start().Add(d)), start().Add(d))
			if t.Failed() {
				t.Fatalf("%s after %s", name, d)
			}
		}
	}
}

func checkMoment(t *testing.T, objects []runtime.Object, now time.Time) {
	t.Helper()
	all := make(map[string]bool) // kind namespace/name
	for _, o := range objects {
		m, err := meta.Accessor(o)
		if err != nil {
			t.Fatal(err)
		}
		key := fmt.Sprintf("%s %s/%s", strings.TrimPrefix(fmt.Sprintf("%T", o), "*v1."), m.GetNamespace(), m.GetName())
		if all[key] || m.GetUID() == "" || m.GetCreationTimestamp().After(now) {
			t.Errorf("%s: %t, %s, %s", key, all[key], m.GetUID(), m.GetCreationTimestamp())
		}
		all[key] = true
		if ns := m.GetNamespace(); ns != "" && !all["Namespace /"+ns] {
			defer func() {
				if !all["Namespace /"+ns] {
					t.Errorf("%s: there is no such namespace", key)
				}
			}()
		}
	}
	for _, o := range objects {
		m, err := meta.Accessor(o)
		if err != nil {
			t.Fatal(err)
		}
		for _, owner := range m.GetOwnerReferences() {
			if !all[owner.Kind+" "+m.GetNamespace()+"/"+owner.Name] {
				t.Errorf("%T %s: there is no %s %s", o, m.GetName(), owner.Kind, owner.Name)
			}
		}
	}
	checkPods(t, objects, all)
	for name, in := range of[*networkingv1.Ingress](t, objects) {
		service := in.Spec.Rules[0].HTTP.Paths[0].Backend.Service.Name
		if !all["Service "+in.Namespace+"/"+service] || !all["Secret "+in.Namespace+"/"+in.Spec.TLS[0].SecretName] {
			t.Errorf("ingress %s: no service %s or no secret", name, service)
		}
	}
	for name, c := range of[*corev1.PersistentVolumeClaim](t, objects) {
		if (c.Status.Phase == corev1.ClaimBound) != all["PersistentVolume /"+c.Spec.VolumeName] {
			t.Errorf("claim %s is %s, volume %q", name, c.Status.Phase, c.Spec.VolumeName)
		}
	}
	for name, e := range of[*corev1.Event](t, objects) {
		if e.LastTimestamp.After(now) || now.Sub(e.LastTimestamp.Time) >= time.Hour || e.FirstTimestamp.After(e.LastTimestamp.Time) || e.Count < 1 {
			t.Errorf("event %s: %s to %s, %d", name, e.FirstTimestamp, e.LastTimestamp, e.Count)
		}
	}
}

func isReady(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// checkPods compares what workloads and endpoints say with the pods that they select.
func checkPods(t *testing.T, objects []runtime.Object, all map[string]bool) {
	t.Helper()
	pods := of[*corev1.Pod](t, objects)
	byIP := make(map[string]string)
	for name, p := range pods {
		if node := p.Spec.NodeName; node != "" && !all["Node /"+node] {
			t.Errorf("pod %s: there is no node %s", name, node)
		}
		if ip := p.Status.PodIP; ip != "" && !p.Spec.HostNetwork {
			if other, taken := byIP[ip]; taken {
				t.Errorf("pods %s and %s have the address %s", name, other, ip)
			}
			byIP[ip] = name
		}
	}
	count := func(namespace string, selector map[string]string) (living, ready int32) {
		for _, p := range pods {
			if p.Namespace == namespace && p.DeletionTimestamp == nil && labels.SelectorFromSet(selector).Matches(labels.Set(p.Labels)) {
				living++
				if isReady(p) {
					ready++
				}
			}
		}
		return living, ready
	}
	for name, d := range of[*appsv1.Deployment](t, objects) {
		if living, ready := count(d.Namespace, d.Spec.Selector.MatchLabels); d.Status.Replicas != living || d.Status.ReadyReplicas != ready || living < *d.Spec.Replicas {
			t.Errorf("deployment %s: %+v, %d pods, %d ready", name, d.Status, living, ready)
		}
	}
	for name, s := range of[*appsv1.ReplicaSet](t, objects) {
		selector := map[string]string{"pod-template-hash": s.Labels["pod-template-hash"]}
		if living, ready := count(s.Namespace, selector); s.Status.Replicas != living || s.Status.ReadyReplicas != ready || *s.Spec.Replicas != living {
			t.Errorf("replica set %s: %+v, %d pods, %d ready", name, s.Status, living, ready)
		}
	}
	for name, s := range of[*appsv1.StatefulSet](t, objects) {
		if living, ready := count(s.Namespace, s.Spec.Selector.MatchLabels); s.Status.Replicas != living || s.Status.ReadyReplicas != ready || living != *s.Spec.Replicas {
			t.Errorf("stateful set %s: %+v, %d pods, %d ready", name, s.Status, living, ready)
		}
	}
	for name, s := range of[*appsv1.DaemonSet](t, objects) {
		if living, ready := count(s.Namespace, s.Spec.Selector.MatchLabels); s.Status.DesiredNumberScheduled != living || s.Status.NumberReady != ready || living < 3 {
			t.Errorf("daemon set %s: %+v, %d pods, %d ready", name, s.Status, living, ready)
		}
	}
	slices := of[*discoveryv1.EndpointSlice](t, objects)
	for name, s := range slices {
		service := s.Labels[discoveryv1.LabelServiceName]
		_, ready := count(s.Namespace, map[string]string{"app": service})
		for _, e := range s.Endpoints {
			p := pods[s.Namespace+"/"+e.TargetRef.Name]
			if p == nil || p.Status.PodIP != e.Addresses[0] || p.Spec.NodeName != *e.NodeName {
				t.Errorf("slice %s: endpoint %v", name, e)
			}
			if *e.Conditions.Ready {
				ready--
			}
		}
		if ready != 0 || !all["Service "+s.Namespace+"/"+service] {
			t.Errorf("slice %s: %d ready pods of %s are missing", name, ready, service)
		}
	}
}

// TestThingsHappen in a quarter of an hour.
func TestThingsHappen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "demo-east", 0, 7)
	var restarts int32
	seen := make(map[string]bool)
	for d := time.Duration(0); d < 16*time.Minute; d += 3 * time.Second {
		objects := w.At(start().Add(d))
		for name, p := range of[*corev1.Pod](t, objects) {
			if p.DeletionTimestamp != nil {
				seen["a pod ends"] = true
			}
			for _, c := range p.Status.ContainerStatuses {
				if c.State.Waiting != nil {
					seen[c.State.Waiting.Reason] = true
				}
				if strings.HasPrefix(name, "shop/payment-") && c.RestartCount > 0 {
					if c.RestartCount < restarts {
						t.Fatalf("after %s %d restarts, %d before", d, c.RestartCount, restarts)
					}
					restarts = c.RestartCount
					seen["it crashes"] = seen["it crashes"] || !c.Ready
					seen["it runs"] = seen["it runs"] || c.Ready
				}
			}
		}
		route := of[*appsv1.Deployment](t, objects)["hotrod/route"]
		if route.Status.ReadyReplicas < *route.Spec.Replicas && d < 4*time.Minute { // until a node is away
			t.Fatalf("after %s the rollout leaves %d replicas", d, route.Status.ReadyReplicas)
		}
		seen["a rollout is under way"] = seen["a rollout is under way"] || route.Status.UpdatedReplicas < *route.Spec.Replicas
		for _, n := range of[*corev1.Node](t, objects) {
			for _, c := range n.Status.Conditions {
				if c.Type == corev1.NodeReady && c.Status != corev1.ConditionTrue {
					seen["a node is not ready"] = true
				}
			}
		}
		for _, j := range of[*batchv1.Job](t, objects) {
			seen["a job runs"] = seen["a job runs"] || j.Status.Active > 0
			for _, c := range j.Status.Conditions {
				seen[string(c.Type)] = true
			}
		}
		for _, e := range of[*corev1.Event](t, objects) {
			seen[e.Reason] = true
		}
	}
	for _, what := range []string{
		"a pod ends", "ContainerCreating", "CrashLoopBackOff", "it crashes", "it runs", "a rollout is under way", "a node is not ready",
		"a job runs", "Complete", "Failed", "Suspended",
		"BackOff", "Started", "Pulled", "Killing", "ScalingReplicaSet", "FailedScheduling", "Unhealthy", "NodeNotReady", "NodeReady",
		"SuccessfulCreate", "BackoffLimitExceeded", "ProvisioningFailed",
	} {
		if !seen[what] {
			t.Errorf("not seen: %s", what)
		}
	}
	if restarts < 16 {
		t.Errorf("%d restarts", restarts)
	}
}
