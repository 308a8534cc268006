package wiretest_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/atlhyper/observe/shared/codec"
	"github.com/atlhyper/observe/shared/codec/wiretest"
)

// recorder notes what a check says instead of failing.
type recorder struct {
	testing.TB

	said []string
}

func (r *recorder) Errorf(format string, _ ...any) {
	r.said = append(r.said, strings.TrimSpace(format))
}

// fails runs a check that is to fail.
func fails(t *testing.T, what string, check func(*recorder)) {
	t.Helper()
	r := &recorder{TB: t}
	check(r)
	if len(r.said) == 0 {
		t.Errorf("%s is not seen", what)
	}
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	data, err := codec.Encode(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func releases(files []wiretest.Golden) string {
	var all []string
	for _, f := range files {
		all = append(all, f.Release+"="+string(f.Data))
	}
	return strings.Join(all, " ")
}

func TestFiles(t *testing.T) {
	t.Parallel()
	files := wiretest.Files{Dir: t.TempDir(), Update: true}
	files.Written(t, "a", []byte("1"))
	files.Written(t, "a", []byte("2")) // what is in next may change
	release := func(name string) {
		if err := os.Rename(filepath.Join(files.Dir, "next"), filepath.Join(files.Dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	release("v2")
	files.Written(t, "a", []byte("2")) // as before: there is nothing new
	files.Written(t, "b", []byte("3"))
	release("v10")
	files.Written(t, "a", []byte("4"))
	files.Update = false
	if got := releases(files.All(t, "a")); got != "v2=2 next=4" {
		t.Errorf("a was written as %s", got)
	}
	if got := releases(files.All(t, "b")); got != "v10=3" {
		t.Errorf("b was written as %s", got)
	}
	files.Written(t, "a", []byte("4"))
	fails(t, "another encoding", func(r *recorder) { files.Written(r, "a", []byte("5")) })

	files.Update = true
	files.Written(t, "a", []byte("2"))
	if got := releases(files.All(t, "a")); got != "v2=2" {
		t.Errorf("back to what it was, a was written as %s", got)
	}
}

func TestKept(t *testing.T) {
	t.Parallel()
	old := encode(t, map[string]any{"a": 1, "list": []any{map[string]any{"b": "x"}}})
	wiretest.Kept(t, old, encode(t, map[string]any{"a": 1, "list": []any{map[string]any{"b": "x", "new": true}}, "new": 1}))
	for what, again := range map[string]any{
		"a field that is gone":       map[string]any{"list": []any{map[string]any{"b": "x"}}},
		"another value":              map[string]any{"a": 2, "list": []any{map[string]any{"b": "x"}}},
		"another value far below":    map[string]any{"a": 1, "list": []any{map[string]any{"b": "y"}}},
		"a list that is shorter":     map[string]any{"a": 1, "list": []any{}},
		"a list that is a number":    map[string]any{"a": 1, "list": 1},
		"a map that is a list":       []any{1},
		"a field far below is gone":  map[string]any{"a": 1, "list": []any{map[string]any{}}},
		"a number that is text now":  map[string]any{"a": "1", "list": []any{map[string]any{"b": "x"}}},
		"a map far below is nothing": map[string]any{"a": 1, "list": []any{nil}},
	} {
		fails(t, what, func(r *recorder) { wiretest.Kept(r, old, encode(t, again)) })
	}
}

func TestWithAndWithout(t *testing.T) {
	t.Parallel()
	data := encode(t, map[string]any{"a": 1, "b": "x"})
	got := wiretest.With(t, wiretest.Without(t, data, "a"), "c", 2)
	if diff := cmp.Diff(encode(t, map[string]any{"b": "x", "c": 2}), got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if diff := cmp.Diff([]string{"b", "c"}, wiretest.Keys(t, got)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// A field without a value cannot be tried.
func TestEvolvesWantsValues(t *testing.T) {
	t.Parallel()
	type value struct {
		A int64  `json:"a"`
		B string `json:"b,omitempty"`
	}
	wiretest.Evolves(t, &value{A: 1, B: "x"})
	wiretest.Evolves(t, &[]value{{A: 1, B: "x"}, {}})
	fails(t, "a field that is not written", func(r *recorder) { wiretest.Evolves(r, &value{A: 1}) })
}
