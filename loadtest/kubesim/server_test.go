package kubesim_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/atlhyper/observe/loadtest/kubesim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sim is a server that runs until the test ends.
type sim struct {
	*kubesim.Server
	address string
}

func start(t *testing.T, change ...func(*kubesim.Config)) *sim {
	t.Helper()
	listening := make(chan net.Addr, 1)
	cfg := kubesim.Config{Listen: "127.0.0.1:0", OnListen: func(a net.Addr) { listening <- a }}
	for _, f := range change {
		f(&cfg)
	}
	s, err := kubesim.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	select {
	case a := <-listening:
		return &sim{Server: s, address: a.String()}
	case err := <-ended:
		t.Fatal(err)
		return nil
	}
}

// config is how clients reach the server: by the kubeconfig that it writes.
func (s *sim) config(t *testing.T) *rest.Config {
	t.Helper()
	cfg, err := clientcmd.RESTConfigFromKubeConfig(kubesim.Kubeconfig(s.address))
	if err != nil {
		t.Fatal(err)
	}
	cfg.QPS = -1
	return cfg
}

// client speaks JSON or protobuf.
func (s *sim) client(t *testing.T, contentType string) kubernetes.Interface {
	t.Helper()
	cfg := s.config(t)
	cfg.ContentType, cfg.AcceptContentTypes = contentType, contentType
	client, err := kubernetes.NewForConfigAndClient(cfg, httpClient(t))
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func httpClient(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func (s *sim) apply(t *testing.T, objects ...metav1.Object) {
	t.Helper()
	for _, o := range objects {
		pod, ok := o.(*corev1.Pod)
		if !ok {
			t.Fatalf("a %T", o)
		}
		if err := s.Apply(pod); err != nil {
			t.Fatal(err)
		}
	}
}

func pod(namespace, name, node string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"app": name}},
		Spec:       corev1.PodSpec{NodeName: node},
	}
}

const (
	jsonType = "application/json"
	protobuf = "application/vnd.kubernetes.protobuf"
)

// TestListAndWatch in both encodings: what is there, in order, and each change after
// the list's version.
func TestListAndWatch(t *testing.T) {
	for _, contentType := range []string{jsonType, protobuf} {
		t.Run(contentType, func(t *testing.T) {
			s := start(t)
			pods := s.client(t, contentType).CoreV1().Pods
			s.apply(t, pod("b", "x", ""), pod("a", "z", ""), pod("a", "y", ""))
			list, err := pods("").List(t.Context(), metav1.ListOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{"a/y", "a/z", "b/x"}, names(list.Items)); diff != "" {
				t.Errorf("list (-want +got):\n%s", diff)
			}
			for _, p := range list.Items {
				if p.UID == "" || p.CreationTimestamp.IsZero() || p.ResourceVersion == "" || p.Labels["app"] != p.Name {
					t.Errorf("%+v", p.ObjectMeta)
				}
			}
			s.apply(t, pod("a", "y", "node-1"), pod("b", "new", ""), pod("a", "new", ""))
			if err := s.Delete(pod("a", "z", "")); err != nil {
				t.Fatal(err)
			}
			w, err := pods("a").Watch(t.Context(), metav1.ListOptions{ResourceVersion: list.ResourceVersion})
			if err != nil {
				t.Fatal(err)
			}
			defer w.Stop()
			want := []string{"MODIFIED y node-1", "ADDED new ", "DELETED z ", "MODIFIED new node-2"}
			got := describe(t, w, 3)
			s.apply(t, pod("a", "new", "node-2")) // while it is watched
			got = append(got, describe(t, w, 1)...)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
			before := list.Items[0]
			now, err := pods("a").Get(t.Context(), "y", metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if now.UID != before.UID || !now.CreationTimestamp.Equal(&before.CreationTimestamp) || now.ResourceVersion == before.ResourceVersion {
				t.Errorf("after a change %+v, before it %+v", now.ObjectMeta, before.ObjectMeta)
			}
		})
	}
}

func names(pods []corev1.Pod) []string {
	var out []string
	for _, p := range pods {
		out = append(out, p.Namespace+"/"+p.Name)
	}
	return out
}

// next is the watch's next event.
func next(t *testing.T, w watch.Interface) watch.Event {
	t.Helper()
	select {
	case e, open := <-w.ResultChan():
		if !open {
			t.Fatal("the watch ended")
		}
		return e
	case <-t.Context().Done():
		t.Fatal("the test ended before the event came")
		return watch.Event{}
	}
}

func describe(t *testing.T, w watch.Interface, n int) []string {
	t.Helper()
	var out []string
	for range n {
		e := next(t, w)
		p, ok := e.Object.(*corev1.Pod)
		if !ok {
			t.Fatalf("%s of a %T", e.Type, e.Object)
		}
		out = append(out, fmt.Sprintf("%s %s %s", e.Type, p.Name, p.Spec.NodeName))
	}
	return out
}

// TestInitialEvents is what informers ask for: a list as a stream, its end marked.
func TestInitialEvents(t *testing.T) {
	s := start(t)
	pods := s.client(t, protobuf).CoreV1().Pods("")
	s.apply(t, pod("a", "x", ""), pod("a", "y", ""))
	w, err := pods.Watch(t.Context(), metav1.ListOptions{
		SendInitialEvents: new(true), AllowWatchBookmarks: true, ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	if diff := cmp.Diff([]string{"ADDED x ", "ADDED y "}, describe(t, w, 2)); diff != "" {
		t.Errorf("initial events (-want +got):\n%s", diff)
	}
	mark := next(t, w)
	end, ok := mark.Object.(*corev1.Pod)
	if !ok || mark.Type != watch.Bookmark || end.Annotations[metav1.InitialEventsAnnotationKey] != "true" || end.Name != "" {
		t.Fatalf("%s %+v, not the mark of the end", mark.Type, mark.Object)
	}
	s.apply(t, pod("a", "z", ""))
	if diff := cmp.Diff([]string{"ADDED z "}, describe(t, w, 1)); diff != "" {
		t.Errorf("then (-want +got):\n%s", diff)
	}

	list, err := pods.List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = pods.List(t.Context(), metav1.ListOptions{ResourceVersion: list.ResourceVersion + "0"})
	if !apierrors.IsTimeout(err) || !apierrors.HasStatusCause(err, metav1.CauseTypeResourceVersionTooLarge) {
		t.Errorf("a version that is to come: %v", err)
	}
}

// TestBookmarks tell of versions in which nothing that is watched changed.
func TestBookmarks(t *testing.T) {
	s := start(t, func(c *kubesim.Config) { c.BookmarkEvery = time.Millisecond })
	client := s.client(t, protobuf).CoreV1()
	s.apply(t, pod("a", "x", ""))
	list, err := client.Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w, err := client.Nodes().Watch(t.Context(), metav1.ListOptions{ResourceVersion: list.ResourceVersion, AllowWatchBookmarks: true})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	s.apply(t, pod("a", "y", ""))
	latest, err := client.Pods("a").Get(t.Context(), "y", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for {
		e := next(t, w)
		node, ok := e.Object.(*corev1.Node)
		if !ok || e.Type != watch.Bookmark {
			t.Fatalf("%s of a %T", e.Type, e.Object)
		}
		if node.ResourceVersion == latest.ResourceVersion {
			return
		}
	}
}

func TestAVersionThatIsTooOld(t *testing.T) {
	s := start(t)
	pods := s.client(t, protobuf).CoreV1().Pods("")
	s.apply(t, pod("a", "x", ""))
	list, err := pods.List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s.apply(t, pod("a", "y", ""))
	s.Forget()
	w, err := pods.Watch(t.Context(), metav1.ListOptions{ResourceVersion: list.ResourceVersion})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	e := next(t, w)
	if err := apierrors.FromObject(e.Object); e.Type != watch.Error || !apierrors.IsResourceExpired(err) {
		t.Errorf("%s: %v", e.Type, err)
	}
}

// TestHistory: what is kept is enough for a watch that is History behind, no more than
// twice of it is kept.
func TestHistory(t *testing.T) {
	const history = 10
	s := start(t, func(c *kubesim.Config) { c.History = history })
	pods := s.client(t, protobuf).CoreV1().Pods("")
	var versions []string
	for i := range 5 * history {
		list, err := pods.List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		versions = append(versions, list.ResourceVersion)
		s.apply(t, pod("a", fmt.Sprintf("pod-%02d", i), ""))
	}
	kept := slices.IndexFunc(versions, func(v string) bool {
		w, err := pods.Watch(t.Context(), metav1.ListOptions{ResourceVersion: v})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Stop()
		return next(t, w).Type != watch.Error
	})
	if behind := len(versions) - kept; kept < 0 || behind < history || behind > 2*history {
		t.Errorf("a watch can begin %d changes back, want %d to %d", behind, history, 2*history)
	}
}

func TestPages(t *testing.T) {
	s := start(t)
	pods := s.client(t, protobuf).CoreV1().Pods("")
	var want []string
	for i := range 7 {
		s.apply(t, pod(fmt.Sprintf("n%d", i/4), fmt.Sprintf("p%d", i), ""))
		want = append(want, fmt.Sprintf("n%d/p%d", i/4, i))
	}
	var got []string
	opts := metav1.ListOptions{Limit: 3}
	for {
		list, err := pods.List(t.Context(), opts)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, names(list.Items)...)
		rest := int64(0)
		if list.RemainingItemCount != nil {
			rest = *list.RemainingItemCount
		}
		if rest != int64(len(want)-len(got)) {
			t.Errorf("%d of %d read, %d are said to remain", len(got), len(want), rest)
		}
		if list.Continue == "" {
			break
		}
		opts.Continue = list.Continue
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pages (-want +got):\n%s", diff)
	}
	s.apply(t, pod("n0", "later", ""))
	if _, err := pods.List(t.Context(), opts); !apierrors.IsResourceExpired(err) {
		t.Errorf("a page of a list that has changed: %v", err)
	}
}

func TestMetadataOnly(t *testing.T) {
	s := start(t)
	client, err := metadata.NewForConfigAndClient(s.config(t), httpClient(t))
	if err != nil {
		t.Fatal(err)
	}
	s.apply(t, pod("a", "x", "node-1"))
	pods := client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "pods"})
	one, err := pods.Namespace("a").Get(t.Context(), "x", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	list, err := pods.List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Items) != 1 || list.Items[0].Name != "x" || list.Items[0].UID != one.UID || one.Labels["app"] != "x" {
		t.Errorf("list %+v, one %+v", list.Items, one.ObjectMeta)
	}
	w, err := pods.Watch(t.Context(), metav1.ListOptions{ResourceVersion: list.ResourceVersion})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	s.apply(t, pod("a", "y", ""))
	if p, ok := next(t, w).Object.(*metav1.PartialObjectMetadata); !ok || p.Name != "y" {
		t.Errorf("%T %+v", p, p)
	}
}

// TestWatchesMissNothing while several write at once.
func TestWatchesMissNothing(t *testing.T) {
	s := start(t)
	const writers, writes = 4, 50
	events := make([]watch.Interface, 3)
	for i := range events {
		w, err := s.client(t, protobuf).CoreV1().Pods("").Watch(t.Context(), metav1.ListOptions{ResourceVersion: "1"})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Stop()
		events[i] = w
	}
	var group sync.WaitGroup
	for i := range writers {
		group.Go(func() {
			for j := range writes {
				if err := s.Apply(pod("a", strconv.Itoa(i), strconv.Itoa(j))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	var first []string
	for i, w := range events {
		got := describe(t, w, writers*writes)
		if i == 0 {
			first = got
		}
		if diff := cmp.Diff(first, got); diff != "" {
			t.Errorf("two watches (-one +other):\n%s", diff)
		}
	}
	last := map[string]int{}
	for _, line := range first {
		var kind, name string
		var n int
		if _, err := fmt.Sscan(line, &kind, &name, &n); err != nil {
			t.Fatal(err)
		}
		if n != last[name] || (kind == "ADDED") != (n == 0) {
			t.Fatalf("%s after %d", line, last[name])
		}
		last[name]++
	}
}

func TestLeases(t *testing.T) {
	for _, contentType := range []string{jsonType, protobuf} {
		t.Run(contentType, func(t *testing.T) {
			s := start(t)
			leases := s.client(t, contentType).CoordinationV1().Leases("kube-system")
			lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: "agent"}, Spec: coordinationv1.LeaseSpec{HolderIdentity: new("one")}}
			if _, err := leases.Update(t.Context(), lease, metav1.UpdateOptions{}); !apierrors.IsNotFound(err) {
				t.Errorf("update of none: %v", err)
			}
			made, err := leases.Create(t.Context(), lease, metav1.CreateOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := leases.Create(t.Context(), lease, metav1.CreateOptions{}); !apierrors.IsAlreadyExists(err) {
				t.Errorf("a second one: %v", err)
			}
			made.Spec.HolderIdentity = new("two")
			updated, err := leases.Update(t.Context(), made, metav1.UpdateOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := leases.Update(t.Context(), made, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
				t.Errorf("an update of what was updated: %v", err)
			}
			got, err := leases.Get(t.Context(), "agent", metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(updated, got); diff != "" || *got.Spec.HolderIdentity != "two" || got.UID != made.UID || got.UID == "" {
				t.Errorf("%+v (-updated +got):\n%s", got, diff)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	s := start(t)
	s.apply(t, pod("a", "x", ""))
	client := httpClient(t)
	for _, test := range []struct {
		method, path, accept, body string
		code                       int
	}{
		{method: "GET", path: "/api/v1/nodes", code: 200},
		{method: "GET", path: "/api/v1/nodes", accept: "*/*", code: 200},
		{method: "GET", path: "/api/v1/nodes", accept: "application/json;as=Table;v=v1;g=meta.k8s.io,application/json", code: 200},
		{method: "GET", path: "/api/v1/nodes", accept: "text/html", code: 406},
		{method: "GET", path: "/api/v1/nodes/none", code: 404},
		{method: "GET", path: "/api/v1/namespaces/a/pods/y", code: 404},
		{method: "GET", path: "/api/v1/gadgets", code: 404},
		{method: "GET", path: "/", code: 404},
		{method: "POST", path: "/api/v1/namespaces/a/pods", body: `{}`, code: 405},
		{method: "DELETE", path: "/api/v1/namespaces/a/pods/x", code: 405},
		{method: "PATCH", path: "/apis/coordination.k8s.io/v1/namespaces/a/leases/x", body: `{}`, code: 405},
		{method: "POST", path: "/apis/coordination.k8s.io/v1/leases", body: `{}`, code: 405},
		{method: "POST", path: "/apis/coordination.k8s.io/v1/namespaces/a/leases", body: `{}`, code: 400},
		{method: "POST", path: "/apis/coordination.k8s.io/v1/namespaces/a/leases", body: `nonsense`, code: 400},
		// No more than is read: who still sends may not hear what is answered.
		{method: "POST", path: "/apis/coordination.k8s.io/v1/namespaces/a/leases", body: strings.Repeat("x", 64<<10+1), code: 400},
		{method: "POST", path: "/apis/coordination.k8s.io/v1/namespaces/a/leases", body: `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"x"}}`, code: 400},
		{method: "POST", path: "/apis/coordination.k8s.io/v1/namespaces/a/leases", body: `{"metadata":{"name":"x","namespace":"b"}}`, code: 400},
		{method: "GET", path: "/api/v1/pods?labelSelector=app%3Dx", code: 400},
		{method: "GET", path: "/api/v1/pods?limit=-1", code: 400},
		{method: "GET", path: "/api/v1/pods?limit=x", code: 400},
		{method: "GET", path: "/api/v1/pods?continue=x", code: 400},
		{method: "GET", path: "/api/v1/pods?resourceVersion=x", code: 400},
		{method: "GET", path: "/api/v1/pods?watch=1&sendInitialEvents=true", code: 400},
	} {
		req, err := http.NewRequestWithContext(t.Context(), test.method, "http://"+s.address+test.path, strings.NewReader(test.body))
		if err != nil {
			t.Fatal(err)
		}
		if test.accept != "" {
			req.Header.Set("Accept", test.accept)
		}
		answer := do(t, client, req)
		if answer.code != test.code || test.code >= 300 && (answer.Kind != "Status" || answer.Code != test.code || answer.Message == "") {
			t.Errorf("%s %s: %+v, want %d", test.method, test.path, answer, test.code)
		}
	}
}

func TestConfig(t *testing.T) {
	for _, listen := range []string{"", "127.0.0.1", "0.0.0.0:0", ":0", "example.com:80"} {
		if _, err := kubesim.New(kubesim.Config{Listen: listen}); err == nil {
			t.Errorf("it would listen on %q", listen)
		}
	}
	s := start(t)
	if err := s.Apply(pod("", "x", "")); err == nil {
		t.Error("a pod without a namespace")
	}
	if err := s.Apply(&corev1.PodTemplate{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "x"}}); err == nil {
		t.Error("a kind that is not simulated")
	}
}
