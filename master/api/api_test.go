package api_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"go.uber.org/goleak"

	"github.com/atlhyper/observe/master/api"
	"github.com/atlhyper/observe/master/compress"
	"github.com/atlhyper/observe/master/dashboard"
	"github.com/atlhyper/observe/master/dispatch"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
	"github.com/atlhyper/observe/shared/span"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// backend stands behind the API under test; what is nil is not called.
type backend struct {
	section  func(context.Context, key.Cluster, model.Section) (*dashboard.Answer, error)
	clusters func(context.Context) ([]dashboard.Cluster, error)
	cluster  func(context.Context, key.Cluster) (dashboard.Cluster, error)
	fleet    func(context.Context) (dashboard.Fleet, error)
	do       func(context.Context, dispatch.Request) ([]byte, error)
	ready    func(context.Context) error
	log      io.Writer
}

func (b *backend) Section(ctx context.Context, c key.Cluster, s model.Section) (*dashboard.Answer, error) {
	return b.section(ctx, c, s)
}
func (b *backend) Clusters(ctx context.Context) ([]dashboard.Cluster, error) { return b.clusters(ctx) }
func (b *backend) Cluster(ctx context.Context, c key.Cluster) (dashboard.Cluster, error) {
	return b.cluster(ctx, c)
}
func (b *backend) Held(key.Cluster) (dashboard.Cluster, bool) { return dashboard.Cluster{}, false }
func (b *backend) Subscribe(key.Cluster, []model.Section) (<-chan struct{}, func()) {
	return make(chan struct{}), func() {}
}
func (b *backend) Fleet(ctx context.Context) (dashboard.Fleet, error)         { return b.fleet(ctx) }
func (b *backend) Do(ctx context.Context, r dispatch.Request) ([]byte, error) { return b.do(ctx, r) }

func clock() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// clocks of two servers, an hour apart.
func clocks(c key.Cluster) time.Time {
	if c == "ahead" {
		return clock().Add(time.Hour)
	}
	return clock()
}

func (b *backend) api(tb testing.TB) *api.API {
	tb.Helper()
	out := b.log
	if out == nil {
		out = io.Discard
	}
	a, err := api.New(api.Config{
		Dashboards: b,
		Details:    b,
		Ready:      func(ctx context.Context) error { return b.ready(ctx) },
		Now:        clocks,
		Logger:     slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

func do(t *testing.T, h http.Handler, method, target string, header http.Header) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, nil)
	for name, values := range header {
		r.Header[name] = values
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

type failure struct{ Error, Code string }

func readFailure(t *testing.T, w *httptest.ResponseRecorder) failure {
	t.Helper()
	dec := json.NewDecoder(w.Body)
	dec.DisallowUnknownFields()
	var f failure
	if err := dec.Decode(&f); err != nil || f.Error == "" || f.Code == "" {
		t.Errorf("status %d: body is no failure: %v", w.Code, err)
	}
	if ct := w.Header().Get("Content-Type"); ct != "application/json; charset=utf-8" {
		t.Errorf("Content-Type = %q", ct)
	}
	if cc := w.Header().Get("Cache-Control"); cc != "no-store" {
		t.Errorf("Cache-Control of a failure = %q", cc)
	}
	return f
}

// The contract's table, and the codes beyond it.
func TestCodes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err        error
		status     int
		code       string
		retryAfter string
	}{
		{fault.New(fault.BadRequest, "limit: no"), 400, "bad_request", ""},
		{fault.New(fault.Unauthorized, "x"), 401, "unauthorized", ""},
		{fault.New(fault.Forbidden, "x"), 403, "forbidden", ""},
		{fault.New(fault.ClusterUnknown, "x"), 404, "cluster_unknown", ""},
		{fault.New(fault.NotReady, "x"), 404, "not_ready", ""},
		{fault.New(fault.SnapshotExpired, "x"), 404, "snapshot_expired", ""},
		{fault.New(fault.NotFound, "x"), 404, "not_found", ""},
		{fault.New(fault.MethodNotAllowed, "x"), 405, "method_not_allowed", ""},
		{fault.New(fault.ResultTooLarge, "x"), 413, "result_too_large", ""},
		{fault.New(fault.QueueFull, "x"), 429, "queue_full", "1"},
		{fault.New(fault.QueueFull, "x").After(1500 * time.Millisecond), 429, "queue_full", "2"},
		{fault.New(fault.AgentError, "x"), 502, "agent_error", ""},
		{fault.New(fault.AgentOffline, "x"), 503, "agent_offline", "1"},
		{fault.New(fault.StoreUnavailable, "x").After(time.Minute), 503, "store_unavailable", "60"},
		{fault.New(fault.Unavailable, "x"), 503, "unavailable", "1"},
		{fmt.Errorf("wrapped: %w", fault.New(fault.Timeout, "x")), 504, "timeout", ""},
		{errors.New("dial 10.0.0.1: password=hunter2"), 500, "internal", ""},
		{fault.New("of_a_newer_version", "x"), 500, "of_a_newer_version", ""},
	} {
		b := &backend{section: func(context.Context, key.Cluster, model.Section) (*dashboard.Answer, error) { return nil, c.err }}
		w := do(t, b.api(t), http.MethodGet, "/api/v2/observe/metrics/nodes?cluster_id=a", nil)
		f := readFailure(t, w)
		if w.Code != c.status || f.Code != c.code || w.Header().Get("Retry-After") != c.retryAfter {
			t.Errorf("%v: %d %+v, Retry-After %q; want %+v", c.err, w.Code, f, w.Header().Get("Retry-After"), c)
		}
		if strings.Contains(f.Error, "hunter2") {
			t.Errorf("%q gives the cause away", f.Error)
		}
	}
}

func TestRoutesThatAreNone(t *testing.T) {
	t.Parallel()
	a := (&backend{}).api(t)
	for _, c := range []struct {
		method, path string
		status       int
		code, allow  string
	}{
		{"GET", "/", 404, "not_found", ""},
		{"GET", "/api/v2", 404, "not_found", ""},
		{"GET", "/api/v2/observe/nothing", 404, "not_found", ""},
		{"GET", "/api/v2/observe/metrics/nodes/", 404, "not_found", ""},
		{"GET", "/api/v2/observe/metrics%2Fnodes?cluster_id=a", 404, "not_found", ""},
		{"HEAD", "/api/v2/observe/logs/query", 405, "method_not_allowed", "POST"},
		{"GET", "/api/v2/observe/" + strings.Repeat("x", 2000), 404, "not_found", ""},
		{"POST", "/api/v2/observe/metrics/nodes", 405, "method_not_allowed", "GET, HEAD"},
		{"GET", "/api/v2/observe/logs/query", 405, "method_not_allowed", "POST"},
		{"DELETE", "/api/v2/clusters/a%2Fb", 405, "method_not_allowed", "GET, HEAD"},
		{"OPTIONS", "/healthz", 405, "method_not_allowed", "GET, HEAD"},
		{"GET", "/healthz?" + strings.Repeat("x", api.MaxURL), 400, "bad_request", ""},
	} {
		w := do(t, a, c.method, c.path, nil)
		if f := readFailure(t, w); w.Code != c.status || f.Code != c.code || w.Header().Get("Allow") != c.allow {
			t.Errorf("%s %.60s: %d %+v, Allow %q; want %+v", c.method, c.path, w.Code, f, w.Header().Get("Allow"), c)
		}
	}
}

func TestProbes(t *testing.T) {
	t.Parallel()
	b := &backend{ready: func(context.Context) error { return nil }}
	a := b.api(t)
	for _, path := range []string{"/healthz", "/readyz"} {
		if w := do(t, a, http.MethodGet, path, nil); w.Code != 200 || !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}

	a = b.api(t) // which has asked nobody yet
	b.ready = func(ctx context.Context) error {
		if _, ok := ctx.Deadline(); !ok {
			t.Error("the check of Redis has no deadline")
		}
		return errors.New("dial tcp 10.0.0.1:6379: refused")
	}
	w := do(t, a, http.MethodGet, "/readyz", nil)
	if f := readFailure(t, w); w.Code != 503 || f.Code != "store_unavailable" || strings.Contains(f.Error, "10.0.0.1") {
		t.Errorf("without Redis: %d %+v", w.Code, f)
	}
	if w := do(t, a, http.MethodGet, "/healthz", nil); w.Code != 200 {
		t.Errorf("/healthz without Redis: %d", w.Code)
	}

	b.ready = func(context.Context) error { return nil }
	a.Drain()
	w = do(t, a, http.MethodGet, "/readyz", nil)
	if f := readFailure(t, w); w.Code != 503 || f.Code != "unavailable" {
		t.Errorf("draining: %d %+v", w.Code, f)
	}
}

// However often /readyz is asked, Redis is once a second; that the replica ends is seen at once.
func TestReadyzSparesRedis(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked, away := 0, error(nil)
		b := &backend{ready: func(context.Context) error {
			asked++
			return away
		}}
		a := b.api(t)
		expect := func(status, times int) {
			t.Helper()
			for range 100 {
				if w := do(t, a, http.MethodGet, "/readyz", nil); w.Code != status {
					t.Fatalf("%d %s, want %d", w.Code, w.Body, status)
				}
			}
			if asked != times {
				t.Errorf("Redis was asked %d times, want %d", asked, times)
			}
		}
		next := func() { <-time.After(time.Second) }
		expect(200, 1)
		away = errors.New("refused")
		next()
		expect(503, 2)
		away = nil
		next()
		expect(200, 3)
		a.Drain()
		expect(503, 3)
	})
}

func large() []byte {
	return []byte(`{"message":"ok","data":["` + strings.Repeat("telemetry ", 500) + `"],"meta":{}}`)
}

func answering(tb testing.TB, body []byte) *backend {
	tb.Helper()
	compressor, err := compress.New()
	if err != nil {
		tb.Fatal(err)
	}
	answer := dashboard.NewAnswer(dashboard.Content{
		Body: body, ETag: "7-abc", CollectedAt: clock().Add(-42500 * time.Millisecond), Window: 15 * time.Minute,
	}, compressor)
	return &backend{section: func(context.Context, key.Cluster, model.Section) (*dashboard.Answer, error) {
		return answer, nil
	}}
}

// Ages are measured, and relative time ranges end, on the clock of the cluster's
// server, which need not be that of another cluster's.
func TestEachClusterHasItsClock(t *testing.T) {
	t.Parallel()
	asked := make(chan dispatch.Request, 1)
	b := answering(t, large())
	b.do = func(_ context.Context, r dispatch.Request) ([]byte, error) { asked <- r; return large(), nil }
	a := b.api(t)
	for cluster, age := range map[string]string{"a": "42", "ahead": "3642"} {
		if w := do(t, a, http.MethodGet, "/api/v2/observe/traces/services?cluster_id="+cluster, nil); w.Header().Get("Age") != age {
			t.Errorf("%s: Age %q, want %s", cluster, w.Header().Get("Age"), age)
		}
		w := do(t, a, http.MethodGet, "/api/v2/observe/traces?time_range=5m&cluster_id="+cluster, nil)
		if w.Code != http.StatusOK {
			t.Fatalf("%s: %d %s", cluster, w.Code, w.Body)
		}
		traces, ok := (<-asked).Detail.(detail.Traces)
		if want := clocks(key.Cluster(cluster)).UnixMilli(); !ok || traces.Range.End != want {
			t.Errorf("%s: the range ends at %d, want %d", cluster, traces.Range.End, want)
		}
	}
}

const servicesURL = "/api/v2/observe/traces/services?cluster_id=a"

func TestEncodings(t *testing.T) {
	t.Parallel()
	body := large()
	a := answering(t, body).api(t)
	decoders := map[string]func(io.Reader) (io.Reader, error){
		"":     func(r io.Reader) (io.Reader, error) { return r, nil },
		"gzip": func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) },
		"zstd": func(r io.Reader) (io.Reader, error) {
			dec, err := zstd.NewReader(r)
			if err != nil {
				return nil, err
			}
			return dec.IOReadCloser(), nil
		},
	}
	for accept, want := range map[string]string{
		"": "", "gzip": "gzip", "gzip, deflate, br, zstd": "zstd", "identity, gzip;q=0.5": "", "br": "",
	} {
		w := do(t, a, http.MethodGet, servicesURL, http.Header{"Accept-Encoding": {accept}})
		h := w.Header()
		if got := h.Get("Content-Encoding"); w.Code != 200 || got != want {
			t.Errorf("Accept-Encoding %q: %d, Content-Encoding %q, want %q", accept, w.Code, got, want)
			continue
		}
		if h.Get("Vary") != "Accept-Encoding" || h.Get("Content-Length") != strconv.Itoa(w.Body.Len()) {
			t.Errorf("Accept-Encoding %q: headers %v with a body of %d bytes", accept, h, w.Body.Len())
		}
		r, err := decoders[want](w.Body)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, body) {
			t.Errorf("Accept-Encoding %q: decoded body differs (%v)", accept, err)
		}
	}
}

func TestSmallBodiesAreNotCompressed(t *testing.T) {
	t.Parallel()
	w := do(t, answering(t, []byte("{}")).api(t), http.MethodGet, servicesURL, http.Header{"Accept-Encoding": {"gzip, zstd"}})
	if w.Header().Get("Content-Encoding") != "" || w.Body.String() != "{}" || w.Header().Get("Vary") != "Accept-Encoding" {
		t.Errorf("got %v %q", w.Header(), w.Body)
	}
}

func TestRevalidation(t *testing.T) {
	t.Parallel()
	a := answering(t, large()).api(t)
	tags := map[string]string{}
	for _, enc := range []string{"", "gzip", "zstd"} {
		w := do(t, a, http.MethodGet, servicesURL, http.Header{"Accept-Encoding": {enc}})
		h := w.Header()
		tags[enc] = h.Get("ETag")
		if h.Get("Cache-Control") != "no-cache" || h.Get("Age") != "42" {
			t.Errorf("%q: Cache-Control %q, Age %q; want no-cache and 42", enc, h.Get("Cache-Control"), h.Get("Age"))
		}
	}
	if tags[""] == tags["gzip"] || tags["gzip"] == tags["zstd"] || !strings.HasPrefix(tags[""], `"7-abc`) {
		t.Errorf("tags %v: want one for each encoding", tags)
	}
	for _, c := range []struct {
		enc, ifNoneMatch string
		want             int
	}{
		{"", tags[""], 304},
		{"gzip", tags["gzip"], 304},
		{"zstd", "W/" + tags["zstd"], 304},
		{"", `"other", ` + tags[""], 304},
		{"", `"a,b",W/"c" , ` + tags[""] + `, "d"`, 304},
		{"", "*", 304},
		{"gzip", tags[""], 200}, // another sequence of bytes
		{"", `"7"`, 200},
		{"", strings.Trim(tags[""], `"`), 200},
		{"", `"unclosed`, 200},
		{"", `"`, 200},
		{"", "", 200},
	} {
		w := do(t, a, http.MethodGet, servicesURL, http.Header{"Accept-Encoding": {c.enc}, "If-None-Match": {c.ifNoneMatch}})
		if w.Code != c.want {
			t.Errorf("%+v: status %d", c, w.Code)
		}
		if w.Code != 304 {
			continue
		}
		h := w.Header()
		if w.Body.Len() != 0 || h.Get("ETag") != tags[c.enc] || h.Get("Vary") == "" || h.Get("Age") == "" || h.Get("Cache-Control") != "no-cache" || h.Get("Content-Type") != "" {
			t.Errorf("%+v: 304 with %d bytes and %v", c, w.Body.Len(), h)
		}
	}
}

func TestHead(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(answering(t, large()).api(t))
	defer server.Close()
	get := func(method string) (http.Header, []byte) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, server.URL+servicesURL, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept-Encoding", "gzip")
		resp, err := server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d, %v", method, resp.StatusCode, err)
		}
		for _, name := range []string{"Date", "X-Request-Id"} {
			resp.Header.Del(name)
		}
		return resp.Header, body
	}
	headHeader, headBody := get(http.MethodHead)
	getHeader, _ := get(http.MethodGet)
	if diff := cmp.Diff(getHeader, headHeader); diff != "" || len(headBody) != 0 {
		t.Errorf("HEAD has %d bytes and other headers than GET:\n%s", len(headBody), diff)
	}
}

func TestOtherTimeRangesAskTheAgent(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]time.Duration{
		"":                 0,
		"&time_range=15m":  0,
		"&time_range=900s": 0,
		"&time_range=1h":   time.Hour,
		"&start_time=2026-03-01T11:44:17.5Z&end_time=2026-03-01T11:59:17.5Z": 0, // the snapshot's very window
		"&start_time=2026-03-01T11:45:00Z&end_time=2026-03-01T12:00:00Z":     15 * time.Minute,
	} {
		b := answering(t, large())
		var asked []dispatch.Request
		b.do = func(_ context.Context, r dispatch.Request) ([]byte, error) {
			asked = append(asked, r)
			return []byte(`{}`), nil
		}
		w := do(t, b.api(t), http.MethodGet, servicesURL+query, nil)
		if w.Code != 200 {
			t.Errorf("%s: %d %s", query, w.Code, w.Body)
			continue
		}
		if want == 0 {
			if len(asked) != 0 || w.Header().Get("ETag") == "" {
				t.Errorf("%s: asked %+v, want the snapshot", query, asked)
			}
			continue
		}
		if len(asked) != 1 || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: asked %+v, %v; want one request", query, asked, w.Header())
			continue
		}
		request, ok := asked[0].Detail.(detail.Section)
		if !ok || request.Name != model.SectionTracesServices || request.Range.Duration() != want || asked[0].Cluster != "a" {
			t.Errorf("%s: asked %+v", query, asked[0])
		}
	}
}

func TestARangeNeedsNoSnapshot(t *testing.T) {
	t.Parallel()
	b := &backend{
		section: func(context.Context, key.Cluster, model.Section) (*dashboard.Answer, error) {
			return nil, fault.New(fault.SnapshotExpired, "expired")
		},
		do: func(context.Context, dispatch.Request) ([]byte, error) { return []byte(`{}`), nil },
	}
	if w := do(t, b.api(t), http.MethodGet, servicesURL+"&time_range=15m", nil); w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for _, path := range []string{"metrics/summary", "metrics/nodes", "overview"} {
		w := do(t, b.api(t), http.MethodGet, "/api/v2/observe/"+path+"?cluster_id=a&time_range=15m", nil)
		if f := readFailure(t, w); f.Code != "bad_request" || !strings.Contains(f.Error, "time_range") {
			t.Errorf("%s with a time range: %d %+v", path, w.Code, f)
		}
	}
}

func TestDetailRequests(t *testing.T) {
	t.Parallel()
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for _, c := range []struct {
		path, traceparent string
		want              dispatch.Request
	}{
		{
			"metrics/nodes/node-1.example?cluster_id=a", "",
			dispatch.Request{Cluster: "a", Detail: detail.Node{Name: "node-1.example"}, Timeout: api.DefaultTimeout},
		},
		{
			"metrics/nodes/a%2Fb%2520c?cluster_id=a&timeout=30s", parent,
			dispatch.Request{Cluster: "a", Detail: detail.Node{Name: "a/b%20c"}, Timeout: 30 * time.Second},
		},
		{
			"metrics/nodes/100%25?cluster_id=a", "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
			dispatch.Request{Cluster: "a", Detail: detail.Node{Name: "100%"}, Timeout: api.DefaultTimeout},
		},
		{
			"traces/4BF92F3577B34DA6A3CE929D0E0E4736?cluster_id=a", "",
			dispatch.Request{Cluster: "a", Detail: detail.Trace{TraceID: "4bf92f3577b34da6a3ce929d0e0e4736"}, Timeout: api.DefaultTimeout},
		},
	} {
		var got dispatch.Request
		var goesOn string
		b := &backend{do: func(ctx context.Context, r dispatch.Request) ([]byte, error) {
			got, goesOn = r, span.Traceparent(ctx)
			return []byte(`{"message":"ok"}`), nil
		}}
		w := do(t, b.api(t), http.MethodGet, "/api/v2/observe/"+c.path, http.Header{"Traceparent": {c.traceparent}})
		if w.Code != 200 || w.Body.String() != `{"message":"ok"}` || w.Header().Get("ETag") != "" {
			t.Errorf("%s: %d %s %v", c.path, w.Code, w.Body, w.Header())
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: -want +got\n%s", c.path, diff)
		}
		if (goesOn == parent) != (c.traceparent == parent) {
			t.Errorf("%s: of the trace %q goes on %q", c.path, c.traceparent, goesOn)
		}
	}
}

func TestClusters(t *testing.T) {
	t.Parallel()
	b := &backend{
		clusters: func(context.Context) ([]dashboard.Cluster, error) { return []dashboard.Cluster{}, nil },
		cluster: func(_ context.Context, c key.Cluster) (dashboard.Cluster, error) {
			return dashboard.Cluster{ID: string(c), Status: "online"}, nil
		},
	}
	a := b.api(t)
	if w := do(t, a, http.MethodGet, "/api/v2/clusters", nil); w.Code != 200 ||
		w.Body.String() != `{"message":"ok","data":[],"meta":{"collectedAt":"2026-03-01T12:00:00Z","windowSeconds":0,"stale":false}}`+"\n" {
		t.Errorf("no clusters: %d %s", w.Code, w.Body)
	}
	var got struct {
		Data struct{ ID string }
		Meta struct{ ClusterID string }
	}
	w := do(t, a, http.MethodGet, "/api/v2/clusters/prod-1", nil)
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got.Data.ID != "prod-1" || got.Meta.ClusterID != "prod-1" {
		t.Errorf("one cluster: %d %s", w.Code, w.Body)
	}
	for _, path := range []string{"/api/v2/clusters/Prod", "/api/v2/clusters?limit=5", "/api/v2/clusters/a?x=y"} {
		w := do(t, a, http.MethodGet, path, nil)
		if f := readFailure(t, w); f.Code != "bad_request" {
			t.Errorf("%s: %d %+v", path, w.Code, f)
		}
	}
}

func TestFleet(t *testing.T) {
	t.Parallel()
	nodes := int64(6)
	fleet := dashboard.Fleet{Clusters: []dashboard.FleetCluster{}, CollectedAt: clock().Add(time.Microsecond)}
	b := &backend{fleet: func(context.Context) (dashboard.Fleet, error) { return fleet, nil }}
	a := b.api(t)
	const url = "/api/v2/fleet"
	w := do(t, a, http.MethodGet, url, nil)
	if want := `{"message":"ok","data":[],"meta":{"collectedAt":"2026-03-01T12:00:00Z","windowSeconds":0,"stale":false}}` + "\n"; w.Code != 200 ||
		w.Body.String() != want || w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("ETag") != "" {
		t.Errorf("no clusters: %d %s %v", w.Code, w.Body, w.Header())
	}
	fleet.Clusters = []dashboard.FleetCluster{
		{ID: "a", Status: "online", Nodes: &nodes, Overview: &dashboard.FleetOverview{Data: json.RawMessage(`{"totalRps":1.5}`), CollectedAt: "t"}},
		{ID: "b", Status: "offline", Snapshot: dashboard.FleetSnapshot{Snapshot: dashboard.Snapshot{State: "none"}}},
	}
	fleet.Stale, fleet.Error = true, "why"
	w = do(t, a, http.MethodGet, url, nil)
	var got struct {
		Data []map[string]json.RawMessage
		Meta struct {
			Stale bool
			Error string
		}
	}
	if err := json.NewDecoder(w.Body).Decode(&got); err != nil || len(got.Data) != 2 || !got.Meta.Stale || got.Meta.Error != "why" {
		t.Fatalf("%+v, %v", got, err)
	}
	for i, want := range []map[string]string{
		{"id": `"a"`, "status": `"online"`, "nodes": "6", "pods": "null", "overview": `{"data":{"totalRps":1.5},"collectedAt":"t","ageSeconds":0,"stale":false}`},
		{"id": `"b"`, "status": `"offline"`, "nodes": "null", "overview": "null", "snapshot": `{"state":"none","publishedAt":"","ageSeconds":0}`},
	} {
		for field, value := range want {
			if string(got.Data[i][field]) != value {
				t.Errorf("cluster %d: %s is %s, want %s", i, field, got.Data[i][field], value)
			}
		}
	}

	if f := readFailure(t, do(t, a, http.MethodGet, url+"?cluster_id=a", nil)); f.Code != "bad_request" {
		t.Errorf("with a parameter: %+v", f)
	}
	b.fleet = func(context.Context) (dashboard.Fleet, error) {
		return dashboard.Fleet{}, fault.New(fault.StoreUnavailable, "Redis cannot be reached")
	}
	if f := readFailure(t, do(t, a, http.MethodGet, url, nil)); f.Code != "store_unavailable" {
		t.Errorf("without Redis: %+v", f)
	}
}

func TestRequestIDs(t *testing.T) {
	t.Parallel()
	a := (&backend{}).api(t)
	for given, kept := range map[string]bool{
		"abc-123_X.y": true, "": false, strings.Repeat("a", 65): false, "a b": false, "a\"b": false, "ü": false,
	} {
		id := do(t, a, http.MethodGet, "/healthz", http.Header{"X-Request-Id": {given}}).Header().Get("X-Request-Id")
		if (id == given) != kept || id == "" {
			t.Errorf("given %q: answered with %q", given, id)
		}
	}
}

func TestPanics(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	b := &backend{
		log: &log,
		section: func(context.Context, key.Cluster, model.Section) (*dashboard.Answer, error) {
			panic("boom with a secret")
		},
	}
	w := do(t, b.api(t), http.MethodGet, servicesURL, http.Header{"X-Request-Id": {"req-1"}})
	f := readFailure(t, w)
	if w.Code != 500 || f.Code != "internal" || !strings.Contains(f.Error, "req-1") || strings.Contains(f.Error, "secret") {
		t.Errorf("%d %+v, want 500 with the request's id and nothing else", w.Code, f)
	}
	if text := log.String(); !strings.Contains(text, "boom with a secret") || !strings.Contains(text, "req-1") || !strings.Contains(text, "api_test.go") {
		t.Errorf("the log lacks the panic, the id or the stack: %s", text)
	}
}

func TestFailuresAreLogged(t *testing.T) {
	t.Parallel()
	for code, level := range map[fault.Code]string{fault.AgentError: "WARN", fault.NotReady: "DEBUG"} {
		var log bytes.Buffer
		b := &backend{log: &log, section: func(context.Context, key.Cluster, model.Section) (*dashboard.Answer, error) {
			return nil, fault.Wrap(errors.New("the cause"), code, "sentence")
		}}
		do(t, b.api(t), http.MethodGet, servicesURL, http.Header{"X-Request-Id": {"req-1"}})
		warned := strings.Contains(log.String(), "level=WARN")
		if warned != (level == "WARN") || warned && (!strings.Contains(log.String(), "the cause") || !strings.Contains(log.String(), "request_id=req-1")) {
			t.Errorf("%s: log %s", code, log.String())
		}
	}
}

func TestHangUp(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	b := &backend{do: func(ctx context.Context, _ dispatch.Request) ([]byte, error) {
		cancel()
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/api/v2/observe/traces?cluster_id=a", nil)
	w := httptest.NewRecorder()
	b.api(t).ServeHTTP(w, r)
	if w.Body.Len() != 0 {
		t.Errorf("wrote %s for a caller that is gone", w.Body)
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	b := &backend{}
	good := api.Config{Dashboards: b, Details: b, Ready: b.ready, Now: clocks, Logger: slog.New(slog.DiscardHandler)}
	good.Ready = func(context.Context) error { return nil }
	for name, change := range map[string]func(*api.Config){
		"no dashboards":  func(c *api.Config) { c.Dashboards = nil },
		"no clock":       func(c *api.Config) { c.Now = nil },
		"long range":     func(c *api.Config) { c.MaxRange = detail.MaxRangeHard + 1 },
		"streams":        func(c *api.Config) { c.MaxStreams = -1 },
		"negative range": func(c *api.Config) { c.MaxRange = -1 },
		"timeout":        func(c *api.Config) { c.Timeout = time.Minute },
	} {
		bad := good
		change(&bad)
		if _, err := api.New(bad); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := api.New(good); err != nil {
		t.Error(err)
	}
}
