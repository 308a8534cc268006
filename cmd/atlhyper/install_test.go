package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/atlhyper/observe/charts"
	"github.com/atlhyper/observe/cmd/internal/clitest"
)

// Who follows the page meets no command and no flag that is not there.
func TestInstallPage(t *testing.T) {
	t.Parallel()
	const page = "../../docs/install.md"
	clitest.CheckPage(t, page, "atlhyper", func() any { return &commands{} }, options()...)
	seen := map[string]bool{}
	for _, words := range clitest.Commands(t, page, "atlhyper") {
		seen[words[1]] = true
	}
	for _, name := range []string{"acl", "token", "inspect", "doctor", "forget"} {
		if !seen[name] {
			t.Errorf("the page does not say what atlhyper %s is for", name)
		}
	}
}

// The chart has every value that the page sets.
func TestInstallPageValues(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../charts/atlhyper/values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var values map[string]any
	if err := yaml.Unmarshal(text, &values); err != nil {
		t.Fatal(err)
	}
	set := 0
	for _, words := range clitest.Commands(t, "../../docs/install.md", "helm") {
		for i, word := range words {
			if word != "--set" && word != "--set-string" {
				continue
			}
			set++
			path, _, ok := strings.Cut(words[i+1], "=")
			if !ok || !hasValue(values, path) && !isFlag(t, path) {
				t.Errorf("the page sets %s, which is no value of the chart", words[i+1])
			}
		}
	}
	if set < 10 {
		t.Errorf("the page sets %d values only", set)
	}
}

// isFlag tells whether a path is one of those below config, which are flags.
func isFlag(t *testing.T, path string) bool {
	t.Helper()
	component, name, ok := strings.Cut(path, ".config.")
	if !ok {
		return false
	}
	known, err := charts.Config(component)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Contains(known, name)
}

// hasValue tells whether values have a path of names apart by dots. What is in a list,
// as in tls[0].hosts, only the schema knows: make test-chart asks it.
func hasValue(values map[string]any, path string) bool {
	name, rest, deeper := strings.Cut(path, ".")
	if list, _, ok := strings.Cut(name, "["); ok {
		_, isList := values[list].([]any)
		return isList
	}
	value, ok := values[name]
	if !deeper || !ok {
		return ok
	}
	inner, _ := value.(map[string]any)
	return hasValue(inner, rest)
}
