package clickhouse

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"sync"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// Reads is what statements cost the server, as it says itself: over the native
// protocol of each whole statement; over HTTP as of the moment at which its
// answer began, which is the whole too for one that aggregates, as all of a round
// do. A proxy that drops the header X-ClickHouse-Summary leaves Rows and Bytes 0.
type Reads struct {
	// Statements that were sent, those that failed included.
	Statements int64
	// Rows that were read from tables.
	Rows int64
	// Bytes of them, uncompressed and only of the columns that were needed.
	Bytes int64
}

func (r Reads) plus(o Reads) Reads {
	return Reads{r.Statements + o.Statements, r.Rows + o.Rows, r.Bytes + o.Bytes}
}

// meter adds up what the statements read that are run in its context. It is safe
// for concurrent use.
type meter struct {
	mu    sync.Mutex
	reads Reads
}

func (m *meter) add(r Reads) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reads = m.reads.plus(r)
}

func (m *meter) total() Reads {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.reads
}

func total(meters ...*meter) Reads {
	var sum Reads
	for _, m := range meters {
		sum = sum.plus(m.total())
	}
	return sum
}

type meterKey struct{}

// metered is a context whose statements m counts.
func metered(ctx context.Context, m *meter) context.Context {
	return context.WithValue(ctx, meterKey{}, m)
}

// execution is one run of a statement: the id by which the server's logs have it,
// and what it has read so far.
type execution struct {
	id string
	meter
}

type executionKey struct{}

// execute is a context for one run of the statement name. The server refuses an
// id that runs already, so that every run has its own.
func execute(ctx context.Context, name string) (context.Context, *execution) {
	e := &execution{id: "atlhyper-" + name + "-" + rand.Text()}
	e.add(Reads{Statements: 1})
	options := []clickhouse.QueryOption{
		clickhouse.WithQueryID(e.id),
		// Over the native protocol the server tells of what it read since last time.
		clickhouse.WithProgress(func(p *clickhouse.Progress) {
			e.add(Reads{Rows: clamped(p.Rows), Bytes: clamped(p.Bytes)})
		}),
	}
	if s, ok := recorded(ctx); ok {
		options = append(options, clickhouse.WithSpan(s))
	}
	return clickhouse.Context(context.WithValue(ctx, executionKey{}, e), options...), e
}

// end hands what was read to the meter of the context, if it has one.
func (e *execution) end(ctx context.Context) Reads {
	reads := e.total()
	if m, ok := ctx.Value(meterKey{}).(*meter); ok {
		m.add(reads)
	}
	return reads
}

// maxReads is more than one statement can read; sums of it do not overflow.
const maxReads = 1 << 48

func clamped(n uint64) int64 { return int64(min(n, maxReads)) } //nolint:gosec // bounded

// summaryTransport reads what the server says of a statement over HTTP.
type summaryTransport struct{ readonlyTransport }

const summaryHeader = "X-ClickHouse-Summary"

// RoundTrip sends the request.
func (t summaryTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := t.readonlyTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	// Requests that the driver makes by itself, when it connects, have another id.
	if e, ok := r.Context().Value(executionKey{}).(*execution); ok && r.URL.Query().Get("query_id") == e.id {
		e.add(parseSummary(res.Header.Get(summaryHeader)))
	}
	return res, nil
}

// parseSummary reads the header's JSON, whose numbers are strings. What is no
// number is not known, and counts as nothing: an answer does not depend on it.
func parseSummary(header string) Reads {
	var summary struct {
		Rows  json.Number `json:"read_rows"`
		Bytes json.Number `json:"read_bytes"`
	}
	if err := json.Unmarshal([]byte(header), &summary); err != nil {
		return Reads{}
	}
	number := func(text json.Number) int64 {
		n, err := text.Int64()
		if err != nil || n < 0 {
			return 0
		}
		return clamped(uint64(n))
	}
	return Reads{Rows: number(summary.Rows), Bytes: number(summary.Bytes)}
}
