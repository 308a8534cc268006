package clitest_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/atlhyper/observe/cmd/internal/clitest"
)

const page = `# A page

` + "```sh" + `
make tool            # makes tool
A=1 ATLHYPER_X=y bin/tool one --flag 'a b' \
  --more "c # d" > tool.txt
tool two < in | other tool && /usr/bin/tool three ''
export ATLHYPER_Y=z
echo "$(tool four)" # tool five
` + "```" + `

` + "```text" + `
tool six
` + "```" + `

` + "```ini" + `
[Service]
Environment=ATLHYPER_Z=q
ExecStart=/usr/local/bin/tool seven --x=1
` + "```" + `
`

func TestPage(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(file, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	want := [][]string{
		{"tool", "one", "--flag", "a b", "--more", "c # d"}, {"tool", "two"}, {"tool", "three"},
		{"tool", "seven", "--x=1"},
	}
	if diff := cmp.Diff(want, clitest.Commands(t, file, "tool")); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if diff := cmp.Diff([]string{"ATLHYPER_X", "ATLHYPER_Y", "ATLHYPER_Z"}, clitest.Settings(t, file)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	var command struct {
		One struct {
			Flag string
			More string
		} `cmd:""`
		Two   struct{}        `cmd:""`
		Three struct{}        `cmd:""`
		Seven struct{ X int } `cmd:""`
	}
	clitest.CheckPage(t, file, "tool", func() any { return &command })
}
