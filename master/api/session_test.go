package api_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/atlhyper/observe/master/access"
	"github.com/atlhyper/observe/master/api"
	"github.com/atlhyper/observe/master/envelope"
	"github.com/atlhyper/observe/master/peer"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
)

// patience is how long a stream may go on that has to end: no test that passes comes near.
const patience = 2 * time.Minute

const sessionURL = "/api/v2/session"

type sessionBody struct {
	Auth, Name, Role string
	Clusters         []string
	Grants           []struct {
		Role     string
		Clusters []string
	}
	Expires string
}

func readSession(t *testing.T, w *httptest.ResponseRecorder) sessionBody {
	t.Helper()
	var body struct{ Data sessionBody }
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || w.Code != http.StatusOK {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	return body.Data
}

func TestSessionSaysWhoOneIs(t *testing.T) {
	t.Parallel()
	grants := func(role string, globs ...string) []struct {
		Role     string
		Clusters []string
	} {
		return []struct {
			Role     string
			Clusters []string
		}{{role, globs}}
	}
	a := closed(t, world(t), nil)
	want := sessionBody{Auth: "tokens", Name: "operator-a", Role: "operator", Clusters: []string{"a-*"}, Grants: grants("operator", "a-*")}
	w := do(t, a, http.MethodGet, sessionURL, bearer("operator-a"))
	if diff := cmp.Diff(want, readSession(t, w)); diff != "" || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%v, -want +got\n%s", w.Header(), diff)
	}
	open := closed(t, world(t), func(c *api.Config) { c.Access = access.None{} })
	want = sessionBody{Auth: "none", Name: "anyone", Role: "operator", Clusters: []string{"*"}, Grants: grants("operator", "*")}
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		w := do(t, open, method, sessionURL, bearer("made-up"))
		if diff := cmp.Diff(want, readSession(t, w)); diff != "" || w.Header()["Set-Cookie"] != nil {
			t.Errorf("%s: %v, -want +got\n%s", method, w.Header(), diff)
		}
	}
}

// mayExpire lets everyone in until a time.
type mayExpire struct {
	mu      sync.Mutex
	expires time.Time
	err     error
	caller  *access.Caller // nil: one who sees all
}

func (m *mayExpire) Mode() access.Mode { return access.ModeTokens }

func (m *mayExpire) Authenticate(context.Context, string) (*access.Caller, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return nil, m.err
	}
	if m.caller != nil {
		return m.caller, nil
	}
	return access.NewCaller("x", m.expires, access.Grant{Role: access.Viewer, Clusters: access.AllClusters()}), nil
}

func (m *mayExpire) set(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = err
}

func (m *mayExpire) become(caller *access.Caller) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.caller = caller
}

// The cookie is what browsers guard best: no script reads it, no other page sends it, and
// it goes by TLS only, unless they ask their own machine.
func TestSessionCookie(t *testing.T) {
	t.Parallel()
	who := &mayExpire{}
	a := closed(t, world(t), func(c *api.Config) { c.Access = who })
	cookie := func(change func(*http.Request)) *http.Cookie {
		t.Helper()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, sessionURL, nil)
		r.Header.Set("Authorization", "bearer  "+tokenOf("x"))
		change(r)
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		cookies := w.Result().Cookies()
		if w.Code != http.StatusOK || len(cookies) != 1 {
			t.Fatalf("%d %v %s", w.Code, w.Header(), w.Body)
		}
		return cookies[0]
	}
	host := func(name string) func(*http.Request) { return func(r *http.Request) { r.Host = name } }
	secure := &http.Cookie{
		Name: "__Host-atlhyper_session", Value: tokenOf("x"), Path: "/", MaxAge: 12 * 3600,
		Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode,
	}
	plain := *secure
	plain.Name, plain.Secure = "atlhyper_session", false
	for what, c := range map[string]struct {
		change func(*http.Request)
		want   *http.Cookie
	}{
		"a name":              {host("dash.example.org"), secure},
		"localhost":           {host("localhost:8080"), &plain},
		"127.0.0.1":           {host("127.0.0.1:8080"), &plain},
		"localhost by TLS":    {func(r *http.Request) { r.Host, r.TLS = "localhost", &tls.ConnectionState{} }, secure},
		"localhost, by proxy": {func(r *http.Request) { r.Host = "localhost"; r.Header.Set("X-Forwarded-Proto", "https") }, secure},
	} {
		if diff := cmp.Diff(c.want, cookie(c.change), cmpopts.IgnoreFields(http.Cookie{}, "Raw")); diff != "" {
			t.Errorf("%s: -want +got\n%s", what, diff)
		}
	}
	proxies, err := peer.ParseProxies([]string{"10.0.0.0/8"})
	if err != nil {
		t.Fatal(err)
	}
	direct := a
	a = closed(t, world(t), func(c *api.Config) { c.Access, c.Proxies = who, proxies })
	if diff := cmp.Diff(secure, cookie(host("127.0.0.1:8080")), cmpopts.IgnoreFields(http.Cookie{}, "Raw")); diff != "" {
		t.Errorf("behind a proxy that asks 127.0.0.1: -want +got\n%s", diff)
	}
	a = direct
	who.expires = time.Now().Add(time.Hour)
	if c := cookie(host("dash.example.org")); c.MaxAge < 1 || c.MaxAge > 3600 {
		t.Errorf("of a token that ends in an hour, the session ends in %d s", c.MaxAge)
	}
	who.expires = time.Now()
	if c := cookie(host("dash.example.org")); c.MaxAge != 1 {
		t.Errorf("of a token that ends now, the session ends in %d s", c.MaxAge)
	}
	w := do(t, a, http.MethodPost, sessionURL, http.Header{"Authorization": {"Bearer " + strings.Repeat("x", 4001)}})
	if f := readFailure(t, w); w.Code != http.StatusBadRequest || !strings.Contains(f.Error, "4000 bytes") {
		t.Errorf("a token that fits in no cookie: %d %v", w.Code, f)
	}
}

// A browser opens a session, uses and ends it.
func TestSessionOfABrowser(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(closed(t, world(t), nil))
	defer server.Close()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := server.Client()
	browser.Jar = jar
	send := func(method, path string, header http.Header) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if header != nil {
			r.Header = header
		}
		resp, err := browser.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Error(err)
		}
		if err := resp.Body.Close(); err != nil {
			t.Error(err)
		}
		return resp.StatusCode
	}
	dash := "/api/v2/observe/metrics/nodes?cluster_id="
	for _, step := range []struct {
		what, method, path string
		header             http.Header
		want               int
	}{
		{"no session", http.MethodGet, dash + "a-1", nil, 401},
		{"a session for a bad token", http.MethodPost, sessionURL, bearer("nobody"), 401},
		{"a session without a token", http.MethodPost, sessionURL, nil, 401},
		{"still no session", http.MethodGet, dash + "a-1", nil, 401},
		{"a session", http.MethodPost, sessionURL, bearer("operator-a"), 200},
		{"a dashboard", http.MethodGet, dash + "a-1", nil, 200},
		{"another one's cluster", http.MethodGet, dash + "b-1", nil, 404},
		{"the header counts", http.MethodGet, dash + "b-1", bearer("operator-b"), 200},
		{"also a bad one", http.MethodGet, dash + "a-1", bearer("nobody"), 401},
		{"and one that is none", http.MethodGet, dash + "a-1", http.Header{"Authorization": {"Basic eDp5"}}, 401},
		{"who am I", http.MethodGet, sessionURL, nil, 200},
		{"a session of a session", http.MethodPost, sessionURL, nil, 401},
		{"another page ends it", http.MethodDelete, sessionURL, http.Header{"Sec-Fetch-Site": {"cross-site"}}, 403},
		{"another page of the site ends it", http.MethodDelete, sessionURL, http.Header{"Sec-Fetch-Site": {"same-site"}}, 403},
		{"an old browser's other page ends it", http.MethodDelete, sessionURL, http.Header{"Origin": {"https://evil.example.org"}}, 403},
		{"another page asks a detail", http.MethodPost, "/api/v2/observe/logs/query", http.Header{"Sec-Fetch-Site": {"cross-site"}}, 403},
		{"it goes on", http.MethodGet, dash + "a-1", http.Header{"Sec-Fetch-Site": {"same-origin"}}, 200},
		{"its own page ends it", http.MethodDelete, sessionURL, http.Header{"Sec-Fetch-Site": {"same-origin"}}, 204},
		{"it has ended", http.MethodGet, dash + "a-1", nil, 401},
		{"nothing to end", http.MethodDelete, sessionURL, http.Header{"Sec-Fetch-Site": {"cross-site"}}, 204},
	} {
		if got := send(step.method, step.path, step.header); got != step.want {
			t.Errorf("%s: %d, want %d", step.what, got, step.want)
		}
	}
}

// Pages of allowed origins may do what those of our own may.
func TestSessionsOfAllowedOrigins(t *testing.T) {
	t.Parallel()
	a := closed(t, world(t), func(c *api.Config) { c.Origins = []string{"https://dash.example.org"} })
	for origin, want := range map[string]int{"https://dash.example.org": 204, "https://evil.example.org": 403} {
		w := do(t, a, http.MethodDelete, sessionURL, http.Header{
			"Cookie": {"__Host-atlhyper_session=x"}, "Origin": {origin}, "Sec-Fetch-Site": {"cross-site"},
		})
		if w.Code != want {
			t.Errorf("%s: %d, want %d", origin, w.Code, want)
		}
	}
}

// Which cookie counts: the one of the name that fits how it came, once.
func TestSessionsThatAreNone(t *testing.T) {
	t.Parallel()
	a := closed(t, world(t), nil)
	token := tokenOf("operator-a")
	for cookie, want := range map[string]int{
		"__Host-atlhyper_session=" + token:                                     200,
		"other=1; __Host-atlhyper_session=" + token:                            200,
		"atlhyper_session=" + token:                                            401, // any other host of the domain could have set it
		"__host-atlhyper_session=" + token:                                     401,
		"__Host-atlhyper_session=" + token + "; __Host-atlhyper_session=other": 401,
		"__Host-atlhyper_session=":                                             401,
		"__Host-atlhyper_session=a b":                                          401,
		"__Host-atlhyper_session=" + strings.Repeat("x", access.MaxToken+1):    401,
	} {
		w := do(t, a, http.MethodGet, sessionURL, http.Header{"Cookie": {cookie}})
		if w.Code != want {
			t.Errorf("%.60s: %d, want %d", cookie, w.Code, want)
		}
	}
}

// A token in a URL is refused and reaches no log, whether anyone asks for tokens or not.
func TestCredentialsInURLs(t *testing.T) {
	t.Parallel()
	for mode, change := range map[string]func(*api.Config){
		"tokens": nil, "none": func(c *api.Config) { c.Access = nil },
	} {
		log := &strings.Builder{}
		a := closed(t, world(t), func(c *api.Config) {
			if change != nil {
				change(c)
			}
			c.Logger = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		})
		for _, query := range []string{
			"access_token=S3CRET", "cluster_id=a-1&token=S3CRET", "id_token=S3CRET&cluster_id=a-1", "api_key=S3CRET", "Access_Token=S3CRET",
			"cluster_id=a-1&%61ccess_token=S3CRET", "cluster_id=a-1&access%5Ftoken=S3CRET", "authorization=S3CRET", "x=1&&token=S3CRET", "token",
		} {
			for _, path := range []string{"/api/v2/observe/metrics/nodes", "/api/v2/observe/stream", "/api/v2/clusters", "/healthz", "/metrics", "/api/v2/nothing"} {
				w := do(t, a, http.MethodGet, path+"?"+query, bearer("operator-a"))
				if f := readFailure(t, w); w.Code != http.StatusBadRequest || f.Code != "bad_request" || strings.Contains(f.Error, "S3CRET") {
					t.Errorf("%s: %s?%s: %d %v", mode, path, query, w.Code, f)
				}
			}
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://ann:S3CRET@dash.example.org/api/v2/clusters", nil)
		w := httptest.NewRecorder()
		if a.ServeHTTP(w, r); w.Code != http.StatusBadRequest || strings.Contains(w.Body.String(), "S3CRET") {
			t.Errorf("%s: user info: %d %s", mode, w.Code, w.Body)
		}
		if strings.Contains(log.String(), "S3CRET") || !strings.Contains(log.String(), "/api/v2/clusters") {
			t.Errorf("%s: the log says\n%s", mode, log)
		}
		// What only looks like it is as it was.
		if w := do(t, a, http.MethodGet, "/api/v2/pods?cluster_id=a-1&q=token", bearer("operator-a")); w.Code != http.StatusOK {
			t.Errorf("%s: a search for the word: %d %s", mode, w.Code, w.Body)
		}
	}
}

// What is wrong with credentials is nobody's business.
func TestRefusalsSayOneOfTwoThings(t *testing.T) {
	t.Parallel()
	a := closed(t, world(t), nil)
	said := make(map[string][]string)
	for what, header := range map[string]http.Header{
		"none":            {},
		"unknown":         bearer("nobody"),
		"expired":         bearer("expired"),
		"no token":        {"Authorization": {"Bearer"}},
		"empty":           {"Authorization": {""}},
		"another scheme":  {"Authorization": {"Basic " + tokenOf("operator-a")}},
		"two":             {"Authorization": {"Bearer " + tokenOf("operator-a"), "Bearer " + tokenOf("operator-b")}},
		"two in one":      {"Authorization": {"Bearer " + tokenOf("operator-a") + ", Bearer " + tokenOf("operator-b")}},
		"not a token":     {"Authorization": {"Bearer \x00"}},
		"far too long":    {"Authorization": {"Bearer " + strings.Repeat("x", access.MaxToken+1)}},
		"expired session": {"Cookie": {"__Host-atlhyper_session=" + tokenOf("expired")}},
	} {
		w := do(t, a, http.MethodGet, "/api/v2/clusters", header)
		f := readFailure(t, w)
		if w.Code != http.StatusUnauthorized || f.Code != "unauthorized" {
			t.Errorf("%s: %d %v", what, w.Code, f)
		}
		said[f.Error] = append(said[f.Error], what)
	}
	if len(said) != 2 || !slices.ContainsFunc(slices.Collect(maps.Values(said)), func(w []string) bool { return slices.Equal(w, []string{"none"}) }) {
		t.Errorf("refusals say %v", said)
	}
}

// An issuer that is away is no fault of who calls.
func TestCredentialsThatCannotBeChecked(t *testing.T) {
	t.Parallel()
	who := &mayExpire{err: fault.New(fault.Unavailable, "away").After(7 * time.Second)}
	w := do(t, closed(t, world(t), func(c *api.Config) { c.Access = who }), http.MethodGet, "/api/v2/clusters", bearer("x"))
	if f := readFailure(t, w); w.Code != http.StatusServiceUnavailable || f.Code != "unavailable" || w.Header().Get("Retry-After") != "7" {
		t.Errorf("%d %v %v", w.Code, f, w.Header())
	}
}

// A stream ends when its caller loses the right to it, which is audited, and goes on while
// that cannot be found out.
func TestStreamsEndWithTheirCallers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		lose    func(*mayExpire)
		outcome string
		status  int
	}{
		{"the token", func(who *mayExpire) { who.set(access.Invalid()) }, "unauthorized", http.StatusUnauthorized},
		{"the cluster", func(who *mayExpire) { who.become(callerOf(t, "x", access.Viewer, "other-*")) }, "cluster_hidden", http.StatusNotFound},
		{"all", func(who *mayExpire) { who.become(access.NewCaller("x", time.Time{})) }, "forbidden", http.StatusForbidden},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			streamEnds(t, c.lose, c.outcome, c.status)
		})
	}
}

func streamEnds(t *testing.T, lose func(*mayExpire), outcome string, status int) {
	t.Helper()
	who := &mayExpire{}
	log, lines := auditLog(t)
	b := newBoard(t)
	b.put(model.SectionMetricsNodes, b.answer(t, `[]`, envelope.Meta{Seq: 1}))
	s := b.serve(t, func(c *api.Config) { c.Access, c.Audit = who, log })
	l := s.follow(t, "&sections=metrics.nodes", bearer("x"))
	l.next(t)
	who.set(fault.New(fault.Unavailable, "away"))
	b.put(model.SectionMetricsNodes, b.answer(t, `[1]`, envelope.Meta{Seq: 2}))
	l.next(t)
	defer time.AfterFunc(patience, l.hangUp).Stop()
	who.set(nil)
	lose(who)
	b.put(model.SectionMetricsNodes, b.answer(t, `[2]`, envelope.Meta{Seq: 3}))
	for {
		line, err := l.reader.ReadString('\n')
		if strings.Contains(line, "[2]") {
			t.Fatalf("who lost the right is sent %q", line)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	await(t, "the end is counted", func() bool { return s.metric(t, "atlhyper_http_streams_ended_total", "denied") == 1 })
	var said []map[string]any
	await(t, "the end is audited", func() bool {
		said = append(said, lines()...)
		return len(said) > 0
	})
	if one := said[0]; len(said) != 1 || one["outcome"] != outcome || one["caller"] != "x" || one["cluster"] != "a" || one["route"] != "/api/v2/observe/stream" {
		t.Errorf("the audit says %v", said)
	}
	if resp := s.open(t, "", bearer("x")).resp; resp.StatusCode != status {
		t.Errorf("when it comes back: %d, want %d", resp.StatusCode, status)
	}
}

// An idle stream finds out with its next sign of life; a browser's by its cookie.
func TestIdleStreamsEndWithTheirTokens(t *testing.T) {
	t.Parallel()
	file := tokensFile(t)
	tokens, err := access.NewTokens(access.TokensConfig{File: file, Reload: time.Millisecond, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- tokens.Run(ctx) }()
	b := newBoard(t)
	b.put(model.SectionMetricsNodes, b.answer(t, `[]`, envelope.Meta{Seq: 1}))
	s := b.serve(t, func(c *api.Config) { c.Access, c.Heartbeat = tokens, time.Millisecond })
	l := s.open(t, "-1&sections=metrics.nodes", http.Header{"Cookie": {"atlhyper_session=" + tokenOf("viewer-a")}})
	defer time.AfterFunc(patience, l.hangUp).Stop()
	lines := bufio.NewReader(l.resp.Body)
	if first, err := lines.ReadString('\n'); err != nil || first != "retry: 2000\n" {
		t.Fatalf("%d %q, %v", l.resp.StatusCode, first, err)
	}
	if err := os.WriteFile(file, []byte("tokens: []"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, lines); err != nil {
		t.Error(err)
	}
	await(t, "the end is counted", func() bool { return s.metric(t, "atlhyper_http_streams_ended_total", "denied") == 1 })
	cancel()
	<-done
}
