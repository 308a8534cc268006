package codec

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"
)

// ToJSON appends the JSON of one msgpack value to dst, token by token: it needs
// no schema, so an older master serves a newer agent, and allocates nothing but
// dst. The text is what encoding/json writes, with SetEscapeHTML(false), of what
// Decode makes of data. Of what Encode never writes, a float32 is the float64
// that it equals, bytes that are no UTF-8 become U+FFFD each, and a key that
// comes twice stays twice: readers of JSON take the last. On an error (those of
// Decode; NaN and Inf too) dst is returned as it was.
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
	k, n, err := r.next()
	if err != nil {
		return nil, err
	}
	switch k {
	case kindNil:
		return append(dst, "null"...), nil
	case kindBool:
		return strconv.AppendBool(dst, n != 0), nil
	case kindInt:
		return strconv.AppendInt(dst, int64(n), 10), nil
	case kindUint:
		return strconv.AppendUint(dst, n, 10), nil
	case kindFloat:
		return appendFloat(dst, math.Float64frombits(n))
	case kindString:
		return appendString(dst, r.text(n)), nil
	case kindList:
		return r.jsonList(dst, n, depth)
	default:
		return r.jsonMap(dst, n, depth)
	}
}

func (r *reader) jsonList(dst []byte, n uint64, depth int) (_ []byte, err error) {
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

func (r *reader) jsonMap(dst []byte, n uint64, depth int) ([]byte, error) {
	dst = append(dst, '{')
	for i := range n {
		if i > 0 {
			dst = append(dst, ',')
		}
		key, err := r.key()
		if err != nil {
			return nil, err
		}
		dst = append(appendString(dst, key), ':')
		if dst, err = r.json(dst, depth+1); err != nil {
			return nil, err
		}
	}
	return append(dst, '}'), nil
}

const hexDigits = "0123456789abcdef"

// appendString quotes s, which is plain as a rule: a key, a name, a time.
func appendString(dst, s []byte) []byte {
	dst = append(dst, '"')
	for len(s) >= 8 {
		word := binary.LittleEndian.Uint64(s)
		if !plain(word) {
			break
		}
		dst = binary.LittleEndian.AppendUint64(dst, word)
		s = s[8:]
	}
	if len(s) >= 4 {
		if word := binary.LittleEndian.Uint32(s); plain(uint64(word) | 0x20202020<<32) {
			dst = binary.LittleEndian.AppendUint32(dst, word)
			s = s[4:]
		}
	}
	for i, b := range s {
		if b < 0x20 || b == '"' || b == '\\' || b >= utf8.RuneSelf {
			dst = appendEscaped(dst, s[i:])
			break
		}
		dst = append(dst, b)
	}
	return append(dst, '"')
}

// plain tells whether JSON takes eight bytes as they are. A byte's high bit is
// set, here or by a borrow, if the byte is not ASCII, below 0x20, a quote or a
// backslash.
func plain(word uint64) bool {
	const each, high = 0x0101010101010101, 0x8080808080808080
	return (word|(word-0x20*each)|((word^'"'*each)-each)|((word^'\\'*each)-each))&high == 0
}

// appendEscaped copies runs of bytes that need no escape whole.
func appendEscaped(dst, s []byte) []byte {
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
	return append(dst, s[start:]...)
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
