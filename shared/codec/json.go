package codec

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"
)

// ToJSON appends the JSON of one msgpack value to dst, token by token: it needs
// no schema, so an older master serves a newer agent, and allocates nothing but
// dst. The text is what encoding/json writes with SetEscapeHTML(false): invalid
// UTF-8 becomes U+FFFD. Map keys must be strings. On an error (see Decode; NaN
// and Inf too) dst is returned as it was.
func ToJSON(dst, data []byte) ([]byte, error) {
	r := reader{data: data}
	out, err := r.json(dst, 0)
	if err != nil {
		return dst, fmt.Errorf("msgpack to JSON at byte %d: %w", r.pos, err)
	}
	if r.pos != len(data) {
		return dst, fmt.Errorf("msgpack to JSON: %d bytes follow the value", len(data)-r.pos)
	}
	return out, nil
}

func (r *reader) json(dst []byte, depth int) ([]byte, error) {
	if depth > maxDepth {
		return nil, ErrTooDeep
	}
	t, err := r.next()
	if err != nil {
		return nil, err
	}
	switch t.kind {
	case kindNil:
		return append(dst, "null"...), nil
	case kindBool:
		return strconv.AppendBool(dst, t.bool), nil
	case kindInt:
		return strconv.AppendInt(dst, t.int, 10), nil
	case kindUint:
		return strconv.AppendUint(dst, t.uint, 10), nil
	case kindFloat:
		return appendFloat(dst, t.flt)
	case kindString:
		return appendString(dst, t.str), nil
	case kindList:
		return r.jsonList(dst, t.n, depth)
	default:
		return r.jsonMap(dst, t.n, depth)
	}
}

func (r *reader) jsonList(dst []byte, n, depth int) (_ []byte, err error) {
	dst = append(dst, '[')
	for i := range n {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = r.json(dst, depth+1); err != nil {
			return nil, err
		}
	}
	return append(dst, ']'), nil
}

func (r *reader) jsonMap(dst []byte, n, depth int) ([]byte, error) {
	dst = append(dst, '{')
	for i := range n {
		if i > 0 {
			dst = append(dst, ',')
		}
		k, err := r.next()
		if err != nil {
			return nil, err
		}
		if k.kind != kindString {
			return nil, errors.New("a map key is not a string")
		}
		dst = append(appendString(dst, k.str), ':')
		if dst, err = r.json(dst, depth+1); err != nil {
			return nil, err
		}
	}
	return append(dst, '}'), nil
}

// appendFloat writes f as encoding/json does: the shortest text that reads back
// as f, with an exponent only for very small and very large numbers (ES6).
func appendFloat(dst []byte, f float64) ([]byte, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil, fmt.Errorf("%v has no JSON", f)
	}
	abs := math.Abs(f)
	if abs == 0 || (abs >= 1e-6 && abs < 1e21) {
		return strconv.AppendFloat(dst, f, 'f', -1, 64), nil
	}
	dst = strconv.AppendFloat(dst, f, 'e', -1, 64)
	// e-09 becomes e-9.
	if n := len(dst); n >= 4 && dst[n-4] == 'e' && (dst[n-3] == '-' || dst[n-3] == '+') && dst[n-2] == '0' {
		dst[n-2] = dst[n-1]
		dst = dst[:n-1]
	}
	return dst, nil
}

const hexDigits = "0123456789abcdef"

// appendString quotes s; runs of plain bytes are copied whole.
func appendString(dst, s []byte) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		if b := s[i]; b < utf8.RuneSelf {
			if b >= 0x20 && b != '"' && b != '\\' {
				i++
				continue
			}
			dst = appendEscape(append(dst, s[start:i]...), b)
			i++
			start = i
			continue
		}
		c, size := utf8.DecodeRune(s[i:])
		switch {
		case c == utf8.RuneError && size == 1:
			dst = append(append(dst, s[start:i]...), `\ufffd`...)
		case c == '\u2028' || c == '\u2029': // line ends in JavaScript
			dst = append(append(dst, s[start:i]...), `\u202`...)
			dst = append(dst, hexDigits[c&0xf])
		default:
			i += size
			continue
		}
		i += size
		start = i
	}
	return append(append(dst, s[start:]...), '"')
}

func appendEscape(dst []byte, b byte) []byte {
	switch b {
	case '"', '\\':
		return append(dst, '\\', b)
	case '\b':
		return append(dst, '\\', 'b')
	case '\f':
		return append(dst, '\\', 'f')
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[b>>4], hexDigits[b&0xf])
}
