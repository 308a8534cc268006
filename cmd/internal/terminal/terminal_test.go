package terminal_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/atlhyper/observe/cmd/internal/terminal"
)

func TestText(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                     "",
		"plain, ü and 中文":      "plain, ü and 中文",
		`say "hi"`:             `say "hi"`,
		"\x1b]0;title\a":       `\x1b]0;title\a`,
		"\u009b31m":            `\u009b31m`,
		"a\r\nb\tc":            `a\r\nb\tc`,
		`C:\x`:                 `C:\\x`,
		"\\\"\x7f":             `\\"\x7f`,
		"\xff\xfe":             `\xff\xfe`,
		"safe\u202egnp.exe":    `safe\u202egnp.exe`,
		"zero\u200bwidth":      `zero\u200bwidth`,
		"\u2028":               `\u2028`,
		"\U000e0041":           `\U000e0041`,
		"replaced \ufffd rune": `replaced � rune`,
	} {
		if got := terminal.Text(in); got != want {
			t.Errorf("Text(%q) = %s, want %s", in, got, want)
		}
	}
}

func TestError(t *testing.T) {
	t.Parallel()
	cause := errors.New("said \x1b[2J")
	got := terminal.Error(cause)
	if !errors.Is(got, cause) || got.Error() != `said \x1b[2J` {
		t.Errorf("%v", got)
	}
	if err := terminal.Error(nil); err != nil {
		t.Error(err)
	}
}

// Nothing that is not a line end or a tab between values is left that does not print.
func harmless(text []byte) bool {
	for _, r := range string(text) {
		if !unicode.IsPrint(r) && r != '\n' && r != '\t' {
			return false
		}
	}
	return utf8.Valid(text)
}

func FuzzText(f *testing.F) {
	f.Add("\x1b[31m\u009b\u202e\xff")
	f.Fuzz(func(t *testing.T, s string) {
		got := terminal.Text(s)
		if strings.ContainsAny(got, "\n\t") || !harmless([]byte(got)) {
			t.Errorf("%q became %q", s, got)
		}
	})
}

// What is read back is what was written.
func FuzzAppendJSON(f *testing.F) {
	f.Add("\x1b[31m\x7f\u009b\u202e\u2028\xff \U000e0041 ü \"\\\ufffd")
	f.Fuzz(func(t *testing.T, s string) {
		plain, err := json.MarshalIndent(map[string]string{"k" + s: s}, "", "\t")
		if err != nil {
			t.Fatal(err)
		}
		safe := terminal.AppendJSON([]byte("["), plain)
		if !bytes.HasPrefix(safe, []byte("[{")) || !harmless(safe) {
			t.Fatalf("%q became %q", s, safe)
		}
		var want, got map[string]string
		if err := errors.Join(json.Unmarshal(plain, &want), json.Unmarshal(safe[1:], &got)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAFileIsNoTerminal(t *testing.T) {
	t.Parallel()
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	if terminal.Is(f) || terminal.Is(&bytes.Buffer{}) {
		t.Error("taken for a terminal")
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}
