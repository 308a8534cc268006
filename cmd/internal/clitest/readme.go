// Package clitest helps to test commands.
package clitest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// CheckREADME fails the test for every flag of the command that the READMEs of
// either language do not name. root is the way to the module's root.
func CheckREADME(t *testing.T, root string, command any, options ...kong.Option) {
	t.Helper()
	parser, err := kong.New(command, options...)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"README.md", "README.zh-CN.md"} {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, flag := range parser.Model.Flags {
			if flag.Name != "help" && flag.Name != "version" && !strings.Contains(string(text), "`--"+flag.Name+"`") {
				t.Errorf("%s does not say what --%s is", name, flag.Name)
			}
		}
	}
}
