package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// TestRunbookFindsErrors: the chart has masters log JSON, others do text; the runbook's
// search finds errors in both, and nothing else. What it searches is all that was logged:
// by a selector, kubectl shows the last 10 lines of each pod unless told.
func TestRunbookFindsErrors(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "runbook.md"))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`grep -E '(level[^']+)'`).FindSubmatch(text)
	if found == nil {
		t.Fatal("the runbook does not search for errors")
	}
	search := regexp.MustCompile(string(found[1]))
	var lines strings.Builder
	for _, handler := range []slog.Handler{slog.NewTextHandler(&lines, nil), slog.NewJSONHandler(&lines, nil)} {
		for _, level := range []slog.Level{slog.LevelError, slog.LevelInfo} {
			lines.Reset()
			slog.New(handler).Log(t.Context(), level, "message")
			if search.MatchString(lines.String()) != (level == slog.LevelError) {
				t.Errorf("%s: found: %t in %s", search, level != slog.LevelError, lines.String())
			}
		}
	}
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, " logs ") && strings.Contains(line, " -l ") && strings.Contains(line, "|") && !strings.Contains(line, "--tail=-1") {
			t.Errorf("looks at the last lines only: %s", line)
		}
	}
}

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
