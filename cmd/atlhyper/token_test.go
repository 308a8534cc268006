package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"github.com/atlhyper/observe/master/access"
)

// token runs the sub-command as main does.
func token(t *testing.T, args ...string) (out, notes string, err error) {
	t.Helper()
	var c commands
	parser, err := kong.New(&c, options()...)
	if err != nil {
		t.Fatal(err)
	}
	kctx, err := parser.Parse(append([]string{"token"}, args...))
	if err != nil {
		return "", "", err
	}
	var o, n strings.Builder
	kctx.Bind(streams{out: &o, notes: &n})
	err = kctx.Run()
	return o.String(), n.String(), err
}

func authenticate(t *testing.T, file, token string) *access.Caller {
	t.Helper()
	a, err := access.NewTokens(access.TokensConfig{File: file, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	c, err := a.Authenticate(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// What is printed is all that a caller needs, what is in the file all that a master does.
func TestTokenNew(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "tokens.yaml")
	for _, c := range []struct {
		name string
		args []string
	}{
		{"ann", []string{"--role", "viewer", "--clusters", "prod-*,east"}},
		{"bob", []string{"--role", "operator", "--clusters", "*", "--expires", "never"}},
	} {
		out, notes, err := token(t, append([]string{"new", "--name", c.name, "--file", file}, c.args...)...)
		if err != nil || notes != "" || !strings.HasPrefix(out, access.TokenPrefix) || strings.Count(out, "\n") != 1 {
			t.Fatalf("%q %q, %v", out, notes, err)
		}
		caller := authenticate(t, file, strings.TrimSpace(out))
		if caller.Name != c.name || caller.Expires.IsZero() != (c.name == "bob") || !caller.Sees("prod-1") {
			t.Errorf("%+v", caller)
		}
		text, err := os.ReadFile(file)
		if err != nil || strings.Contains(string(text), access.TokenPrefix) {
			t.Errorf("%v: the token itself is in the file", err)
		}
	}
	if _, _, err := token(t, "new", "--name", "ann", "--role", "viewer", "--clusters", "*", "--file", file); err == nil || !strings.Contains(err.Error(), "stands twice") {
		t.Errorf("a second ann: %v", err)
	}
	if names, err := filepath.Glob(filepath.Join(filepath.Dir(file), "*")); err != nil || len(names) != 1 {
		t.Errorf("left behind: %v, %v", names, err)
	}
	out, _, err := token(t, "check", file)
	if err != nil || !strings.Contains(out, "ann") || !strings.Contains(out, "east,prod-*") || !strings.Contains(out, "never") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestTokenNewWithoutAFile(t *testing.T) {
	t.Parallel()
	out, notes, err := token(t, "new", "--name", "ci", "--role", "viewer", "--clusters", "*", "--expires", "2999-01-02T03:04:05Z")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "tokens.yaml")
	if err := os.WriteFile(file, []byte("tokens:\n"+notes), 0o600); err != nil {
		t.Fatal(err)
	}
	if c := authenticate(t, file, strings.TrimSpace(out)); c.Name != "ci" || !c.Expires.Equal(time.Date(2999, 1, 2, 3, 4, 5, 0, time.UTC)) {
		t.Errorf("%+v", c)
	}
}

func TestTokenMistakes(t *testing.T) {
	t.Parallel()
	good := []string{"new", "--name=x", "--role=viewer", "--clusters=*"}
	for want, args := range map[string][]string{
		"--role":           {"new", "--name=x", "--clusters=*", "--role=root"},
		"name: may hold":   {"new", "--name=a b", "--role=viewer", "--clusters=*"},
		"clusters: ":       {"new", "--name=x", "--role=viewer", "--clusters=A"},
		"expires: ":        append(good, "--expires=soon"),
		"is over":          append(good, "--expires=2020-01-02T03:04:05Z"),
		"no such file":     {"check", "not.there"},
		"not.there/tokens": append(good, "--file=not.there/tokens.yaml"),
		"missing flags":    {"new", "--name=x"},
	} {
		if out, _, err := token(t, args...); err == nil || !strings.Contains(err.Error(), want) || out != "" {
			t.Errorf("%v: %q, %v, want an error with %q", args, out, err, want)
		}
	}
	file := filepath.Join(t.TempDir(), "tokens.yaml")
	if err := os.WriteFile(file, []byte("tokens:\n- {name: x}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := token(t, "check", file); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("a bad file: %v", err)
	}
}
