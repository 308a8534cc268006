package codec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Bounds of what is read.
const (
	// maxDepth is how deep lists and maps may nest.
	maxDepth = 32
)

// ErrTooDeep is returned for values that nest deeper than any of ours do.
var ErrTooDeep = errors.New("msgpack: nested too deep")

// ErrTruncated is returned when a value ends before its length says.
var ErrTruncated = errors.New("msgpack: truncated")

type kind uint8

const (
	kindNil kind = iota
	kindBool
	kindInt
	kindUint
	kindFloat
	kindString
	kindList
	kindMap
)

// token is one scalar, or the head of a list or map of n elements or pairs.
type token struct {
	kind kind
	bool bool
	int  int64
	uint uint64
	flt  float64
	str  []byte // into the input
	n    int
}

// reader walks msgpack token by token and allocates nothing. A length never
// exceeds what is left of the input, since every element takes a byte.
type reader struct {
	data []byte
	pos  int
}

func (r *reader) take(n int) ([]byte, error) {
	if n < 0 || n > len(r.data)-r.pos {
		return nil, ErrTruncated
	}
	b := r.data[r.pos : r.pos+n]
	r.pos += n
	return b, nil
}

// number reads a big-endian unsigned integer of 1, 2, 4 or 8 bytes.
func (r *reader) number(size int) (uint64, error) {
	b, err := r.take(size)
	if err != nil {
		return 0, err
	}
	switch size {
	case 1:
		return uint64(b[0]), nil
	case 2:
		return uint64(binary.BigEndian.Uint16(b)), nil
	case 4:
		return uint64(binary.BigEndian.Uint32(b)), nil
	default:
		return binary.BigEndian.Uint64(b), nil
	}
}

// next reads one token. Binary and extension values, which we never write, are
// errors. The layout is that of the msgpack specification.
func (r *reader) next() (token, error) {
	head, err := r.take(1)
	if err != nil {
		return token{}, err
	}
	c := head[0]
	switch {
	case c <= 0x7f:
		return token{kind: kindInt, int: int64(c)}, nil
	case c >= 0xe0:
		return token{kind: kindInt, int: int64(int8(c))}, nil
	case c <= 0x8f:
		return r.container(kindMap, uint64(c&0x0f))
	case c <= 0x9f:
		return r.container(kindList, uint64(c&0x0f))
	case c <= 0xbf:
		return r.text(uint64(c & 0x1f))
	}
	return r.long(c)
}

// long reads the tokens whose head names a size.
func (r *reader) long(c byte) (token, error) {
	switch c {
	case 0xc0:
		return token{kind: kindNil}, nil
	case 0xc2, 0xc3:
		return token{kind: kindBool, bool: c == 0xc3}, nil
	case 0xca, 0xcb:
		return r.float(c == 0xcb)
	case 0xcc, 0xcd, 0xce, 0xcf:
		u, err := r.number(1 << (c - 0xcc))
		return token{kind: kindUint, uint: u}, err
	case 0xd0, 0xd1, 0xd2, 0xd3:
		return r.signed(1 << (c - 0xd0))
	}
	size, kind, ok := sized(c)
	if !ok {
		return token{}, fmt.Errorf("msgpack: type 0x%02x is not allowed", c)
	}
	n, err := r.number(size)
	if err != nil {
		return token{}, err
	}
	if kind == kindString {
		return r.text(n)
	}
	return r.container(kind, n)
}

// sized tells how many bytes of length follow the head c, and of what.
func sized(c byte) (int, kind, bool) {
	switch c {
	case 0xd9, 0xda, 0xdb:
		return 1 << (c - 0xd9), kindString, true
	case 0xdc, 0xdd:
		return 2 << (c - 0xdc), kindList, true
	case 0xde, 0xdf:
		return 2 << (c - 0xde), kindMap, true
	}
	return 0, 0, false
}

func (r *reader) float(double bool) (token, error) {
	if double {
		bits, err := r.number(8)
		return token{kind: kindFloat, flt: math.Float64frombits(bits)}, err
	}
	bits, err := r.number(4)
	return token{kind: kindFloat, flt: float64(math.Float32frombits(uint32(bits)))}, err
}

func (r *reader) signed(size int) (token, error) {
	u, err := r.number(size)
	if err != nil {
		return token{}, err
	}
	shift := 64 - 8*size
	return token{kind: kindInt, int: int64(u<<shift) >> shift}, nil
}

func (r *reader) text(n uint64) (token, error) {
	if n > uint64(len(r.data)-r.pos) {
		return token{}, ErrTruncated
	}
	s, err := r.take(int(n))
	return token{kind: kindString, str: s}, err
}

func (r *reader) container(k kind, n uint64) (token, error) {
	least := n
	if k == kindMap {
		least = 2 * n
	}
	if least > uint64(len(r.data)-r.pos) {
		return token{}, ErrTruncated
	}
	return token{kind: k, n: int(n)}, nil
}

// check walks one value and makes sure that it is whole, not too deep, holds
// only what we write and that nothing follows it.
func check(data []byte) error {
	r := reader{data: data}
	if err := r.skip(0); err != nil {
		return err
	}
	if r.pos != len(data) {
		return fmt.Errorf("msgpack: %d bytes follow the value", len(data)-r.pos)
	}
	return nil
}

func (r *reader) skip(depth int) error {
	if depth > maxDepth {
		return ErrTooDeep
	}
	t, err := r.next()
	if err != nil {
		return err
	}
	values := t.n
	switch t.kind {
	case kindMap:
		values *= 2
	case kindList:
	default:
		return nil
	}
	for range values {
		if err := r.skip(depth + 1); err != nil {
			return err
		}
	}
	return nil
}
