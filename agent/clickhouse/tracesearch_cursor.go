package clickhouse

import (
	"math"
	"strings"

	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/fault"
)

// traceKey is the place of a trace in the order of a search: by its first start
// in ns or its duration in ns, whichever is sorted by, then by id; the greatest
// comes first.
type traceKey struct {
	key int64
	id  string
}

// firstTraceKey comes before every trace.
func firstTraceKey() traceKey { return traceKey{key: math.MaxInt64} }

// maxTraceID bounds the ids in cursors: 32 hex digits, or what else a table holds.
const maxTraceID = 128

func (k traceKey) cursor(sort detail.TraceSort) string {
	return encodeCursor(traceList(sort), []uint64{uint64(k.key)}, k.id) //nolint:gosec // decoded the same way
}

func decodeTraceCursor(cursor string, sort detail.TraceSort) (traceKey, error) {
	numbers, id, err := decodeCursor(cursor, traceList(sort), 1)
	if err != nil {
		return traceKey{}, err
	}
	k := traceKey{int64(numbers[0]), id} //nolint:gosec // checked below
	if k.key < 0 || id == "" || len(id) > maxTraceID || strings.ToValidUTF8(id, "") != id {
		return traceKey{}, fault.New(fault.BadRequest, "cursor: is not one that this list gave")
	}
	return k, nil
}

// traceList tells the cursors of the two orders apart.
func traceList(sort detail.TraceSort) byte {
	if sort == detail.SortDuration {
		return 'd'
	}
	return 't'
}
