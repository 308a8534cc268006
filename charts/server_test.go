package charts

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"

	"github.com/atlhyper/observe/agent/kube/kubetest"
)

var withServer = flag.Bool("kube", false, "run the tests that need an API server; see make test-kube")

// server is the API server of the tests with -kube; see TestMain.
var server *kubetest.Server

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if !*withServer {
		return m.Run()
	}
	var err error
	if server, err = kubetest.Start(); err != nil {
		println(err.Error())
		return 1
	}
	code := m.Run()
	if err := server.Stop(); err != nil {
		println(err.Error())
		return 1
	}
	return code
}

func needServer(t *testing.T) {
	t.Helper()
	if server == nil {
		t.Skip("make test-kube runs it")
	}
}

// definitions are modules whose files define the kinds that are not Kubernetes's own, as
// their projects publish them. A module's version never changes, and sum says so.
func definitions() []struct {
	module, sum, dir string
	files            []string
} {
	return []struct {
		module, sum, dir string
		files            []string
	}{
		{
			"sigs.k8s.io/gateway-api@v1.6.3", "h1:lKpJa5bGlraC/QeACvCpsHLdmO6y0iKfzVl6gzaFEYc=",
			"config/crd/standard", []string{"gateway.networking.k8s.io_httproutes.yaml"},
		},
		{
			"github.com/prometheus-operator/prometheus-operator@v0.85.0", "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=",
			"example/prometheus-operator-crd", []string{"monitoring.coreos.com_servicemonitors.yaml", "monitoring.coreos.com_prometheusrules.yaml"},
		},
	}
}

// cluster is the API server as an administrator sees it.
type cluster struct {
	objects dynamic.Interface
	kinds   *restmapper.DeferredDiscoveryRESTMapper
	typed   kubernetes.Interface
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	cfg := server.Admin()
	objects, err := dynamic.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	typed := server.Client(t)
	return &cluster{objects, restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(typed.Discovery())), typed}
}

// resource is where an object of its kind is written.
func (c *cluster) resource(o *unstructured.Unstructured) (dynamic.ResourceInterface, error) {
	kind := o.GroupVersionKind()
	mapping, err := c.kinds.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return nil, err
	}
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		return c.objects.Resource(mapping.Resource).Namespace(o.GetNamespace()), nil
	}
	return c.objects.Resource(mapping.Resource), nil
}

// apply applies on the server; a field that it does not know is an error.
func (c *cluster) apply(t *testing.T, o *unstructured.Unstructured, dryRun ...string) error {
	t.Helper()
	resource, err := c.resource(o)
	if err != nil {
		return err
	}
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	_, err = resource.Patch(t.Context(), o.GetName(), types.ApplyPatchType, text, metav1.PatchOptions{
		DryRun: dryRun, FieldManager: "helm", FieldValidation: metav1.FieldValidationStrict, Force: new(true),
	})
	return err
}

// namespace makes the namespace of the variants, once; pods that break the restricted
// Pod Security Standard are refused in it.
func (c *cluster) namespace(t *testing.T) {
	t.Helper()
	o := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Namespace",
		"metadata": map[string]any{"name": namespace, "labels": map[string]any{
			"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/enforce-version": "latest",
		}},
	}}
	if err := c.apply(t, o); err != nil {
		t.Fatal(err)
	}
}

// define makes the kinds that are not Kubernetes's own known.
func (c *cluster) define(t *testing.T) {
	t.Helper()
	for _, d := range definitions() {
		cmd := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", d.module)
		cmd.Dir, cmd.Stderr = t.TempDir(), os.Stderr // in no module
		out, err := cmd.Output()
		var got struct{ Dir, Sum string }
		if err == nil {
			err = json.Unmarshal(out, &got)
		}
		if err != nil || got.Sum != d.sum {
			t.Fatalf("%s: %v, %s", d.module, err, out)
		}
		for _, name := range d.files {
			file, err := os.Open(filepath.Join(got.Dir, d.dir, name))
			if err != nil {
				t.Fatal(err)
			}
			definitions, err := decode(file)
			if err != nil || len(definitions) != 1 {
				t.Fatalf("%s: %d objects, %v", name, len(definitions), err)
			}
			if err := c.apply(t, definitions[0]); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			c.served(t, definitions[0])
		}
	}
}

// served waits until the API server lists the objects of a kind that was defined.
func (c *cluster) served(t *testing.T, definition *unstructured.Unstructured) {
	t.Helper()
	group, _, err := unstructured.NestedString(definition.Object, "spec", "group")
	if err != nil {
		t.Fatal(err)
	}
	kind, _, err := unstructured.NestedString(definition.Object, "spec", "names", "kind")
	if err != nil {
		t.Fatal(err)
	}
	until(t, func() error {
		c.kinds.Reset()
		mapping, err := c.kinds.RESTMapping(schema.GroupKind{Group: group, Kind: kind}, "v1")
		if err == nil {
			_, err = c.objects.Resource(mapping.Resource).List(t.Context(), metav1.ListOptions{Limit: 1})
		}
		return err
	})
}

// until tries again until there is no error, or the test's time is over.
func until(t *testing.T, try func() error) {
	t.Helper()
	const pause = 50 * time.Millisecond
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-ticker.C:
		case <-t.Context().Done():
			t.Fatal(err)
		}
	}
}

// The API server takes every object of every variant as it is: no field is unknown to
// it, or wrong.
func TestServerTakesObjects(t *testing.T) {
	needServer(t)
	c := newCluster(t)
	c.define(t)
	c.namespace(t)
	kinds := make(map[string]bool)
	for _, variant := range variants(t) {
		for _, o := range objects(t, variant) {
			kinds[o.GetKind()] = true
			if err := c.apply(t, o, metav1.DryRunAll); err != nil {
				t.Errorf("%s: %s %s: %v", variant, o.GetKind(), o.GetName(), err)
			}
		}
	}
	for _, kind := range []string{
		"Deployment", "Service", "ServiceAccount", "Ingress", "HTTPRoute", "HorizontalPodAutoscaler", "PodDisruptionBudget", "NetworkPolicy",
		"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "ServiceMonitor", "PrometheusRule", "ConfigMap",
	} {
		if !kinds[kind] {
			t.Errorf("no variant has a %s", kind)
		}
	}

	// The test would see it.
	wrong := objects(t, "minimal")[0].DeepCopy()
	wrong.Object["nonsense"] = true
	if err := c.apply(t, wrong, metav1.DryRunAll); err == nil {
		t.Error("an unknown field is taken")
	}
}

// Their pods are taken where the restricted Pod Security Standard is enforced.
func TestPodsAreTakenWhereRestricted(t *testing.T) {
	needServer(t)
	c := newCluster(t)
	c.namespace(t)
	pods := c.typed.CoreV1().Pods(namespace)
	opts := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}
	for _, variant := range variants(t) {
		for _, d := range of[appsv1.Deployment](t, objects(t, variant), "Deployment") {
			pod := &corev1.Pod{ObjectMeta: d.Spec.Template.ObjectMeta, Spec: d.Spec.Template.Spec}
			pod.Name = "pod"
			if _, err := pods.Create(t.Context(), pod, opts); err != nil {
				t.Errorf("%s: %s: %v", variant, d.Name, err)
			}
			pod.Spec.Containers[0].SecurityContext.AllowPrivilegeEscalation = new(true)
			if _, err := pods.Create(t.Context(), pod, opts); err == nil {
				t.Errorf("%s: %s: a pod that may gain privileges is taken: the namespace is not restricted", variant, d.Name)
			}
		}
	}
}

// account is how the agent's ServiceAccount of a variant reaches the API server: by a
// token, as from its pod. Accounts and rights stay, and those of the next variant with the
// same names take their place, as in an upgrade: of what was deleted and made again, parts
// of the API server may know for a while that it is not there, or the one before.
func (c *cluster) account(t *testing.T, variant string) *rest.Config {
	t.Helper()
	c.namespace(t)
	name := ""
	for _, o := range objects(t, variant) {
		switch o.GetKind() {
		case "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding":
		default:
			continue
		}
		if err := c.apply(t, o); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range of[appsv1.Deployment](t, objects(t, variant), "Deployment") {
		if d.Spec.Template.Spec.Containers[0].Name == "agent" {
			name = d.Spec.Template.Spec.ServiceAccountName
		}
	}
	c.settled(t, name, variant)
	return c.login(t, name)
}
