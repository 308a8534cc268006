// Package wiretest is for tests of what agents and masters write for each other: agents
// and masters of two releases run beside each other while one replaces the other, so
// each must read what the other wrote (ADR 28).
//
// Golden files say what was written. Those of a release lie in a directory of its name,
// v0, v1 and so on, and are never changed; what would be written today and is not the
// same as in the newest of these lies in next, which gets its name with the release.
package wiretest

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// next is the directory of what no release has written yet.
const next = "next"

// Files are the golden files of a package.
type Files struct {
	// Dir holds a directory for each release. Required.
	Dir string
	// Update says that Written rewrites what lies in next.
	Update bool
}

// Golden is what a release wrote.
type Golden struct {
	Release string
	Data    []byte
}

// All are the files of a name, the oldest first.
func (f Files) All(tb testing.TB, name string) []Golden {
	tb.Helper()
	entries, err := os.ReadDir(f.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // there are none yet
		tb.Fatal(err)
	}
	var releases []string
	for _, e := range entries {
		if _, ok := number(e.Name()); e.IsDir() && ok {
			releases = append(releases, e.Name())
		}
	}
	slices.SortFunc(releases, func(a, b string) int {
		m, _ := number(a)
		n, _ := number(b)
		return m - n
	})
	var all []Golden
	for _, release := range releases {
		data, err := os.ReadFile(filepath.Join(f.Dir, release, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // as in the release before, or not written yet
		}
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, Golden{Release: release, Data: data})
	}
	return all
}

// number orders releases; ok is false for what is none.
func number(release string) (n int, ok bool) {
	if release == next {
		return 1 << 30, true
	}
	digits, ok := strings.CutPrefix(release, "v")
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(digits)
	return n, err == nil
}

// Written checks that data, which today's code writes, is what the newest file of this
// name holds.
func (f Files) Written(tb testing.TB, name string, data []byte) {
	tb.Helper()
	if f.Update {
		f.update(tb, name, data)
	}
	all := f.All(tb, name)
	if len(all) == 0 {
		tb.Fatalf("%s has no golden file: make golden writes it", name)
	}
	newest := all[len(all)-1]
	if !bytes.Equal(data, newest.Data) {
		tb.Errorf("%s is not written as in %s any more; if that is meant, and the release before can read it, "+
			"run make golden and say so in the changelog", name, newest.Release)
	}
}

// update leaves in next what is not the same as in the newest release.
func (f Files) update(tb testing.TB, name string, data []byte) {
	tb.Helper()
	file := filepath.Join(f.Dir, next, name)
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		tb.Fatal(err)
	}
	if all := f.All(tb, name); len(all) > 0 && bytes.Equal(all[len(all)-1].Data, data) {
		return
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		tb.Fatal(err)
	}
}
