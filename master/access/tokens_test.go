package access_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/atlhyper/observe/master/access"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/logtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func sum(token string) string {
	s := sha256.Sum256([]byte(token))
	return hex.EncodeToString(s[:])
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func clock() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// tokens is a file with a viewer of a-*, an operator of all, and one who is expired.
func tokens() string {
	return fmt.Sprintf(`# who may see what
tokens:
  - name: ann
    sha256: %s
    role: viewer
    clusters: ["a-*"]
    expires: 2026-03-01T12:00:01Z
  - {name: bob, sha256: %s, role: operator, clusters: ["*"]}
  - name: carl
    sha256: %s
    role: operator
    clusters: [a-1]
    expires: 2026-03-01T13:00:00+01:00
`, sum("token-of-ann"), strings.ToUpper(sum("token-of-bob")), sum("token-of-carl"))
}

func TestTokens(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "tokens.yaml")
	writeFile(t, file, tokens())
	a, err := access.NewTokens(access.TokensConfig{File: file, Now: clock, Logger: discard()})
	if err != nil {
		t.Fatal(err)
	}
	type facts struct {
		Name, Role string
		Clusters   []string
	}
	for token, want := range map[string]facts{
		"token-of-ann": {"ann", "viewer", []string{"a-*"}}, "token-of-bob": {"bob", "operator", []string{"*"}},
	} {
		c, err := a.Authenticate(t.Context(), token)
		if err != nil {
			t.Errorf("%s: %v", token, err)
			continue
		}
		if diff := cmp.Diff(want, facts{c.Name, c.Role.String(), c.Clusters.Globs()}); diff != "" {
			t.Errorf("%s: -want +got\n%s", token, diff)
		}
	}
	// Expired, unknown, none, and the digest itself, which is no secret.
	for _, token := range []string{"token-of-carl", "token-of-dora", "", sum("token-of-bob")} {
		c, err := a.Authenticate(t.Context(), token)
		if !fault.Is(err, fault.Unauthorized) || c != nil || err.Error() != access.Invalid().Error() {
			t.Errorf("%s: %v, %v", token, c, err)
		}
	}
}

func TestBadTokenFiles(t *testing.T) {
	t.Parallel()
	entry := func(change string) string {
		from, to, _ := strings.Cut(change, " => ")
		text := strings.Replace(tokens(), from, to, 1)
		if text == tokens() {
			t.Fatalf("%q changes nothing", change)
		}
		return text
	}
	for text, want := range map[string]string{
		"":                                       "is empty",
		"# nothing":                              "is empty",
		"{}":                                     `no "tokens"`,
		"tokens: x":                              "line 1",
		"tokens:\n  - name: [a]":                 "line 2",
		"tokens: [":                              "line 1",
		tokens() + "---\ntokens: []":             "more than one",
		tokens() + "other: 1":                    "other not found",
		entry("role: => rolle:"):                 "line 5: field rolle not found",
		entry("name: ann => name: bob"):          `line 8, token 2 "bob": name: stands twice`,
		entry("name: ann => name: a\\ b"):        `line 3, token 1`,
		entry("ann\n => ''\n"):                   "name: is required",
		entry("viewer => admin"):                 `line 3, token 1 "ann": role: "admin"`,
		entry("\"*\" => A"):                      "line 8, token 2 \"bob\": clusters: ",
		entry("clusters: [a-1] => clusters: []"): `line 9, token 3 "carl": clusters: is required`,
		entry("13:00:00+01:00 => 13:00"):         `line 9, token 3 "carl": expires: `,
		entry(sum("token-of-carl") + " => " + sum("token-of-ann")):            `line 9, token 3 "carl": sha256: is that of ann`,
		entry(sum("token-of-carl") + " => " + sum("token-of-carl")[:62]):      `line 9, token 3 "carl": sha256: is not 64`,
		entry(sum("token-of-carl") + " => " + "x" + sum("token-of-carl")[1:]): `line 9, token 3 "carl": sha256: is not 64`,
		strings.Repeat("#", access.MaxTokensFile+1):                           "larger than",
		"tokens:\n" + strings.Repeat("- {}\n", access.MaxTokens+1):            "more than 10000",
	} {
		if _, err := access.ParseTokens([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want an error with %q", text, err, want)
		}
	}
	if set, err := access.ParseTokens([]byte("tokens: []")); err != nil || len(set.Callers()) != 0 {
		t.Errorf("a file for nobody: %v", err)
	}
}

func TestBadFileAtStart(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "tokens.yaml")
	if _, err := access.NewTokens(access.TokensConfig{File: file, Logger: discard()}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	writeFile(t, file, "tokens:\n- {name: x}\n")
	if _, err := access.NewTokens(access.TokensConfig{File: file, Logger: discard()}); err == nil ||
		!strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("a bad file: %v", err)
	}
}

// A mounted Secret is a link to a link to a directory that is swapped.
func TestTokensAreFollowed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i, text := range []string{tokens(), "tokens: [", strings.Replace(tokens(), "token-of-bob", "", 1), "tokens: []"} {
		writeFile(t, filepath.Join(dir, strconv.Itoa(i), "tokens.yaml"), text)
	}
	file := filepath.Join(dir, "tokens.yaml")
	swap := func(version string) {
		t.Helper()
		next := filepath.Join(dir, "next")
		if err := errors.Join(os.Symlink(version, next), os.Rename(next, filepath.Join(dir, "..data"))); err != nil {
			t.Fatal(err)
		}
	}
	swap("0")
	if err := os.Symlink("..data/tokens.yaml", file); err != nil {
		t.Fatal(err)
	}
	log, registry := &logtest.Buffer{}, prometheus.NewRegistry()
	a, err := access.NewTokens(access.TokensConfig{
		File: file, Reload: time.Millisecond, Now: clock, Metrics: registry, Logger: slog.New(slog.NewTextHandler(log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	known := func() bool {
		_, err := a.Authenticate(ctx, "token-of-bob")
		return err == nil
	}
	ok := func() bool { return gauge(t, registry, "atlhyper_auth_tokens_last_reload_successful") == 1 }

	swap("1") // a bad file
	redistest.Eventually(t, "a bad file is noticed", func() bool { return !ok() })
	if !known() {
		t.Error("with a bad file, the tokens of before are gone")
	}
	swap("0")
	redistest.Eventually(t, "the file is good again", ok)
	swap("1")
	redistest.Eventually(t, "the bad file is noticed again", func() bool { return !ok() })
	swap("3")
	redistest.Eventually(t, "withdrawn tokens end", func() bool { return !known() && ok() })
	if n := gauge(t, registry, "atlhyper_auth_tokens"); n != 0 {
		t.Errorf("%v tokens are counted", n)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	redistest.Eventually(t, "a file that is gone is noticed", func() bool { return !ok() })
	// Nobody writes to the pipe; that must not hold up what follows, nor the end.
	if err := syscall.Mkfifo(file, 0o600); err != nil {
		t.Fatal(err)
	}
	redistest.Eventually(t, "a pipe is refused", func() bool { return strings.Contains(log.String(), "is not a regular file") })
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("..data/tokens.yaml", file); err != nil {
		t.Fatal(err)
	}
	redistest.Eventually(t, "after a pipe, the file is good", ok)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Run: %v", err)
	}
	if n := strings.Count(log.String(), "cannot be used"); n < 4 || n > 5 { // between the pipe and the link there may have been no file
		t.Errorf("bad files were logged %d times, not 4 times, or 5:\n%s", n, log)
	}
}

func TestNewToken(t *testing.T) {
	t.Parallel()
	entry := access.TokenEntry{Name: "ci", Role: "viewer", Clusters: []string{"prod-*", "?"}}
	token, filled, err := access.NewToken(entry, clock().Add(1500*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := access.NewToken(entry, time.Time{})
	if err != nil || other == token || !strings.HasPrefix(token, access.TokenPrefix) || len(token) != len(access.TokenPrefix)+43 {
		t.Errorf("tokens %q and %q, %v", token, other, err)
	}
	text, err := filled.YAML()
	if err != nil || bytes.Contains(text, []byte(token)) {
		t.Fatalf("%v\n%s", err, text)
	}
	file := filepath.Join(t.TempDir(), "tokens.yaml")
	writeFile(t, file, "tokens:\n"+string(text))
	a, err := access.NewTokens(access.TokensConfig{File: file, Now: clock, Logger: discard()})
	if err != nil {
		t.Fatal(err)
	}
	c, err := a.Authenticate(t.Context(), token)
	if err != nil || c.Name != "ci" || c.Role != access.Viewer || !c.Sees("prod-1") || c.Sees(key.Cluster("ab")) || !c.Expires.Equal(clock().Add(time.Second)) {
		t.Errorf("%+v, %v", c, err)
	}
	if _, _, err := access.NewToken(access.TokenEntry{Name: "ci", Role: "root", Clusters: []string{"*"}}, time.Time{}); err == nil {
		t.Error("a token for no role was made")
	}
}

func TestAddToken(t *testing.T) {
	t.Parallel()
	_, entry, err := access.NewToken(access.TokenEntry{Name: "new", Role: "viewer", Clusters: []string{"*", "a"}}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string][]string{
		"": {"new"}, "\n": {"new"}, "tokens: []": {"new"}, "tokens:\n": {"new"}, tokens(): {"ann", "bob", "carl", "new"},
	} {
		added, err := access.AddToken([]byte(text), entry)
		if err != nil {
			t.Errorf("%.20q: %v", text, err)
			continue
		}
		set, err := access.ParseTokens(added)
		if err != nil {
			t.Fatalf("%v in\n%s", err, added)
		}
		var names []string
		for _, c := range set.Callers() {
			names = append(names, c.Name)
		}
		if diff := cmp.Diff(want, names); diff != "" {
			t.Errorf("%.20q: -want +got\n%s", text, diff)
		}
		if strings.HasPrefix(text, "# who may") && !bytes.HasPrefix(added, []byte("# who may see what\n")) {
			t.Errorf("the comment is gone:\n%s", added)
		}
		if _, err := access.AddToken(added, entry); err == nil || !strings.Contains(err.Error(), "stands twice") {
			t.Errorf("twice: %v", err)
		}
	}
	if _, err := access.AddToken([]byte("tokens: ["), entry); err == nil {
		t.Error("something was added to a bad file")
	}
}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
}

func gauge(t *testing.T, registry *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue() + f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}
