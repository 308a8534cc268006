package engine

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"
)

// fakeInstall does what npm does, with a small file.
func fakeInstall(calls *atomic.Int64) func(context.Context, string, string, io.Writer) error {
	return func(_ context.Context, dir, pkg string, _ io.Writer) error {
		calls.Add(1)
		name, _, _ := strings.Cut(strings.TrimPrefix(pkg, "@"), "@")
		home := filepath.Join(dir, "node_modules", "@"+name)
		if err := os.MkdirAll(home, 0o750); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(home, library), []byte("library"), 0o600)
	}
}

func TestEnsureFetchesOnce(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	var progress bytes.Buffer
	cfg := Config{CacheDir: t.TempDir(), Platform: "linux/amd64", Progress: &progress, install: fakeInstall(&calls)}
	path, err := Ensure(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(progress.String(), "fetching the ClickHouse engine") {
		t.Errorf("said %q", progress.String())
	}
	// Offline from now on.
	cfg.install = func(context.Context, string, string, io.Writer) error { return errors.New("no network") }
	again, err := Ensure(t.Context(), cfg)
	if err != nil || again != path || calls.Load() != 1 {
		t.Errorf("second time %q after %q, %v, %d fetches", again, path, err, calls.Load())
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("beside the library: %v, %v", entries, err)
	}
}

func TestEnsureSideBySide(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	cfg := Config{CacheDir: t.TempDir(), Platform: "linux/amd64", Progress: io.Discard, install: fakeInstall(&calls)}
	group, ctx := errgroup.WithContext(t.Context())
	for range 8 {
		group.Go(func() error {
			path, err := Ensure(ctx, cfg)
			if err != nil {
				return err
			}
			if data, err := os.ReadFile(path); err != nil || string(data) != "library" {
				return errors.New("half a library: " + string(data))
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
}

func TestEnsureFails(t *testing.T) {
	t.Parallel()
	broken := func(context.Context, string, string, io.Writer) error { return errors.New("no network") }
	nothing := func(context.Context, string, string, io.Writer) error { return nil }
	tests := []struct {
		name, platform, want string
		install              func(context.Context, string, string, io.Writer) error
	}{
		{"platform", "plan9/mips", "plan9/mips", nothing},
		{"no network", "linux/amd64", "no network", broken},
		{"package without library", "linux/amd64", "libchdb.so", nothing},
	}
	for _, tt := range tests {
		dir := t.TempDir()
		_, err := Ensure(t.Context(), Config{CacheDir: dir, Platform: tt.platform, Progress: io.Discard, install: tt.install})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v", tt.name, err)
		}
		left, err := filepath.Glob(filepath.Join(dir, "chdb", Version, "*"))
		if err != nil || len(left) != 0 {
			t.Errorf("%s: left behind %v, %v", tt.name, left, err)
		}
	}
}
