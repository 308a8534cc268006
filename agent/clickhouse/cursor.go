package clickhouse

import (
	"encoding/base64"
	"encoding/binary"

	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/fault"
)

// A cursor is base64url text of: a version byte, a byte that says what list it
// continues, 64-bit numbers of the list, and a text to the end. Users send it
// back as it is; a changed layout takes a new version.
const (
	cursorVersion = 1
	cursorHead    = 2
)

// encodeCursor is the cursor of a list.
func encodeCursor(list byte, numbers []uint64, text string) string {
	raw := []byte{cursorVersion, list}
	for _, n := range numbers {
		raw = binary.BigEndian.AppendUint64(raw, n)
	}
	return base64.RawURLEncoding.EncodeToString(append(raw, text...))
}

// decodeCursor reads a cursor of that list with as many numbers. Anything else
// is a fault.BadRequest.
func decodeCursor(cursor string, list byte, numbers int) ([]uint64, string, error) {
	bad := fault.New(fault.BadRequest, "cursor: is not one that this list gave")
	if len(cursor) > detail.MaxCursor {
		return nil, "", bad
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(raw) < cursorHead+8*numbers || raw[0] != cursorVersion || raw[1] != list {
		return nil, "", bad
	}
	raw = raw[cursorHead:]
	out := make([]uint64, numbers)
	for i := range out {
		out[i], raw = binary.BigEndian.Uint64(raw), raw[8:]
	}
	return out, string(raw), nil
}
