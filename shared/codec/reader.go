package codec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// maxDepth is how deep lists and maps may nest.
const maxDepth = 32

// ErrTooDeep is returned for values that nest deeper than any of ours do.
var ErrTooDeep = errors.New("msgpack: nested too deep")

// ErrTruncated is returned when a value ends before its length says.
var ErrTruncated = errors.New("msgpack: truncated")

var errKey = errors.New("msgpack: a map key is not a string")

// kind is what a token is, and what its uint64 means.
type kind uint8

const (
	kindNil    kind = iota
	kindBool        // 0 or 1
	kindInt         // an int64
	kindUint        // a uint64
	kindFloat       // the bits of a float64
	kindString      // the length in bytes, which follow
	kindList        // the number of elements, which follow
	kindMap         // the number of pairs, which follow
)

// reader walks msgpack token by token and allocates nothing. A token is a kind
// and a number, which travel in registers: this loop is what a dashboard costs.
type reader struct {
	data []byte
	pos  int
}

// next reads one token; the string's bytes are text's to read. A
// length never exceeds what is left of the input, since every element takes at
// least a byte. Binary and extension values, which we never write, are errors.
// The layout is that of the msgpack specification.
func (r *reader) next() (kind, uint64, error) {
	if r.pos >= len(r.data) {
		return 0, 0, ErrTruncated
	}
	c := r.data[r.pos]
	r.pos++
	switch {
	case c <= 0x7f:
		return kindInt, uint64(c), nil
	case c <= 0x8f:
		return r.fits(kindMap, uint64(c&0x0f))
	case c <= 0x9f:
		return r.fits(kindList, uint64(c&0x0f))
	case c <= 0xbf:
		return r.fits(kindString, uint64(c&0x1f))
	case c >= 0xe0:
		return kindInt, uint64(int64(int8(c))), nil
	default:
		return r.long(c)
	}
}

// long reads the tokens whose number stands in the bytes after the head c.
func (r *reader) long(c byte) (kind, uint64, error) {
	switch c {
	case 0xc0:
		return kindNil, 0, nil
	case 0xc2, 0xc3:
		return kindBool, uint64(c & 1), nil
	case 0xca:
		bits, err := r.number(4)
		return kindFloat, math.Float64bits(float64(math.Float32frombits(uint32(bits)))), err
	case 0xcb:
		bits, err := r.number(8)
		return kindFloat, bits, err
	case 0xcc, 0xcd, 0xce, 0xcf:
		n, err := r.number(1 << (c - 0xcc))
		return kindUint, n, err
	case 0xd0, 0xd1, 0xd2, 0xd3:
		size := 1 << (c - 0xd0)
		n, err := r.number(size)
		shift := 64 - 8*size
		return kindInt, uint64(int64(n<<shift) >> shift), err
	case 0xd9, 0xda, 0xdb:
		return r.sized(kindString, 1<<(c-0xd9))
	case 0xdc, 0xdd:
		return r.sized(kindList, 2<<(c-0xdc))
	case 0xde, 0xdf:
		return r.sized(kindMap, 2<<(c-0xde))
	}
	return 0, 0, fmt.Errorf("msgpack: type 0x%02x is not allowed", c)
}

// sized reads a length of size bytes.
func (r *reader) sized(k kind, size int) (kind, uint64, error) {
	n, err := r.number(size)
	if err != nil {
		return 0, 0, err
	}
	return r.fits(k, n)
}

// fits checks the length n against what is left.
func (r *reader) fits(k kind, n uint64) (kind, uint64, error) {
	least := n
	if k == kindMap {
		least = 2 * n
	}
	if least > uint64(len(r.data)-r.pos) {
		return 0, 0, ErrTruncated
	}
	return k, n, nil
}

// number reads a big-endian unsigned integer of 1, 2, 4 or 8 bytes.
func (r *reader) number(size int) (uint64, error) {
	b := r.data[r.pos:]
	if len(b) < size {
		return 0, ErrTruncated
	}
	r.pos += size
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

// text returns the n bytes of the string whose head was just read, into the input.
func (r *reader) text(n uint64) []byte {
	s := r.data[r.pos : r.pos+int(n)]
	r.pos += int(n)
	return s
}

// key reads the key of a pair.
func (r *reader) key() ([]byte, error) {
	k, n, err := r.next()
	if err != nil {
		return nil, err
	}
	if k != kindString {
		return nil, errKey
	}
	return r.text(n), nil
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
	k, n, err := r.next()
	if err != nil {
		return err
	}
	switch k {
	case kindString:
		r.text(n)
	case kindList:
		for range n {
			if err := r.skip(depth + 1); err != nil {
				return err
			}
		}
	case kindMap:
		for range n {
			if _, err := r.key(); err != nil {
				return err
			}
			if err := r.skip(depth + 1); err != nil {
				return err
			}
		}
	default: // its number was all
	}
	return nil
}
