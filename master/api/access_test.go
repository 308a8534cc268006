package api_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/atlhyper/observe/master/access"
	"github.com/atlhyper/observe/master/api"
	"github.com/atlhyper/observe/master/compress"
	"github.com/atlhyper/observe/master/dashboard"
	"github.com/atlhyper/observe/master/dispatch"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
)

// people are the callers of the tests, by the names of their tokens.
const people = `
tokens:
  - {name: viewer-a, sha256: %s, role: viewer, clusters: ["a-*"]}
  - {name: operator-a, sha256: %s, role: operator, clusters: ["a-*"]}
  - {name: operator-b, sha256: %s, role: operator, clusters: ["b-1"]}
  - {name: viewer-all, sha256: %s, role: viewer, clusters: ["*"]}
  - {name: expired, sha256: %s, role: operator, clusters: ["*"], expires: 2026-01-02T03:04:05Z}
`

func tokenOf(name string) string { return "atlhyper_token-of-" + name }

func tokensFile(tb testing.TB) string {
	tb.Helper()
	var sums []any
	for _, name := range []string{"viewer-a", "operator-a", "operator-b", "viewer-all", "expired"} {
		sum := sha256.Sum256([]byte(tokenOf(name)))
		sums = append(sums, hex.EncodeToString(sum[:]))
	}
	file := filepath.Join(tb.TempDir(), "tokens.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, people, sums...), 0o600); err != nil {
		tb.Fatal(err)
	}
	return file
}

func newTokens(tb testing.TB) *access.Tokens {
	tb.Helper()
	a, err := access.NewTokens(access.TokensConfig{File: tokensFile(tb), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

// world has the clusters a-1 and b-1, each with everything, and no other.
func world(tb testing.TB) *backend {
	tb.Helper()
	compressor, err := compress.New()
	if err != nil {
		tb.Fatal(err)
	}
	exists := func(c key.Cluster) error {
		if c != "a-1" && c != "b-1" {
			return fault.UnknownCluster(string(c))
		}
		return nil
	}
	// Of a namespace and of the whole cluster, as all kinds have it.
	objects := []byte(`[{"namespace":"ns","name":"x","metadata":{"namespace":"ns","name":"x"}},{"name":"x","metadata":{"name":"x"}}]`)
	return &backend{
		section: func(_ context.Context, c key.Cluster, s model.Section) (*dashboard.Answer, error) {
			if err := exists(c); err != nil {
				return nil, err
			}
			return dashboard.NewAnswer(dashboard.Content{
				Body: fmt.Appendf(nil, `{"message":"ok","data":%s,"meta":{"clusterId":%q}}`, objects, c), Data: objects,
				ETag: "1-" + string(s), CollectedAt: clock(),
			}, compressor), nil
		},
		clusters: func(context.Context) ([]dashboard.Cluster, error) {
			return []dashboard.Cluster{{ID: "a-1"}, {ID: "b-1"}}, nil
		},
		cluster: func(_ context.Context, c key.Cluster) (dashboard.Cluster, error) {
			return dashboard.Cluster{ID: string(c)}, exists(c)
		},
		fleet: func(context.Context) (dashboard.Fleet, error) {
			return dashboard.Fleet{Clusters: []dashboard.FleetCluster{{ID: "a-1"}, {ID: "b-1"}}, CollectedAt: clock()}, nil
		},
		do:    func(_ context.Context, r dispatch.Request) ([]byte, error) { return []byte("{}"), exists(r.Cluster) },
		ready: func(context.Context) error { return nil },
	}
}

func closed(tb testing.TB, b *backend, change func(*api.Config)) *api.API {
	tb.Helper()
	cfg := api.Config{
		Dashboards: b, Details: b, Ready: b.ready, Now: clocks, Logger: slog.New(slog.DiscardHandler), Access: newTokens(tb),
		ServeMetrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }),
	}
	if change != nil {
		change(&cfg)
	}
	a, err := api.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

// kindOfRoute is how routes treat callers and clusters.
type kindOfRoute int

const (
	public     kindOfRoute = iota + 1 // for all
	whoever                           // for who is known
	lists                             // of clusters, for viewers
	dashboard1                        // of a cluster, for viewers
	detail1                           // of a cluster, for operators
	overall                           // for those who may see all clusters
)

// routes are all that there are. One that is not here fails TestWhoMayCallWhat: say who
// may call it.
func routes() map[string]kindOfRoute {
	of := map[kindOfRoute][]string{
		public:  {"GET /healthz", "GET /readyz", "GET /openapi.json", "DELETE /api/v2/session"},
		whoever: {"GET /api/v2/session", "POST /api/v2/session"},
		overall: {"GET /metrics"},
		lists:   {"GET /api/v2/clusters", "GET /api/v2/fleet"},
		dashboard1: {
			"GET /api/v2/clusters/{id}", "GET /api/v2/overview", "GET /api/v2/observe/stream", "GET /api/v2/observe/overview",
			"GET /api/v2/observe/metrics/summary", "GET /api/v2/observe/metrics/nodes",
			"GET /api/v2/observe/traces/services", "GET /api/v2/observe/traces/topology",
			"GET /api/v2/observe/slo/summary", "GET /api/v2/observe/slo/ingress", "GET /api/v2/observe/slo/services", "GET /api/v2/observe/slo/edges",
		},
		detail1: {
			"GET /api/v2/observe/metrics/nodes/{name}", "GET /api/v2/observe/metrics/nodes/{name}/series",
			"GET /api/v2/observe/traces", "GET /api/v2/observe/traces/{id}", "POST /api/v2/observe/logs/query", "GET /api/v2/observe/slo/timeseries",
		},
	}
	for _, kind := range []string{
		"pods", "deployments", "statefulsets", "daemonsets", "replicasets", "jobs", "cronjobs", "services", "ingresses", "network-policies",
		"configmaps", "secrets", "pvcs", "events", "resource-quotas", "limit-ranges", "service-accounts",
	} {
		of[dashboard1] = append(of[dashboard1], "GET /api/v2/"+kind, "GET /api/v2/"+kind+"/{namespace}/{name}")
	}
	for _, kind := range []string{"nodes", "namespaces", "pvs"} {
		of[dashboard1] = append(of[dashboard1], "GET /api/v2/"+kind, "GET /api/v2/"+kind+"/{name}")
	}
	all := make(map[string]kindOfRoute)
	for kind, routes := range of {
		for _, route := range routes {
			all[route] = kind
		}
	}
	return all
}

// call is one request of the table.
type call struct{ caller, method, pattern, cluster string }

// request sends the call as its caller would.
func (c call) request(tb testing.TB, header http.Header) *http.Request {
	tb.Helper()
	path := strings.NewReplacer("{namespace}", "ns", "{name}", "x", "{id}", "0af7651916cd43dd8448eb211c80319c").Replace(c.pattern)
	query, body := "", ""
	switch {
	case strings.HasSuffix(c.pattern, "/clusters/{id}"):
		path = strings.ReplaceAll(c.pattern, "{id}", c.cluster)
	case c.method == http.MethodPost:
		body = fmt.Sprintf(`{"cluster_id":%q}`, c.cluster)
	case c.cluster != "":
		query = "?cluster_id=" + c.cluster
	}
	switch {
	case strings.HasSuffix(c.pattern, "/series"):
		query += "&metric=cpu"
	case strings.HasSuffix(c.pattern, "/timeseries"):
		query += "&service=shop"
	}
	r := httptest.NewRequestWithContext(tb.Context(), c.method, path+query, strings.NewReader(body))
	maps.Copy(r.Header, header)
	if c.caller != "" {
		r.Header.Set("Authorization", "Bearer "+tokenOf(c.caller))
	}
	return r
}

// want is the status of a call and its error code.
func (c call) want(kind kindOfRoute) (status int, code string) {
	role, sees := "", map[string]bool{}
	switch c.caller {
	case "viewer-a":
		role, sees = "viewer", map[string]bool{"a-1": true, "a-9": true}
	case "operator-a":
		role, sees = "operator", map[string]bool{"a-1": true, "a-9": true}
	case "operator-b":
		role, sees = "operator", map[string]bool{"b-1": true}
	case "viewer-all":
		role, sees = "viewer", map[string]bool{"a-1": true, "a-9": true, "b-1": true, "b-9": true}
	}
	exists := c.cluster == "a-1" || c.cluster == "b-1"
	switch {
	case c.method == http.MethodDelete:
		return http.StatusNoContent, ""
	case kind == public:
		return http.StatusOK, ""
	case role == "":
		return http.StatusUnauthorized, "unauthorized"
	case kind == overall && c.caller != "viewer-all", kind == detail1 && role == "viewer":
		return http.StatusForbidden, "forbidden"
	case (kind == dashboard1 || kind == detail1) && (!sees[c.cluster] || !exists):
		return http.StatusNotFound, "cluster_unknown"
	default:
		return http.StatusOK, ""
	}
}

// walk calls fn with each route of the router, and fails for one that the table does not
// have, or that the router does not.
func walk(t *testing.T, a *api.API, fn func(method, pattern string, kind kindOfRoute)) {
	t.Helper()
	known := routes()
	left := maps.Clone(known)
	err := chi.Walk(a.Routes(), func(method, pattern string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		name := method + " " + pattern
		if method == http.MethodHead {
			name = http.MethodGet + " " + pattern
		}
		kind, ok := known[name]
		if !ok {
			t.Errorf("nothing says who may call %s", name)
			return nil
		}
		delete(left, name)
		fn(method, pattern, kind)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(left) > 0 {
		t.Errorf("there are no routes %v", slices.Sorted(maps.Keys(left)))
	}
}

// Every route with every caller and every cluster.
func TestWhoMayCallWhat(t *testing.T) {
	t.Parallel()
	a := closed(t, world(t), nil)
	calls := 0
	walk(t, a, func(method, pattern string, kind kindOfRoute) {
		clusters := []string{""}
		if kind == dashboard1 || kind == detail1 {
			clusters = []string{"a-1", "a-9", "b-1", "b-9"}
		}
		for _, caller := range []string{"", "nobody", "expired", "viewer-a", "operator-a", "operator-b", "viewer-all"} {
			for _, cluster := range clusters {
				c := call{caller, method, pattern, cluster}
				w := httptest.NewRecorder()
				a.ServeHTTP(w, c.request(t, nil))
				status, code := c.want(kind)
				calls++
				if w.Code != status {
					t.Errorf("%+v: %d, want %d: %s", c, w.Code, status, w.Body)
					continue
				}
				if got := readCode(w); method != http.MethodHead && got != code {
					t.Errorf("%+v: code %q, want %q", c, got, code)
				}
				if challenge := w.Header().Get("Www-Authenticate"); (status == http.StatusUnauthorized) != (challenge == "Bearer") {
					t.Errorf("%+v: WWW-Authenticate is %q", c, challenge)
				}
			}
		}
	})
	if calls < 1000 {
		t.Errorf("only %d calls were made", calls)
	}
}

func readCode(w *httptest.ResponseRecorder) string {
	var f failure
	if w.Code < 300 || json.Unmarshal(w.Body.Bytes(), &f) != nil {
		return ""
	}
	return f.Code
}

// Nothing tells a cluster that a caller may not see from one that is not there: neither
// what is said nor the headers, whatever the caller claims to have already.
func TestInvisibleClustersAreUnknown(t *testing.T) {
	t.Parallel()
	a := closed(t, world(t), nil)
	walk(t, a, func(method, pattern string, kind kindOfRoute) {
		if kind != dashboard1 && kind != detail1 {
			return
		}
		for _, header := range []http.Header{
			{}, {"If-None-Match": {"*"}}, {"If-None-Match": {`"1-metrics.nodes"`}}, {"Accept-Encoding": {"gzip"}}, {"Last-Event-Id": {"1"}},
		} {
			type said struct {
				Status int
				Header http.Header
				Body   string
			}
			ask := func(cluster string) said {
				w := httptest.NewRecorder()
				a.ServeHTTP(w, call{"operator-a", method, pattern, cluster}.request(t, header))
				w.Header().Del("X-Request-Id")
				return said{w.Code, w.Header(), strings.ReplaceAll(w.Body.String(), cluster, "C")}
			}
			notThere := ask("a-9")
			if notThere.Status != http.StatusNotFound {
				t.Errorf("%s %s: an unknown cluster is %d", method, pattern, notThere.Status)
			}
			for _, hidden := range []string{"b-1", "b-9"} {
				if diff := cmp.Diff(notThere, ask(hidden)); diff != "" {
					t.Errorf("%s %s %v: %s is told from one that is not there: -not there +hidden\n%s", method, pattern, header, hidden, diff)
				}
			}
		}
	})
}

// What is asked about a hidden cluster stops before anything is asked about it.
func TestNothingIsAskedAboutInvisibleClusters(t *testing.T) {
	t.Parallel()
	b := world(t)
	refuse := func(c key.Cluster) error {
		if !strings.HasPrefix(string(c), "a-") {
			t.Errorf("asked about %s", c)
		}
		return nil
	}
	section, cluster, do := b.section, b.cluster, b.do
	b.section = func(ctx context.Context, c key.Cluster, s model.Section) (*dashboard.Answer, error) {
		if err := refuse(c); err != nil {
			return nil, err
		}
		return section(ctx, c, s)
	}
	b.cluster = func(ctx context.Context, c key.Cluster) (dashboard.Cluster, error) {
		if err := refuse(c); err != nil {
			return dashboard.Cluster{}, err
		}
		return cluster(ctx, c)
	}
	b.do = func(ctx context.Context, r dispatch.Request) ([]byte, error) {
		if err := refuse(r.Cluster); err != nil {
			return nil, err
		}
		return do(ctx, r)
	}
	a := closed(t, b, nil)
	walk(t, a, func(method, pattern string, kind kindOfRoute) {
		if kind == dashboard1 || kind == detail1 {
			a.ServeHTTP(httptest.NewRecorder(), call{"operator-a", method, pattern, "b-1"}.request(t, nil))
		}
	})
}

// A dashboard over another time range runs on the agent: a detail, whatever its path.
func TestOtherRangesNeedOperators(t *testing.T) {
	t.Parallel()
	a := closed(t, world(t), nil)
	for caller, want := range map[string]int{"viewer-a": http.StatusForbidden, "operator-a": http.StatusOK, "operator-b": http.StatusNotFound} {
		for _, path := range []string{"traces/services", "traces/topology", "slo/summary", "slo/ingress", "slo/services", "slo/edges"} {
			w := do(t, a, http.MethodGet, "/api/v2/observe/"+path+"?cluster_id=a-1&time_range=6h", bearer(caller))
			if w.Code != want {
				t.Errorf("%s, %s: %d, want %d", caller, path, w.Code, want)
			}
		}
	}
}

func bearer(name string) http.Header {
	return http.Header{"Authorization": {"Bearer " + tokenOf(name)}}
}

func TestListsShowOnlyWhatIsVisible(t *testing.T) {
	t.Parallel()
	a := closed(t, world(t), nil)
	for caller, want := range map[string][]string{"viewer-a": {"a-1"}, "operator-b": {"b-1"}, "viewer-all": {"a-1", "b-1"}} {
		for _, path := range []string{"clusters", "fleet"} {
			var body struct{ Data []struct{ ID string } }
			w := do(t, a, http.MethodGet, "/api/v2/"+path, bearer(caller))
			if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
				t.Fatalf("%v: %s", err, w.Body)
			}
			var got []string
			for _, c := range body.Data {
				got = append(got, c.ID)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s, %s: -want +got\n%s", caller, path, diff)
			}
		}
	}
}

// Without an authenticator, all may do all, whatever they present.
func TestNoAuthentication(t *testing.T) {
	t.Parallel()
	a := closed(t, world(t), func(c *api.Config) { c.Access = nil })
	walk(t, a, func(method, pattern string, kind kindOfRoute) {
		c := call{"nobody", method, pattern, ""}
		if kind == dashboard1 || kind == detail1 {
			c.cluster = "b-1"
		}
		w := httptest.NewRecorder()
		a.ServeHTTP(w, c.request(t, nil))
		if w.Code != http.StatusOK && w.Code != http.StatusNoContent {
			t.Errorf("%+v: %d %s", c, w.Code, w.Body)
		}
	})
}

// mixed is a viewer of a-* and an operator of b-*.
type mixed struct{}

func (mixed) Mode() access.Mode { return access.ModeOIDC }

func (mixed) Authenticate(context.Context, string) (*access.Caller, error) {
	grant := func(role access.Role, glob string) access.Grant {
		clusters, err := access.ParseClusters([]string{glob})
		if err != nil {
			panic(err)
		}
		return access.Grant{Role: role, Clusters: clusters}
	}
	return access.NewCaller("x", clock(), grant(access.Viewer, "a-*"), grant(access.Operator, "b-*")), nil
}

// What somebody may do in one cluster is not what it may do in another.
func TestRolesAreOfClusters(t *testing.T) {
	t.Parallel()
	a := closed(t, world(t), func(c *api.Config) { c.Access = mixed{} })
	walk(t, a, func(method, pattern string, kind kindOfRoute) {
		want := map[string]int{"a-1": http.StatusOK, "b-1": http.StatusOK}
		switch kind {
		case detail1:
			want["a-1"] = http.StatusForbidden
		case dashboard1:
		default:
			return
		}
		for cluster, status := range want {
			w := httptest.NewRecorder()
			a.ServeHTTP(w, call{"x", method, pattern, cluster}.request(t, nil))
			if w.Code != status {
				t.Errorf("%s %s of %s: %d, want %d: %s", method, pattern, cluster, w.Code, status, w.Body)
			}
		}
	})
	for cluster, status := range map[string]int{"a-1": http.StatusForbidden, "b-1": http.StatusOK} {
		w := do(t, a, http.MethodGet, "/api/v2/observe/slo/edges?time_range=6h&cluster_id="+cluster, bearer("x"))
		if w.Code != status {
			t.Errorf("another range of %s: %d, want %d", cluster, w.Code, status)
		}
	}
}
