package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/atlhyper/observe/master/access"
	"github.com/atlhyper/observe/master/api"
	"github.com/atlhyper/observe/master/audit"
	"github.com/atlhyper/observe/master/dispatch"
	"github.com/atlhyper/observe/shared/fault"
)

// audited is an API, and what its audit log says since it was asked last.
func audited(t *testing.T, b *backend, change func(*api.Config)) (a *api.API, lines func() []map[string]any) {
	t.Helper()
	log, lines := auditLog(t)
	return guarded(t, b, func(c *api.Config) {
		c.Audit = log
		change(c)
	}), lines
}

// auditLog is a log, and what it says since it was asked last.
func auditLog(t *testing.T) (log *audit.Log, lines func() []map[string]any) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "audit.log")
	log, err := audit.Open(audit.Config{To: path, Now: (&handClock{}).now, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	read := 0
	return log, func() []map[string]any {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		fresh := data[read:]
		fresh = fresh[:bytes.LastIndexByte(fresh, '\n')+1] // whole lines: one may be under way
		read += len(fresh)
		var all []map[string]any
		for line := range bytes.Lines(fresh) {
			var one map[string]any
			if err := json.Unmarshal(line, &one); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			all = append(all, one)
		}
		return all
	}
}

func TestAuditLines(t *testing.T) {
	t.Parallel()
	b := detailed(t)
	answer := b.do
	b.do = func(ctx context.Context, r dispatch.Request) ([]byte, error) {
		switch r.Cluster {
		case "offline":
			return nil, fault.New(fault.AgentOffline, "no agent")
		case "panics":
			panic("boom")
		}
		return answer(ctx, r)
	}
	a, lines := audited(t, b, func(c *api.Config) { c.Limits = limits(t, &handClock{}, 0, 0.001) })
	const services, traces = "/api/v2/observe/traces/services", "/api/v2/observe/traces"
	type line map[string]any
	always := line{
		"level": "INFO", "msg": "audit", "auth": "tokens", "method": "GET", "request_id": "r-1", "remote": "192.0.2.1",
		"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
	}
	for _, c := range []struct {
		url    string
		header http.Header
		want   line // nil: none
	}{
		{servicesURL, as("alice"), nil},
		{"/api/v2/clusters", as("vera"), nil},
		{"/healthz", nil, nil},
		{"/nothing", nil, nil},
		{servicesURL + "&limit=5", as("alice"), nil}, // wrong, not refused
		{tracesURL + "a&time_range=5m&service=cart&operation=SELECT+secret", as("alice"), line{
			"caller": "alice", "role": "operator", "cluster": "a", "kind": "traces", "route": traces, "outcome": "ok", "status": 200.0,
			"withheld": []any{"operation"},
		}},
		{servicesURL + "&time_range=1h", as("alice"), line{
			"caller": "alice", "role": "operator", "cluster": "a", "kind": "section", "route": services, "outcome": "ok", "status": 200.0,
		}},
		{tracesURL + "a&limit=0", as("alice"), line{
			"caller": "alice", "role": "operator", "cluster": "a", "route": traces, "outcome": "bad_request", "status": 400.0,
		}},
		{tracesURL + "offline", as("alice"), line{
			"caller": "alice", "role": "operator", "cluster": "offline", "kind": "traces", "route": traces, "outcome": "agent_offline", "status": 503.0,
		}},
		{tracesURL + "panics", as("alice"), line{
			"caller": "alice", "role": "operator", "cluster": "panics", "kind": "traces", "route": traces, "outcome": "internal", "status": 500.0,
		}},
		{servicesURL, nil, line{"cluster": "a", "route": services, "outcome": "unauthorized", "status": 401.0}},
		{servicesURL, as("nobody-knows"), line{"cluster": "a", "route": services, "outcome": "unauthorized", "status": 401.0}},
		{servicesURL + "&access_token=of-alice", nil, line{"cluster": "a", "route": services, "outcome": "bad_request", "status": 400.0}},
		{"/nothing?token=of-alice", nil, line{"outcome": "bad_request", "status": 400.0}},
		{"/api/v2/clusters/prod-1", nil, line{"cluster": "prod-1", "route": "/api/v2/clusters/{id}", "outcome": "unauthorized", "status": 401.0}},
		{"/api/v2/observe/traces?cluster_id=No+Cluster", nil, line{"route": traces, "outcome": "unauthorized", "status": 401.0}},
		{servicesURL, as("bob"), line{
			"caller": "bob", "cluster": "a", "route": services, "outcome": "cluster_hidden", "status": 404.0,
		}},
		{tracesURL + "a", as("vera"), line{"caller": "vera", "role": "viewer", "cluster": "a", "route": traces, "outcome": "forbidden", "status": 403.0}},
		{servicesURL + "&time_range=1h", as("vera"), line{
			"caller": "vera", "role": "viewer", "cluster": "a", "route": services, "outcome": "forbidden", "status": 403.0,
		}},
		{tracesURL + "a", as("alice"), line{ // the third for it that ran
			"caller": "alice", "role": "operator", "cluster": "a", "kind": "traces", "route": traces, "outcome": "ok", "status": 200.0,
		}},
		{tracesURL + "a", as("alice"), line{
			"caller": "alice", "role": "operator", "cluster": "a", "kind": "traces", "route": traces, "outcome": "rate_limited", "status": 429.0,
		}},
	} {
		header := c.header.Clone()
		if header == nil {
			header = http.Header{}
		}
		header.Set("X-Request-Id", "r-1")
		header.Set("Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
		do(t, a, http.MethodGet, c.url, header)
		got := lines()
		if c.want == nil {
			if len(got) != 0 {
				t.Errorf("%s: %v, want no line", c.url, got)
			}
			continue
		}
		if len(got) != 1 {
			t.Errorf("%s: %d lines, want one", c.url, len(got))
			continue
		}
		for _, key := range []string{"time", "took_ms", "bytes", "params"} {
			delete(got[0], key)
		}
		maps.Copy(c.want, always)
		if diff := cmp.Diff(map[string]any(c.want), got[0]); diff != "" {
			t.Errorf("%s of %v: -want +got\n%s", c.url, c.header, diff)
		}
	}
}

// One who hangs up has asked all the same.
func TestAuditOfAHangUp(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	b := detailed(t)
	b.do = func(ctx context.Context, _ dispatch.Request) ([]byte, error) {
		cancel()
		<-ctx.Done()
		return nil, ctx.Err()
	}
	a, lines := audited(t, b, func(*api.Config) {})
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, tracesURL+"a", nil)
	r.Header = as("alice")
	a.ServeHTTP(httptest.NewRecorder(), r)
	if got := lines(); len(got) != 1 || got[0]["outcome"] != "canceled" || got[0]["caller"] != "alice" {
		t.Errorf("got %v", got)
	}
}

// Neither what is searched for nor a credential is in any line.
func TestAuditHoldsNoSecret(t *testing.T) {
	t.Parallel()
	a, lines := audited(t, detailed(t), func(*api.Config) {})
	ask := func(method, target, body string, header http.Header) {
		r := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
		r.Header = header
		a.ServeHTTP(httptest.NewRecorder(), r)
	}
	ask(http.MethodPost, "/api/v2/observe/logs/query", `{"cluster_id":"a","query":"hunter2","scope":"hunter2","service":"hunter2 x"}`, as("alice"))
	ask(http.MethodPost, "/api/v2/observe/logs/query", `{"cluster_id":"a","level":"hunter2"}`, as("alice"))
	ask(http.MethodPost, "/api/v2/observe/logs/query", `hunter2`, as("alice"))
	ask(http.MethodGet, tracesURL+"a&operation=hunter2&nothing=hunter2", "", as("alice"))
	ask(http.MethodGet, tracesURL+"a&operation=hunter2&cursor=hunter2", "", as("alice"))
	ask(http.MethodGet, tracesURL+"a&token=hunter2", "", nil)
	ask(http.MethodGet, tracesURL+"a", "", http.Header{"Authorization": {"Bearer hunter2"}})
	ask(http.MethodGet, tracesURL+"a", "", http.Header{"Authorization": {"Basic hunter2"}})
	ask(http.MethodGet, tracesURL+"a", "", http.Header{"Cookie": {"atlhyper_session=hunter2"}})
	ask(http.MethodGet, "/api/v2/observe/traces/hunter2?cluster_id=a", "", as("alice"))
	got := lines()
	if len(got) != 10 {
		t.Errorf("%d lines, want 10", len(got))
	}
	for _, line := range got {
		text, err := json.Marshal(line)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "hunter2") {
			t.Errorf("a secret in %s", text)
		}
	}
}

// Whoever floods a replica with what it refuses does not fill its disk: neither without
// credentials, nor with those that give too little or came too often.
func TestRefusalsDoNotFloodTheAudit(t *testing.T) {
	t.Parallel()
	a, lines := audited(t, detailed(t), func(c *api.Config) { c.Limits = limits(t, &handClock{}, 1, 0) })
	for _, flood := range []struct {
		name, url string
		header    http.Header
	}{
		{"a stranger", servicesURL, nil},
		{"the same one on a route that is none", "/nothing?token=x", nil},
		{"a caller who may not", tracesURL + "a", as("vera")},
		{"a caller who asks too often", servicesURL, as("alice")},
	} {
		for range 200 {
			do(t, a, http.MethodGet, flood.url, flood.header)
		}
	}
	byCaller := make(map[any]int)
	for _, line := range lines() {
		byCaller[line["caller"]]++
	}
	if diff := cmp.Diff(map[any]int{nil: 20, "vera": 20, "alice": 20}, byCaller); diff != "" {
		t.Errorf("lines by caller: -want +got\n%s", diff)
	}
}

// noRights knows who calls, who then may do nothing.
type noRights struct{}

func (noRights) Mode() access.Mode { return access.ModeOIDC }

func (noRights) Authenticate(context.Context, string) (*access.Caller, error) {
	return access.NewCaller("eve", time.Time{}), fault.New(fault.Forbidden, "no right here")
}

func TestWhoHasNoRightIsNamed(t *testing.T) {
	t.Parallel()
	a, lines := audited(t, detailed(t), func(c *api.Config) { c.Access = noRights{} })
	for _, url := range []string{sessionURL, servicesURL, tracesURL + "a", "/api/v2/clusters"} {
		expect(t, a, url, bearer("eve"), http.StatusForbidden, 0)
		if got := lines(); len(got) != 1 || got[0]["caller"] != "eve" || got[0]["outcome"] != "forbidden" {
			t.Errorf("%s: the audit says %v", url, got)
		}
	}
}
