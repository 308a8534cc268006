package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// instructions are those of the Dockerfile by stage, each in one line.
func instructions(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string][]string)
	stage := ""
	for line := range strings.Lines(strings.ReplaceAll(string(text), "\\\n", "")) {
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if words[0] == "FROM" {
			if n := len(words); n < 4 || words[n-2] != "AS" {
				t.Fatalf("%s: want a stage with a name", line)
			}
			stage = words[len(words)-1]
		}
		all[stage] = append(all[stage], strings.Join(words, " "))
	}
	return all
}

// The Dockerfile makes what this command makes.
func TestDockerfile(t *testing.T) {
	t.Parallel()
	stages := instructions(t)
	build := strings.Join(stages["build"], "\n")
	want := []string{"./cmd/master", "./cmd/agent", "./cmd/atlhyper", "nonroot:x:65532:65532:nonroot:/:/nonexistent"}
	for _, flag := range buildFlags() {
		if strings.Contains(flag, " ") {
			flag = `"` + flag + `"`
		}
		want = append(want, flag)
	}
	for _, variable := range environment(amd64) {
		if !strings.HasPrefix(variable, "GOOS=") && !strings.HasPrefix(variable, "GOARCH=") {
			want = append(want, variable)
		}
	}
	for _, text := range want {
		if !strings.Contains(build, text) {
			t.Errorf("the stage build does not say %s", text)
		}
	}
	if base := stages["base"]; base[0] != "FROM scratch AS base" || !slices.Contains(base, "USER "+user) {
		t.Errorf("the stage base is %q", base)
	}
	for _, c := range components() {
		want := []string{
			"FROM base AS " + c.binary,
			"COPY --from=build /out/" + c.binary + " /" + c.binary,
			`ENTRYPOINT ["/` + c.binary + `"]`,
			`LABEL org.opencontainers.image.title="` + c.title + `"`,
		}
		if diff := cmp.Diff(want, stages[c.binary]); diff != "" {
			t.Error(diff)
		}
	}
	if len(stages) != 3+len(components()) { // what is before the first stage, build and base
		t.Errorf("%d stages", len(stages))
	}
}

// What git ignores is left out of the context, and nothing else.
func TestDockerignore(t *testing.T) {
	t.Parallel()
	patterns := func(name string) (all []string) {
		text, err := os.ReadFile("../../" + name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			// In a .gitignore, what has no / is meant in every folder.
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				all = append(all, strings.TrimPrefix(strings.TrimPrefix(line, "**/"), "/"))
			}
		}
		return all
	}
	if diff := cmp.Diff(patterns(".gitignore"), patterns(".dockerignore")); diff != "" {
		t.Error(diff)
	}
}
