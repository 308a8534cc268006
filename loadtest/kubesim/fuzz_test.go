package kubesim

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// FuzzRequest: whatever is sent is answered, and an error is a Status.
func FuzzRequest(f *testing.F) {
	const leases = "/apis/coordination.k8s.io/v1/namespaces/a/leases"
	f.Add("GET", "/api/v1/pods", "limit=1", "application/json", "")
	f.Add("GET", "/api/v1/pods", "limit=1&continue=eyJ2IjoyLCJhIjp7fX0", "", "")
	f.Add("GET", "/api/v1/pods", "watch=1&resourceVersion=0&allowWatchBookmarks=1&sendInitialEvents=1&resourceVersionMatch=NotOlderThan", "*/*", "")
	f.Add("GET", "/api/v1/namespaces/a/pods/x", "", "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1", "")
	f.Add("POST", leases, "", "", `{"metadata":{"name":"x"},"spec":{"holderIdentity":"y"}}`)
	f.Add("PUT", leases+"/x", "", "", "k8s\x00\x0a")
	f.Fuzz(func(t *testing.T, method, path, query, accept, body string) {
		s, err := New(Config{Listen: "127.0.0.1:0"})
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"x", "y"} {
			if err := s.Apply(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: name}}); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // a watch ends after what there is
		req, err := http.NewRequestWithContext(ctx, method, "http://127.0.0.1/", strings.NewReader(body))
		if err != nil {
			return
		}
		req.URL = &url.URL{Path: "/" + strings.TrimPrefix(path, "/"), RawQuery: query}
		req.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		s.handler().ServeHTTP(w, req)
		var status metav1.Status
		if w.Code >= http.StatusBadRequest {
			if err := json.Unmarshal(w.Body.Bytes(), &status); err != nil || status.Kind != "Status" || int(status.Code) != w.Code {
				t.Errorf("%d: %q: %v", w.Code, w.Body, err)
			}
		}
	})
}
