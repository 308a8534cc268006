//go:build linux || darwin

package chdb

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseStatement(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text string
		want statement
		rows string // what follows the head of an INSERT
	}{
		{text: "", want: statement{rows: -1}},
		{text: " -- only a comment", want: statement{rows: -1}},
		{text: "SELECT 1", want: statement{text: "SELECT 1", query: "SELECT 1", rows: -1}},
		{text: "SELECT 1;\n-- end", want: statement{text: "SELECT 1", query: "SELECT 1", rows: -1}},
		{text: "SELECT ';' ; SELECT 2", want: statement{text: "SELECT ';'", query: "SELECT ';'", rows: -1, several: true}},
		{text: "SELECT 1 FORMAT JSON", want: statement{text: "SELECT 1 FORMAT JSON", query: "SELECT 1 ", format: "JSON", rows: -1}},
		{text: "SELECT 1 format /* x */ CSV SETTINGS max_threads = 1;", want: statement{
			text: "SELECT 1 format /* x */ CSV SETTINGS max_threads = 1", query: "SELECT 1  SETTINGS max_threads = 1", format: "CSV", rows: -1}},
		{text: "SELECT 'it''s FORMAT X', \"FORMAT Y\", `FORMAT Z`, 'a\\'FORMAT V'", want: statement{
			text: "SELECT 'it''s FORMAT X', \"FORMAT Y\", `FORMAT Z`, 'a\\'FORMAT V'", query: "SELECT 'it''s FORMAT X', \"FORMAT Y\", `FORMAT Z`, 'a\\'FORMAT V'", rows: -1}},
		{text: "SELECT $x$ ; FORMAT A $x$", want: statement{text: "SELECT $x$ ; FORMAT A $x$", query: "SELECT $x$ ; FORMAT A $x$", rows: -1}},
		{text: "SELECT format x FROM t", want: statement{text: "SELECT format x FROM t", query: "SELECT format x FROM t", rows: -1}},
		{text: "SELECT format FORMAT TSV", want: statement{text: "SELECT format FORMAT TSV", query: "SELECT format ", format: "TSV", rows: -1}},
		{text: "SELECT 'ſ' FORMAT TSV", want: statement{text: "SELECT 'ſ' FORMAT TSV", query: "SELECT 'ſ' ", format: "TSV", rows: -1}},
		{text: " FORMAT", want: statement{text: " FORMAT", query: " FORMAT", rows: -1}},
		{text: "SELECT (SELECT 1 FORMAT A)", want: statement{text: "SELECT (SELECT 1 FORMAT A)", query: "SELECT (SELECT 1 FORMAT A)", rows: -1}},
		{text: "INSERT INTO t VALUES (1)", want: statement{text: "INSERT INTO t", query: "INSERT INTO t", format: "Values", rows: 20}, rows: " (1)"},
		{text: "INSERT INTO `d`.`t` (a, `values`) FORMAT Native\r\n\x01\x02", want: statement{
			text: "INSERT INTO `d`.`t` (a, `values`)", query: "INSERT INTO `d`.`t` (a, `values`)", format: "Native", rows: 49}, rows: "\x01\x02"},
		{text: "insert into function file('x') settings a = 1 format TSV \n\n1", want: statement{
			text: "insert into function file('x') settings a = 1", query: "insert into function file('x') settings a = 1", format: "TSV", rows: 58}, rows: "\n1"},
		{text: "INSERT INTO d.values VALUES (1)", want: statement{text: "INSERT INTO d.values", query: "INSERT INTO d.values", format: "Values", rows: 27}, rows: " (1)"},
		{text: "INSERT INTO t SELECT 1 FORMAT X; ", want: statement{text: "INSERT INTO t SELECT 1 FORMAT X", query: "INSERT INTO t SELECT 1 FORMAT X", rows: -1}},
		{text: "INSERT INTO t FROM INFILE 'f' FORMAT CSV", want: statement{text: "INSERT INTO t FROM INFILE 'f' FORMAT CSV", query: "INSERT INTO t FROM INFILE 'f' FORMAT CSV", rows: -1}},
		{text: "INSERT INTO t", want: statement{text: "INSERT INTO t", query: "INSERT INTO t", rows: -1}},
	}
	for _, tt := range tests {
		got := parseStatement(tt.text)
		if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(statement{})); diff != "" {
			t.Errorf("%q: -want +got\n%s", tt.text, diff)
		}
		if got.rows >= 0 && tt.text[got.rows:] != tt.rows {
			t.Errorf("%q: rows %q, want %q", tt.text, tt.text[got.rows:], tt.rows)
		}
	}
}

func FuzzParseStatement(f *testing.F) {
	for _, seed := range []string{"SELECT 1 FORMAT X;", "INSERT INTO t (a) FORMAT Native\n\x00", "INSERT INTO a.b VALUES('\\", "/* $x$ */ # \n(([{`"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s := parseStatement(text)
		if s.rows > len(text) || !strings.HasPrefix(text, s.text) || (s.rows >= 0 && s.format == "") {
			t.Errorf("%q: %+v", text, s)
		}
	})
}

func TestQuote(t *testing.T) {
	t.Parallel()
	if got, want := quote(`it's \`), `'it\'s \\'`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := quoteName("a`b\\"), "`a\\`b\\\\`"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
