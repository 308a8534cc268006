package telemetry

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
)

// names gives the ids of one loop: the same id becomes the same name wherever
// it stands, and another one in every loop, replayer and run.
type names struct {
	salt string // of the replayer
	loop int
}

// trace renames a trace id (32 hex digits); none stays none.
func (n names) trace(id string) string { return n.hash(id, 16) }

// span renames a span id (16 hex digits); none stays none.
func (n names) span(id string) string { return n.hash(id, 8) }

func (n names) hash(id string, size int) string {
	if id == "" {
		return ""
	}
	buf := append(make([]byte, 0, 128), n.salt...)
	buf = binary.BigEndian.AppendUint64(buf, uint64(n.loop)) //nolint:gosec // never negative
	sum := sha256.Sum256(append(buf, id...))
	return hex.EncodeToString(sum[:size])
}
