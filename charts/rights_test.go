package charts

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// lease is what agents are elected by; its name is theirs, not the chart's.
const lease = "atlhyper-agent"

// read are the kinds that the agent lists and watches, in the whole cluster.
func read() []schema.GroupVersionResource {
	var all []schema.GroupVersionResource
	for group, resources := range map[string]string{
		"":                  "nodes pods services namespaces configmaps secrets persistentvolumes persistentvolumeclaims resourcequotas limitranges serviceaccounts events",
		"apps":              "deployments statefulsets daemonsets replicasets",
		"batch":             "jobs cronjobs",
		"networking.k8s.io": "ingresses networkpolicies",
		"discovery.k8s.io":  "endpointslices",
	} {
		for resource := range strings.FieldsSeq(resources) {
			all = append(all, schema.GroupVersionResource{Group: group, Version: "v1", Resource: resource})
		}
	}
	return all
}

// login is how a ServiceAccount reaches the API server: by a token that it was given, as
// pods are.
func (c *cluster) login(t *testing.T, account string) *rest.Config {
	t.Helper()
	token, err := c.typed.CoreV1().ServiceAccounts(namespace).CreateToken(t.Context(), account, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	cfg := rest.AnonymousClientConfig(server.Admin())
	cfg.BearerToken, cfg.QPS = token.Status.Token, -1
	return cfg
}

// stranger is a ServiceAccount that nobody gave any right.
func (c *cluster) stranger(t *testing.T) *rest.Config {
	t.Helper()
	const name = "stranger"
	_, err := c.typed.CoreV1().ServiceAccounts(namespace).Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	return c.login(t, name)
}

// withoutSecrets says that a variant's agent may not read secrets.
func withoutSecrets(variant string) bool { return variant == "both" }

// settled waits until the API server goes by the rights that the variant gives: what is
// applied reaches its authorizer a moment later, each kind of object at a time of its
// own, and those of another variant may have been there before.
func (c *cluster) settled(t *testing.T, account, variant string) {
	t.Helper()
	for _, q := range []struct {
		authorizationv1.ResourceAttributes
		allowed bool
	}{
		{authorizationv1.ResourceAttributes{Verb: "list", Resource: "pods"}, true},
		{authorizationv1.ResourceAttributes{Verb: "list", Resource: "secrets"}, !withoutSecrets(variant)},
		{authorizationv1.ResourceAttributes{Verb: "create", Group: "coordination.k8s.io", Resource: "leases", Namespace: namespace}, true},
	} {
		until(t, func() error {
			review, err := c.typed.AuthorizationV1().SubjectAccessReviews().Create(t.Context(), &authorizationv1.SubjectAccessReview{
				Spec: authorizationv1.SubjectAccessReviewSpec{
					User: "system:serviceaccount:" + namespace + ":" + account, ResourceAttributes: &q.ResourceAttributes,
				},
			}, metav1.CreateOptions{})
			if err == nil && review.Status.Allowed != q.allowed {
				err = fmt.Errorf("%s: %s %s is allowed: %t", account, q.Verb, q.Resource, review.Status.Allowed)
			}
			return err
		})
	}
}

// The agent's ServiceAccount can do its work.
func TestAgentCanWork(t *testing.T) {
	needServer(t)
	c := newCluster(t)
	for _, variant := range []string{"agent", "both", "everything"} {
		t.Run(variant, func(t *testing.T) {
			cfg, ctx := c.account(t, variant), t.Context()
			objects, err := dynamic.NewForConfig(cfg)
			if err != nil {
				t.Fatal(err)
			}
			for _, resource := range read() {
				list, err := objects.Resource(resource).List(ctx, metav1.ListOptions{Limit: 1})
				if resource.Resource == "secrets" && withoutSecrets(variant) {
					if !apierrors.IsForbidden(err) {
						t.Errorf("secrets are listed: %v", err)
					}
					continue
				}
				if err != nil {
					t.Error(err)
					continue
				}
				watching, err := objects.Resource(resource).Watch(ctx, metav1.ListOptions{ResourceVersion: list.GetResourceVersion()})
				if err != nil {
					t.Error(err)
					continue
				}
				watching.Stop()
			}

			agent, err := kubernetes.NewForConfig(cfg)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := agent.CoreV1().Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{}); err != nil {
				t.Error(err)
			}
			leases := agent.CoordinationV1().Leases(namespace)
			if _, err := leases.Create(ctx, &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: lease}}, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
				t.Error(err)
			}
			held, err := leases.Get(ctx, lease, metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			held.Spec.HolderIdentity = new(variant)
			if _, err := leases.Update(ctx, held, metav1.UpdateOptions{}); err != nil {
				t.Error(err)
			}
			if err := leases.Delete(ctx, lease, metav1.DeleteOptions{}); !apierrors.IsForbidden(err) {
				t.Errorf("the lease is deleted: %v", err)
			}
			secrets := agent.CoreV1().Secrets(namespace)
			if _, err := secrets.Get(ctx, "any", metav1.GetOptions{}); !apierrors.IsForbidden(err) {
				t.Errorf("a secret is read by its name: %v", err)
			}
		})
	}
}

// right is one question: may this be done?
type right struct{ verb, group, resource, namespace, name string }

func (r right) String() string {
	return strings.Join([]string{r.verb, r.group + "/" + r.resource, "namespace:" + r.namespace, "name:" + r.name}, " ")
}

// rights asks whether the account may use each verb that there is on each resource and
// subresource that the API server has, everywhere and in a namespace, its own and
// another, and lists what it may.
func (c *cluster) rights(t *testing.T, cfg *rest.Config) []string {
	t.Helper()
	var questions []right
	seen := make(map[schema.GroupResource]bool)
	_, groups, err := c.typed.Discovery().ServerGroupsAndResources()
	if err != nil {
		t.Fatal(err)
	}
	for _, group := range groups {
		version, err := schema.ParseGroupVersion(group.GroupVersion)
		if err != nil {
			t.Fatal(err)
		}
		for _, resource := range group.APIResources {
			// A right is for all versions.
			if id := (schema.GroupResource{Group: version.Group, Resource: resource.Name}); !seen[id] {
				seen[id] = true
				questions = append(questions, ask(id, resource.Namespaced)...)
			}
		}
	}
	for _, resource := range read() {
		if !seen[resource.GroupResource()] {
			t.Errorf("%s is not a resource of the API server: the walk is not complete", resource)
		}
	}
	return c.allowed(t, cfg, questions)
}

// ask is what is asked of a resource.
func ask(of schema.GroupResource, namespaced bool) []right {
	namespaces, names := []string{""}, []string{""}
	if namespaced {
		namespaces = append(namespaces, namespace, metav1.NamespaceSystem)
	}
	switch of.Resource {
	case "namespaces":
		names = append(names, metav1.NamespaceSystem, namespace)
	case "leases":
		names = append(names, lease, "other")
	}
	var questions []right
	for _, verb := range []string{
		"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection",
		"use", "bind", "escalate", "impersonate", "approve", "sign", "attest", "*",
	} {
		for _, in := range namespaces {
			for _, name := range names {
				questions = append(questions, right{verb, of.Group, of.Resource, in, name})
			}
		}
	}
	return questions
}

// allowed are the questions that the account is answered with yes, sorted.
func (c *cluster) allowed(t *testing.T, cfg *rest.Config, questions []right) []string {
	t.Helper()
	asker, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	answers := make([]bool, len(questions))
	group, ctx := errgroup.WithContext(t.Context())
	group.SetLimit(8)
	for i, q := range questions {
		group.Go(func() error {
			resource, subresource, _ := strings.Cut(q.resource, "/")
			review, err := asker.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{
				Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
					Verb: q.verb, Group: q.group, Resource: resource, Subresource: subresource, Namespace: q.namespace, Name: q.name,
				}},
			}, metav1.CreateOptions{})
			if err == nil {
				answers[i] = review.Status.Allowed
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	var may []string
	for i, q := range questions {
		if answers[i] {
			may = append(may, q.String())
		}
	}
	slices.Sort(may)
	return may
}

// The agent's ServiceAccount can do nothing but its work.
func TestAgentCanDoNothingElse(t *testing.T) {
	needServer(t)
	c := newCluster(t)
	c.namespace(t)
	// What Kubernetes lets every account do, such as to ask what it may.
	everybody := c.rights(t, c.stranger(t))
	for _, variant := range []string{"agent", "both"} {
		t.Run(variant, func(t *testing.T) {
			account := c.account(t, variant)
			var want []string
			may := func(verb, group, resource string, namespaced bool, filter func(right) bool) {
				for _, q := range ask(schema.GroupResource{Group: group, Resource: resource}, namespaced) {
					if q.verb == verb && (filter == nil || filter(q)) {
						want = append(want, q.String())
					}
				}
			}
			for _, r := range read() {
				if r.Resource == "secrets" && withoutSecrets(variant) {
					continue
				}
				namespaced := !slices.Contains([]string{"nodes", "namespaces", "persistentvolumes"}, r.Resource)
				may("list", r.Group, r.Resource, namespaced, nil)
				may("watch", r.Group, r.Resource, namespaced, nil)
			}
			may("get", "", "namespaces", false, func(q right) bool { return q.name == metav1.NamespaceSystem })
			const group = "coordination.k8s.io"
			may("create", group, "leases", true, func(q right) bool { return q.namespace == namespace })
			for _, verb := range []string{"get", "update"} {
				may(verb, group, "leases", true, func(q right) bool { return q.namespace == namespace && q.name == lease })
			}
			want = append(want, everybody...)
			slices.Sort(want)
			if diff := cmp.Diff(want, c.rights(t, account)); diff != "" {
				t.Errorf("rights (-needed +given)\n%s", diff)
			}
		})
	}
}
