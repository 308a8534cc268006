package upgrade

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// release is an agent and a master of one state of the project.
type release struct {
	name string // for messages and in the names of instances
	dir  string // of the binaries
}

// built is a release of a commit, or, without one, of what is in the tree. A commit is
// built in a directory of its own, which goes with the test: nothing of the repository
// is touched.
func built(t *testing.T, name, commit string) release {
	t.Helper()
	r := release{name: name, dir: t.TempDir()}
	if commit == "" {
		r.build(t, "../..")
		return r
	}
	if out, err := exec.CommandContext(t.Context(), "git", "rev-parse", "--verify", "--quiet", commit+"^{commit}").CombinedOutput(); err != nil {
		t.Fatalf("the repository has no commit %s (%v %s); a shallow clone needs: git fetch --unshallow --tags", commit, err, out)
	}
	tree, archive := t.TempDir(), filepath.Join(t.TempDir(), "tree.tar")
	command(t, "../..", "git", "archive", "--format=tar", "-o", archive, commit)
	command(t, tree, "tar", "-xf", archive)
	r.build(t, tree)
	return r
}

func (r release) build(t *testing.T, tree string) {
	t.Helper()
	t.Logf("building the %s agent and master", r.name)
	command(t, tree, "go", "build", "-trimpath", "-buildvcs=false", "-o", r.dir, "./cmd/agent", "./cmd/master")
}

func command(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

// knows tells whether a program of the release has a flag: what it does not have it
// would refuse.
func (r release) knows(t *testing.T, program, flag string) bool {
	t.Helper()
	help, err := exec.CommandContext(t.Context(), filepath.Join(r.dir, program), "--help").Output()
	if err != nil {
		t.Fatalf("%s %s --help: %v", r.name, program, err)
	}
	return bytes.Contains(help, []byte(flag))
}
