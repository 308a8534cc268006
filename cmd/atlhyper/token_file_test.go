package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/atlhyper/observe/master/access"
)

func newTokenFor(t *testing.T, name, file string) error {
	t.Helper()
	_, _, err := token(t, "new", "--name", name, "--role=viewer", "--clusters=*", "--file", file)
	return err
}

// names are whom the file names.
func names(t *testing.T, file string) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	set, err := access.ParseTokens(text)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, c := range set.Callers() {
		found[c.Name] = true
	}
	return found
}

func TestTokensAtOnce(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "tokens.yaml")
	const all = 24
	var group errgroup.Group
	for i := range all {
		_, entry, err := access.NewToken(access.TokenEntry{Name: fmt.Sprintf("n%d", i), Role: "viewer", Clusters: []string{"*"}}, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		group.Go(func() error { return addTo(file, entry) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if found := names(t, file); len(found) != all {
		t.Errorf("%d of %d tokens are in the file: %v", len(found), all, found)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(file), "*")); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestTokenFileBehindLinks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, link := filepath.Join(dir, "real", "tokens.yaml"), filepath.Join(dir, "tokens.yaml")
	if err := errors.Join(os.Mkdir(filepath.Dir(file), 0o700), os.Symlink("real/tokens.yaml", link)); err != nil {
		t.Fatal(err)
	}
	if err := newTokenFor(t, "ann", link); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a link to nothing: %v", err)
	}
	for _, to := range []string{file, link} {
		if err := newTokenFor(t, "to-"+filepath.Base(filepath.Dir(to))[:1], to); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link is none any more: %v, %v", info, err)
	}
	if found := names(t, file); len(found) != 2 {
		t.Errorf("the file names %v", found)
	}
}

func TestTokenFileKeepsOwnerAndMode(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "tokens.yaml")
	if err := newTokenFor(t, "ann", file); err != nil {
		t.Fatal(err)
	}
	uid, gid := os.Getuid(), os.Getgid()
	if uid == 0 { // who else may give files away?
		uid, gid = 12345, 23456
	}
	if err := errors.Join(os.Chown(file, uid, gid), os.Chmod(file, 0o604)); err != nil {
		t.Fatal(err)
	}
	if err := newTokenFor(t, "bob", file); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	is, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(is.Uid) != uid || int(is.Gid) != gid || info.Mode().Perm() != 0o604 || len(names(t, file)) != 2 {
		t.Errorf("%v %+v", info.Mode(), is)
	}
}

func TestTokenFileThatIsNone(t *testing.T) {
	t.Parallel()
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	_, _, check := token(t, "check", pipe)
	for _, err := range []error{check, newTokenFor(t, "ann", pipe)} {
		if err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("a pipe: %v", err)
		}
	}
}
