package admin_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/atlhyper/observe/shared/admin"
)

// A probe is answered whatever the metrics are busy with; nothing else is served.
func TestOnPath(t *testing.T) {
	t.Parallel()
	busy := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	handler := admin.OnPath(busy)
	for request, want := range map[string]int{
		"GET /metrics":   http.StatusServiceUnavailable,
		"GET /healthz":   http.StatusNoContent,
		"HEAD /healthz":  http.StatusNoContent,
		"POST /healthz":  http.StatusMethodNotAllowed,
		"GET /":          http.StatusNotFound,
		"GET /healthz/x": http.StatusNotFound,
	} {
		method, path, _ := strings.Cut(request, " ")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(method, path, nil))
		if w.Code != want {
			t.Errorf("%s: %d, want %d", request, w.Code, want)
		}
	}
}
