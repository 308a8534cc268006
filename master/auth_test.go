package master_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/atlhyper/observe/master"
	"github.com/atlhyper/observe/master/access"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/shared/model"
)

// tokensFile names ann, a viewer of prod-1, and bob, an operator of prod-1 and prod-9.
func tokensFile(t *testing.T) string {
	t.Helper()
	text := []byte("tokens:\n")
	for name, rights := range map[string]string{
		"ann": `role: viewer, clusters: ["prod-1"]`, "bob": `role: operator, clusters: ["prod-1", "prod-9"]`, "eve": `role: operator, clusters: ["*"], expires: 2026-01-02T03:04:05Z`,
	} {
		sum := sha256.Sum256([]byte("token-of-" + name))
		text = fmt.Appendf(text, "- {name: %s, sha256: %s, %s}\n", name, hex.EncodeToString(sum[:]), rights)
	}
	file := filepath.Join(t.TempDir(), "tokens.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// as sends a request with somebody's token.
func (r *replica) as(t *testing.T, name, method, path, body string) response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if name != "" {
		req.Header.Set("Authorization", "Bearer token-of-"+name)
	}
	resp, err := r.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response{resp.StatusCode, resp.Header, data}
}

// Two clusters lie in Redis; who may see one of them finds nothing of the other.
func TestCallers(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	agent := startAgent(t, redis.URL(), scripted(t, nil))
	publish(t, agent.writer, sections())
	second := agent.newWriter(t, "prod-2", 10*time.Second)
	publish(t, second, sections())
	m := startMaster(t, master.Config{Redis: redis.URL(), Auth: access.Config{Mode: access.ModeTokens, TokensFile: tokensFile(t)}})

	const dash, trace = "/api/v2/observe/metrics/nodes?cluster_id=", "/api/v2/observe/traces/0af7651916cd43dd8448eb211c80319c?cluster_id="
	for _, c := range []struct {
		caller, path string
		want         int
	}{
		{"", "/healthz", 200}, {"", "/metrics", 401}, {"ann", "/metrics", 403},
		{"", dash + cluster, 401}, {"eve", dash + cluster, 401}, {"mallory", dash + cluster, 401},
		{"ann", dash + cluster, 200}, {"bob", dash + cluster, 200},
		{"ann", dash + "prod-2", 404}, {"ann", dash + "prod-9", 404}, {"bob", dash + "prod-9", 404},
		{"ann", trace + cluster, 403}, {"bob", trace + cluster, 200}, {"bob", trace + "prod-2", 404},
		{"ann", "/api/v2/observe/slo/edges?time_range=6h&cluster_id=" + cluster, 403}, {"bob", "/api/v2/observe/slo/edges?time_range=6h&cluster_id=" + cluster, 200},
		{"ann", "/api/v2/clusters/prod-1", 200}, {"ann", "/api/v2/clusters/prod-2", 404},
	} {
		if got := m.as(t, c.caller, http.MethodGet, c.path, ""); got.status != c.want {
			t.Errorf("%s, %s: %d, want %d: %s", c.caller, c.path, got.status, c.want, got.body)
		}
	}
	m.ready(t) // without a token
	for _, list := range []string{"clusters", "fleet"} {
		got := m.as(t, "ann", http.MethodGet, "/api/v2/"+list, "")
		var ids []string
		for _, c := range readBody[struct{ Data []struct{ ID string } }](t, got).Data {
			ids = append(ids, c.ID)
		}
		if diff := cmp.Diff([]string{cluster}, ids); diff != "" || strings.Contains(string(got.body), "prod-2") {
			t.Errorf("%s: -want +got\n%s\n%s", list, diff, got.body)
		}
	}
}

// Redis knows prod-2 and has nothing of prod-9, which bob may see: nothing that bob is
// told differs.
func TestHiddenClustersLookUnknown(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	agent := startAgent(t, redis.URL(), scripted(t, nil))
	values := sections()
	values[model.SectionKubePods] = []model.KubePod{}
	publish(t, agent.newWriter(t, "prod-2", 10*time.Second), values)
	m := startMaster(t, master.Config{Redis: redis.URL(), Auth: access.Config{Mode: access.ModeTokens, TokensFile: tokensFile(t)}})
	for _, path := range []string{
		"GET /api/v2/clusters/C", "GET /api/v2/overview?cluster_id=C", "GET /api/v2/observe/stream?cluster_id=C", "GET /api/v2/pods?cluster_id=C",
		"GET /api/v2/observe/overview?cluster_id=C", "GET /api/v2/observe/traces/services?cluster_id=C&time_range=6h", "GET /api/v2/observe/traces?cluster_id=C",
		"GET /api/v2/observe/metrics/nodes/n1?cluster_id=C", "POST /api/v2/observe/logs/query", "GET /api/v2/pods/ns/x?cluster_id=C",
		"GET /api/v2/observe/traces?cluster_id=C&limit=x", "GET /api/v2/observe/metrics/nodes?cluster_id=C&nonsense=1",
	} {
		ask := func(id string) string {
			method, path, _ := strings.Cut(path, " ")
			body := ""
			if method == http.MethodPost {
				body = `{"cluster_id":"` + id + `"}`
			}
			got := m.as(t, "bob", method, strings.ReplaceAll(path, "C", id), body)
			got.header.Del("X-Request-Id")
			got.header.Del("Date")
			return strings.ReplaceAll(fmt.Sprint(got.status, got.header, string(got.body)), id, "C")
		}
		if diff := cmp.Diff(ask("prod-9"), ask("prod-2")); diff != "" {
			t.Errorf("%s: -not there +hidden\n%s", path, diff)
		}
	}
}

// A master does not wait for the issuer of tokens, and does not blame who calls.
func TestIssuerAwayAtTheStart(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	file := filepath.Join(t.TempDir(), "oidc.yaml")
	if err := os.WriteFile(file, []byte("issuer: https://127.0.0.1:1\naudience: observe\ngrants: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	m := startMaster(t, master.Config{Redis: redis.URL(), Auth: access.Config{Mode: access.ModeOIDC, OIDC: access.OIDCConfig{File: file}}})
	m.ready(t)
	// It is signed by nobody, but names a key.
	const token = "eyJhbGciOiJFUzI1NiIsImtpZCI6ImsifQ.e30.c2ln"
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, m.url+"/api/v2/clusters", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := m.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(body), `"unavailable"`) ||
		resp.Header.Get("Retry-After") == "" || strings.Contains(string(body), "127.0.0.1") {
		t.Errorf("%d %v %s, %v", resp.StatusCode, resp.Header, body, err)
	}
}

func TestOpenOnlyToThisMachine(t *testing.T) {
	t.Parallel()
	tokens := access.Config{Mode: access.ModeTokens, TokensFile: tokensFile(t)}
	for _, c := range []struct {
		cfg  master.Config
		want string // in the error; "" for none
	}{
		{master.Config{Listen: "127.0.0.1:0"}, ""},
		{master.Config{Listen: "localhost:0"}, ""},
		{master.Config{Listen: "[::1]:0"}, ""},
		{master.Config{Listen: "0.0.0.0:8080"}, "--insecure-no-auth"},
		{master.Config{Listen: ":8080"}, "--insecure-no-auth"},
		{master.Config{Listen: "[::]:8080"}, "--insecure-no-auth"},
		{master.Config{Listen: "10.0.0.1:8080", Auth: access.Config{Mode: access.ModeNone}}, "--insecure-no-auth"},
		{master.Config{Listen: "observe.example.org:8080"}, "--insecure-no-auth"},
		{master.Config{Listen: ":0", InsecureNoAuth: true}, ""},
		{master.Config{Listen: ":0", Auth: tokens}, ""},
		{master.Config{Auth: access.Config{Mode: "basic"}}, "auth: "},
		{master.Config{Auth: access.Config{Mode: access.ModeTokens}}, "tokens file: is required"},
		{master.Config{Auth: access.Config{TokensFile: "x"}}, "tokens file: is only for"},
		{master.Config{Auth: access.Config{OIDC: access.OIDCConfig{File: "x"}}}, "oidc: is only for"},
		{master.Config{Auth: access.Config{Mode: access.ModeTokens, TokensFile: "not.there"}}, "no such file"},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		c.cfg.Redis, c.cfg.OnListen = "redis://127.0.0.1:1", func(net.Addr) { cancel() }
		m, err := master.New(c.cfg)
		if (c.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.cfg, err, c.want)
		}
		if m != nil {
			if err := m.Run(ctx); err != nil {
				t.Errorf("%+v: %v", c.cfg, err)
			}
		}
		cancel()
	}
}
