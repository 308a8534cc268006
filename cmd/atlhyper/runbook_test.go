package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// TestRunbook: who follows docs/runbook.md at night is not told of flags that are no more.
func TestRunbook(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "runbook.md"))
	if err != nil {
		t.Fatal(err)
	}
	values := strings.NewReplacer(`"$CLUSTER"`, "east", `"$ATLHYPER_CLICKHOUSE"`, "http://127.0.0.1:8123/otel")
	seen := map[string]bool{}
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		for line := range strings.Lines(block[1]) {
			line, _, _ = strings.Cut(line, "#")
			line, _, _ = strings.Cut(line, "|")
			args := strings.Fields(values.Replace(line))
			if len(args) == 0 || args[0] != "atlhyper" {
				continue
			}
			seen[args[1]] = true
			parser, err := kong.New(&commands{}, options()...)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := parser.Parse(args[1:]); err != nil {
				t.Errorf("%s: %v", line, err)
			}
		}
	}
	if !seen["inspect"] || !seen["doctor"] {
		t.Errorf("read the commands %v only", seen)
	}
}
