//go:build linux || darwin

package chdb

import "strings"

// statement is what the server needs to know of a text of SQL. It is found
// with a scan of the tokens; the engine's parser has the last word on
// whether the text is valid.
type statement struct {
	// text is the statement without what follows it from a semicolon on and,
	// for an INSERT that brings rows, without its FORMAT or VALUES clause.
	text string
	// format is the name after FORMAT ("Values" for VALUES), empty when the
	// statement names none.
	format string
	// query is text without its FORMAT clause.
	query string
	// rows is where the rows of an INSERT begin in the scanned text, -1 when
	// the statement brings none.
	rows int
	// several is set when another statement follows the first one.
	several bool
}

// parseStatement scans the first statement of text.
func parseStatement(text string) statement {
	sc := scanner{text: text}
	first, ok := sc.next()
	if !ok {
		return statement{rows: -1}
	}
	if first.is("INSERT") {
		return sc.insert()
	}
	var clause formatClause
	end := 0
	for t, ok := first, true; ok; t, ok = sc.next() {
		if t.text == ";" {
			_, more := sc.next()
			return clause.cut(statement{text: text[:end], rows: -1, several: more})
		}
		clause.see(t)
		end = t.end
	}
	return clause.cut(statement{text: text, rows: -1})
}

// formatClause finds the FORMAT clause of a statement that is no INSERT: it
// is the last one but for SETTINGS.
type formatClause struct {
	keyword, name token
	settings      bool
}

// see takes the next token.
func (c *formatClause) see(t token) {
	switch {
	case t.depth > 0 || c.settings:
	case t.is("FORMAT"):
		*c = formatClause{keyword: t}
	case c.keyword.word && !c.name.word && t.word:
		c.name = t
	case c.name.word && t.is("SETTINGS"):
		c.settings = true
	default:
		*c = formatClause{} // a column called "format"
	}
}

// cut completes a statement with its format and its text without the clause.
func (c *formatClause) cut(s statement) statement {
	s.query = s.text
	if c.name.word {
		s.format = c.name.text
		s.query = s.text[:c.keyword.start] + s.text[c.name.end:]
	}
	return s
}

// insert scans the rest of an INSERT up to its rows.
func (sc *scanner) insert() statement {
	last := sc.target()
	for {
		t, ok := sc.next()
		switch {
		case !ok:
			return statement{text: sc.text[:last.end], query: sc.text[:last.end], rows: -1}
		case t.text == ";":
			_, more := sc.next()
			return statement{text: sc.text[:last.end], query: sc.text[:last.end], rows: -1, several: more}
		case t.depth > 0:
		case t.is("VALUES"):
			head := sc.text[:last.end]
			return statement{text: head, query: head, format: "Values", rows: t.end}
		case last.is("FORMAT") && t.word:
			head := strings.TrimRight(sc.text[:last.start], " \t\r\n")
			return statement{text: head, query: head, format: t.text, rows: sc.rowsAfter(t.end)}
		case t.is("SELECT"), t.is("WITH"), t.is("FROM"):
			// The rows come from a query or a file: an ordinary statement.
			end := len(strings.TrimRight(sc.text, " \t\r\n;"))
			return statement{text: sc.text[:end], query: sc.text[:end], rows: -1}
		}
		last = t
	}
}

// target skips "INTO [TABLE] [FUNCTION] name" and returns its last token, so
// that a table called "values" or "format" is not taken for a clause.
func (sc *scanner) target() token {
	var t token
	for {
		next, ok := sc.next()
		if !ok {
			return t
		}
		t = next
		if !t.is("INTO") && !t.is("TABLE") && !t.is("FUNCTION") {
			break
		}
	}
	for strings.HasPrefix(sc.text[sc.at:], ".") {
		sc.at++
		next, ok := sc.next()
		if !ok {
			return t
		}
		t = next
	}
	return t
}

// rowsAfter skips the blanks and the one line break between a format's name
// and the rows, as ClickHouse does.
func (sc *scanner) rowsAfter(at int) int {
	for at < len(sc.text) && strings.IndexByte(" \t\f", sc.text[at]) >= 0 {
		at++
	}
	if strings.HasPrefix(sc.text[at:], "\r\n") {
		return at + 2
	}
	if strings.HasPrefix(sc.text[at:], "\n") {
		return at + 1
	}
	return at
}
