package clitest

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// block is a block of code in a page, with its language.
var block = regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```$")

// Commands are the command lines of a program in the blocks sh and ini of a page, the
// name of the program first: what a shell would run, and what ExecStart= says. A program
// is known by the end of its path.
func Commands(tb testing.TB, page, program string) [][]string {
	tb.Helper()
	var found [][]string
	for _, line := range lines(tb, page) {
		for _, words := range split(line) {
			words = slices.DeleteFunc(words, func(w string) bool { return w == "" })
			for len(words) > 0 && isSetting(words[0]) {
				words = words[1:]
			}
			if len(words) > 0 && filepath.Base(words[0]) == program {
				found = append(found, append([]string{program}, words[1:]...))
			}
		}
	}
	return found
}

// Settings are the names of the environment variables ATLHYPER_… that a page sets in its
// blocks sh and ini.
func Settings(tb testing.TB, page string) []string {
	tb.Helper()
	var found []string
	for _, line := range lines(tb, page) {
		for _, words := range split(line) {
			for _, w := range words {
				name, _, ok := strings.Cut(w, "=")
				if ok && strings.HasPrefix(name, "ATLHYPER_") && isSetting(w) {
					found = append(found, name)
				}
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// CheckPage fails the test for every command line of the program in the page that does
// not parse, and when there is none.
func CheckPage(t *testing.T, page, program string, command func() any, options ...kong.Option) {
	t.Helper()
	found := Commands(t, page, program)
	if len(found) == 0 {
		t.Errorf("%s never runs %s", page, program)
	}
	for _, words := range found {
		parser, err := kong.New(command(), options...)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parser.Parse(words[1:]); err != nil {
			t.Errorf("%s: %s: %v", page, strings.Join(words, " "), err)
		}
	}
}

// lines are those of the blocks sh and ini of a page, without ExecStart= and with lines
// that go on joined.
func lines(tb testing.TB, page string) []string {
	tb.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		tb.Fatal(err)
	}
	var all []string
	for _, m := range block.FindAllStringSubmatch(string(text), -1) {
		if m[1] != "sh" && m[1] != "ini" {
			continue
		}
		code := strings.ReplaceAll(m[2], "\\\n", " ")
		for line := range strings.Lines(code) {
			line = strings.TrimSuffix(line, "\n")
			all = append(all, strings.TrimPrefix(strings.TrimPrefix(line, "ExecStart="), "Environment="))
		}
	}
	return all
}

var setting = regexp.MustCompile(`^[A-Z][A-Z0-9_]*=`)

func isSetting(word string) bool { return setting.MatchString(word) || word == "export" }

// split takes a line of a shell apart into its commands, and these into words. It knows
// quotes, comments, pipes, redirections, and what commands are joined by; what is in
// $( ) is a command of its own.
func split(line string) [][]string {
	s := splitter{}
	for _, c := range []byte(line) {
		switch {
		case s.quote != 0:
			if c == s.quote {
				s.quote = 0
				continue
			}
			s.word.WriteByte(c)
		case c == '\'' || c == '"':
			s.quote, s.some = c, true
		case c == '#' && s.word.Len() == 0 && !s.some:
			s.endCommand()
			return s.all
		case c == ' ' || c == '\t':
			s.endWord()
		case strings.ContainsRune("|;&()", rune(c)):
			s.endCommand()
		case c == '<' || c == '>':
			s.endWord()
			s.skip = true
		default:
			s.word.WriteByte(c)
		}
	}
	s.endCommand()
	return s.all
}

type splitter struct {
	all   [][]string
	words []string
	word  strings.Builder
	quote byte
	some  bool // the word has begun, be it empty
	skip  bool // the next word is a file that is written or read
}

func (s *splitter) endWord() {
	if s.word.Len() == 0 && !s.some {
		return
	}
	if !s.skip {
		s.words = append(s.words, s.word.String())
	}
	s.word.Reset()
	s.some, s.skip = false, false
}

func (s *splitter) endCommand() {
	s.endWord()
	if len(s.words) > 0 {
		s.all = append(s.all, s.words)
	}
	s.words, s.skip = nil, false
}
