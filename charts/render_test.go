package charts

import (
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var (
	helmPath = flag.String("helm", "", "run the tests that need helm, with this one; see make test-chart")
	update   = flag.Bool("update", false, "write testdata/rendered anew; see make golden-chart")
)

// namespace and release are those of all variants.
const (
	namespace = "observe"
	release   = "atlhyper"
)

// needHelm skips the test where no helm is given.
func needHelm(t *testing.T) {
	t.Helper()
	if *helmPath == "" {
		t.Skip("make test-chart runs it")
	}
}

// helm runs helm with nothing of the user's, and returns what it says.
func helm(t *testing.T, args ...string) (stdout string, err error) {
	t.Helper()
	home := t.TempDir()
	cmd := exec.CommandContext(t.Context(), *helmPath, args...)
	cmd.Env = append(os.Environ(), "HELM_CONFIG_HOME="+home, "HELM_CACHE_HOME="+home, "HELM_DATA_HOME="+home, "KUBECONFIG="+filepath.Join(home, "none"))
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("helm %s: %w\n%s", strings.Join(args, " "), err, errs.String())
	}
	return out.String(), nil
}

// render is what the chart makes of values in files.
func render(t *testing.T, values ...string) (string, error) {
	t.Helper()
	args := []string{"template", release, "atlhyper", "--namespace", namespace, "--kube-version", "1.30.0"}
	for _, file := range values {
		args = append(args, "--values", file)
	}
	return helm(t, args...)
}

func variants(t *testing.T) []string {
	t.Helper()
	names, err := Variants()
	if err != nil || len(names) == 0 {
		t.Fatalf("%d variants, %v", len(names), err)
	}
	return names
}

// The chart renders what testdata holds, byte by byte.
func TestRendered(t *testing.T) {
	needHelm(t)
	for _, variant := range variants(t) {
		t.Run(variant, func(t *testing.T) {
			text, err := render(t, "testdata/values/"+variant+".yaml")
			if err != nil {
				t.Fatal(err)
			}
			if text, err = fold(text); err != nil {
				t.Fatal(err)
			}
			if marks := strings.Count(text, mark); variant == "everything" && marks != len(included()) {
				t.Fatalf("%d files of the chart are shown as they are, want %d", marks, len(included()))
			}
			if *update {
				if err := os.WriteFile(renderedFile(variant), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(renderedFile(variant))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), text); diff != "" {
				t.Errorf("make golden-chart writes what is rendered (-held +rendered)\n%s", diff)
			}
		})
	}
	if *update {
		if err := os.WriteFile(sumsFile, []byte(sums(t)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

const sumsFile = "testdata/rendered/SHA256SUMS"

// sums says of what testdata/rendered was made: a line for each file that has a part in
// it, as sha256sum writes them.
func sums(t *testing.T) string {
	t.Helper()
	var lines strings.Builder
	for _, dir := range []string{"atlhyper", "testdata/values"} {
		err := fs.WalkDir(files, dir, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(name) == ".md" || strings.HasPrefix(name, "atlhyper/observability/") {
				return err
			}
			data, err := files.ReadFile(name)
			if err != nil {
				return err
			}
			sum := sha256.Sum256(data)
			fmt.Fprintf(&lines, "%s  %s\n", hex.EncodeToString(sum[:]), name)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return lines.String()
}

// What testdata holds was made of this chart: without helm, all other tests would go on
// proving what the chart once was.
func TestRenderedIsOfThisChart(t *testing.T) {
	t.Parallel()
	if *update {
		t.Skip("being written")
	}
	want, err := os.ReadFile(sumsFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), sums(t)); diff != "" {
		t.Errorf("the chart changed; make golden-chart renders it anew (-rendered +chart)\n%s", diff)
	}
}

func TestLint(t *testing.T) {
	needHelm(t)
	for _, variant := range variants(t) {
		if out, err := helm(t, "lint", "--strict", "atlhyper", "--values", "testdata/values/"+variant+".yaml"); err != nil {
			t.Errorf("%s: %v\n%s", variant, err, out)
		}
	}
}

// What one is told after an installation names what was installed.
func TestNotes(t *testing.T) {
	needHelm(t)
	for _, variant := range variants(t) {
		out, err := helm(t, "install", release, "atlhyper", "--dry-run=client", "--namespace", namespace, "--values", "testdata/values/"+variant+".yaml")
		if err != nil {
			t.Error(err)
			continue
		}
		_, notes, found := strings.Cut(out, "NOTES:\n")
		if !found || !strings.Contains(notes, "kubectl -n "+namespace) || strings.Contains(notes, "<no value>") {
			t.Errorf("%s: notes %q", variant, notes)
		}
	}
}

// The commands that the documents tell to type are ones that the chart takes.
func TestDocumentedCommands(t *testing.T) {
	needHelm(t)
	command := regexp.MustCompile(`(?m)^helm install (?:.*\\\n)*.*$`)
	// Where one types them: install.md makes a folder of its own below the tree first.
	for name, dir := range map[string]string{"README.md": "..", "README.zh-CN.md": "..", "docs/install.md": "."} {
		text, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Fatal(err)
		}
		found := command.FindAllString(string(text), -1)
		if len(found) == 0 {
			t.Errorf("%s: no command", name)
		}
		for _, typed := range found {
			// As one types it, but for what needs a cluster.
			typed = strings.Replace(typed, "helm install", "'"+*helmPath+"' template", 1)
			cmd := exec.CommandContext(t.Context(), "sh", "-euc", typed)
			cmd.Dir = dir
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s: %s\n%v\n%s", name, typed, err, out)
			}
		}
	}
}
