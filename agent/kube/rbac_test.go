package kube

import (
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
)

// rightsFile is what the READMEs tell to apply.
const rightsFile = "../../docs/kubernetes/rbac.yaml"

// rights are the objects of rightsFile, which may have no unknown field.
func rights(t *testing.T) []runtime.Object {
	t.Helper()
	file, err := os.Open(rightsFile)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	documents := yaml.NewDocumentDecoder(file)
	defer documents.Close()
	decoder := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	var objects []runtime.Object
	for buf := make([]byte, 64<<10); ; {
		n, err := documents.Read(buf)
		if errors.Is(err, io.EOF) {
			return objects
		}
		if err != nil {
			t.Fatal(err)
		}
		object, _, err := decoder.Decode(buf[:n], nil, nil)
		if err != nil {
			t.Fatalf("%v in\n%s", err, buf[:n])
		}
		objects = append(objects, object)
	}
}

// only is the one object of type O.
func only[O runtime.Object](t *testing.T, objects []runtime.Object) O {
	t.Helper()
	var found []O
	for _, object := range objects {
		if o, ok := object.(O); ok {
			found = append(found, o)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d objects of type %T", len(found), *new(O))
	}
	return found[0]
}

// granted lists the rules as "verb group/resource/name", each once.
func granted(t *testing.T, rules []rbacv1.PolicyRule) []string {
	t.Helper()
	var out []string
	for _, r := range rules {
		for _, group := range r.APIGroups {
			for _, resource := range r.Resources {
				for _, verb := range r.Verbs {
					for _, name := range append(r.ResourceNames, "")[:max(1, len(r.ResourceNames))] {
						out = append(out, verb+" "+group+"/"+resource+"/"+name)
					}
				}
			}
		}
	}
	slices.Sort(out)
	if n := len(out); len(slices.Compact(slices.Clone(out))) != n {
		t.Errorf("a right is given twice: %v", out)
	}
	return out
}

// What the agent is to be allowed is what the table reads, the cluster's id and the
// lease: no more, no less.
func TestRightsAreThoseOfTheTable(t *testing.T) {
	t.Parallel()
	objects := rights(t)
	want := []string{"get /namespaces/" + metav1.NamespaceSystem}
	for _, k := range kinds() {
		for _, verb := range []string{"list", "watch"} {
			want = append(want, verb+" "+k.resource.Group+"/"+k.resource.Resource+"/")
		}
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, granted(t, only[*rbacv1.ClusterRole](t, objects).Rules)); diff != "" {
		t.Errorf("rights in the cluster (-what is read +%s)\n%s", rightsFile, diff)
	}
	const lease = "coordination.k8s.io/leases/"
	want = []string{"create " + lease, "get " + lease + DefaultLease, "update " + lease + DefaultLease}
	if diff := cmp.Diff(want, granted(t, only[*rbacv1.Role](t, objects).Rules)); diff != "" {
		t.Errorf("rights in the agent's namespace (-what is needed +%s)\n%s", rightsFile, diff)
	}
}

// The READMEs show the file as it is.
func TestREADMEShowsTheRights(t *testing.T) {
	t.Parallel()
	file, err := os.ReadFile(rightsFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"../../README.md", "../../README.zh-CN.md"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), "```yaml\n"+string(file)+"```") {
			t.Errorf("%s does not show %s as it is", name, rightsFile)
		}
	}
}

// With these rights, given as the file gives them, the agent reads everything, and may
// do nothing else.
func TestRightsAreEnough(t *testing.T) {
	client := admin(t)
	objects := rights(t)
	account := apply(t, client, objects)
	api := server.User(t, "system:serviceaccount:"+account.Namespace+":"+account.Name)
	c := follow(t, api)
	ready(t, c)
	if id, err := c.ID(t.Context()); err != nil || id == "" {
		t.Errorf("the cluster's id is %q, %v", id, err)
	}

	agent := must[*kubernetes.Clientset](t)(kubernetes.NewForConfig(api))
	leases, ctx := agent.CoordinationV1().Leases(account.Namespace), t.Context()
	for name, c := range map[string]struct {
		do      func() error
		allowed bool
	}{
		"create a lease": {func() error {
			_, err := leases.Create(ctx, &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: DefaultLease}}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
			return err
		}, true},
		"get another's lease": {func() error {
			_, err := leases.Get(ctx, "other", metav1.GetOptions{})
			return err
		}, false},
		"get a secret": {func() error {
			_, err := agent.CoreV1().Secrets(account.Namespace).Get(ctx, "any", metav1.GetOptions{})
			return err
		}, false},
		"get another namespace": {func() error {
			_, err := agent.CoreV1().Namespaces().Get(ctx, account.Namespace, metav1.GetOptions{})
			return err
		}, false},
		"read logs": {func() error {
			return agent.CoreV1().Pods(account.Namespace).GetLogs("any", &corev1.PodLogOptions{}).Do(ctx).Error()
		}, false},
		"delete a pod": {func() error {
			return agent.CoreV1().Pods(account.Namespace).Delete(ctx, "any", metav1.DeleteOptions{})
		}, false},
	} {
		if c.allowed { // rights of a namespace may be heard of later than those of the cluster
			eventually(t, name+" is allowed", func() bool { return !apierrors.IsForbidden(c.do()) })
		}
		if err := c.do(); apierrors.IsForbidden(err) == c.allowed || c.allowed && err != nil {
			t.Errorf("%s: %v, want it to be allowed: %t", name, err, c.allowed)
		}
	}
}

// apply creates the objects, and the namespace that they name.
func apply(t *testing.T, client kubernetes.Interface, objects []runtime.Object) *corev1.ServiceAccount {
	t.Helper()
	account, opts, ctx := only[*corev1.ServiceAccount](t, objects), metav1.CreateOptions{}, t.Context()
	role, binding := only[*rbacv1.Role](t, objects), only[*rbacv1.RoleBinding](t, objects)
	must[*corev1.Namespace](t)(client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: account.Namespace}}, opts))
	must[*corev1.ServiceAccount](t)(client.CoreV1().ServiceAccounts(account.Namespace).Create(ctx, account, opts))
	must[*rbacv1.Role](t)(client.RbacV1().Roles(role.Namespace).Create(ctx, role, opts))
	must[*rbacv1.RoleBinding](t)(client.RbacV1().RoleBindings(binding.Namespace).Create(ctx, binding, opts))
	must[*rbacv1.ClusterRole](t)(client.RbacV1().ClusterRoles().Create(ctx, only[*rbacv1.ClusterRole](t, objects), opts))
	must[*rbacv1.ClusterRoleBinding](t)(client.RbacV1().ClusterRoleBindings().Create(ctx, only[*rbacv1.ClusterRoleBinding](t, objects), opts))
	if len(objects) != 5 {
		t.Errorf("%d objects, of which 5 were created", len(objects))
	}
	return account
}
