//go:build linux || darwin

package chdb

import "strings"

// token is a piece of SQL: a word, a quoted string or identifier, or a single
// other character. White space and comments are not tokens.
type token struct {
	text       string
	start, end int  // byte offsets in the scanned text
	depth      int  // how many brackets are open around it
	word       bool // an unquoted identifier, keyword or number
}

func (t token) is(keyword string) bool {
	return t.word && strings.EqualFold(t.text, keyword)
}

// scanner splits SQL into tokens. It never fails: an unterminated string or
// comment reaches to the end of the text.
type scanner struct {
	text  string
	at    int
	depth int
}

func (sc *scanner) next() (token, bool) {
	sc.skipBlank()
	if sc.at >= len(sc.text) {
		return token{}, false
	}
	start, depth, word := sc.at, sc.depth, false
	switch c := sc.text[start]; {
	case c == '\'' || c == '"' || c == '`':
		sc.skipQuoted(c)
	case c == '$' && sc.skipHeredoc():
	case isWordByte(c):
		word = true
		for sc.at < len(sc.text) && isWordByte(sc.text[sc.at]) {
			sc.at++
		}
	case c == '(' || c == '[' || c == '{':
		sc.depth++
		sc.at++
	case c == ')' || c == ']' || c == '}':
		sc.depth = max(0, sc.depth-1)
		depth = sc.depth
		sc.at++
	default:
		sc.at++
	}
	return token{text: sc.text[start:sc.at], start: start, end: sc.at, depth: depth, word: word}, true
}

// skipBlank moves past white space and comments.
func (sc *scanner) skipBlank() {
	for sc.at < len(sc.text) {
		rest := sc.text[sc.at:]
		switch {
		case strings.IndexByte(" \t\r\n\f\v", rest[0]) >= 0:
			sc.at++
		case strings.HasPrefix(rest, "--"), strings.HasPrefix(rest, "# "), strings.HasPrefix(rest, "#!"):
			sc.skipTo(rest, "\n")
		case strings.HasPrefix(rest, "/*"):
			sc.at += 2
			sc.skipTo(rest[2:], "*/")
		default:
			return
		}
	}
}

// skipTo moves past the first end in rest, which is the text from here on.
func (sc *scanner) skipTo(rest, end string) {
	if i := strings.Index(rest, end); i >= 0 {
		sc.at += i + len(end)
		return
	}
	sc.at = len(sc.text)
}

// skipQuoted moves past a quoted string, in which a backslash escapes the
// next character. A doubled quote needs no care: it reads as two strings.
func (sc *scanner) skipQuoted(quote byte) {
	for sc.at++; sc.at < len(sc.text); sc.at++ {
		switch sc.text[sc.at] {
		case '\\':
			sc.at++
		case quote:
			sc.at++
			return
		}
	}
	sc.at = len(sc.text)
}

// skipHeredoc moves past $tag$...$tag$ and reports whether there was one.
func (sc *scanner) skipHeredoc() bool {
	rest := sc.text[sc.at:]
	n := 1
	for n < len(rest) && rest[n] != '$' && isWordByte(rest[n]) {
		n++
	}
	if n >= len(rest) || rest[n] != '$' {
		return false
	}
	tag := rest[:n+1]
	end := strings.Index(rest[len(tag):], tag)
	if end < 0 {
		return false
	}
	sc.at += len(tag) + end + len(tag)
	return true
}

func isWordByte(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c >= 0x80
}
