package observability

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// Selector is what an expression asks of one metric: NAME{MATCHERS}.
type Selector struct {
	Name     string
	Matchers []Matcher
}

// Matcher is one condition on a label: Op is =, !=, =~ or !~.
type Matcher struct{ Label, Op, Value string }

// Selectors returns what a PromQL expression asks for, in the order of the text. It
// understands what the expressions of this package are made of and no more: selectors have
// a name, strings stand in double quotes. loadtest/promql holds it against Prometheus's
// parser.
func Selectors(expr string) ([]Selector, error) {
	s := &scanner{rest: expr}
	var found []Selector
	for {
		token := s.next()
		switch {
		case token == "":
			return found, s.err
		case groups(token):
			if s.peek() == "(" {
				s.skipTo(")")
			}
		case !isName(token) || isOperator(token) || s.calls():
		default:
			selector := Selector{Name: token}
			if s.peek() == "{" {
				selector.Matchers = s.matchers()
			}
			found = append(found, selector)
		}
	}
}

// groups reports whether a list of labels may follow.
func groups(token string) bool {
	switch token {
	case "by", "without", "on", "ignoring", "group_left", "group_right":
		return true
	}
	return false
}

func isOperator(token string) bool {
	switch token {
	case "and", "or", "unless", "bool", "offset":
		return true
	}
	return false
}

func isName(token string) bool {
	r := rune(token[0])
	return r == '_' || r == ':' || unicode.IsLetter(r)
}

// scanner cuts an expression into names, numbers, strings, and signs; "" is its end.
type scanner struct {
	rest string
	err  error
}

func (s *scanner) next() string {
	s.rest = strings.TrimSpace(s.rest)
	if s.rest == "" || s.err != nil {
		return ""
	}
	length := 1
	switch c := s.rest[0]; {
	case c == '"':
		quoted, err := strconv.QuotedPrefix(s.rest)
		if err != nil {
			s.err = fmt.Errorf("string without end: %s", s.rest)
			return ""
		}
		length = len(quoted)
	case isWord(rune(c)):
		if end := strings.IndexFunc(s.rest, func(r rune) bool { return !isWord(r) }); end > 0 {
			length = end
		} else {
			length = len(s.rest)
		}
	case strings.HasPrefix(s.rest, "=~") || strings.HasPrefix(s.rest, "!~") || strings.HasPrefix(s.rest, "!="):
		length = 2
	}
	token := s.rest[:length]
	s.rest = s.rest[length:]
	return token
}

func isWord(r rune) bool {
	return r == '_' || r == ':' || r == '.' || unicode.IsLetter(r) || unicode.IsDigit(r)
}

func (s *scanner) peek() string {
	ahead := *s
	return ahead.next()
}

// calls reports whether the name before is that of a function or an aggregation.
func (s *scanner) calls() bool {
	next := s.peek()
	return next == "(" || next == "by" || next == "without"
}

func (s *scanner) skipTo(sign string) {
	for token := s.next(); token != "" && token != sign; token = s.next() {
	}
}

// matchers reads {label="value", …}.
func (s *scanner) matchers() []Matcher {
	var found []Matcher
	for s.next(); s.err == nil; {
		label := s.next()
		if label == "," {
			continue
		}
		if label == "}" || label == "" {
			return found
		}
		op, quoted := s.next(), s.next()
		value, err := strconv.Unquote(quoted)
		if err != nil {
			s.err = fmt.Errorf("label %s: %q is no string", label, quoted)
		}
		found = append(found, Matcher{Label: label, Op: op, Value: value})
	}
	return nil
}

// Expand puts values for Grafana's variables: all of a list, five minutes of time.
func Expand(expr string) string {
	return strings.NewReplacer(
		"$__rate_interval", "5m", "$__range", "1h",
		"$master", ".+", "$agent", ".+", "$cluster", ".+",
	).Replace(expr)
}
