package api_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/atlhyper/observe/master/api"
	"github.com/atlhyper/observe/master/dispatch"
	"github.com/atlhyper/observe/master/peer"
)

// Every answer says what browsers shall not do with it, also one that is none.
func TestEveryAnswerIsProtected(t *testing.T) {
	t.Parallel()
	b := detailed(t)
	b.do = func(context.Context, dispatch.Request) ([]byte, error) { panic("boom") }
	a := guarded(t, b, func(c *api.Config) {
		c.ServeMetrics = promhttp.HandlerFor(prometheus.NewRegistry(), promhttp.HandlerOpts{})
	})
	tag := do(t, a, http.MethodGet, servicesURL, as("alice")).Header().Get("ETag")
	cached := as("alice")
	cached.Set("If-None-Match", tag)
	for _, c := range []struct {
		method, path string
		header       http.Header
		status       int
	}{
		{http.MethodGet, servicesURL, as("alice"), 200},
		{http.MethodGet, servicesURL, cached, 304},
		{http.MethodHead, servicesURL, as("alice"), 200},
		{http.MethodGet, "/api/v2/clusters", as("alice"), 200},
		{http.MethodGet, "/healthz", nil, 200},
		{http.MethodGet, "/metrics", as("alice"), 200},
		{http.MethodGet, servicesURL, nil, 401},
		{http.MethodGet, tracesURL + "a", as("vera"), 403},
		{http.MethodGet, servicesURL, as("bob"), 404},
		{http.MethodGet, "/nothing", nil, 404},
		{http.MethodPut, "/healthz", nil, 405},
		{http.MethodOptions, servicesURL, nil, 405},
		{http.MethodGet, "/healthz?" + strings.Repeat("x", api.MaxURL), nil, 400},
		{http.MethodGet, tracesURL + "a", as("alice"), 500},
	} {
		w := do(t, a, c.method, c.path, c.header)
		if w.Code != c.status {
			t.Errorf("%s %.40s: %d, want %d", c.method, c.path, w.Code, c.status)
		}
		for name, want := range map[string]string{
			"X-Content-Type-Options":       "nosniff",
			"Content-Security-Policy":      "default-src 'none'; frame-ancestors 'none'",
			"Referrer-Policy":              "no-referrer",
			"Cross-Origin-Resource-Policy": "same-origin",
			"Strict-Transport-Security":    "",
			"Access-Control-Allow-Origin":  "",
		} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s %.40s: %s is %q, want %q", c.method, c.path, name, got, want)
			}
		}
	}
}

// What one caller may see is not another's, so no cache between may share it.
func TestAnswersBelongToTheirCaller(t *testing.T) {
	t.Parallel()
	w := do(t, guarded(t, detailed(t), func(*api.Config) {}), http.MethodGet, servicesURL, as("alice"))
	if vary, control := w.Header().Get("Vary"), w.Header().Get("Cache-Control"); vary != "Accept-Encoding, Authorization, Cookie" || control != "private, no-cache" {
		t.Errorf("Vary %q, Cache-Control %q", vary, control)
	}
}

func TestStrictTransport(t *testing.T) {
	t.Parallel()
	proxies, err := peer.ParseProxies([]string{"192.0.2.1"})
	if err != nil {
		t.Fatal(err)
	}
	a := guarded(t, detailed(t), func(c *api.Config) { c.Proxies = proxies })
	for _, c := range []struct {
		remote, proto string
		want          bool
	}{
		{"192.0.2.1:1", "https", true}, {"192.0.2.1:1", "http", false}, {"192.0.2.1:1", "", false}, {"192.0.2.2:1", "https", false},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/healthz", nil)
		r.RemoteAddr = c.remote
		r.Header.Set("X-Forwarded-Proto", c.proto)
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		if got := w.Header().Get("Strict-Transport-Security") != ""; got != c.want {
			t.Errorf("%+v: %v", c, w.Header())
		}
	}
}

const page = "https://dash.example.org"

func shared(t *testing.T) *api.API {
	t.Helper()
	return guarded(t, detailed(t), func(c *api.Config) { c.Origins = []string{page, "http://localhost:3000"} })
}

func TestPagesOfAllowedOriginsMayRead(t *testing.T) {
	t.Parallel()
	a := shared(t)
	for origin, want := range map[string]string{
		page: page, "http://localhost:3000": "http://localhost:3000",
		"https://evil.example.org": "", "http://dash.example.org": "", page + ".evil.org": "", page + ":443": "", "null": "", "": "",
	} {
		header := as("alice")
		header.Set("Origin", origin)
		for _, path := range []string{servicesURL, tracesURL + "a", "/healthz"} {
			w := do(t, a, http.MethodGet, path, header)
			h := w.Header()
			if w.Code != 200 || h.Get("Access-Control-Allow-Origin") != want || (h.Get("Access-Control-Allow-Credentials") == "true") != (want != "") {
				t.Errorf("%s from %q: %d %v", path, origin, w.Code, h)
			}
			if path == servicesURL && h.Get("Vary") != "Accept-Encoding, Authorization, Cookie, Origin" {
				t.Errorf("%s from %q: Vary %q", path, origin, h.Get("Vary"))
			}
		}
	}
	// A page must be able to read why it was refused, too.
	w := do(t, a, http.MethodGet, servicesURL, http.Header{"Origin": {page}})
	if w.Code != 401 || w.Header().Get("Access-Control-Allow-Origin") != page {
		t.Errorf("a refusal: %d %v", w.Code, w.Header())
	}
	w = do(t, a, http.MethodGet, servicesURL, http.Header{"Origin": {page, page}})
	if w.Header().Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("two origins: %v", w.Header())
	}
}

func TestPreflight(t *testing.T) {
	t.Parallel()
	a := shared(t)
	for _, c := range []struct {
		path, origin, method string
		status               int
	}{
		{"/api/v2/observe/logs/query", page, "POST", 204},
		{servicesURL, page, "GET", 204},
		{"/api/v2/pods/a/b", page, "GET", 204},
		{"/nothing", page, "GET", 404},
		{servicesURL, "https://evil.example.org", "GET", 405},
		{servicesURL, page, "", 405}, // an OPTIONS that is no preflight
	} {
		header := http.Header{"Origin": {c.origin}}
		if c.method != "" {
			header.Set("Access-Control-Request-Method", c.method)
		}
		w := do(t, a, http.MethodOptions, c.path, header)
		h := w.Header()
		if w.Code != c.status {
			t.Errorf("%+v: %d %s", c, w.Code, w.Body)
		}
		if c.status != 204 {
			if h.Get("Access-Control-Allow-Methods") != "" {
				t.Errorf("%+v: %v", c, h)
			}
			continue
		}
		if w.Body.Len() != 0 || h.Get("Access-Control-Allow-Origin") != page || !strings.Contains(h.Get("Access-Control-Allow-Methods"), c.method) ||
			!strings.Contains(h.Get("Access-Control-Allow-Headers"), "Authorization") || !strings.Contains(h.Get("Vary"), "Origin") {
			t.Errorf("%+v: %v", c, h)
		}
	}
}

func TestOriginsThatAreNone(t *testing.T) {
	t.Parallel()
	for _, origin := range []string{
		"*", "null", "", "dash.example.org", "https://", "https://*.example.org", "https://Dash.example.org", page + "/", page + "/x", page + "?x",
		"ftp://dash.example.org", page + "#x", "https://a:b@dash.example.org", page + ":", page + ", " + page, "//dash.example.org",
	} {
		_, err := api.New(api.Config{
			Dashboards: &backend{}, Details: &backend{}, Ready: func(context.Context) error { return errors.New("not asked") }, Now: clocks,
			Origins: []string{origin}, Logger: slog.New(slog.DiscardHandler),
		})
		if err == nil {
			t.Errorf("%q was accepted", origin)
		}
	}
}
