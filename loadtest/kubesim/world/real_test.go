package world_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"

	"github.com/atlhyper/observe/agent/kube/kubetest"
)

var withServer = flag.Bool("kube", false, "run the tests that need an API server; see make test-kube")

// realServer starts a real API server; without -kube the test is skipped.
func realServer(t *testing.T) *kubetest.Server {
	t.Helper()
	if !*withServer {
		t.Skip("make test-kube runs it")
	}
	server, err := kubetest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	return server
}

// TestARealAPIServer accepts each object of the worlds, and answers requests as the
// simulated one does.
func TestARealAPIServer(t *testing.T) {
	server := realServer(t)
	t.Run("accepts what the worlds are made of", func(t *testing.T) { testAccepted(t, server) })
	t.Run("answers alike", func(t *testing.T) { testAlike(t, server) })
}

// testAccepted validates the objects of one moment after the other.
func testAccepted(t *testing.T, server *kubetest.Server) { //nolint:thelper // the body of a subtest
	client, err := dynamic.NewForConfig(server.Admin())
	if err != nil {
		t.Fatal(err)
	}
	checked := make(map[string]bool)
	for number, name := range []string{"demo-east", "demo-west"} {
		w := newWorld(t, name, uint8(number), 7)
		for _, d := range []time.Duration{0, 75 * time.Second, 4*time.Minute + 30*time.Second, 20 * time.Minute} {
			objects := w.At(start().Add(d))
			for _, ns := range of[*corev1.Namespace](t, objects) {
				ns.UID = ""
				_, err := server.Client(t).CoreV1().Namespaces().Create(t.Context(), ns, metav1.CreateOptions{})
				if err != nil && !apierrors.IsAlreadyExists(err) {
					t.Fatal(err)
				}
			}
			for _, object := range objects {
				if err := accept(t.Context(), client, object, checked); err != nil {
					t.Errorf("%s after %s: %v", name, d, err)
				}
			}
		}
	}
	if len(checked) < 300 {
		t.Errorf("%d objects were validated", len(checked))
	}
}

// accept validates the object, once; what a real API server has itself is no error.
func accept(ctx context.Context, client dynamic.Interface, object runtime.Object, checked map[string]bool) error {
	kinds, _, err := scheme.Scheme.ObjectKinds(object)
	if err != nil {
		return err
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		return err
	}
	u := unstructuredOf(content, kinds[0])
	key := fmt.Sprint(kinds[0].Kind, u.GetNamespace(), u.GetName())
	if checked[key] {
		return nil
	}
	checked[key] = true
	resource, _ := meta.UnsafeGuessKindToResource(kinds[0])
	u.SetUID("")
	u.SetOwnerReferences(nil) // they are not there
	if ip, _, err := unstructured.NestedString(content, "spec", "clusterIP"); err == nil && ip != corev1.ClusterIPNone {
		unstructured.RemoveNestedField(content, "spec", "clusterIP") // of another range
	}
	_, err = client.Resource(resource).Namespace(u.GetNamespace()).Create(ctx, u, metav1.CreateOptions{
		DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict,
	})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}

// testAlike compares the form of answers: status, type, kind, what a failure says for
// programs, and which fields and kinds of events there are.
func testAlike(t *testing.T, server *kubetest.Server) { //nolint:thelper // the body of a subtest
	sim, address := serve(t)
	w := newWorld(t, "demo-east", 0, 7)
	if err := w.Step(sim, start(), make(map[string]runtime.Object)); err != nil {
		t.Fatal(err)
	}
	simulated := &rest.Config{Host: "http://" + address}
	sim.Forget()
	const partial = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
	const leases = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
	for _, r := range []request{
		{path: "/api/v1/namespaces/kube-system"},
		{path: "/api/v1/namespaces/kube-system", accept: partial},
		{path: "/api/v1/namespaces/none"},
		{path: "/api/v1/namespaces"},
		{path: "/api/v1/namespaces", accept: "application/vnd.kubernetes.protobuf"},
		{path: "/api/v1/namespaces", accept: "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"},
		{path: "/api/v1/namespaces?limit=1"},
		{path: "/api/v1/namespaces?limit=x"},
		{path: "/api/v1/namespaces?continue=x"},
		{path: "/api/v1/namespaces?resourceVersion=x"},
		{path: "/api/v1/namespaces?resourceVersion=99999999"},
		{path: "/api/v1/namespaces/default/gadgets"},
		{method: "POST", path: leases, body: `{"metadata":{"name":"agent"},"spec":{"holderIdentity":"one"}}`},
		{method: "POST", path: leases, body: `{"metadata":{"name":"agent"},"spec":{"holderIdentity":"one"}}`},
		{method: "POST", path: leases, body: `nonsense`},
		{method: "PUT", path: leases + "/agent", body: `{"metadata":{"name":"agent","resourceVersion":"1"},"spec":{"holderIdentity":"two"}}`},
		{method: "PUT", path: leases + "/agent", body: `{"metadata":{"name":"other"}}`},
		{path: leases + "/agent"},
		{path: leases + "/none"},
	} {
		alike(t, server.Admin(), simulated, r)
	}
	// Side by side, since each lasts as long as a busy machine may take to send what there is.
	const watch = "/api/v1/namespaces?watch=1&timeoutSeconds=8"
	for _, r := range []request{
		{path: watch + "&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan"},
		{path: watch + "&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan", accept: partial},
		{path: watch, accept: "application/vnd.kubernetes.protobuf"},
		{path: watch + "&resourceVersion=0"},
	} {
		t.Run("watch", func(t *testing.T) {
			t.Parallel()
			alike(t, server.Admin(), simulated, r)
		})
	}
}

// alike asks both servers.
func alike(t *testing.T, actual, simulated *rest.Config, r request) {
	t.Helper()
	want, got := ask(t, actual, r), ask(t, simulated, r)
	if slices.Equal(want.Events, []string{"ERROR Status InternalError"}) {
		t.Logf("%s: not with this etcd, which lacks RequestWatchProgress", r.path)
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s %s as %q (-real +simulated):\n%s", r.method, r.path, r.accept, diff)
	}
}

type request struct{ method, path, accept, body string }

// answered is the form of an answer.
type answered struct {
	Code        int
	ContentType string
	Fields      []string // of the body, and of its metadata
	Reason      string   // of a failure
	Events      []string // kinds of those of a watch
}

func ask(t *testing.T, api *rest.Config, r request) answered {
	t.Helper()
	client, err := rest.HTTPClientFor(api)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	base, err := url.Parse(api.Host)
	if err != nil {
		t.Fatal(err)
	}
	if base.Scheme == "" {
		base = &url.URL{Scheme: "https", Host: api.Host}
	}
	req, err := http.NewRequestWithContext(t.Context(), or(r.method, http.MethodGet), strings.TrimSuffix(base.String(), "/")+r.path, strings.NewReader(r.body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", or(r.accept, "application/json"))
	if r.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return formOf(t, res, data)
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func formOf(t *testing.T, res *http.Response, data []byte) answered {
	t.Helper()
	out := answered{Code: res.StatusCode, ContentType: res.Header.Get("Content-Type")}
	if strings.Contains(out.ContentType, "protobuf") {
		return out
	}
	seen := make(map[string]bool)
	for line := range strings.Lines(string(data)) {
		var o map[string]any
		if err := decodeJSON(line, &o); err != nil {
			return out // no JSON: the code has to do
		}
		if event, ok := o["type"].(string); ok && o["object"] != nil {
			object, isObject := o["object"].(map[string]any)
			if !isObject {
				t.Fatalf("an event without an object: %s", line)
			}
			if kind := fmt.Sprint(event, " ", object["kind"], " ", object["reason"]); !slices.Contains(out.Events, kind) {
				out.Events = append(out.Events, kind)
			}
			continue
		}
		if reason, ok := o["reason"].(string); ok {
			out.Reason = reason
		}
		for field := range o {
			seen[field] = true
		}
		if o["kind"] == "Status" {
			delete(seen, "details") // causes are of use to nobody here
			continue
		}
		metadata, ok := o["metadata"].(map[string]any)
		if !ok {
			continue
		}
		for field := range metadata {
			seen["metadata."+field] = true
		}
		delete(seen, "metadata.managedFields") // who wrote what is not simulated
		delete(seen, "metadata.annotations")
		delete(seen, "metadata.labels")
	}
	out.Fields = slices.Sorted(maps.Keys(seen))
	return out
}

func unstructuredOf(content map[string]any, kind schema.GroupVersionKind) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: content}
	u.SetGroupVersionKind(kind)
	return u
}

func decodeJSON(text string, into any) error { return json.Unmarshal([]byte(text), into) }
