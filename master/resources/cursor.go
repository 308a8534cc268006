package resources

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
)

// A cursor is base64url text of: a version byte, the digest of the query that it belongs
// to, and the key of the last object that was shown: the number, and each text with its
// length in front. It names no place, so it stays right while objects come and go. Users
// send it back as it is; a changed layout takes a new version.
const cursorVersion = 1

// maxCursor is the length of the longest cursor, as text.
const maxCursor = (1+digestSize+binary.MaxVarintLen64+3*2+maxKey+2*maxName)*4/3 + 1

var (
	errCursor      = errors.New("cursor: is not one that this list gave")
	errCursorQuery = errors.New("cursor: is of another query: cluster_id, namespace, q, label_selector and sort must be those of the page before")
)

func encodeCursor(query [digestSize]byte, k key) string {
	raw := append([]byte{cursorVersion}, query[:]...)
	raw = binary.AppendVarint(raw, k.number)
	for _, text := range []string{k.text, k.namespace, k.name} {
		raw = append(binary.AppendUvarint(raw, uint64(len(text))), text...)
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// decodeCursor reads the cursor of a query; errors name the parameter.
func decodeCursor(cursor string, query [digestSize]byte) (key, error) {
	if len(cursor) > maxCursor {
		return key{}, errCursor
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(raw) < 1+digestSize || raw[0] != cursorVersion {
		return key{}, errCursor
	}
	if [digestSize]byte(raw[1:]) != query {
		return key{}, errCursorQuery
	}
	raw = raw[1+digestSize:]
	number, n := binary.Varint(raw)
	if n <= 0 {
		return key{}, errCursor
	}
	raw = raw[n:]
	k := key{number: number}
	for _, text := range []*string{&k.text, &k.namespace, &k.name} {
		length, n := binary.Uvarint(raw)
		if n <= 0 || length > uint64(len(raw)-n) {
			return key{}, errCursor
		}
		raw = raw[n:]
		*text, raw = string(raw[:length]), raw[length:]
	}
	if len(raw) > 0 {
		return key{}, errCursor
	}
	return k, nil
}
