package clickhouse

import (
	"math"
	"time"

	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/fault"
)

// logKey is a place in the order of log records: newest first, records of one
// time by a hash of what they hold, greatest first.
type logKey struct {
	at  int64 // ns
	tie uint64
	// seen counts the records of exactly this key up to this one. They are copies
	// of each other, as a collector that retries may write them.
	seen uint32
}

// firstLogKey comes before every record that is older than end.
func firstLogKey(end time.Time) logKey {
	return logKey{at: nanos(end) - 1, tie: math.MaxUint64}
}

const logList = 'l'

func (k logKey) cursor() string {
	return encodeCursor(logList, []uint64{uint64(k.at), k.tie, uint64(k.seen)}, "") //nolint:gosec // decoded the same way
}

// decodeLogCursor reads the cursor of a list of records in r.
func decodeLogCursor(cursor string, r detail.Range) (logKey, error) {
	numbers, rest, err := decodeCursor(cursor, logList, 3)
	if err != nil {
		return logKey{}, err
	}
	k := logKey{int64(numbers[0]), numbers[1], uint32(numbers[2])} //nolint:gosec // checked below
	if rest != "" || numbers[0] > math.MaxInt64 || numbers[2] > math.MaxInt32 {
		return logKey{}, fault.New(fault.BadRequest, "cursor: is not one that this list gave")
	}
	if k.at < nanos(r.StartTime()) || k.at >= nanos(r.EndTime()) {
		return logKey{}, fault.New(fault.BadRequest, "cursor: is of another time range")
	}
	return k, nil
}
