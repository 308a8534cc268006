package access_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/atlhyper/observe/master/access"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/logtest"
)

const rights = `
name: [profile, login]
roles: roles
grants:
  - {value: observers, role: viewer, clusters: ["a-*", "b-*"]}
  - {value: oncall-b, role: operator, clusters: ["b-*"]}
`

// issuer is an OpenID Connect issuer with keys that the test changes.
type issuer struct {
	server *httptest.Server
	asked  atomic.Int64 // for keys

	mu     sync.Mutex
	keys   []jose.JSONWebKey
	broken bool
	says   string // as its name; "" for the true one
}

func newIssuer(t *testing.T, keys ...*signer) *issuer {
	t.Helper()
	i := &issuer{}
	i.publish(keys...)
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		i.mu.Lock()
		defer i.mu.Unlock()
		name := i.server.URL
		if i.says != "" {
			name = i.says
		}
		i.answer(t, w, map[string]any{"issuer": name, "jwks_uri": i.server.URL + "/keys", "id_token_signing_alg_values_supported": []string{"none", "HS256", "RS256"}})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		i.asked.Add(1)
		i.mu.Lock()
		defer i.mu.Unlock()
		i.answer(t, w, map[string]any{"keys": append([]any{map[string]string{"kty": "of the future"}}, anys(i.keys)...)})
	})
	i.server = httptest.NewTLSServer(mux)
	t.Cleanup(i.server.Close)
	return i
}

func anys(keys []jose.JSONWebKey) []any {
	all := make([]any, len(keys))
	for i := range keys {
		all[i] = keys[i]
	}
	return all
}

func (i *issuer) answer(t *testing.T, w http.ResponseWriter, v any) {
	t.Helper()
	if i.broken {
		http.Error(w, "out of order", http.StatusBadGateway)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		t.Error(err)
	}
}

func (i *issuer) publish(keys ...*signer) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = nil
	for _, k := range keys {
		i.keys = append(i.keys, jose.JSONWebKey{Key: k.public, KeyID: k.id, Algorithm: string(k.alg), Use: "sig"})
	}
}

func (i *issuer) fail(broken bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.broken = broken
}

// caFile is the authority of the issuer's certificate.
func (i *issuer) caFile(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.pem")
	writeFile(t, file, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.server.Certificate().Raw})))
	return file
}

// signer signs tokens.
type signer struct {
	id      string
	alg     jose.SignatureAlgorithm
	private any
	public  crypto.PublicKey
}

func newSigner(t *testing.T, id string, alg jose.SignatureAlgorithm) *signer {
	t.Helper()
	var private crypto.Signer
	var err error
	switch alg {
	case jose.ES256:
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case jose.EdDSA:
		_, private, err = ed25519.GenerateKey(rand.Reader)
	default:
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	return &signer{id, alg, private, private.Public()}
}

func (s *signer) sign(t *testing.T, claims map[string]any) string {
	t.Helper()
	options := &jose.SignerOptions{}
	if s.id != "" {
		options = options.WithHeader("kid", s.id)
	}
	by, err := jose.NewSigner(jose.SigningKey{Algorithm: s.alg, Key: s.private}, options)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := by.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// claims are good for an hour from clock on; change makes others of them.
func (i *issuer) claims(change func(map[string]any)) map[string]any {
	c := map[string]any{
		"iss": i.server.URL, "aud": []string{"observe", "other"}, "sub": "1234",
		"exp": clock().Add(time.Hour).Unix(), "iat": clock().Unix(), "nbf": clock().Unix(),
		"roles": []any{"unknown", "observers", 7}, "profile": map[string]any{"login": "ann"},
	}
	if change != nil {
		change(c)
	}
	return c
}

// ticking is a clock that the test sets.
type ticking struct{ after atomic.Int64 }

func (c *ticking) now() time.Time          { return clock().Add(time.Duration(c.after.Load())) }
func (c *ticking) advance(d time.Duration) { c.after.Add(int64(d)) }

func (i *issuer) open(t *testing.T, change func(*access.OIDCConfig)) *access.OIDC {
	t.Helper()
	file := filepath.Join(t.TempDir(), "oidc.yaml")
	writeFile(t, file, rights)
	cfg := access.OIDCConfig{
		Issuer: i.server.URL, Audience: "observe", File: file, CAFile: i.caFile(t), Now: clock, Logger: discard(),
		Timeout: time.Minute, // which is not tested, on a machine that is slow
	}
	if change != nil {
		change(&cfg)
	}
	o, err := access.NewOIDC(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestOIDC(t *testing.T) {
	t.Parallel()
	for _, alg := range []jose.SignatureAlgorithm{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA} {
		key1 := newSigner(t, "k1", alg)
		i := newIssuer(t, key1)
		o := i.open(t, nil)
		token := key1.sign(t, i.claims(nil))
		for range 3 {
			c, err := o.Authenticate(t.Context(), token)
			if err != nil || c.Name != "ann" || c.Role != access.Viewer || !c.Sees("a-1") || c.Sees("c") || !c.Expires.Equal(clock().Add(time.Hour)) {
				t.Fatalf("%s: %+v, %v", alg, c, err)
			}
		}
		// A key without a name, and one that signs by another algorithm than its own.
		nameless := *key1
		nameless.id = ""
		if _, err := o.Authenticate(t.Context(), nameless.sign(t, i.claims(nil))); err != nil {
			t.Errorf("%s: a token that names no key: %v", alg, err)
		}
		if n := i.asked.Load(); n != 1 {
			t.Errorf("%s: the issuer was asked %d times", alg, n)
		}
	}
}

// What several values give is united; what is given in one cluster is not in another.
func TestOIDCGrants(t *testing.T) {
	t.Parallel()
	k := newSigner(t, "k", jose.ES256)
	i := newIssuer(t, k)
	o := i.open(t, nil)
	c, err := o.Authenticate(t.Context(), k.sign(t, i.claims(func(c map[string]any) { c["roles"] = []string{"oncall-b", "observers"} })))
	if err != nil {
		t.Fatal(err)
	}
	got := map[key.Cluster]access.Role{}
	for _, id := range []key.Cluster{"a-1", "b-1", "c-1"} {
		got[id] = c.RoleIn(id)
	}
	if diff := cmp.Diff(map[key.Cluster]access.Role{"a-1": access.Viewer, "b-1": access.Operator, "c-1": 0}, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	for what, change := range map[string]func(map[string]any){
		"no role":           func(c map[string]any) { delete(c, "roles") },
		"other roles":       func(c map[string]any) { c["roles"] = "observers oncall-b" },
		"roles of no type":  func(c map[string]any) { c["roles"] = map[string]any{"observers": true} },
		"no name":           func(c map[string]any) { delete(c, "profile") },
		"a name of no text": func(c map[string]any) { c["profile"] = map[string]any{"login": 7} },
		"a name with lines": func(c map[string]any) { c["profile"] = map[string]any{"login": "ann\nbob"} },
	} {
		c, err := o.Authenticate(t.Context(), k.sign(t, i.claims(change)))
		if !fault.Is(err, fault.Forbidden) {
			t.Errorf("%s: %v, %v", what, c, err)
		}
		switch named := strings.Contains(what, "role"); {
		case named != (c != nil):
			t.Errorf("%s: the caller is %v", what, c)
		case named && (c.Name != "ann" || c.Role != 0 || c.SeesAll() || c.Sees("a-1") || c.RoleIn("a-1") != 0 || len(c.Grants()) != 0):
			t.Errorf("%s: who has no rights is %+v", what, c)
		}
	}
}

// Nothing that is not signed by the issuer, for us, for now, is anybody.
func TestForgedTokens(t *testing.T) {
	t.Parallel()
	good, other, elliptic := newSigner(t, "k1", jose.RS256), newSigner(t, "k1", jose.RS256), newSigner(t, "k1", jose.ES256)
	i := newIssuer(t, good)
	log := &logtest.Buffer{}
	o := i.open(t, func(c *access.OIDCConfig) {
		c.Logger = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	with := func(change func(map[string]any)) string { return good.sign(t, i.claims(change)) }
	set := func(name string, value any) string { return with(func(c map[string]any) { c[name] = value }) }
	at := func(name string, d time.Duration) string { return set(name, clock().Add(d).Unix()) }
	valid := with(nil)
	parts := strings.Split(valid, ".")
	mended := func(change func(map[string]any)) string { // the signature of another payload
		return parts[0] + "." + strings.Split(with(change), ".")[1] + "." + parts[2]
	}
	unknown := *good
	unknown.id = "k2"
	bad := map[string]string{
		"wrong key":               other.sign(t, i.claims(nil)),
		"wrong type of key":       elliptic.sign(t, i.claims(nil)),
		"unknown key":             unknown.sign(t, i.claims(nil)),
		"other payload":           mended(func(c map[string]any) { c["roles"] = "oncall-b" }),
		"no signature":            parts[0] + "." + parts[1] + ".",
		"alg none":                rawToken(t, map[string]any{"alg": "none"}, i.claims(nil), nil),
		"alg none, key named":     rawToken(t, map[string]any{"alg": "none", "kid": "k1"}, i.claims(nil), nil),
		"alg None":                rawToken(t, map[string]any{"alg": "None", "kid": "k1"}, i.claims(nil), nil),
		"public key as secret":    hs256(t, i.claims(nil), good.publicPEM(t)),
		"public DER as secret":    hs256(t, i.claims(nil), good.publicDER(t)),
		"empty secret":            hs256(t, i.claims(nil), nil),
		"brings its own key":      good.embedded(t, other, i.claims(nil)),
		"expired":                 at("exp", -time.Minute),
		"expired, beyond skew":    at("exp", -access.DefaultSkew),
		"no expiry":               with(func(c map[string]any) { delete(c, "exp") }),
		"expiry of no type":       set("exp", "tomorrow"),
		"endless":                 set("exp", 1e300),
		"not yet valid":           at("nbf", time.Minute),
		"issued in the future":    at("iat", time.Minute),
		"wrong audience":          set("aud", "other"),
		"no audience":             with(func(c map[string]any) { delete(c, "aud") }),
		"wrong issuer":            set("iss", "https://login.example.org"),
		"issuer with slash":       set("iss", i.server.URL+"/"),
		"no issuer":               with(func(c map[string]any) { delete(c, "iss") }),
		"JSON serialization":      `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`,
		"encrypted":               valid + ".a.b",
		"no token":                "x",
		"nothing":                 "",
		"only points":             "..",
		"two signatures of a key": valid + "." + valid,
	}
	for what, token := range bad {
		for range 2 { // also when it was seen before
			c, err := o.Authenticate(t.Context(), token)
			if err == nil || c != nil || err.Error() != access.Invalid().Error() {
				t.Errorf("%s: %+v, %v", what, c, err)
			}
		}
		if len(token) > 100 && strings.Contains(log.String(), token) {
			t.Errorf("%s: the token is in the log", what)
		}
	}
	for what, token := range map[string]string{
		"just expired": at("exp", -access.DefaultSkew+time.Second), "just not yet valid": at("nbf", access.DefaultSkew), "one audience": set("aud", "observe"),
		"nothing but exp": with(func(c map[string]any) { delete(c, "iat"); delete(c, "nbf") }),
	} {
		if _, err := o.Authenticate(t.Context(), token); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestVerifiedTokensExpire(t *testing.T) {
	t.Parallel()
	k, now := newSigner(t, "k", jose.ES256), &ticking{}
	i := newIssuer(t, k)
	o := i.open(t, func(c *access.OIDCConfig) { c.Now = now.now })
	token := k.sign(t, i.claims(nil))
	if _, err := o.Authenticate(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	now.advance(time.Hour + access.DefaultSkew - time.Second)
	if _, err := o.Authenticate(t.Context(), token); err != nil {
		t.Errorf("at the end: %v", err)
	}
	now.advance(time.Second)
	if _, err := o.Authenticate(t.Context(), token); !fault.Is(err, fault.Unauthorized) {
		t.Errorf("after the end: %v", err)
	}
}

// The issuer is away at the start, comes, changes its keys, goes again.
func TestIssuerAway(t *testing.T) {
	t.Parallel()
	k1, k2, now, registry := newSigner(t, "k1", jose.ES256), newSigner(t, "k2", jose.ES256), &ticking{}, prometheus.NewRegistry()
	i := newIssuer(t, k1)
	i.fail(true)
	o := i.open(t, func(c *access.OIDCConfig) { c.Now, c.Metrics = now.now, registry })
	one, two := k1.sign(t, i.claims(nil)), k2.sign(t, i.claims(nil))
	is := func(what, token string, code fault.Code) {
		t.Helper()
		_, err := o.Authenticate(t.Context(), token)
		if code == "" && err != nil || code != "" && !fault.Is(err, code) {
			t.Errorf("%s: %v, want %q", what, err, code)
		}
		if code == fault.Unavailable && fault.From(err).RetryAfter <= 0 {
			t.Errorf("%s: does not say when to try again", what)
		}
	}
	is("away", one, fault.Unavailable)
	i.fail(false)
	is("a moment after", one, fault.Unavailable)
	if gauge(t, registry, "atlhyper_auth_oidc_last_fetch_successful") != 0 || gauge(t, registry, "atlhyper_auth_oidc_fetch_failures_total") != 1 {
		t.Error("the metrics do not say that it was away, once")
	}
	now.advance(time.Second)
	is("back", one, "")
	is("a key that it does not have", two, fault.Unauthorized)
	i.publish(k2)
	is("a key that it did not have a moment ago", two, fault.Unauthorized)
	now.advance(access.DefaultRefetch)
	is("its new key", two, "")
	is("a token that was verified with a key that is gone", one, fault.Unauthorized)
	i.publish(k1)
	i.fail(true)
	now.advance(access.DefaultRefetch)
	is("a known key while it is away", two, "")
	is("an unknown key while it is away", one, fault.Unavailable)
	is("garbage while it is away", "x", fault.Unauthorized)
	if gauge(t, registry, "atlhyper_auth_oidc_keys") != 1 {
		t.Error("the keys of before are gone")
	}
}

// However many keys callers make up, the issuer is asked for its own now and then.
func TestUnknownKeysDoNotBecomeQuestions(t *testing.T) {
	t.Parallel()
	k, now := newSigner(t, "k", jose.ES256), &ticking{}
	i := newIssuer(t, k)
	o := i.open(t, func(c *access.OIDCConfig) { c.Now = now.now })
	var all sync.WaitGroup
	for n := range 40 {
		made := *k
		made.id = strings.Repeat("x", n+1)
		token := made.sign(t, i.claims(nil))
		all.Go(func() {
			if _, err := o.Authenticate(t.Context(), token); !fault.Is(err, fault.Unauthorized) {
				t.Errorf("%v", err)
			}
		})
	}
	all.Wait()
	if n := i.asked.Load(); n != 1 {
		t.Errorf("40 unknown keys became %d questions", n)
	}
	now.advance(access.DefaultRefetch)
	if _, err := o.Authenticate(t.Context(), newSigner(t, "k", jose.ES256).sign(t, i.claims(nil))); !fault.Is(err, fault.Unauthorized) {
		t.Errorf("%v", err)
	}
	if n := i.asked.Load(); n != 1 {
		t.Errorf("a bad signature in the name of a known key became a question: %d", n)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	made := *k
	made.id = "y"
	if _, err := o.Authenticate(gone, made.sign(t, i.claims(nil))); !errors.Is(err, context.Canceled) && !fault.Is(err, fault.Unauthorized) {
		t.Errorf("who hung up is told %v", err)
	}
}

func TestRunFollowsTheKeys(t *testing.T) {
	t.Parallel()
	k1, k2, registry := newSigner(t, "k1", jose.ES256), newSigner(t, "k2", jose.ES256), prometheus.NewRegistry()
	i := newIssuer(t, k1)
	o := i.open(t, func(c *access.OIDCConfig) {
		c.Refresh, c.Refetch, c.Metrics = time.Millisecond, time.Nanosecond, registry
		var tick atomic.Int64
		c.Now = func() time.Time { return clock().Add(time.Duration(tick.Add(1))) } // so that it may be asked each time
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- o.Run(ctx) }()
	redistest.Eventually(t, "keys are read before anyone asks", func() bool { return gauge(t, registry, "atlhyper_auth_oidc_keys") == 1 })
	token := k1.sign(t, i.claims(nil))
	if _, err := o.Authenticate(t.Context(), token); err != nil {
		t.Error(err)
	}
	i.publish(k2)
	redistest.Eventually(t, "a key that was withdrawn does not count", func() bool {
		_, err := o.Authenticate(t.Context(), token)
		return fault.Is(err, fault.Unauthorized)
	})
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Run: %v", err)
	}
}

func TestIssuerOfAnotherName(t *testing.T) {
	t.Parallel()
	k := newSigner(t, "k", jose.ES256)
	i := newIssuer(t, k)
	i.says = "https://login.example.org"
	if _, err := i.open(t, nil).Authenticate(t.Context(), k.sign(t, i.claims(nil))); !fault.Is(err, fault.Unavailable) {
		t.Errorf("an issuer that says it is another one: %v", err)
	}
	i = newIssuer(t, k)
	o := i.open(t, func(c *access.OIDCConfig) { c.CAFile = "" })
	if _, err := o.Authenticate(t.Context(), k.sign(t, i.claims(nil))); !fault.Is(err, fault.Unavailable) {
		t.Errorf("an issuer whose certificate nobody knows: %v", err)
	}
}

// The file may say it all; what is given beside it goes first.
func TestIssuerInTheFile(t *testing.T) {
	t.Parallel()
	k := newSigner(t, "k", jose.ES256)
	i := newIssuer(t, k)
	file := filepath.Join(t.TempDir(), "oidc.yaml")
	writeFile(t, file, "issuer: "+i.server.URL+"\naudience: observe\n"+rights)
	token := k.sign(t, i.claims(nil))
	said := i.open(t, func(c *access.OIDCConfig) { c.File, c.Issuer, c.Audience = file, "", "" })
	if _, err := said.Authenticate(t.Context(), token); err != nil {
		t.Error(err)
	}
	other := i.open(t, func(c *access.OIDCConfig) { c.File, c.Audience = file, "something else" })
	if _, err := other.Authenticate(t.Context(), token); !fault.Is(err, fault.Unauthorized) {
		t.Errorf("for another audience: %v", err)
	}
}

func TestBadOIDCConfig(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "oidc.yaml")
	writeFile(t, file, rights)
	good := access.OIDCConfig{Issuer: "https://login.example.org", Audience: "observe", File: file, Logger: discard()}
	if _, err := access.NewOIDC(good); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*access.OIDCConfig){
		"oidc issuer: \"\"":        func(c *access.OIDCConfig) { c.Issuer = "" },
		"must be https":            func(c *access.OIDCConfig) { c.Issuer = "http://login.example.org" },
		"oidc issuer: \"ftp":       func(c *access.OIDCConfig) { c.Issuer = "ftp://login.example.org" },
		"oidc issuer: \"https://u": func(c *access.OIDCConfig) { c.Issuer = "https://u:p@login.example.org" },
		"oidc audience":            func(c *access.OIDCConfig) { c.Audience = "" },
		"oidc config":              func(c *access.OIDCConfig) { c.File = "" },
		"no such file":             func(c *access.OIDCConfig) { c.File = "not.there" },
		"oidc CA file":             func(c *access.OIDCConfig) { c.CAFile = "not.there" },
		"has no PEM":               func(c *access.OIDCConfig) { c.CAFile = file },
		"oidc skew":                func(c *access.OIDCConfig) { c.Skew = time.Hour },
		"refetch":                  func(c *access.OIDCConfig) { c.Refetch = -1 },
		"timeout":                  func(c *access.OIDCConfig) { c.Timeout = -1 },
	} {
		cfg := good
		change(&cfg)
		if _, err := access.NewOIDC(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want an error with %q", err, want)
		}
	}
	for text, want := range map[string]string{
		"":                                    "is empty",
		"name: sub":                           `no "grants"`,
		"grants: []\nnames: x":                "line 2: field names not found",
		"grants: []\nname: []":                "name: must be",
		"grants: []\nroles: ['']":             "roles: a name",
		"grants:\n- {value: a, role: viewer}": `line 2, grant 1 "a": clusters`,
		"grants:\n- {value: a, role: root, clusters: [a]}": `line 2, grant 1 "a": role`,
		"grants:\n\n- {role: viewer, clusters: [a]}":       `line 3, grant 1 "": value`,
		"grants: []\n" + strings.Repeat("#", 1<<20):        "larger than",
	} {
		if _, err := access.ParseClaims([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.50q: %v, want an error with %q", text, err, want)
		}
	}
}

// rawToken is a token as it should not be.
func rawToken(t *testing.T, header, claims map[string]any, sign func(string) []byte) string {
	t.Helper()
	var parts []string
	for _, part := range []map[string]any{header, claims} {
		text, err := json.Marshal(part)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, base64.RawURLEncoding.EncodeToString(text))
	}
	signed := strings.Join(parts, ".")
	var signature []byte
	if sign != nil {
		signature = sign(signed)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func hs256(t *testing.T, claims map[string]any, secret []byte) string {
	t.Helper()
	return rawToken(t, map[string]any{"alg": "HS256", "kid": "k1"}, claims, func(text string) []byte {
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(text))
		return mac.Sum(nil)
	})
}

func (s *signer) publicDER(t *testing.T) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(s.public)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func (s *signer) publicPEM(t *testing.T) []byte {
	t.Helper()
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: s.publicDER(t)})
}

// embedded is signed by a key that the token itself brings along, under our key's name.
func (s *signer) embedded(t *testing.T, by *signer, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: by.alg, Key: jose.JSONWebKey{Key: by.private, KeyID: s.id}}, &jose.SignerOptions{EmbedJWK: true})
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}
