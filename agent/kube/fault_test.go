package kube

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
)

// writeMap writes a config map with as many keys as its version, which is how the
// test tells what it is shown.
func writeMap(ctx context.Context, client kubernetes.Interface, ns, name string, version int) error {
	m := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: make(map[string]string)}
	for i := range version {
		m.Data[strconv.Itoa(i)] = ""
	}
	of := client.CoreV1().ConfigMaps(ns)
	var err error
	if version == 1 {
		_, err = of.Create(ctx, m, metav1.CreateOptions{})
	} else {
		_, err = of.Update(ctx, m, metav1.UpdateOptions{})
	}
	return err
}

// mapsShown are the versions of the namespace's config maps by name, and false when
// one is shown twice.
func mapsShown(t *testing.T, c *Cluster, ns string) (map[string]int, bool) {
	t.Helper()
	s, _ := c.Section(model.SectionKubeConfigMaps) // with an error, the last value counts
	list, ok := s.Value.([]*model.KubeConfigMap)
	if !ok {
		t.Fatalf("config maps are %T", s.Value)
	}
	out, once := make(map[string]int), true
	for _, m := range list {
		if m.Metadata.Namespace == ns {
			_, again := out[m.Metadata.Name]
			once = once && !again
			out[m.Metadata.Name] = len(m.Keys)
		}
	}
	return out, once
}

func informerOf(t *testing.T, c *Cluster, resource string) *informer {
	t.Helper()
	i := slices.IndexFunc(c.informers, func(inf *informer) bool { return inf.kind.resource.Resource == resource })
	if i < 0 {
		t.Fatalf("no informer of %s", resource)
	}
	return c.informers[i]
}

// TestWatchIsCut cuts all connections in the midst of answers while objects are made,
// changed and deleted: nothing is missed, nothing is shown twice, nothing goes back.
func TestWatchIsCut(t *testing.T) {
	client := admin(t)
	ns := newNamespace(t, client)
	const each = 20
	for i := range each {
		for version := 1; version <= 2; version++ {
			if err := writeMap(t.Context(), client, ns, fmt.Sprintf("changed-%02d", i), version); err != nil {
				t.Fatal(err)
			}
		}
		if err := writeMap(t.Context(), client, ns, fmt.Sprintf("deleted-%02d", i), 1); err != nil {
			t.Fatal(err)
		}
	}
	remembered(t, ns)
	proxy, through := server.Proxy(t, server.Admin())
	c := follow(t, through)
	ready(t, c)
	maps := informerOf(t, c, "configmaps")
	eventually(t, "it is still", func() bool { v, _ := mapsShown(t, c, ns); return len(v) == 2*each })
	// What the store holds is told a moment later.
	before := uint64(len(maps.items()))
	eventually(t, "each that is there is told", func() bool { return maps.version.Load() == before })

	last, _ := mapsShown(t, c, ns)
	look := func() {
		t.Helper()
		now, once := mapsShown(t, c, ns)
		if !once {
			t.Fatal("an object is shown twice")
		}
		for name, version := range last {
			if again, there := now[name]; !there && !strings.HasPrefix(name, "deleted") || there && again < version {
				t.Fatalf("%s goes back from version %d to %d", name, version, again)
			}
		}
		for name := range now {
			if _, there := last[name]; !there && strings.HasPrefix(name, "deleted") {
				t.Fatalf("%s comes back", name)
			}
		}
		last = now
	}
	want := make(map[string]int)
	for i := range each {
		if i%8 == 2 {
			proxy.CutAfter(700)
		}
		made, changed, deleted := fmt.Sprintf("made-%02d", i), fmt.Sprintf("changed-%02d", i), fmt.Sprintf("deleted-%02d", i)
		for _, err := range []error{
			writeMap(t.Context(), client, ns, made, 1),
			writeMap(t.Context(), client, ns, changed, 3),
			client.CoreV1().ConfigMaps(ns).Delete(t.Context(), deleted, metav1.DeleteOptions{}),
		} {
			if err != nil {
				t.Fatal(err)
			}
			look()
		}
		want[made], want[changed] = 1, 3
		if i%8 == 4 {
			eventually(t, "the cut", func() bool { look(); return proxy.Cuts() == i/8+1 })
		}
	}
	eventually(t, "all that was written is shown", func() bool { look(); return cmp.Equal(want, last) })
	// Each change is told once, whether the watch went on or all was listed anew.
	eventually(t, "all that is shown is told", func() bool { return maps.version.Load()-before >= 3*each })
	if got := maps.version.Load() - before; got != 3*each {
		t.Errorf("%d changes are told, not %d", got, 3*each)
	}
}

// expired tells whether a watch of config maps from where c stands is refused since
// that is too long ago.
func expired(t *testing.T, c *Cluster, client kubernetes.Interface) bool {
	t.Helper()
	from := informerOf(t, c, "configmaps").shared.LastSyncResourceVersion()
	w, err := client.CoreV1().ConfigMaps("").Watch(t.Context(), metav1.ListOptions{ResourceVersion: from})
	if err != nil {
		return apierrors.IsResourceExpired(err)
	}
	defer w.Stop()
	select {
	case e := <-w.ResultChan():
		return apierrors.IsResourceExpired(apierrors.FromObject(e.Object))
	case <-t.Context().Done():
		return false
	}
}

// away makes changes while c cannot reach the API server.
func away(t *testing.T, client kubernetes.Interface, ns string) (want map[string]int) {
	t.Helper()
	ctx := t.Context()
	for _, err := range []error{
		writeMap(ctx, client, ns, "made", 1),
		writeMap(ctx, client, ns, "changed", 2),
		client.CoreV1().ConfigMaps(ns).Delete(ctx, "deleted", metav1.DeleteOptions{}),
		client.CoreV1().ConfigMaps(ns).Delete(ctx, "replaced", metav1.DeleteOptions{}),
		writeMap(ctx, client, ns, "replaced", 1),
		writeMap(ctx, client, ns, "replaced", 5),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return map[string]int{"made": 1, "changed": 2, "replaced": 5, "kept": 1}
}

func stay(t *testing.T, client kubernetes.Interface, ns string) {
	t.Helper()
	for _, name := range []string{"changed", "deleted", "replaced", "kept"} {
		if err := writeMap(t.Context(), client, ns, name, 1); err != nil {
			t.Fatal(err)
		}
	}
}

func shows(t *testing.T, c *Cluster, ns string, want map[string]int) {
	t.Helper()
	eventually(t, fmt.Sprintf("config maps are %v", want), func() bool {
		got, _ := mapsShown(t, c, ns)
		return cmp.Equal(want, got) && code(c, model.SectionKubeConfigMaps) == ""
	})
}

// TestTooOld: while the connection is held back, objects change, etcd forgets how, and
// so does the API server, by starting anew.
func TestTooOld(t *testing.T) {
	client := admin(t)
	ns := newNamespace(t, client)
	stay(t, client, ns)
	proxy, through := server.Proxy(t, server.Admin())
	c := follow(t, through)
	ready(t, c)

	proxy.Hold()
	want := away(t, client, ns)
	server.Compact(t)
	server.StopAPI(t)
	server.StartAPI(t, nil)
	if !expired(t, c, client) {
		t.Fatal("a watch from where the informer stands would go on")
	}
	proxy.Release()
	shows(t, c, ns, want)
	ready(t, c)
}

// TestLesserServer: an API server without one group of kinds, and without a cache of
// its own, so that lists cannot be streamed and etcd itself says what is too old.
func TestLesserServer(t *testing.T) {
	client := admin(t)
	ns := populate(t, client)
	if err := client.CoreV1().ConfigMaps(ns).Delete(t.Context(), "configmap", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	stay(t, client, ns)
	server.StopAPI(t)
	server.StartAPI(t, map[string]string{"watch-cache": "false", "runtime-config": "batch/v1=false"})
	proxy, through := server.Proxy(t, server.Admin())
	c := follow(t, through)
	missing := []model.Section{model.SectionKubeJobs, model.SectionKubeCronJobs}
	for _, name := range missing {
		eventually(t, string(name)+" is missed", func() bool { return code(c, name) == fault.NotFound })
	}
	ready(t, c, missing...)
	summary, ok := must[Section](t)(c.Section(model.SectionKubeSummary)).Value.(*model.KubeSummary)
	if !ok || summary.Jobs != nil || !cmp.Equal([]string{"jobs"}, summary.Unknown) {
		t.Errorf("the summary is %+v", summary)
	}

	proxy.Hold()
	want := away(t, client, ns)
	server.Compact(t)
	if !expired(t, c, client) {
		t.Fatal("a watch from where the informer stands would go on")
	}
	proxy.Release()
	shows(t, c, ns, want)

	server.StopAPI(t)
	server.StartAPI(t, nil)
	ready(t, c)
	for _, name := range missing {
		if got := in(t, c, name, ns); len(got) != 1 {
			t.Errorf("%s: %d objects, not the one that is there", name, len(got))
		}
	}
}

// TestAnotherState: etcd is put back to a backup, so that the API server is behind
// what was read of it.
func TestAnotherState(t *testing.T) {
	client := admin(t)
	ns := newNamespace(t, client)
	stay(t, client, ns)
	c := follow(t, server.Admin())
	ready(t, c)
	backup := server.Backup(t)
	shows(t, c, ns, map[string]int{"changed": 1, "deleted": 1, "replaced": 1, "kept": 1})
	shows(t, c, ns, away(t, client, ns))
	// More than the API server writes on its own until it is asked.
	for range 200 {
		if err := writeMap(t.Context(), client, ns, "kept", 2); err != nil {
			t.Fatal(err)
		}
		if err := writeMap(t.Context(), client, ns, "kept", 3); err != nil {
			t.Fatal(err)
		}
	}

	server.Restore(t, backup)
	shows(t, c, ns, map[string]int{"changed": 1, "deleted": 1, "replaced": 1, "kept": 1})
	if err := writeMap(t.Context(), client, ns, "later", 1); err != nil {
		t.Fatal(err)
	}
	shows(t, c, ns, map[string]int{"changed": 1, "deleted": 1, "replaced": 1, "kept": 1, "later": 1})
}

// TestFrozen: the API server keeps its connections and answers nothing.
func TestFrozen(t *testing.T) {
	client := admin(t)
	ns := newNamespace(t, client)
	stay(t, client, ns)
	c := follow(t, server.Admin(), func(cfg *Config) { cfg.Patience = 2 * time.Second })
	ready(t, c)
	var summary Section
	eventually(t, "the summary is there", func() bool {
		var err error
		summary, err = c.Section(model.SectionKubeSummary)
		return err == nil
	})
	thaw := server.Freeze(t)
	for _, name := range c.Sections() {
		eventually(t, string(name)+" says so", func() bool { return code(c, name) == fault.AgentError })
	}
	if s, _ := c.Section(model.SectionKubeSummary); s != summary {
		t.Errorf("the summary is forgotten: %+v", s.Value)
	}
	if got, _ := mapsShown(t, c, ns); len(got) != 4 {
		t.Errorf("config maps are forgotten: %v", got)
	}
	thaw()
	ready(t, c)
	shows(t, c, ns, away(t, client, ns))
}

// TestRightsComeAndGo: a kind that may be read later is, and one that may not any more
// keeps its last value and says so. A watch that is open outlives the right to open it.
func TestRightsComeAndGo(t *testing.T) {
	client := admin(t)
	ns := populate(t, client)
	user, ctx := "late-"+ns, t.Context()
	role := must[*rbacv1.ClusterRole](t)(client.RbacV1().ClusterRoles().Create(ctx, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: user}}, metav1.CreateOptions{}))
	must[*rbacv1.ClusterRoleBinding](t)(client.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: user}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: user},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}},
	}, metav1.CreateOptions{}))
	proxy, through := server.Proxy(t, server.User(t, user))
	var at clock
	c := follow(t, through, func(cfg *Config) { cfg.Clock, cfg.Patience = at.now, time.Minute })
	for _, name := range c.Sections() {
		if name != model.SectionKubeSummary {
			eventually(t, string(name)+" is forbidden", func() bool { return code(c, name) == fault.Forbidden })
		}
	}

	allow := func(without string) {
		t.Helper()
		role.Rules = nil
		for _, k := range kinds() {
			if r := k.resource; r.Resource != without {
				role.Rules = append(role.Rules, rbacv1.PolicyRule{APIGroups: []string{r.Group}, Resources: []string{r.Resource}, Verbs: []string{"list", "watch"}})
			}
		}
		role = must[*rbacv1.ClusterRole](t)(client.RbacV1().ClusterRoles().Update(ctx, role, metav1.UpdateOptions{}))
	}
	allow("")
	ready(t, c)
	if got := in(t, c, model.SectionKubePods, ns); len(got) != 1 {
		t.Errorf("%d pods, not the one that is there", len(got))
	}

	allow("pods")
	eventually(t, "pods may not be watched", func() bool {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User: user, ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "watch", Resource: "pods"},
		}}
		return !must[*authorizationv1.SubjectAccessReview](t)(client.AuthorizationV1().SubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})).Status.Allowed
	})
	proxy.Cut()
	eventually(t, "pods are forbidden", func() bool {
		at.advance(time.Minute)
		return code(c, model.SectionKubePods) == fault.Forbidden
	})
	if s, _ := c.Section(model.SectionKubePods); !slices.ContainsFunc(s.Value.([]*model.KubePod), func(p *model.KubePod) bool { return p.Metadata.Namespace == ns }) {
		t.Error("the pod is forgotten")
	}
	ready(t, c, model.SectionKubePods)
	eventually(t, "the summary does without pods", func() bool {
		s, err := c.Section(model.SectionKubeSummary)
		summary, ok := s.Value.(*model.KubeSummary)
		return err == nil && ok && summary.Pods == nil && cmp.Equal([]string{"pods"}, summary.Unknown)
	})

	allow("")
	ready(t, c)
}

// TestNobodyAnswers: nothing is made up of an API server that was never reached.
func TestNobodyAnswers(t *testing.T) {
	t.Parallel()
	listener := must[net.Listener](t)((&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0"))
	// The port of a connection, on which nobody else can listen.
	taken := must[net.Conn](t)(new(net.Dialer).DialContext(t.Context(), "tcp", listener.Addr().String()))
	t.Cleanup(func() {
		if err := errors.Join(taken.Close(), listener.Close()); err != nil {
			t.Error(err)
		}
	})
	for name, at := range map[string]net.Addr{"silent": listener.Addr(), "refused": taken.LocalAddr()} {
		c := follow(t, &rest.Config{Host: "http://" + at.String()}, func(cfg *Config) { cfg.Patience = 100 * time.Millisecond })
		for _, section := range c.Sections() {
			eventually(t, string(section)+" fails", func() bool {
				s, err := c.Section(section)
				if s.Value != nil {
					t.Fatalf("%s: %s is %+v", name, section, s.Value)
				}
				return err != nil && fault.From(err).Code == fault.AgentError
			})
		}
	}
}

func TestPulse(t *testing.T) {
	t.Parallel()
	var at clock
	p := &pulse{patience: time.Hour, clock: at.now, logger: discard()}
	answer := func(err error) func(context.Context) error { return func(context.Context) error { return err } }
	if p.beats() {
		t.Error("it beats before it was asked")
	}
	for _, step := range []struct {
		name         string
		answer       error
		later        time.Duration
		beats, fails bool
	}{
		{name: "answered", beats: true},
		{name: "refused, which is an answer", answer: apierrors.NewForbidden(corev1.Resource("version"), "", nil), beats: true},
		{name: "not answered", answer: context.DeadlineExceeded, later: 59 * time.Minute},
		{name: "not answered for the time of patience", answer: context.DeadlineExceeded, later: 2 * time.Minute, fails: true},
		{name: "answered again", beats: true},
		{name: "not answered again", answer: context.DeadlineExceeded},
	} {
		p.beat(t.Context(), answer(step.answer))
		at.advance(step.later)
		if got := p.check() != nil; got != step.fails || p.beats() != step.beats {
			t.Errorf("%s: fails %t, beats %t", step.name, got, p.beats())
		}
	}
	over, end := context.WithCancel(t.Context())
	end()
	p.beat(over, answer(nil))
	if p.beats() {
		t.Error("an answer to who has ended counts")
	}
	// A question that is not answered ends with the time of patience.
	p = &pulse{patience: time.Millisecond, clock: time.Now, logger: discard()}
	p.beat(t.Context(), func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
	if err := p.check(); fault.From(err).Code != fault.AgentError {
		t.Errorf("check: %v", err)
	}
}
