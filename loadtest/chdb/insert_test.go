//go:build linux || darwin

package chdb_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/go-cmp/cmp"
)

// The table has what a collector writes: Nested columns, maps, an enum-like
// string, and a materialized view behind it.
const spansTable = `CREATE TABLE spans (
	Timestamp DateTime64(9) CODEC(Delta, ZSTD(1)),
	TraceId String,
	Attributes Map(LowCardinality(String), String),
	Events Nested (Timestamp DateTime64(9), Name LowCardinality(String), Attributes Map(LowCardinality(String), String)),
	Hour DateTime MATERIALIZED toStartOfHour(Timestamp),
	Source String DEFAULT 'default',
	INDEX idx mapKeys(Attributes) TYPE bloom_filter(0.01) GRANULARITY 1
) ENGINE = MergeTree PARTITION BY toDate(Timestamp) ORDER BY (TraceId, Timestamp)`

const insertSpans = "INSERT INTO spans (Timestamp, TraceId, Attributes, `Events.Timestamp`, `Events.Name`, `Events.Attributes`)"

func TestNestedBatch(t *testing.T) {
	t.Parallel()
	srv := shared.Server(t)
	at := time.Date(2026, 3, 1, 12, 30, 0, 123, time.UTC)
	type event struct {
		Timestamp  time.Time
		Name       string
		Attributes map[string]string
	}
	type span struct {
		TraceID    string
		Attributes map[string]string
		Events     []event
	}
	want := []span{
		{"a", map[string]string{"k": "v", "": "empty"}, []event{{at, "start", map[string]string{"x": "1"}}, {at.Add(1), "end", map[string]string{}}}},
		{"b", map[string]string{}, nil},
	}
	for method, configure := range compressions {
		for _, async := range []int{0, 1} {
			t.Run(fmt.Sprintf("%s/async=%d", method, async), func(t *testing.T) {
				t.Parallel()
				ctx := t.Context()
				conn := srv.Open(t, srv.Database(t), configure, func(o *clickhouse.Options) {
					o.Settings["async_insert"] = async
					o.Settings["wait_for_async_insert"] = 1
				})
				for _, sql := range []string{
					spansTable,
					"CREATE TABLE by_trace (TraceId String, n UInt64) ENGINE = SummingMergeTree ORDER BY TraceId",
					"CREATE MATERIALIZED VIEW by_trace_mv TO by_trace AS SELECT TraceId, count() AS n FROM spans GROUP BY TraceId",
				} {
					if err := conn.Exec(ctx, sql); err != nil {
						t.Fatal(err)
					}
				}
				batch, err := conn.PrepareBatch(ctx, insertSpans)
				if err != nil {
					t.Fatal(err)
				}
				for _, s := range want {
					var times []time.Time
					var names []string
					var attributes []map[string]string
					for _, e := range s.Events {
						times, names, attributes = append(times, e.Timestamp), append(names, e.Name), append(attributes, e.Attributes)
					}
					if err := batch.Append(at, s.TraceID, s.Attributes, times, names, attributes); err != nil {
						t.Fatal(err)
					}
				}
				if err := batch.Send(); err != nil {
					t.Fatal(err)
				}

				rows, err := conn.Query(ctx, "SELECT TraceId, Attributes, Events.Timestamp, Events.Name, Events.Attributes, Source, toUnixTimestamp(Hour), by_trace.n FROM spans JOIN by_trace USING TraceId ORDER BY TraceId")
				if err != nil {
					t.Fatal(err)
				}
				var got []span
				for rows.Next() {
					var s span
					var times []time.Time
					var names []string
					var attributes []map[string]string
					var source string
					var hour uint32
					var n uint64
					if err := rows.Scan(&s.TraceID, &s.Attributes, &times, &names, &attributes, &source, &hour, &n); err != nil {
						t.Fatal(err)
					}
					if source != "default" || int64(hour) != at.Truncate(time.Hour).Unix() || n != 1 {
						t.Errorf("source %q, hour %d, %d rows in the view", source, hour, n)
					}
					for i := range times {
						s.Events = append(s.Events, event{times[i], names[i], attributes[i]})
					}
					got = append(got, s)
				}
				if err := rows.Err(); err != nil {
					t.Fatal(err)
				}
				if err := rows.Close(); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, got, sameValue); diff != "" {
					t.Errorf("-sent +got\n%s", diff)
				}
			})
		}
	}
}

// Batches larger than what is held in memory, and than one block.
func TestLargeBatch(t *testing.T) {
	t.Parallel()
	conn := shared.Server(t).Open(t, shared.Server(t).Database(t))
	ctx := t.Context()
	if err := conn.Exec(ctx, "CREATE TABLE t (n UInt64, s String) ENGINE = MergeTree ORDER BY n"); err != nil {
		t.Fatal(err)
	}
	batch, err := conn.PrepareBatch(ctx, "INSERT INTO t (n, s)")
	if err != nil {
		t.Fatal(err)
	}
	const n = 300_000
	for i := range uint64(n) {
		if err := batch.Append(i, fmt.Sprintf("row number %d of many rows", i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := batch.Send(); err != nil {
		t.Fatal(err)
	}
	var count, good uint64
	if err := conn.QueryRow(ctx, "SELECT count(), countIf(s = format('row number {} of many rows', toString(n))) FROM t").Scan(&count, &good); err != nil {
		t.Fatal(err)
	}
	if count != n || good != n {
		t.Errorf("%d rows, %d of them right, want %d", count, good, n)
	}
}

func TestInsertForms(t *testing.T) {
	t.Parallel()
	srv := shared.Server(t)
	var zipped bytes.Buffer
	zw := gzip.NewWriter(&zipped)
	if _, err := zw.Write([]byte("1\tzipped\n")); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, query, body, want string
		header                  http.Header
		params                  url.Values
	}{
		{name: "values in the body", body: "INSERT INTO t VALUES (1, 'a;b'), (1 + 1, 'FORMAT JSON')", want: "1\ta;b\n2\tFORMAT JSON\n"},
		{name: "values in the query", query: "INSERT INTO t (n, s) VALUES (1, 'x')", want: "1\tx\n"},
		{name: "values split", query: "INSERT INTO t VALUES", body: "(1, 'x'), (2, 'y')", want: "1\tx\n2\ty\n"},
		{name: "tsv", query: "INSERT INTO t FORMAT TSV", body: "1\ta\n2\tb\n", want: "1\ta\n2\tb\n"},
		{name: "json lines after the statement", body: "INSERT INTO t FORMAT JSONEachRow\n{\"n\":1,\"s\":\"a\"}\n{\"n\":2}", want: "1\ta\n2\t\n"},
		{name: "csv with settings", query: "INSERT INTO t SETTINGS format_csv_delimiter = ';' FORMAT CSV", body: "1;a", want: "1\ta\n"},
		{name: "comments", query: "/* VALUES */ INSERT -- FORMAT\nINTO t (n, s) # SELECT\n FORMAT TSV", body: "1\ta", want: "1\ta\n"},
		{name: "gzip", query: "INSERT INTO t FORMAT TSV", body: zipped.String(), header: http.Header{"Content-Encoding": {"gzip"}}, want: "1\tzipped\n"},
		{name: "select", body: "INSERT INTO t SELECT number, 'VALUES' FROM numbers(2);", want: "0\tVALUES\n1\tVALUES\n"},
		{name: "select with parameter", body: "INSERT INTO t WITH {x:UInt8} AS x SELECT x, 'p'", params: url.Values{"param_x": {"7"}}, want: "7\tp\n"},
		{name: "parameter in values", query: "INSERT INTO t VALUES", body: "({x:UInt8}, 'p')", params: url.Values{"param_x": {"7"}}, want: "7\tp\n"},
		{name: "no rows", query: "INSERT INTO t FORMAT TSV", want: ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			db := srv.Database(t)
			srv.Exec(t, "CREATE TABLE "+db+".t (n UInt64, s String) ENGINE = MergeTree ORDER BY n")
			values := url.Values{"database": {db}}
			for k, v := range tt.params {
				values[k] = v
			}
			if tt.query != "" {
				values.Set("query", tt.query)
			}
			res := ask(t, srv, "POST", values, strings.NewReader(tt.body), tt.header)
			if res.status != http.StatusOK || res.body != "" {
				t.Errorf("%d: %s", res.status, res.body)
			}
			got, err := srv.Query(t.Context(), db, "SELECT n, s FROM t ORDER BY n")
			if err != nil {
				t.Fatal(err)
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// A table may be called like a clause.
func TestInsertIntoClauseNames(t *testing.T) {
	t.Parallel()
	srv := shared.Server(t)
	db := srv.Database(t)
	for _, name := range []string{"values", "`format`", "`select`"} {
		srv.Exec(t, fmt.Sprintf("CREATE TABLE %s.%s (`values` UInt64) ENGINE = Memory", db, name))
		srv.Exec(t, fmt.Sprintf("INSERT INTO TABLE %s.%s (`values`) VALUES (5)", db, name))
		if got, err := srv.Query(t.Context(), db, "SELECT * FROM "+name); err != nil || got != "5\n" {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
}
