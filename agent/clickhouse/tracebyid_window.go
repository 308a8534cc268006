package clickhouse

import (
	"context"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/atlhyper/observe/shared/detail"
)

// timeWindow is a half-open range of time to the nanosecond.
type timeWindow struct{ start, end time.Time }

func (w timeWindow) params() params {
	return params{"start": nanos(w.start), "end": nanos(w.end)}
}

// union is the shortest window that holds both.
func (w timeWindow) union(other timeWindow) timeWindow {
	if other.start.Before(w.start) {
		w.start = other.start
	}
	if other.end.After(w.end) {
		w.end = other.end
	}
	return w
}

// minus is what of the window lies outside the other, newest first.
func (w timeWindow) minus(other timeWindow) []timeWindow {
	if !other.start.Before(other.end) || !other.start.Before(w.end) || !w.start.Before(other.end) {
		return []timeWindow{w}
	}
	var rest []timeWindow
	if other.end.Before(w.end) {
		rest = append(rest, timeWindow{other.end, w.end})
	}
	if w.start.Before(other.start) {
		rest = append(rest, timeWindow{w.start, other.start})
	}
	return rest
}

// traceWindow looks up in the trace-id time index when the traces were; ok is
// false where the index is not there or has none of them.
func (s *Store) traceWindow(ctx context.Context, ids []string) (w timeWindow, ok bool, err error) {
	found, err := s.wholeSeconds(ctx, "trace_window", params{"ids": ids})
	if err != nil || found.rows == 0 {
		return timeWindow{}, false, err
	}
	return timeWindow{
		time.Unix(found.first, 0).Add(-traceSlack),
		time.Unix(found.last, 0).Add(traceSlack),
	}, true, nil
}

// extent is how many rows there are and from when to when.
type extent struct{ rows, first, last int64 }

func scanExtent(rows driver.Rows) (e extent, err error) {
	return e, rows.Scan(&e.rows, &e.first, &e.last)
}

// wholeSeconds runs a statement about the trace-id time index; without it there
// are no rows.
func (s *Store) wholeSeconds(ctx context.Context, statement string, p params) (extent, error) {
	rows, err := query(ctx, s, statement, p, scanExtent)
	if isUnknownTable(err) || err == nil && len(rows) == 0 {
		return extent{}, nil
	}
	if err != nil {
		return extent{}, err
	}
	return rows[0], nil
}

// findTrace is the window that holds a trace; ok is false where there is none.
//
// The trace-id time index knows it. A trace that it does not know can only be
// from a time that the index is not about: before its first row (the view that
// fills it was made later than the table), after its last (the view is gone, or
// lags behind), or any time where there is no index. Of that the last 30 days are
// searched, the newest first, in ever longer parts until one has spans of the
// trace; so where an index is kept, an unknown id costs the last 15 minutes.
func (s *Store) findTrace(ctx context.Context, id string) (w timeWindow, ok bool, err error) {
	w, ok, err = s.traceWindow(ctx, []string{id})
	if err != nil || ok {
		return w, ok, err
	}
	index, err := s.wholeSeconds(ctx, "trace_index", nil)
	if err != nil {
		return timeWindow{}, false, err
	}
	for _, part := range unindexed(s.cfg.Clock(), index) {
		p := part.params()
		p["trace_id"] = id
		rows, err := query(ctx, s, "trace_find", p, scanExtent)
		if isUnknownTable(err) {
			return timeWindow{}, false, nil
		}
		if err != nil {
			return timeWindow{}, false, err
		}
		if len(rows) > 0 && rows[0].rows > 0 {
			return foundTrace{first: rows[0].first, duration: rows[0].last - rows[0].first}.window(), true, nil
		}
	}
	return timeWindow{}, false, nil
}

// unindexed are the parts of the last 30 days that the index is not about, newest
// first.
func unindexed(now time.Time, index extent) []timeWindow {
	var indexed timeWindow
	if index.rows > 0 {
		indexed = timeWindow{time.Unix(index.first, 0).Add(traceSlack), time.Unix(index.last, 0).Add(-traceMargin)}
	}
	var parts []timeWindow
	end := now.Add(traceSlack)
	for _, age := range []time.Duration{time.Hour, 24 * time.Hour, 7 * 24 * time.Hour, detail.MaxRange} {
		part := timeWindow{now.Add(-age), end}
		parts = append(parts, part.minus(indexed)...)
		end = part.start
	}
	return parts
}
