package kube

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"

	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
)

func template(image string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "shop"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: image}}},
	}
}

func shop() *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{"app": "shop"}}
}

func named(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": "shop"}, Annotations: map[string]string{"note": secretValue}}
}

// populate makes one object of each kind and returns the namespace.
func populate(t *testing.T, client kubernetes.Interface) string {
	t.Helper()
	ns, ctx, opts := newNamespace(t, client), t.Context(), metav1.CreateOptions{}
	var failures []error
	note := func(_ any, err error) {
		if err != nil {
			failures = append(failures, err)
		}
	}
	note(client.CoreV1().Pods(ns).Create(ctx, &corev1.Pod{ObjectMeta: named("pod"), Spec: template("shop:1").Spec}, opts))
	note(client.AppsV1().Deployments(ns).Create(ctx, &appsv1.Deployment{ObjectMeta: named("deployment"), Spec: appsv1.DeploymentSpec{Replicas: new(int32(3)), Selector: shop(), Template: template("shop:1")}}, opts))
	note(client.AppsV1().StatefulSets(ns).Create(ctx, &appsv1.StatefulSet{ObjectMeta: named("statefulset"), Spec: appsv1.StatefulSetSpec{ServiceName: "service", Selector: shop(), Template: template("shop:1")}}, opts))
	note(client.AppsV1().DaemonSets(ns).Create(ctx, &appsv1.DaemonSet{ObjectMeta: named("daemonset"), Spec: appsv1.DaemonSetSpec{Selector: shop(), Template: template("shop:1")}}, opts))
	note(client.AppsV1().ReplicaSets(ns).Create(ctx, &appsv1.ReplicaSet{ObjectMeta: named("replicaset"), Spec: appsv1.ReplicaSetSpec{Selector: shop(), Template: template("shop:1")}}, opts))
	history := named("history")
	history.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "Deployment", Name: "deployment", UID: "1", Controller: new(true)}}
	note(client.AppsV1().ReplicaSets(ns).Create(ctx, &appsv1.ReplicaSet{ObjectMeta: history, Spec: appsv1.ReplicaSetSpec{Replicas: new(int32(0)), Selector: shop(), Template: template("shop:0")}}, opts))
	job := template("job:1")
	job.Spec.RestartPolicy = corev1.RestartPolicyNever
	note(client.BatchV1().Jobs(ns).Create(ctx, &batchv1.Job{ObjectMeta: named("job"), Spec: batchv1.JobSpec{Template: job}}, opts))
	note(client.BatchV1().CronJobs(ns).Create(ctx, &batchv1.CronJob{ObjectMeta: named("cronjob"), Spec: batchv1.CronJobSpec{Schedule: "5 4 * * *", JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: job}}}}, opts))
	note(client.CoreV1().Services(ns).Create(ctx, &corev1.Service{ObjectMeta: named("service"), Spec: corev1.ServiceSpec{Selector: map[string]string{"app": "shop"}, Ports: []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromString("web")}}}}, opts))
	for name, ready := range map[string]bool{"a": true, "b": false} {
		note(client.DiscoveryV1().EndpointSlices(ns).Create(ctx, &discoveryv1.EndpointSlice{
			ObjectMeta:  metav1.ObjectMeta{Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: "service"}},
			AddressType: discoveryv1.AddressTypeIPv4,
			Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{"10.1.0.1"}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}}, {Addresses: []string{"10.1.0.2"}}},
		}, opts))
	}
	note(client.NetworkingV1().Ingresses(ns).Create(ctx, &networkingv1.Ingress{ObjectMeta: named("ingress"), Spec: networkingv1.IngressSpec{
		TLS: []networkingv1.IngressTLS{{Hosts: []string{"shop.example"}}},
		Rules: []networkingv1.IngressRule{{Host: "shop.example", IngressRuleValue: networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{Paths: []networkingv1.HTTPIngressPath{{
			Path: "/", PathType: new(networkingv1.PathTypePrefix), Backend: networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{Name: "service", Port: networkingv1.ServiceBackendPort{Number: 80}}},
		}}}}}},
	}}, opts))
	note(client.CoreV1().ConfigMaps(ns).Create(ctx, &corev1.ConfigMap{ObjectMeta: named("configmap"), Data: map[string]string{"b": secretValue}, BinaryData: map[string][]byte{"a": []byte(secretValue)}}, opts))
	note(client.CoreV1().Secrets(ns).Create(ctx, &corev1.Secret{ObjectMeta: named("secret"), StringData: map[string]string{"password": secretValue, "user": secretValue}}, opts))
	note(client.CoreV1().PersistentVolumes().Create(ctx, &corev1.PersistentVolume{ObjectMeta: named("pv-" + ns), Spec: corev1.PersistentVolumeSpec{
		Capacity: corev1.ResourceList{"storage": resource.MustParse("10Gi")}, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		PersistentVolumeSource: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/data"}},
	}}, opts))
	note(client.CoreV1().PersistentVolumeClaims(ns).Create(ctx, &corev1.PersistentVolumeClaim{ObjectMeta: named("pvc"), Spec: corev1.PersistentVolumeClaimSpec{
		AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{"storage": resource.MustParse("1Gi")}},
	}}, opts))
	note(client.CoreV1().ResourceQuotas(ns).Create(ctx, &corev1.ResourceQuota{ObjectMeta: named("quota"), Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"cpu": resource.MustParse("1500m")}}}, opts))
	note(client.CoreV1().LimitRanges(ns).Create(ctx, &corev1.LimitRange{ObjectMeta: named("limits"), Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{Type: "Container", Max: corev1.ResourceList{"memory": resource.MustParse("2Gi")}}}}}, opts))
	note(client.NetworkingV1().NetworkPolicies(ns).Create(ctx, &networkingv1.NetworkPolicy{ObjectMeta: named("policy"), Spec: networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{"Ingress"}, Ingress: []networkingv1.NetworkPolicyIngressRule{{}}}}, opts))
	note(client.CoreV1().ServiceAccounts(ns).Create(ctx, &corev1.ServiceAccount{ObjectMeta: named("account")}, opts))
	note(client.CoreV1().Nodes().Create(ctx, &corev1.Node{ObjectMeta: named("node-" + ns)}, opts))
	note(client.CoreV1().Events(ns).Create(ctx, &corev1.Event{ObjectMeta: metav1.ObjectMeta{Name: "event"}, InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: ns, Name: "pod"}, Type: "Warning", Reason: "BackOff", Message: "it fails", Count: 3, LastTimestamp: metav1.Now()}, opts))
	for _, err := range failures {
		t.Fatal(err)
	}
	remembered(t, ns)
	return ns
}

// in is what the section shows of the namespace or, for what is in none, under the name.
func in(t *testing.T, c *Cluster, name model.Section, namespace string) []reflect.Value {
	t.Helper()
	s, err := c.Section(name)
	if err != nil {
		return nil
	}
	var out []reflect.Value
	list := reflect.ValueOf(s.Value)
	for i := range list.Len() {
		of := list.Index(i).Elem()
		metadata, ok := of.FieldByName("Metadata").Interface().(model.KubeMetadata)
		if ok && (metadata.Namespace == namespace || strings.HasSuffix(metadata.Name, namespace)) {
			out = append(out, of)
		}
	}
	return out
}

func TestEachKindIsShown(t *testing.T) {
	ns := populate(t, admin(t))
	c := follow(t, server.Admin())
	ready(t, c)

	want := map[model.Section]any{
		model.SectionKubePods:            model.KubePod{Phase: "Pending", Containers: []model.KubeContainer{{Name: "main", Image: "shop:1", State: "waiting"}}},
		model.SectionKubeDeployments:     model.KubeDeployment{Replicas: 3, Strategy: "RollingUpdate", Selector: "app=shop", Images: []string{"shop:1"}, Conditions: []model.KubeCondition{}},
		model.SectionKubeStatefulSets:    model.KubeStatefulSet{Replicas: 1, ServiceName: "service", Selector: "app=shop", Images: []string{"shop:1"}},
		model.SectionKubeDaemonSets:      model.KubeDaemonSet{Selector: "app=shop", Images: []string{"shop:1"}},
		model.SectionKubeReplicaSets:     model.KubeReplicaSet{Replicas: 1, Images: []string{"shop:1"}},
		model.SectionKubeJobs:            model.KubeJob{Status: "Active", Completions: 1, Parallelism: 1, Images: []string{"job:1"}},
		model.SectionKubeCronJobs:        model.KubeCronJob{Schedule: "5 4 * * *", ConcurrencyPolicy: "Allow", Images: []string{"job:1"}},
		model.SectionKubeIngresses:       model.KubeIngress{Rules: []model.KubeIngressRule{{Host: "shop.example", Path: "/", PathType: "Prefix", Backend: "service:80"}}, TLSHosts: []string{"shop.example"}, Addresses: []string{}},
		model.SectionKubeNamespaces:      model.KubeNamespace{Phase: "Active"},
		model.SectionKubeConfigMaps:      model.KubeConfigMap{Keys: []string{"a", "b"}},
		model.SectionKubeSecrets:         model.KubeSecret{Type: "Opaque", Keys: []string{"password", "user"}},
		model.SectionKubePVs:             model.KubePV{Phase: "Pending", Capacity: "10Gi", AccessModes: []string{"ReadWriteOnce"}, PersistentVolumeReclaimPolicy: "Retain", VolumeMode: "Filesystem"},
		model.SectionKubePVCs:            model.KubePVC{Phase: "Pending", AccessModes: []string{"ReadWriteOnce"}, Requested: "1Gi", VolumeMode: "Filesystem"},
		model.SectionKubeResourceQuotas:  model.KubeResourceQuota{Hard: map[string]string{"cpu": "1500m"}, Used: map[string]string{}},
		model.SectionKubeNetworkPolicies: model.KubeNetworkPolicy{PolicyTypes: []string{"Ingress"}, IngressRules: 1},
		model.SectionKubeServiceAccounts: model.KubeServiceAccount{},
		model.SectionKubeServices:        nil, model.SectionKubeLimitRanges: nil, model.SectionKubeNodes: nil, // below
	}
	for _, name := range c.Sections() {
		expected, listed := want[name]
		if !listed {
			if name != model.SectionKubeSummary && name != model.SectionKubeEvents {
				t.Errorf("%s is not tested", name)
			}
			continue
		}
		got := in(t, c, name, ns)
		if len(got) != 1 {
			t.Errorf("%s: %d objects, not the one that is there", name, len(got))
			continue
		}
		metadata, ok := got[0].FieldByName("Metadata").Interface().(model.KubeMetadata)
		if at, err := metadata.CreationTimestamp.Parse(); !ok || err != nil || at.IsZero() {
			t.Errorf("%s: creationTimestamp %q: %v", name, metadata.CreationTimestamp, err)
		}
		if name != model.SectionKubeNamespaces && metadata.Labels["app"] != "shop" {
			t.Errorf("%s: labels %v", name, metadata.Labels)
		}
		if expected != nil {
			got[0].FieldByName("Metadata").SetZero()
			if diff := cmp.Diff(expected, got[0].Interface()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
			got[0].FieldByName("Metadata").Set(reflect.ValueOf(metadata))
		}
	}

	for _, s := range shownIn[model.KubeService](t, c, model.SectionKubeServices) {
		if s.Metadata.Namespace != ns {
			continue
		}
		if diff := cmp.Diff(&model.KubeEndpoints{Ready: 3, NotReady: 1}, s.Endpoints); diff != "" {
			t.Errorf("endpoints (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]model.KubeServicePort{{Name: "http", Protocol: "TCP", Port: 80, TargetPort: "web"}}, s.Ports); diff != "" {
			t.Errorf("ports (-want +got):\n%s", diff)
		}
	}
	found := false
	for _, e := range shownIn[model.KubeEvent](t, c, model.SectionKubeEvents) {
		found = found || e.Namespace == ns && e.Reason == "BackOff" && e.Count == 3 && e.InvolvedObject == model.KubeRef{Kind: "Pod", Name: "pod"}
	}
	if !found {
		t.Error("the event is not shown")
	}
}

func TestAChangeIsItsSectionsAlone(t *testing.T) {
	client := admin(t)
	ns := populate(t, client)
	c := follow(t, server.Admin())
	ready(t, c)
	versions := func() map[model.Section]uint64 {
		out := make(map[model.Section]uint64)
		for _, name := range c.Sections() {
			s, err := c.Section(name)
			if err != nil {
				t.Fatal(err)
			}
			out[name] = s.Version
		}
		return out
	}
	before := versions()
	if diff := cmp.Diff(before, versions()); diff != "" {
		t.Errorf("versions change while nothing does:\n%s", diff)
	}

	pod := must[*corev1.Pod](t)(client.CoreV1().Pods(ns).Get(t.Context(), "pod", metav1.GetOptions{}))
	pod.Status.Phase = corev1.PodRunning
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main", RestartCount: 7, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}}}
	must[*corev1.Pod](t)(client.CoreV1().Pods(ns).UpdateStatus(t.Context(), pod, metav1.UpdateOptions{}))
	var shown model.KubePod
	eventually(t, "the pod runs", func() bool {
		if pods := in(t, c, model.SectionKubePods, ns); len(pods) == 1 {
			shown, _ = pods[0].Interface().(model.KubePod)
		}
		return shown.Phase == "Running"
	})
	if shown.Reason != "CrashLoopBackOff" || shown.Restarts != 7 || shown.Ready != 0 {
		t.Errorf("shown as %+v", shown)
	}
	after := versions()
	for name, version := range after {
		// The summary counts pods by phase.
		if changed := name == model.SectionKubePods || name == model.SectionKubeSummary; changed != (version != before[name]) {
			t.Errorf("%s: version %d, before %d", name, version, before[name])
		}
	}

	// What is not shown changes nothing.
	pod = must[*corev1.Pod](t)(client.CoreV1().Pods(ns).Get(t.Context(), "pod", metav1.GetOptions{}))
	pod.Annotations["note"] = "another"
	must[*corev1.Pod](t)(client.CoreV1().Pods(ns).Update(t.Context(), pod, metav1.UpdateOptions{}))
	must[*corev1.ConfigMap](t)(client.CoreV1().ConfigMaps(ns).Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "later"}}, metav1.CreateOptions{}))
	eventually(t, "the config map is there", func() bool { return len(in(t, c, model.SectionKubeConfigMaps, ns)) == 2 })
	if got := versions()[model.SectionKubePods]; got != after[model.SectionKubePods] {
		t.Error("an annotation changes the section of pods")
	}

	if err := client.CoreV1().Pods(ns).Delete(t.Context(), "pod", metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the pod is gone", func() bool { return len(in(t, c, model.SectionKubePods, ns)) == 0 })
}

func TestForbidden(t *testing.T) {
	client := admin(t)
	ns := populate(t, client)
	var rules []rbacv1.PolicyRule
	for _, k := range kinds() {
		if k.section != model.SectionKubeSecrets {
			rules = append(rules, rbacv1.PolicyRule{APIGroups: []string{k.resource.Group}, Resources: []string{k.resource.Resource}, Verbs: []string{"list", "watch"}})
		}
	}
	user, ctx := "agent-of-"+ns, t.Context()
	role := must[*rbacv1.ClusterRole](t)(client.RbacV1().ClusterRoles().Create(ctx, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: user}, Rules: rules}, metav1.CreateOptions{}))
	must[*rbacv1.ClusterRoleBinding](t)(client.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: user}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: user},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: user}},
	}, metav1.CreateOptions{}))
	api := server.User(t, user)

	c := follow(t, api)
	eventually(t, "secrets are forbidden", func() bool { return code(c, model.SectionKubeSecrets) == fault.Forbidden })
	ready(t, c, model.SectionKubeSecrets)
	if _, err := c.Section(model.SectionKubeSecrets); !strings.Contains(fault.From(err).Message, "secrets") {
		t.Errorf("the error does not name the kind: %v", err)
	}
	if got := in(t, c, model.SectionKubePods, ns); len(got) != 1 {
		t.Errorf("%d pods", len(got))
	}
	if _, err := c.ID(t.Context()); err == nil {
		t.Error("a user who may not get namespaces learns the cluster's id")
	}

	role.Rules = append(role.Rules, rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"list", "watch"}})
	must[*rbacv1.ClusterRole](t)(client.RbacV1().ClusterRoles().Update(ctx, role, metav1.UpdateOptions{}))
	eventually(t, "secrets are read once that is allowed", func() bool { return len(in(t, c, model.SectionKubeSecrets, ns)) == 1 })
}

// TestSummaryWithoutAKind: what may not be read is unknown, not zero.
func TestSummaryWithoutAKind(t *testing.T) {
	client := admin(t)
	ns := populate(t, client)
	c := follow(t, server.User(t, "nobody-of-"+ns))
	eventually(t, "the summary is there", func() bool { return code(c, model.SectionKubeSummary) == "" })
	s, err := c.Section(model.SectionKubeSummary)
	if err != nil {
		t.Fatal(err)
	}
	want := &model.KubeSummary{Unknown: []string{"nodes", "pods", "namespaces", "deployments", "statefulsets", "daemonsets", "jobs", "events"}}
	if diff := cmp.Diff(want, s.Value); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

const secretValue = "c3-never-to-be-seen"

func TestValuesNeverReachACache(t *testing.T) {
	ns := populate(t, admin(t))
	c := follow(t, server.Admin())
	ready(t, c)
	for _, inf := range c.informers {
		seen := 0
		for _, obj := range inf.shared.GetStore().List() {
			if it, ok := obj.(*item); ok && (it.namespace == ns || strings.HasSuffix(it.name, ns)) {
				seen++
			}
			if holds(reflect.ValueOf(obj), secretValue) {
				t.Errorf("%s: a value or an annotation is in the cache: %+v", inf.kind.resource.Resource, obj)
			}
		}
		if seen == 0 {
			t.Errorf("%s: the cache does not hold what was made, so that this test shows nothing", inf.kind.resource.Resource)
		}
	}
	if !holds(reflect.ValueOf(&item{shown: &corev1.Secret{Data: map[string][]byte{"a": []byte(secretValue)}}}), secretValue) {
		t.Error("the search does not find what is there")
	}
}

// holds tells whether text is anywhere in v.
func holds(v reflect.Value, text string) bool {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		return !v.IsNil() && holds(v.Elem(), text)
	case reflect.Struct:
		for i := range v.NumField() {
			if holds(v.Field(i), text) {
				return true
			}
		}
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 && v.Kind() == reflect.Slice {
			return strings.Contains(string(v.Bytes()), text)
		}
		for i := range v.Len() {
			if holds(v.Index(i), text) {
				return true
			}
		}
	case reflect.Map:
		for of := v.MapRange(); of.Next(); {
			if holds(of.Key(), text) || holds(of.Value(), text) {
				return true
			}
		}
	case reflect.String:
		return strings.Contains(v.String(), text)
	}
	return false
}

func TestAPIServerDownAndBack(t *testing.T) {
	client := admin(t)
	ns := populate(t, client)
	var at clock
	c := follow(t, server.Admin(), func(cfg *Config) { cfg.Clock, cfg.Patience = at.now, time.Hour })
	ready(t, c)
	id := must[string](t)(c.ID(t.Context()))

	server.StopAPI(t)
	pods := in(t, c, model.SectionKubePods, ns)
	if len(pods) != 1 {
		t.Error("the pods are forgotten at once")
	}
	eventually(t, "it is noticed", func() bool {
		at.advance(time.Minute)
		return code(c, model.SectionKubePods) == fault.AgentError && code(c, model.SectionKubeSecrets) == fault.AgentError
	})
	if s, err := c.Section(model.SectionKubePods); err == nil || s.Version == 0 {
		t.Errorf("what was known is gone: version %d, %v", s.Version, err)
	}
	server.StartAPI(t, nil)

	// Older than what the new process's watch cache begins with: its informers list
	// again, those that saw the last change go on watching.
	must[*corev1.Secret](t)(client.CoreV1().Secrets(ns).Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "later"}}, metav1.CreateOptions{}))
	if err := client.CoreV1().Pods(ns).Delete(t.Context(), "pod", metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "what came meanwhile is shown", func() bool { return len(in(t, c, model.SectionKubeSecrets, ns)) == 2 })
	eventually(t, "what went meanwhile is not", func() bool {
		return code(c, model.SectionKubePods) == "" && len(in(t, c, model.SectionKubePods, ns)) == 0
	})
	ready(t, c)
	if again := must[string](t)(c.ID(t.Context())); again != id || id == "" {
		t.Errorf("the cluster's id is %q, was %q", again, id)
	}
}
