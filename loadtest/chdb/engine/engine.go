// Package engine fetches the ClickHouse engine, libchdb, which is too large
// to be part of a repository: 180 MB packed, 570 MB on disk. It comes from
// npm, once, into the user's cache directory; npm must be installed for that.
package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// Version is the release of libchdb this project is tested with.
const Version = "26.7.3-stable.1"

// library is the name of the shared library in its package and in the cache.
const library = "libchdb.so"

// packageFor names the npm package for a platform ("GOOS/GOARCH"), empty for
// those whose engine is not published.
func packageFor(platform string) string {
	switch platform {
	case "linux/amd64":
		return "@chdb/lib-linux-x64-gnu"
	default:
		return ""
	}
}

// Config says what to fetch and where to keep it.
type Config struct {
	// Version is the release of libchdb. Default Version.
	Version string
	// CacheDir is the directory that keeps the engine between runs. Default
	// $ATLHYPER_CACHE, else atlhyper-observe in the user's cache directory.
	CacheDir string
	// Platform is "GOOS/GOARCH". Default the running one.
	Platform string
	// Progress is told when something is fetched. Nil means os.Stderr.
	Progress io.Writer
	// install puts an npm package into a directory. Nil means npm install.
	install func(ctx context.Context, dir, pkg string, progress io.Writer) error
}

func (c Config) withDefaults() (Config, error) {
	if c.Version == "" {
		c.Version = Version
	}
	if c.Platform == "" {
		c.Platform = runtime.GOOS + "/" + runtime.GOARCH
	}
	if c.Progress == nil {
		c.Progress = os.Stderr
	}
	if c.install == nil {
		c.install = npmInstall
	}
	if c.CacheDir == "" {
		c.CacheDir = os.Getenv("ATLHYPER_CACHE")
	}
	if c.CacheDir == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return c, fmt.Errorf("find the cache directory (ATLHYPER_CACHE names another): %w", err)
		}
		c.CacheDir = filepath.Join(dir, "atlhyper-observe")
	}
	return c, nil
}

// Ensure returns the path of libchdb.so, fetching it when the cache does not
// have it. It may be called by several processes at once; the second time it
// needs no network.
func Ensure(ctx context.Context, cfg Config) (string, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return "", err
	}
	home := filepath.Join(cfg.CacheDir, "chdb", cfg.Version)
	path := filepath.Join(home, library)
	switch info, err := os.Stat(path); {
	case err == nil && info.Mode().IsRegular() && info.Size() > 0:
		return path, nil
	case err == nil:
		return "", fmt.Errorf("%s is no library: remove it", path)
	case !errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("look for the ClickHouse engine: %w", err)
	}
	pkg := packageFor(cfg.Platform)
	if pkg == "" {
		return "", fmt.Errorf("there is no ClickHouse engine (libchdb) for %s on npm: use linux/amd64, "+
			"put a %s of release %s at %s, or use a ClickHouse server", cfg.Platform, library, cfg.Version, path)
	}
	return path, fetch(ctx, cfg, pkg, home)
}

// fetch installs the package beside its final place and moves the library
// there in one step, so that no other process ever sees half of it.
func fetch(ctx context.Context, cfg Config, pkg, home string) (err error) {
	if err := os.MkdirAll(home, 0o750); err != nil {
		return fmt.Errorf("make the cache directory: %w", err)
	}
	temp, err := os.MkdirTemp(home, "fetch-*")
	if err != nil {
		return fmt.Errorf("make a temporary directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	if _, err := fmt.Fprintf(cfg.Progress, "fetching the ClickHouse engine %s, 180 MB, once, to %s ...\n", cfg.Version, home); err != nil {
		return fmt.Errorf("report progress: %w", err)
	}
	if err := cfg.install(ctx, temp, pkg+"@"+cfg.Version, cfg.Progress); err != nil {
		return fmt.Errorf("fetch the ClickHouse engine: %w", err)
	}
	fetched := filepath.Join(temp, "node_modules", filepath.FromSlash(pkg), library)
	if err := os.Rename(fetched, filepath.Join(home, library)); err != nil {
		return fmt.Errorf("keep the ClickHouse engine: %w", err)
	}
	return nil
}

func npmInstall(ctx context.Context, dir, pkg string, progress io.Writer) error {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return fmt.Errorf("npm is needed to fetch %s: %w", pkg, err)
	}
	cmd := exec.CommandContext(ctx, npm, "install", "--prefix", dir, "--no-save", "--no-package-lock", //nolint:gosec // pkg is from packageFor
		"--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error", pkg)
	cmd.Dir = dir
	cmd.Stdout, cmd.Stderr = progress, progress
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("npm install %s: %w", pkg, err)
	}
	return nil
}
