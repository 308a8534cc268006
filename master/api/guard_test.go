package api_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/atlhyper/observe/master/access"
	"github.com/atlhyper/observe/master/api"
	"github.com/atlhyper/observe/master/dashboard"
	"github.com/atlhyper/observe/master/dispatch"
	"github.com/atlhyper/observe/master/limit"
	"github.com/atlhyper/observe/master/peer"
	"github.com/atlhyper/observe/redis/key"
)

// byToken knows its callers by what they present.
type byToken map[string]*access.Caller

func (byToken) Mode() access.Mode { return access.ModeTokens }

func (b byToken) Authenticate(_ context.Context, token string) (*access.Caller, error) {
	if caller := b[token]; caller != nil {
		return caller, nil
	}
	return nil, access.Invalid()
}

func callerOf(tb testing.TB, name string, role access.Role, clusters ...string) *access.Caller {
	tb.Helper()
	seen, err := access.ParseClusters(clusters)
	if err != nil {
		tb.Fatal(err)
	}
	return access.NewCaller(name, time.Time{}, access.Grant{Role: role, Clusters: seen})
}

// guarded is an API whose callers are alice, an operator of all clusters, bob, one of
// team-*, and vera, a viewer of all.
func guarded(tb testing.TB, b *backend, change func(*api.Config)) *api.API {
	tb.Helper()
	cfg := api.Config{
		Dashboards: b, Details: b, Ready: func(context.Context) error { return nil }, Now: clocks,
		Access: byToken{
			"of-alice": callerOf(tb, "alice", access.Operator, "*"),
			"of-bob":   callerOf(tb, "bob", access.Operator, "team-*"),
			"of-vera":  callerOf(tb, "vera", access.Viewer, "*"),
		},
		Logger: slog.New(slog.DiscardHandler),
	}
	change(&cfg)
	a, err := api.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

func as(name string) http.Header { return http.Header{"Authorization": {"Bearer of-" + name}} }

// handClock is moved by hand.
type handClock struct{ at atomic.Int64 }

func (c *handClock) now() time.Time          { return time.Unix(1_700_000_000, c.at.Load()) }
func (c *handClock) forward(d time.Duration) { c.at.Add(int64(d)) }

func limits(tb testing.TB, c *handClock, perCaller, perCluster float64) api.Limits {
	tb.Helper()
	var l api.Limits
	var err error
	if perCaller > 0 {
		if l.Callers, err = limit.New[string](limit.Config{Rate: perCaller, Burst: 2 * api.DetailTokens, Now: c.now}); err != nil {
			tb.Fatal(err)
		}
	}
	if perCluster > 0 {
		if l.Clusters, err = limit.New[key.Cluster](limit.Config{Rate: perCluster, Burst: 3, Now: c.now}); err != nil {
			tb.Fatal(err)
		}
	}
	if l.Failures, err = limit.NewFailures(limit.Config{Rate: 10.0 / 60, Burst: 10, Now: c.now}); err != nil {
		tb.Fatal(err)
	}
	return l
}

const tracesURL = "/api/v2/observe/traces?cluster_id="

// detailed answers dashboards and details.
func detailed(tb testing.TB) *backend {
	tb.Helper()
	b := answering(tb, large())
	b.do = func(context.Context, dispatch.Request) ([]byte, error) { return []byte(`{"message":"ok"}`), nil }
	b.clusters = func(context.Context) ([]dashboard.Cluster, error) { return []dashboard.Cluster{}, nil }
	b.ready = func(context.Context) error { return nil }
	return b
}

// expect asks and tells whether the answer is what is wanted; of 429 also how long it
// wants the caller to wait, in seconds.
func expect(t *testing.T, a http.Handler, url string, header http.Header, status, wait int) {
	t.Helper()
	w := do(t, a, http.MethodGet, url, header)
	if w.Code != status {
		t.Errorf("%s of %v: %d %s, want %d", url, header, w.Code, w.Body, status)
		return
	}
	if status != http.StatusTooManyRequests {
		return
	}
	if f := readFailure(t, w); f.Code != "rate_limited" || w.Header().Get("Retry-After") != strconv.Itoa(wait) {
		t.Errorf("%s of %v: %+v, Retry-After %q; want rate_limited and %d", url, header, f, w.Header().Get("Retry-After"), wait)
	}
}

func TestCallersAreLimited(t *testing.T) {
	t.Parallel()
	clock, metrics := &handClock{}, prometheus.NewRegistry()
	a := guarded(t, detailed(t), func(c *api.Config) { c.Limits, c.Metrics = limits(t, clock, 4, 0), metrics })
	expect(t, a, tracesURL+"team-a", as("alice"), 200, 0) // 10 of 20
	for range 10 {
		expect(t, a, servicesURL, as("alice"), 200, 0)
	}
	expect(t, a, servicesURL, as("alice"), 429, 1)
	expect(t, a, "/api/v2/clusters", as("alice"), 429, 1)
	expect(t, a, tracesURL+"team-a", as("alice"), 429, 3) // 10 tokens at 4 a second: 2.5 s
	expect(t, a, servicesURL, as("vera"), 200, 0)
	expect(t, a, tracesURL+"team-a", as("bob"), 200, 0)
	for range 100 {
		expect(t, a, "/healthz", nil, 200, 0)
		expect(t, a, "/readyz", nil, 200, 0)
	}
	clock.forward(3 * time.Second)
	expect(t, a, tracesURL+"team-a", as("alice"), 200, 0)

	if got, err := testutil.GatherAndCount(metrics, "atlhyper_http_rate_limited_total"); err != nil || got != 3 {
		t.Errorf("%d series (%v), want one for each limit", got, err)
	}
}

// A dashboard over another range is a detail, and costs what one costs.
func TestARangeCostsWhatADetailCosts(t *testing.T) {
	t.Parallel()
	a := guarded(t, detailed(t), func(c *api.Config) { c.Limits = limits(t, &handClock{}, 1, 1) })
	for range 2 {
		expect(t, a, servicesURL+"&time_range=1h", as("alice"), 200, 0)
	}
	expect(t, a, servicesURL, as("alice"), 429, 1)
	expect(t, a, tracesURL+"a", as("bob"), 404, 0) // not his
	expect(t, a, servicesURL, as("vera"), 200, 0)
}

func TestClustersAreLimited(t *testing.T) {
	t.Parallel()
	clock := &handClock{}
	a := guarded(t, detailed(t), func(c *api.Config) { c.Limits = limits(t, clock, 0, 0.5) })
	expect(t, a, tracesURL+"team-a", as("alice"), 200, 0)
	expect(t, a, tracesURL+"team-a", as("bob"), 200, 0)
	expect(t, a, servicesURL[:len(servicesURL)-1]+"team-a&time_range=1h", as("alice"), 200, 0)
	expect(t, a, tracesURL+"team-a", as("alice"), 429, 2)
	expect(t, a, tracesURL+"team-a", as("bob"), 429, 2)
	expect(t, a, tracesURL+"team-b", as("bob"), 200, 0)
	for range 100 {
		expect(t, a, servicesURL, as("alice"), 200, 0) // dashboards ask no cluster
	}
	clock.forward(2 * time.Second)
	expect(t, a, tracesURL+"team-a", as("bob"), 200, 0)
}

// What is wrong, or hidden, takes nothing of a cluster's bucket.
func TestOnlyWhatRunsCountsForACluster(t *testing.T) {
	t.Parallel()
	a := guarded(t, detailed(t), func(c *api.Config) { c.Limits = limits(t, &handClock{}, 0, 0.001) })
	for range 20 {
		expect(t, a, tracesURL+"prod&limit=0", as("alice"), 400, 0)
		expect(t, a, tracesURL+"prod", as("bob"), 404, 0)
		expect(t, a, tracesURL+"prod", as("vera"), 403, 0)
	}
	expect(t, a, tracesURL+"prod", as("alice"), 200, 0)
}

// Who asks all the time for what is forbidden costs this replica as much as who may.
func TestWhatIsForbiddenCountsForItsCaller(t *testing.T) {
	t.Parallel()
	a := guarded(t, detailed(t), func(c *api.Config) { c.Limits = limits(t, &handClock{}, 1, 0) })
	for range 2 {
		expect(t, a, tracesURL+"a", as("vera"), 403, 0)
	}
	expect(t, a, tracesURL+"a", as("vera"), 429, 10)
}

// askFrom is do from an address.
func askFrom(t *testing.T, a http.Handler, remote, forwarded, token string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, servicesURL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.RemoteAddr = remote
	r.Header.Set("Authorization", "Bearer "+token)
	if forwarded != "" {
		r.Header.Set("X-Forwarded-For", forwarded)
	}
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	return w.Code
}

func TestGuessersAreLimited(t *testing.T) {
	t.Parallel()
	proxies, err := peer.ParseProxies([]string{"10.0.0.0/8"})
	if err != nil {
		t.Fatal(err)
	}
	clock := &handClock{}
	a := guarded(t, detailed(t), func(c *api.Config) { c.Limits, c.Proxies = limits(t, clock, 0, 0), proxies })
	for i := range 10 {
		if got := askFrom(t, a, "10.0.0.1:1", "192.0.2.1", "guess-"+strconv.Itoa(i)); got != 401 {
			t.Fatalf("guess %d: %d", i, got)
		}
	}
	for _, c := range []struct {
		name, remote, forwarded, token string
		want                           int
	}{
		{"the next guess", "10.0.0.1:1", "192.0.2.1", "guess-10", 429},
		{"one that is valid, from the same address", "10.0.0.1:1", "192.0.2.1", "of-alice", 200},
		{"through another proxy", "10.0.0.2:1", "127.0.0.1, 192.0.2.1", "guess-11", 429},
		{"claiming to be another", "10.0.0.1:1", "192.0.2.9, 192.0.2.1", "guess-12", 429},
		{"another behind the same proxy", "10.0.0.1:1", "192.0.2.2", "of-alice", 200},
		{"another that claims to be the guesser", "192.0.2.3:1", "192.0.2.1", "of-alice", 200},
		{"the proxy itself", "10.0.0.1:1", "", "of-alice", 200},
		{"a guess of another", "10.0.0.1:1", "192.0.2.2", "guess-13", 401},
	} {
		if got := askFrom(t, a, c.remote, c.forwarded, c.token); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
	clock.forward(6 * time.Second)
	if got := askFrom(t, a, "10.0.0.1:1", "192.0.2.1", "guess-14"); got != 401 {
		t.Errorf("when a try is allowed again: %d", got)
	}
}

// Requests without credentials guess nothing: a page polls on after its session ended.
func TestThoseWithoutCredentialsAreNoGuessers(t *testing.T) {
	t.Parallel()
	a := guarded(t, detailed(t), func(c *api.Config) { c.Limits = limits(t, &handClock{}, 0, 0) })
	for range 50 {
		expect(t, a, servicesURL, nil, 401, 0)
		expect(t, a, servicesURL, as("an-ended-session"), 401, 0)
	}
	expect(t, a, servicesURL, as("alice"), 200, 0)
}

// Where callers are not told apart, their addresses are.
func TestLimitsWithoutCredentials(t *testing.T) {
	t.Parallel()
	clock := &handClock{}
	a := guarded(t, detailed(t), func(c *api.Config) { c.Access, c.Limits = nil, limits(t, clock, 1, 0) })
	for range 20 {
		if got := askFrom(t, a, "192.0.2.1:1", "", "x"); got != 200 {
			t.Fatal(got)
		}
	}
	if got := askFrom(t, a, "192.0.2.1:2", "", "x"); got != 429 {
		t.Errorf("more than the burst: %d", got)
	}
	if got := askFrom(t, a, "192.0.2.2:1", "", "x"); got != 200 {
		t.Errorf("another address: %d", got)
	}
}

// Who has one address of an IPv6 network has all of it.
func TestAddressesOfOneNetworkAreOneCaller(t *testing.T) {
	t.Parallel()
	a := guarded(t, detailed(t), func(c *api.Config) { c.Access, c.Limits = nil, limits(t, &handClock{}, 1, 0) })
	for i := range 20 {
		if got := askFrom(t, a, "[2001:db8:0:1::"+strconv.Itoa(i+1)+"]:1", "", "x"); got != 200 {
			t.Fatal(got)
		}
	}
	if got := askFrom(t, a, "[2001:db8:0:1:ffff::]:1", "", "x"); got != 429 {
		t.Errorf("another address of the same /64: %d", got)
	}
	if got := askFrom(t, a, "[2001:db8:0:2::1]:1", "", "x"); got != 200 {
		t.Errorf("another /64: %d", got)
	}
}
