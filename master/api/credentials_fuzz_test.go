package api_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/atlhyper/observe/master/api"
)

// Whatever stands in the headers that credentials come in, the answer is one of four, and
// only a token that the file has is let in, once and whole.
func FuzzCredentials(f *testing.F) {
	good := tokenOf("operator-a")
	for _, seed := range []string{"", "Bearer " + good, "bearer\t" + good, "Basic Og==", "Bearer " + good + ",", "Bearer \x00", "Bearer =", "Bearer a=b"} {
		f.Add(seed, "__Host-atlhyper_session="+good)
		f.Add(seed, `__Host-atlhyper_session="`+good+`"; atlhyper_session=x`)
	}
	a := closed(f, world(f), nil)
	f.Fuzz(func(t *testing.T, authorization, cookie string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v2/session", nil)
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		r.Header.Set("Cookie", cookie)
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		switch w.Code {
		case http.StatusUnauthorized:
		case http.StatusOK:
			presented := authorization
			if presented == "" {
				presented = cookie
			}
			if !strings.Contains(presented, tokenOf("")) {
				t.Errorf("%q, %q: let in", authorization, cookie)
			}
		default:
			t.Errorf("%q, %q: %d %s", authorization, cookie, w.Code, w.Body)
		}
	})
}

// A query string that a parser finds a token in never gets through, however it is written.
func FuzzCredentialsInURLs(f *testing.F) {
	for _, seed := range []string{"token=x", "a=b&access_token=x", "%74oken=x", "t%6Fken", "cluster_id=a-1", "q=token", "a&&token", "token;x", "to+ken=x", "%zz=1&token=2"} {
		f.Add(seed)
	}
	a := closed(f, world(f), func(c *api.Config) { c.Access = nil })
	f.Fuzz(func(t *testing.T, query string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/healthz", nil)
		r.URL.RawQuery = query
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		values, _ := url.ParseQuery(query) // what it could read counts
		for name := range values {
			if strings.EqualFold(name, "token") || strings.EqualFold(name, "access_token") {
				if w.Code != http.StatusBadRequest {
					t.Errorf("%q: %d", query, w.Code)
				}
			}
		}
	})
}
