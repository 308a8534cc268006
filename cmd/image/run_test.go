package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// commit makes a folder the tree of a commit that is the same wherever it is made.
func commit(t *testing.T, dir string) {
	t.Helper()
	git(t, dir, "init", "-q")
	git(t, dir, "add", "-A")
	git(t, dir, "commit", "-q", "-m", "a tree")
}

// git runs git without what this machine's settings would change.
func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", append([]string{"-c", "core.hooksPath=/dev/null", "-c", "core.autocrlf=false", "-c", "commit.gpgSign=false"}, args...)...)
	cmd.Dir = dir
	when := at.Format("2006-01-02T15:04:05Z")
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_AUTHOR_DATE="+when,
		"GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com", "GIT_COMMITTER_DATE="+when)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// smallModule writes a module of commands that do nothing.
func smallModule(t *testing.T, dir string) {
	t.Helper()
	all := map[string]string{"go.mod": "module " + module + "\n\ngo 1.26\n"}
	for _, c := range components() {
		all["cmd/"+c.binary+"/main.go"] = "package main\n\nfunc main() {}\n"
	}
	for name, text := range all {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// sameFolders fails the test when two folders differ in a file.
func sameFolders(t *testing.T, first, second string) {
	t.Helper()
	names := func(dir string) (all []string) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			all = append(all, e.Name())
		}
		return all
	}
	all := names(first)
	if other := names(second); len(all) == 0 || strings.Join(all, " ") != strings.Join(other, " ") {
		t.Errorf("%s has %v, %s %v", first, all, second, other)
	}
	for _, name := range all {
		sameFiles(t, filepath.Join(first, name), filepath.Join(second, name))
	}
}

// The same commit gives the same files, in whatever folder it lies; what is in no
// commit says so.
func TestRun(t *testing.T) {
	trees, outputs := []string{t.TempDir(), filepath.Join(t.TempDir(), "with a longer", "name")}, []string{t.TempDir(), t.TempDir()}
	f := flags{Platforms: []string{"linux/amd64"}}
	for i := range trees {
		smallModule(t, trees[i])
		commit(t, trees[i])
		f.Source, f.Output = trees[i], outputs[i]
		var out bytes.Buffer
		if err := run(t.Context(), f, &out); err != nil {
			t.Fatal(err)
		}
		for _, c := range components() {
			index, descriptor := openLayout(t, filepath.Join(f.Output, c.image+".tar"))
			manifest, err := index.IndexManifest()
			if err != nil {
				t.Fatal(err)
			}
			version := manifest.Annotations["org.opencontainers.image.version"]
			revision := strings.TrimSpace(git(t, f.Source, "rev-parse", "HEAD"))
			if !strings.HasPrefix(version, "v0.0.0-20260102030405-"+revision[:12]) || manifest.Annotations["org.opencontainers.image.revision"] != revision {
				t.Errorf("%s is %v, want it of %s", c.image, manifest.Annotations, revision)
			}
			if line := c.image + ":" + version + "@" + descriptor.Digest.String(); !strings.Contains(out.String(), line) {
				t.Errorf("%s is not said in\n%s", line, out.String())
			}
		}
	}
	sameFolders(t, outputs[0], outputs[1])

	// A change that is in no commit.
	if err := os.WriteFile(filepath.Join(trees[0], "cmd", "agent", "main.go"), []byte("package main\n\nfunc main() { println(1) }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.Source, f.Prefix, f.Tag = trees[0], "registry.example/", "mine"
	var out bytes.Buffer
	if err := run(t.Context(), f, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"in no commit", "+dirty", "registry.example/atlhyper-agent:mine@sha256:"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not said in\n%s", want, out.String())
		}
	}
}

func TestRunRefuses(t *testing.T) {
	tree := t.TempDir()
	smallModule(t, tree)
	f := flags{Source: tree, Output: t.TempDir(), Platforms: []string{"linux/amd64"}}
	for want, change := range map[string]func(*flags){
		"SOURCE_DATE_EPOCH": func(*flags) {},
		"go build for":      func(f *flags) { f.Source = t.TempDir() },
		"linux/amd64/v1/":   func(f *flags) { f.Platforms = []string{"linux/amd64/v1/x"} },
		"repository":        func(f *flags) { f.SourceDateEpoch, f.Prefix = 1, "No/" },
	} {
		bad := f
		change(&bad)
		if err := run(t.Context(), bad, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want an error that says %q", err, want)
		}
	}
}
