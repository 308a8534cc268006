package main

import (
	"bytes"
	"debug/elf"
	"errors"
	"flag"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

var whole = flag.Bool("image", false, "build the images of this tree and run them: takes minutes")

// copyTree copies what git would commit of a tree, and makes a commit of it.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	for _, name := range strings.Split(strings.TrimSuffix(git(t, from, "ls-files", "-z", "--cached", "--others", "--exclude-standard"), "\x00"), "\x00") {
		body, err := os.ReadFile(filepath.Join(from, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed, but not from the index
		}
		path := filepath.Join(to, name)
		if err == nil {
			err = os.MkdirAll(filepath.Dir(path), 0o755)
		}
		if err == nil {
			err = os.WriteFile(path, body, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	commit(t, to)
}

// TestImages builds the images of this tree: for amd64 twice, in two folders and with
// two caches of the compiler, and for arm64 once. It runs those of amd64.
func TestImages(t *testing.T) {
	if !*whole {
		t.Skip("takes minutes: make test-image")
	}
	trees := []string{t.TempDir(), filepath.Join(t.TempDir(), "elsewhere", "observe")}
	copyTree(t, "../..", trees[0])
	copyTree(t, trees[0], trees[1])

	first, second, both := t.TempDir(), t.TempDir(), t.TempDir()
	build := func(tree, output string, platforms ...string) {
		t.Helper()
		var out bytes.Buffer
		if err := run(t.Context(), flags{Source: tree, Output: output, Platforms: platforms}, &out); err != nil {
			t.Fatal(err)
		}
		t.Log(out.String())
	}
	build(trees[0], first, "linux/amd64")
	// What could make a difference is different.
	t.Run("reproducible", func(t *testing.T) {
		t.Setenv("GOCACHE", t.TempDir())
		t.Setenv("TZ", "Asia/Shanghai")
		t.Setenv("GOFLAGS", "-buildvcs=false")
		t.Setenv("GOAMD64", "v2")
		build(trees[1], second, "linux/amd64")
		sameFolders(t, first, second)
	})
	t.Run("run", func(t *testing.T) { testInside(t, first) })
	t.Run("arm64", func(t *testing.T) {
		build(trees[0], both, "linux/amd64", "linux/arm64")
		for _, c := range components() {
			if alone, among := manifestOf(t, first, c, amd64), manifestOf(t, both, c, amd64); alone != among {
				t.Errorf("%s for amd64 is %s alone and %s beside arm64", c.image, alone, among)
			}
			dir := t.TempDir()
			untar(t, extract(t, both, c, arm64), dir)
			checkARM64(t, filepath.Join(dir, c.binary))
		}
	})
}

// manifestOf is the digest of a component's image for a platform, as its archive says.
func manifestOf(t *testing.T, dir string, c component, p v1.Platform) v1.Hash {
	t.Helper()
	index, _ := openLayout(t, filepath.Join(dir, c.image+".tar"))
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range manifest.Manifests {
		if entry.Platform.Equals(p) {
			return entry.Digest
		}
	}
	t.Fatalf("%s has no image for %s", c.image, p)
	return v1.Hash{}
}

// load is a component's image for a platform, read as "docker load" does.
func load(t *testing.T, dir string, c component, p v1.Platform) v1.Image {
	t.Helper()
	path := filepath.Join(dir, c.image+".tar")
	manifest, err := tarball.LoadManifest(func() (io.ReadCloser, error) { return os.Open(path) })
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range manifest {
		tag, err := name.NewTag(entry.RepoTags[0])
		if err != nil {
			t.Fatal(err)
		}
		image, err := tarball.ImageFromPath(path, &tag)
		if err != nil {
			t.Fatal(err)
		}
		config, err := image.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if config.Platform().Equals(p) {
			return image
		}
	}
	t.Fatalf("%s has no image for %s", path, p)
	return nil
}

// extract is the file system of a component's image, as a tar.
func extract(t *testing.T, dir string, c component, p v1.Platform) io.Reader {
	t.Helper()
	body := mutate.Extract(load(t, dir, c, p))
	t.Cleanup(func() {
		if err := body.Close(); err != nil {
			t.Error(err)
		}
	})
	return body
}

// checkARM64 fails the test unless a file is a static program for arm64.
func checkARM64(t *testing.T, path string) {
	t.Helper()
	file, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if file.Machine != elf.EM_AARCH64 || file.Type != elf.ET_EXEC {
		t.Errorf("%s is %s for %s, want a program for arm64", path, file.Type, file.Machine)
	}
	for _, segment := range file.Progs {
		if segment.Type == elf.PT_INTERP || segment.Type == elf.PT_DYNAMIC {
			t.Errorf("%s has a segment %s, want it static", path, segment.Type)
		}
	}
	if libraries, err := file.ImportedLibraries(); err != nil || len(libraries) != 0 {
		t.Errorf("%s needs %v, %v", path, libraries, err)
	}
}
