package resources

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// scanner walks the JSON that codec.ToJSON writes: valid, and without white space. It
// copies nothing but what it is asked for. Of anything else it may return nonsense, but
// neither panics nor leaves the data.
type scanner struct {
	data []byte
	pos  int
}

var errEnd = errors.New("the data ends early")

// peek returns the next byte, 0 at the end.
func (s *scanner) peek() byte {
	if s.pos < len(s.data) {
		return s.data[s.pos]
	}
	return 0
}

// take steps over a byte if it is the next one.
func (s *scanner) take(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.pos++
	return true
}

// null steps over null, if that is the next value.
func (s *scanner) null() bool {
	if !bytes.HasPrefix(s.data[s.pos:], []byte("null")) {
		return false
	}
	s.pos += len("null")
	return true
}

// list calls element in front of each element of a list, to read it.
func (s *scanner) list(element func() error) error {
	if !s.take('[') {
		return errors.New("is no list")
	}
	if s.take(']') {
		return nil
	}
	for {
		if err := element(); err != nil {
			return err
		}
		if s.take(']') {
			return nil
		}
		if !s.take(',') {
			return errEnd
		}
	}
}

// object calls member in front of the value of each member of an object, to read it.
func (s *scanner) object(member func(name []byte) error) error {
	if !s.take('{') {
		return errors.New("is no object")
	}
	if s.take('}') {
		return nil
	}
	for {
		name, err := s.text()
		if err != nil {
			return err
		}
		if !s.take(':') {
			return errEnd
		}
		if err := member(name); err != nil {
			return fmt.Errorf("%.100s: %w", name, err)
		}
		if s.take('}') {
			return nil
		}
		if !s.take(',') {
			return errEnd
		}
	}
}

// quoted steps over a string and tells what is between its quotes, and whether that has
// escapes.
func (s *scanner) quoted() (inside []byte, escaped bool, err error) {
	if !s.take('"') {
		return nil, false, errors.New("is no text")
	}
	rest := s.data[s.pos:]
	for i := 0; i < len(rest); i++ {
		switch rest[i] {
		case '\\':
			escaped = true
			i++
		case '"':
			s.pos += i + 1
			return rest[:i], escaped, nil
		}
	}
	s.pos = len(s.data)
	return nil, false, errEnd
}

// text reads a string; it is a part of the data unless it has escapes.
func (s *scanner) text() ([]byte, error) {
	begin := s.pos
	inside, escaped, err := s.quoted()
	if err != nil || !escaped {
		return inside, err
	}
	var text string
	if err := json.Unmarshal(s.data[begin:s.pos], &text); err != nil {
		return nil, fmt.Errorf("is no text: %w", err)
	}
	return []byte(text), nil
}

// integer reads a whole number.
func (s *scanner) integer() (int64, error) {
	begin := s.pos
	for s.pos < len(s.data) && (s.data[s.pos] == '-' || s.data[s.pos] >= '0' && s.data[s.pos] <= '9') {
		s.pos++
	}
	n, err := strconv.ParseInt(string(s.data[begin:s.pos]), 10, 64)
	if err != nil || s.peek() == '.' || s.peek() == 'e' {
		return 0, errors.New("is no whole number")
	}
	return n, nil
}

// boolean reads true or false.
func (s *scanner) boolean() (bool, error) {
	for _, text := range []string{"true", "false"} {
		if bytes.HasPrefix(s.data[s.pos:], []byte(text)) {
			s.pos += len(text)
			return text == "true", nil
		}
	}
	return false, errors.New("is neither true nor false")
}

// skip steps over a value.
func (s *scanner) skip() error {
	for depth := 0; s.pos < len(s.data); {
		switch s.data[s.pos] {
		case '"':
			if _, _, err := s.quoted(); err != nil {
				return err
			}
		case '{', '[':
			depth++
			s.pos++
			continue
		case '}', ']':
			depth--
			s.pos++
		case ',', ':':
			s.pos++
			continue
		default:
			s.scalar()
		}
		if depth <= 0 {
			return nil
		}
	}
	return errEnd
}

// scalar steps over a number, true, false or null.
func (s *scanner) scalar() {
	for s.pos++; s.pos < len(s.data); s.pos++ {
		switch s.data[s.pos] {
		case ',', ':', '}', ']':
			return
		}
	}
}
