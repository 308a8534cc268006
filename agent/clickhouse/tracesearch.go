package clickhouse

import (
	"context"
	"math"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
)

const (
	// firstSlice is the newest part of the range that a search by time looks at
	// first; each further one is sliceGrowth times as long, so that 30 days are
	// at most seven statements and a page of a busy store reads little.
	firstSlice  = time.Minute
	sliceGrowth = 8
	// maxTraces bounds the ids that one statement keeps in the server's memory.
	maxTraces = 1_000_000
)

// Traces finds traces that have a span in the range which service, operation,
// method and status code hold for together, and tells of each whole trace; error
// and duration are asked of whole traces. Newest or longest first; equals by id,
// so that pages join exactly.
//
// Whole means all spans that the trace-id time index knows of. The filters of
// whole traces and the order see spans up to 15 minutes outside the range. More
// than a million matching traces in one slice of time (the whole range when the
// longest are asked for) are fault.ResultTooLarge. Without a traces table the
// list is empty.
func (s *Store) Traces(ctx context.Context, req detail.Traces) ([]model.TraceSummary, detail.Meta, error) {
	meta := detail.Meta{WindowSeconds: int64(req.Range.Duration().Seconds())}
	after := firstTraceKey()
	if req.Cursor != "" {
		var err error
		if after, err = decodeTraceCursor(req.Cursor, req.Sort); err != nil {
			return nil, meta, err
		}
	}
	found, err := s.tracePage(ctx, req, after, int(req.Offset+req.Limit)+1)
	if isUnknownTable(err) {
		return []model.TraceSummary{}, meta, nil
	}
	if err != nil {
		return nil, meta, err
	}
	page := found[min(int(req.Offset), len(found)):]
	if limit := int(req.Limit); len(page) > limit {
		page = page[:limit]
		meta.NextCursor = page[limit-1].key(req.Sort).cursor(req.Sort)
	}
	summaries, err := s.traceSummaries(ctx, page)
	return summaries, meta, err
}

// foundTrace is a trace as far as a search has read it, in ns.
type foundTrace struct {
	id              string
	first, duration int64
}

func (f foundTrace) key(sort detail.TraceSort) traceKey {
	if sort == detail.SortDuration {
		return traceKey{f.duration, f.id}
	}
	return traceKey{f.first, f.id}
}

// tracePage returns the first traces that come after a key, at most limit.
func (s *Store) tracePage(ctx context.Context, req detail.Traces, after traceKey, limit int) ([]foundTrace, error) {
	var found []foundTrace
	seen := make(map[string]bool)
	for _, slice := range searchSlices(req, after) {
		p := searchParams(req, slice)
		p["after_key"], p["after_id"] = after.key, after.id
		p["limit"] = limit - len(found)
		rows, err := query(ctx, s, "trace_page", p, func(rows driver.Rows) (f foundTrace, err error) {
			return f, rows.Scan(&f.id, &f.first, &f.duration)
		})
		if hasCode(err, codeThrown) {
			return nil, tooManyTraces(req)
		}
		if err != nil {
			return nil, err
		}
		for _, f := range rows {
			// A trace with a gap longer than the margin starts in two slices.
			if !seen[f.id] {
				seen[f.id] = true
				found = append(found, f)
			}
		}
		if len(found) >= limit {
			break
		}
	}
	return found, nil
}

func tooManyTraces(req detail.Traces) error {
	advice := "ask for a shorter or a more recent range, or for one service or operation"
	if req.Sort == detail.SortDuration {
		advice += ", or sort by time"
	}
	return fault.New(fault.ResultTooLarge, "more than %d traces match; %s", maxTraces, advice)
}

// searchSlice is the traces that start in [from, to), have a matching span in
// one window and whose spans are read from another.
type searchSlice struct {
	from, to    time.Time
	match, read timeWindow
}

// searchSlices cuts what a search must look at into slices of trace starts, in
// the order of the search. Traces may have started up to the margin before the
// range; the oldest slice has them, and what started even earlier counts as
// started there.
func searchSlices(req detail.Traces, after traceKey) []searchSlice {
	start, end := req.Range.StartTime(), req.Range.EndTime()
	oldest := start.Add(-traceMargin)
	if req.Sort == detail.SortDuration {
		return []searchSlice{{oldest, end, timeWindow{start, end}, timeWindow{oldest, end.Add(traceMargin)}}}
	}
	to := end
	if after.key < end.UnixNano() {
		to = time.Unix(0, after.key+1) // its equals by time come after it by id
	}
	var slices []searchSlice
	for length := firstSlice; to.After(oldest); length *= sliceGrowth {
		slice := searchSlice{from: to.Add(-length), to: to}
		slice.read = timeWindow{slice.from.Add(-traceMargin), to.Add(traceMargin)}
		slice.match = timeWindow{slice.from, earlier(to.Add(traceMargin), end)}
		switch {
		case !slice.from.After(start):
			slice.from, slice.read.start, slice.match.start = oldest, oldest, start
		case !filtersSpans(req):
			slice.match.end = to // the first span matches
		}
		slices = append(slices, slice)
		to = slice.from
	}
	return slices
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// filtersSpans tells whether the search asks anything of spans.
func filtersSpans(req detail.Traces) bool {
	return req.Service != "" || req.Operation != "" || req.Method != "" || req.StatusCode != ""
}

// searchParams binds everything of trace_page but the place to go on from.
func searchParams(req detail.Traces, slice searchSlice) params {
	p := params{
		"service": req.Service, "service_column": serviceColumn(req.Service),
		"operation": req.Operation, "method": strings.ToUpper(req.Method), "status_code": req.StatusCode,
		"min_duration": int64(req.MinDurationMs * 1e6), "max_duration": int64(math.MaxInt64),
		"max_traces": maxTraces,
		"has_error":  hasError(req.HasError), "sort": string(req.Sort),
		"first_from": nanos(slice.from), "first_to": nanos(slice.to),
		"match_start": nanos(slice.match.start), "match_end": nanos(slice.match.end),
		"read_start": nanos(slice.read.start), "read_end": nanos(slice.read.end),
	}
	if req.MaxDurationMs > 0 {
		p["max_duration"] = int64(req.MaxDurationMs * 1e6)
	}
	return p
}

// hasError is -1 when it does not matter.
func hasError(asked *bool) int8 {
	switch {
	case asked == nil:
		return -1
	case *asked:
		return 1
	default:
		return 0
	}
}

// serviceColumn is what the column may hold beside the name itself: nothing, for
// the service without a name.
func serviceColumn(name string) string {
	if name == unknownService {
		return ""
	}
	return name
}
