// Package terminal writes what others wrote so that it does nothing to the terminal
// that shows it: escape sequences, control characters and those that turn the
// direction of a line are shown, not obeyed.
package terminal

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Text is s with everything that does not print, line ends too, as in a Go string: an
// escape character is \x1b. A backslash is two, so that it can be told from those.
func Text(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return r == '\\' || r == utf8.RuneError || !unicode.IsPrint(r) }) {
		return s
	}
	quoted := strconv.Quote(s)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}

// Error is err with the text of Text.
func Error(err error) error {
	if err == nil {
		return nil
	}
	return safeError{err}
}

type safeError struct{ error }

func (e safeError) Error() string { return Text(e.error.Error()) }

func (e safeError) Unwrap() error { return e.error }

// AppendJSON appends JSON that is valid to dst. It means the same, with everything that
// does not print as \u and its number: encoding/json leaves the control characters from U+007F on
// as they are.
func AppendJSON(dst, json []byte) []byte {
	for i := 0; i < len(json); {
		c := json[i]
		if c < utf8.RuneSelf && c != 0x7f {
			// Below U+0020 valid JSON has only line ends and tabs between values.
			dst = append(dst, c)
			i++
			continue
		}
		r, size := utf8.DecodeRune(json[i:])
		switch {
		case unicode.IsPrint(r) && r != utf8.RuneError:
			dst = append(dst, json[i:i+size]...)
		case r > 0xffff:
			const surrogates, high, low = 0x10000, 0xd800, 0xdc00
			r -= surrogates
			dst = fmt.Appendf(dst, `\u%04x\u%04x`, high+r>>10, low+r&0x3ff)
		default:
			dst = fmt.Appendf(dst, `\u%04x`, r)
		}
		i += size
	}
	return dst
}

// Is tells whether w is a terminal, as far as the kind of its file tells.
func Is(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
