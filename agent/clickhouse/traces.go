package clickhouse

import (
	"errors"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/atlhyper/observe/shared/detail"
)

// traceMargin is how far beyond a time range the spans of its traces are looked
// for where the trace-id time index does not say.
const traceMargin = 15 * time.Minute

// traceSlack is added around what the trace-id time index says, which is in
// whole seconds and may lag behind the spans.
const traceSlack = time.Minute

// rangeParams binds r as start and end.
func rangeParams(r detail.Range) params {
	return params{"start": nanos(r.StartTime()), "end": nanos(r.EndTime())}
}

// codeUnknownTable is ClickHouse's error for a table that is not there.
const codeUnknownTable = 60

func isUnknownTable(err error) bool {
	var e *clickhouse.Exception
	return errors.As(err, &e) && e.Code == codeUnknownTable
}

// emptyWithoutTable turns the error about a table that is not there into an
// empty list: no collector has written that signal.
func emptyWithoutTable[T any](err error) ([]T, error) {
	if isUnknownTable(err) {
		return []T{}, nil
	}
	return nil, err
}
