package charts

import (
	"bytes"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
)

func objects(t *testing.T, variant string) []*unstructured.Unstructured {
	t.Helper()
	list, err := Objects(variant)
	if err != nil || len(list) == 0 {
		t.Fatalf("%d objects, %v", len(list), err)
	}
	return list
}

// of are the objects of a kind as O; what O does not know is an error.
func of[O any](t *testing.T, objects []*unstructured.Unstructured, kind string) []*O {
	t.Helper()
	var found []*O
	for _, object := range objects {
		if object.GetKind() != kind {
			continue
		}
		o := new(O)
		if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object.Object, o, true); err != nil {
			t.Fatalf("%s %s: %v", kind, object.GetName(), err)
		}
		found = append(found, o)
	}
	return found
}

// Pods have no right that they do not need, and are bounded.
func TestPods(t *testing.T) {
	t.Parallel()
	for _, variant := range variants(t) {
		for _, d := range of[appsv1.Deployment](t, objects(t, variant), "Deployment") {
			t.Run(variant+"/"+d.Name, func(t *testing.T) {
				t.Parallel()
				spec := d.Spec.Template.Spec
				checkSecurity(t, spec)
				agent := spec.Containers[0].Name == "agent"
				if token := deref(spec.AutomountServiceAccountToken, true); token != (agent && variant != "no-kubernetes") {
					t.Errorf("a token of the service account: %t", token)
				}
				if spec.ServiceAccountName == "" || spec.ServiceAccountName == "default" {
					t.Errorf("runs as %q", spec.ServiceAccountName)
				}
				c := spec.Containers[0]
				if c.Resources.Limits.Memory().IsZero() || c.Resources.Requests.Memory().IsZero() || c.Resources.Requests.Cpu().IsZero() {
					t.Errorf("resources %+v", c.Resources)
				}
				checkProbes(t, c, agent)
				if v, tag, _ := strings.Cut(c.Image[strings.LastIndex(c.Image, "/")+1:], ":"); tag == "" || tag == "latest" {
					t.Errorf("image %s of %s", c.Image, v)
				}
				checkMounts(t, spec)
			})
		}
	}
}

func checkSecurity(t *testing.T, spec corev1.PodSpec) {
	t.Helper()
	pod, c := spec.SecurityContext, spec.Containers[0].SecurityContext
	if !deref(pod.RunAsNonRoot, false) || deref(pod.RunAsUser, 0) == 0 || pod.SeccompProfile == nil || pod.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
		t.Errorf("the pod's security context is %+v", pod)
	}
	if !deref(c.ReadOnlyRootFilesystem, false) || deref(c.AllowPrivilegeEscalation, true) || c.Capabilities == nil || !slices.Equal(c.Capabilities.Drop, []corev1.Capability{"ALL"}) {
		t.Errorf("the container's security context is %+v", c)
	}
	if len(spec.Containers) != 1 || len(spec.InitContainers) != 0 || spec.HostNetwork || spec.HostPID || spec.HostIPC {
		t.Errorf("%d containers, %d init containers, of the host: network %t", len(spec.Containers), len(spec.InitContainers), spec.HostNetwork)
	}
}

// checkProbes: connections to the API are bounded, so a replica that is full would not
// answer there. It should get no more requests then, and must not be killed.
func checkProbes(t *testing.T, c corev1.Container, agent bool) {
	t.Helper()
	probes := map[string]*corev1.Probe{"metrics/healthz": c.LivenessProbe}
	if !agent {
		probes["http/readyz"] = c.ReadinessProbe
	}
	for want, probe := range probes {
		if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Port.StrVal+probe.HTTPGet.Path != want {
			t.Errorf("want a probe of %s, have %+v", want, probe)
		}
	}
}

// checkMounts looks for volumes that are not mounted and mounts without a volume, and
// for files in arguments that nothing brings.
func checkMounts(t *testing.T, spec corev1.PodSpec) {
	t.Helper()
	var volumes, mounts []string
	for _, v := range spec.Volumes {
		volumes = append(volumes, v.Name)
	}
	c := spec.Containers[0]
	for _, m := range c.VolumeMounts {
		mounts = append(mounts, m.Name)
	}
	if diff := cmp.Diff(volumes, mounts); diff != "" {
		t.Errorf("volumes (-there +mounted)\n%s", diff)
	}
	for _, arg := range c.Args {
		_, file, found := strings.Cut(arg, "=/etc/atlhyper/")
		if found && !slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool {
			return strings.HasPrefix("/etc/atlhyper/"+file, m.MountPath+"/")
		}) {
			t.Errorf("%s is not mounted", arg)
		}
	}
}

// A master that ends has the time that its own flags give it, 5 s to close what is left,
// and as much again and more on a node that is busy.
func TestMastersHaveTimeToDrain(t *testing.T) {
	t.Parallel()
	masters, err := Containers("master")
	if err != nil {
		t.Fatal(err)
	}
	const slack = 15 * time.Second
	for _, m := range masters {
		var needed time.Duration
		for _, flag := range []string{"--drain-delay=", "--drain-timeout="} {
			i := slices.IndexFunc(m.Args, func(arg string) bool { return strings.HasPrefix(arg, flag) })
			if i < 0 {
				t.Fatalf("%s: no %s", m.Variant, flag)
			}
			d, err := time.ParseDuration(strings.TrimPrefix(m.Args[i], flag))
			if err != nil {
				t.Fatal(err)
			}
			needed += d
		}
		for _, d := range of[appsv1.Deployment](t, objects(t, m.Variant), "Deployment") {
			pod := d.Spec.Template.Spec
			if given := time.Duration(deref(pod.TerminationGracePeriodSeconds, 0)) * time.Second; pod.Containers[0].Name == "master" && given < needed+slack {
				t.Errorf("%s: %s to end, of which %s are its own; want %s besides", m.Variant, given, needed, slack)
			}
		}
	}
}

// Selectors find the pods that they are for, and no others; ports have the names that
// containers give them.
func TestSelectors(t *testing.T) {
	t.Parallel()
	for _, variant := range variants(t) {
		all := objects(t, variant)
		deployments := of[appsv1.Deployment](t, all, "Deployment")
		finds := func(what string, selector map[string]string, ports ...string) {
			t.Helper()
			var found []*appsv1.Deployment
			for _, d := range deployments {
				if labels.SelectorFromSet(selector).Matches(labels.Set(d.Spec.Template.Labels)) {
					found = append(found, d)
				}
			}
			if len(found) != 1 {
				t.Errorf("%s: %s finds the pods of %d deployments", variant, what, len(found))
				return
			}
			for _, port := range ports {
				if !slices.ContainsFunc(found[0].Spec.Template.Spec.Containers[0].Ports, func(p corev1.ContainerPort) bool { return p.Name == port }) {
					t.Errorf("%s: %s asks for the port %q, which %s does not have", variant, what, port, found[0].Name)
				}
			}
		}
		for _, d := range deployments {
			finds(d.Name, d.Spec.Selector.MatchLabels)
			// They can never change: an upgrade would fail.
			names := slices.Sorted(maps.Keys(d.Spec.Selector.MatchLabels))
			if diff := cmp.Diff([]string{"app.kubernetes.io/component", "app.kubernetes.io/instance", "app.kubernetes.io/name"}, names); diff != "" {
				t.Errorf("%s: the selector of %s\n%s", variant, d.Name, diff)
			}
			for _, s := range d.Spec.Template.Spec.TopologySpreadConstraints {
				finds("spread of "+d.Name, s.LabelSelector.MatchLabels)
			}
		}
		for _, s := range of[corev1.Service](t, all, "Service") {
			finds("Service "+s.Name, s.Spec.Selector, s.Spec.Ports[0].TargetPort.StrVal)
		}
		for _, p := range of[policyv1.PodDisruptionBudget](t, all, "PodDisruptionBudget") {
			finds("PodDisruptionBudget "+p.Name, p.Spec.Selector.MatchLabels)
		}
		for _, p := range of[networkingv1.NetworkPolicy](t, all, "NetworkPolicy") {
			var ports []string
			for _, rule := range p.Spec.Ingress {
				ports = append(ports, rule.Ports[0].Port.StrVal)
			}
			finds("NetworkPolicy "+p.Name, p.Spec.PodSelector.MatchLabels, ports...)
			if len(p.Spec.PolicyTypes) != 2 || len(p.Spec.Egress) < 2 {
				t.Errorf("%s: NetworkPolicy %s bounds %v", variant, p.Name, p.Spec.PolicyTypes)
			}
		}
		for _, h := range of[autoscalingv2.HorizontalPodAutoscaler](t, all, "HorizontalPodAutoscaler") {
			i := slices.IndexFunc(deployments, func(d *appsv1.Deployment) bool { return d.Name == h.Spec.ScaleTargetRef.Name })
			if i < 0 || deployments[i].Spec.Replicas != nil {
				t.Errorf("%s: %s scales %s, which counts its replicas itself or is not there", variant, h.Name, h.Spec.ScaleTargetRef.Name)
			}
		}
	}
}

// The network policies let through what the variant's own values say is needed.
func TestEgressReachesRedis(t *testing.T) {
	t.Parallel()
	for variant, port := range map[string]int32{"master": 6380, "agent": 6380, "no-kubernetes": 7001, "oidc-httproute": 26379, "both": 6379} {
		for _, p := range of[networkingv1.NetworkPolicy](t, objects(t, variant), "NetworkPolicy") {
			if !slices.ContainsFunc(p.Spec.Egress[1].Ports, func(have networkingv1.NetworkPolicyPort) bool { return have.Port.IntVal == port }) {
				t.Errorf("%s: %s does not let the port %d of Redis out", variant, p.Name, port)
			}
			seen := make(map[int32]bool)
			for _, have := range p.Spec.Egress[1].Ports {
				if seen[have.Port.IntVal] {
					t.Errorf("%s: %s lets the port %d out twice", variant, p.Name, have.Port.IntVal)
				}
				seen[have.Port.IntVal] = true
			}
		}
	}
}

// ServiceMonitors find the Service of the metrics, not that of the API.
func TestServiceMonitors(t *testing.T) {
	t.Parallel()
	all := objects(t, "everything")
	services, found := of[corev1.Service](t, all, "Service"), []string{}
	for _, o := range all {
		if o.GetKind() != "ServiceMonitor" {
			continue
		}
		selector, _, err := unstructured.NestedStringMap(o.Object, "spec", "selector", "matchLabels")
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range services {
			if labels.SelectorFromSet(selector).Matches(labels.Set(s.Labels)) {
				found = append(found, o.GetName()+" finds "+s.Name+" "+s.Spec.Ports[0].Name)
			}
		}
	}
	slices.Sort(found)
	want := []string{"watch-agent finds watch-agent-metrics metrics", "watch-master finds watch-master-metrics metrics"}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Error(diff)
	}
}

// The alerts are there where masters are: without any, the one that there is none would
// never end.
func TestAlertsNeedMasters(t *testing.T) {
	t.Parallel()
	for variant, want := range map[string]int{"everything": 1, "agent": 0} {
		found := map[string]int{}
		for _, o := range objects(t, variant) {
			found[o.GetKind()]++
		}
		if found["PrometheusRule"] != want || found["ServiceMonitor"] == 0 {
			t.Errorf("%s: %d PrometheusRules, want %d; %d ServiceMonitors", variant, found["PrometheusRule"], want, found["ServiceMonitor"])
		}
	}
}

// Names of what is the whole cluster's say whose it is: a release of the same name in
// another namespace has others.
func TestNamesOfTheClusterHaveTheNamespace(t *testing.T) {
	t.Parallel()
	for _, variant := range []string{"agent", "both", "everything"} {
		all := objects(t, variant)
		for _, o := range all {
			if o.GetNamespace() == "" && !strings.HasPrefix(o.GetName(), namespace+":") {
				t.Errorf("%s: %s %s does not name the namespace %s", variant, o.GetKind(), o.GetName(), namespace)
			}
		}
		role, binding := of[rbacv1.ClusterRole](t, all, "ClusterRole")[0], of[rbacv1.ClusterRoleBinding](t, all, "ClusterRoleBinding")[0]
		if binding.RoleRef.Name != role.Name {
			t.Errorf("%s: %s binds %s, not %s", variant, binding.Name, binding.RoleRef.Name, role.Name)
		}
	}
}

// make image gives images tags like v0.1.0, of git's tags.
func TestImagesHaveTagsOfGit(t *testing.T) {
	t.Parallel()
	text, err := files.ReadFile("atlhyper/Chart.yaml")
	if err != nil {
		t.Fatal(err)
	}
	charts, err := decode(bytes.NewReader(text))
	if err != nil || len(charts) != 1 {
		t.Fatalf("%d documents, %v", len(charts), err)
	}
	version, _, err := unstructured.NestedString(charts[0].Object, "appVersion")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(version, "v") {
		t.Errorf("appVersion %q", version)
	}
	agent := of[appsv1.Deployment](t, objects(t, "agent"), "Deployment")[0]
	if image := agent.Spec.Template.Spec.Containers[0].Image; !strings.HasSuffix(image, ":"+version) {
		t.Errorf("the agent's image is %s, want the tag %s", image, version)
	}
}

// rightsFile is what those apply who give the rights by hand.
const rightsFile = "../docs/kubernetes/rbac.yaml"

// The chart gives the agent the rights of the file, to which a test of agent/kube holds
// what the agent reads; without secrets, those but secrets; without Kubernetes, none.
func TestRights(t *testing.T) {
	t.Parallel()
	file, err := os.Open(rightsFile)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	wanted, err := decode(file)
	if err != nil {
		t.Fatal(err)
	}
	cluster := of[rbacv1.ClusterRole](t, wanted, "ClusterRole")[0].Rules
	lease := of[rbacv1.Role](t, wanted, "Role")[0].Rules

	for _, variant := range variants(t) {
		all := objects(t, variant)
		roles, local := of[rbacv1.ClusterRole](t, all, "ClusterRole"), of[rbacv1.Role](t, all, "Role")
		if variant != "agent" && variant != "both" && variant != "everything" {
			if len(roles) != 0 || len(local) != 0 {
				t.Errorf("%s gives rights", variant)
			}
			continue
		}
		want := cluster
		if variant == "both" {
			want = slices.Clone(cluster)
			want[0].Resources = slices.DeleteFunc(slices.Clone(want[0].Resources), func(r string) bool { return r == "secrets" })
		}
		if diff := cmp.Diff(want, roles[0].Rules); diff != "" {
			t.Errorf("%s: in the cluster (-%s +chart)\n%s", variant, rightsFile, diff)
		}
		if diff := cmp.Diff(lease, local[0].Rules); diff != "" {
			t.Errorf("%s: in the namespace (-%s +chart)\n%s", variant, rightsFile, diff)
		}
	}
}

// deref is what p points to, or otherwise.
func deref[V any](p *V, otherwise V) V {
	if p == nil {
		return otherwise
	}
	return *p
}
