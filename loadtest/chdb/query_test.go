//go:build linux || darwin

package chdb_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/atlhyper/observe/loadtest/chdb/chdbtest"
)

func TestParameters(t *testing.T) {
	t.Parallel()
	srv := shared.Server(t)
	conn := srv.Open(t, "default")
	at := time.Date(2026, 1, 2, 3, 4, 5, 678_901_234, time.UTC)
	tests := []struct {
		name, sql string
		args      []any
		want      string
	}{
		{"client side", "SELECT concat(?, '/', toString(?), '/', toString(? + 1))", []any{`it's \ "x"`, true, 41}, `it's \ "x"/1/42`},
		{"client side array", "SELECT toString(arraySum(?))", []any{[]int{1, 2, 3}}, "6"},
		{"client side time", "SELECT toString(toUnixTimestamp64Nano(@at))", []any{clickhouse.DateNamed("at", at, clickhouse.NanoSeconds)}, "1767323045678901234"},
		{"numbered", "SELECT concat($2, $1)", []any{"a", "b"}, "ba"},
		{"server side string", "SELECT {s:String}", []any{clickhouse.Named("s", "tab\tnewline\nquote'backslash\\")}, "tab\tnewline\nquote'backslash\\"},
		{"server side number", "SELECT toString({n:UInt64} + 1)", []any{clickhouse.Named("n", "41")}, "42"},
		{"server side array", "SELECT arrayStringConcat({a:Array(String)}, '+')", []any{clickhouse.Named("a", "['x','y']")}, "x+y"},
		{"server side map", "SELECT {m:Map(String, String)}['k']", []any{clickhouse.Named("m", "{'k':'v'}")}, "v"},
		{"server side time", "SELECT toString(toUnixTimestamp64Nano({at:DateTime64(9, 'UTC')}))", []any{clickhouse.Named("at", "2026-01-02 03:04:05.678901234")}, "1767323045678901234"},
		{"server side identifier", "SELECT toString(count()) FROM system.{table:Identifier}", []any{clickhouse.Named("table", "one")}, "1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got string
			if err := conn.QueryRow(t.Context(), tt.sql, tt.args...).Scan(&got); err != nil {
				t.Fatal(err)
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	srv := shared.Server(t)
	tests := []struct {
		sql    string
		code   int32
		name   string
		status int
		args   []any
	}{
		{sql: "SELEC 1", code: 62, name: "SYNTAX_ERROR", status: 400},
		{sql: "SELECT 1; SELECT 2", code: 62, name: "SYNTAX_ERROR", status: 400},
		{sql: "-- nothing", code: 62, name: "SYNTAX_ERROR", status: 400},
		{sql: "SELECT * FROM no_such_table", code: 60, name: "UNKNOWN_TABLE", status: 404},
		{sql: "SELECT no_such_column", code: 47, name: "UNKNOWN_IDENTIFIER", status: 404},
		{sql: "SELECT no_such_function()", code: 46, name: "UNKNOWN_FUNCTION", status: 404},
		{sql: "SELECT throwIf(1)", code: 395, name: "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO", status: 500},
		{sql: "SELECT {p:UInt8}", code: 456, name: "UNKNOWN_QUERY_PARAMETER", status: 500},
		{sql: "SELECT {p:UInt8}", code: 457, name: "BAD_QUERY_PARAMETER", status: 500, args: []any{clickhouse.Named("p", "x")}},
		{sql: "SELECT 1 SETTINGS no_such_setting = 1", code: 115, name: "UNKNOWN_SETTING", status: 404},
		{sql: "CREATE TABLE t (a NoSuchType) ENGINE = Memory", code: 50, name: "UNKNOWN_TYPE", status: 404},
		{sql: "INSERT INTO no_such_table VALUES (1)", code: 60, name: "UNKNOWN_TABLE", status: 404},
		{sql: "DROP DATABASE no_such_database", code: 81, name: "UNKNOWN_DATABASE", status: 404},
		{sql: "SELECT 1 FORMAT NoSuchFormat", code: 73, name: "UNKNOWN_FORMAT", status: 404},
		{sql: "SELECT groupArray(number) FROM numbers(100000000) SETTINGS max_memory_usage = 10000000", code: 241, name: "MEMORY_LIMIT_EXCEEDED", status: 500},
		{sql: "SELECT sleepEachRow(0.1) FROM numbers(100) SETTINGS max_execution_time = 1, max_block_size = 1, function_sleep_max_microseconds_per_block = 20000000", code: 159, name: "TIMEOUT_EXCEEDED", status: 408},
	}
	for method, configure := range compressions {
		conn := srv.Open(t, "default", configure)
		for _, tt := range tests {
			t.Run(method+"/"+tt.sql, func(t *testing.T) {
				t.Parallel()
				rows, err := conn.Query(t.Context(), tt.sql, tt.args...)
				if err == nil {
					for rows.Next() {
						continue
					}
					err = errors.Join(rows.Err(), rows.Close())
				}
				checkException(t, err, tt.code, tt.name)
				if httpErr, ok := errors.AsType[*clickhouse.HTTPError](err); !ok || httpErr.StatusCode != tt.status {
					t.Errorf("%v: want HTTP status %d", err, tt.status)
				}
			})
		}
	}
	t.Run("database", func(t *testing.T) {
		t.Parallel()
		checkException(t, srv.Open(t, "no_such_database").Exec(t.Context(), "SELECT 1"), 81, "UNKNOWN_DATABASE")
	})
}

func checkException(t *testing.T, err error, code int32, name string) {
	t.Helper()
	ex, ok := errors.AsType[*clickhouse.Exception](err)
	if !ok {
		t.Fatalf("got %v, want an exception", err)
	}
	if ex.Code != code || ex.CodeName != name {
		t.Errorf("got code %d (%s), want %d (%s): %v", ex.Code, ex.CodeName, code, name, ex)
	}
}

// A failure after a part of the rows is out is an error too, not a short answer.
func TestErrorAfterRows(t *testing.T) {
	t.Parallel()
	srv := shared.Server(t)
	for method, configure := range compressions {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			conn := srv.Open(t, "default", configure)
			rows, err := conn.Query(t.Context(), "SELECT throwIf(number = 5000000), generateUUIDv4(), generateUUIDv4() FROM numbers(10000000) SETTINGS max_threads = 1")
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for rows.Next() {
				n++
			}
			if n == 0 {
				t.Error("no rows before the failure: the answer was held back")
			}
			checkException(t, rows.Err(), 395, "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO")
		})
	}
}

// Settings of one request do not reach the next, nor does what it did to its session.
func TestSessionsAreSeparate(t *testing.T) {
	t.Parallel()
	srv := shared.Server(t)
	db := srv.Database(t)
	conn := srv.Open(t, db)
	ctx := clickhouse.Context(t.Context(), clickhouse.WithSettings(clickhouse.Settings{"max_block_size": 1234, "log_comment": "it's"}))
	const sql = "SELECT concat(toString(getSetting('max_block_size')), getSetting('log_comment'), currentDatabase())"
	var got string
	if err := conn.QueryRow(ctx, sql).Scan(&got); err != nil {
		t.Fatal(err)
	}
	if want := "1234it's" + db; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, sql := range []string{"SET max_block_size = 77", "USE system", "CREATE TEMPORARY TABLE leak (a UInt8)"} {
		if err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.QueryRow(t.Context(), sql).Scan(&got); err != nil {
		t.Fatal(err)
	}
	if want := "65409" + db; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	checkException(t, conn.Exec(t.Context(), "SELECT * FROM leak"), 60, "UNKNOWN_TABLE")
}

func TestLargeResult(t *testing.T) {
	t.Parallel()
	srv := shared.Server(t)
	const rowCount = 2_000_000
	for method, configure := range compressions {
		if method == "br" || method == "deflate" || method == "zstd" {
			continue // slow, and nothing of their own
		}
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			rows, err := srv.Open(t, "default", configure).Query(t.Context(), "SELECT number, toString(number) FROM numbers({n:UInt64})", clickhouse.Named("n", "2000000"))
			if err != nil {
				t.Fatal(err)
			}
			var count, sum, n uint64
			var text string
			for rows.Next() {
				if err := rows.Scan(&n, &text); err != nil {
					t.Fatal(err)
				}
				count++
				sum += n
			}
			if err := errors.Join(rows.Err(), rows.Close()); err != nil {
				t.Fatal(err)
			}
			if count != rowCount || sum != rowCount*(rowCount-1)/2 {
				t.Errorf("got %d rows that add up to %d", count, sum)
			}
		})
	}
}

// answer is what came back over plain HTTP.
type answer struct {
	status int
	header http.Header
	body   string
}

// ask sends a request as curl does.
func ask(t *testing.T, srv *chdbtest.Server, method string, values url.Values, body io.Reader, header http.Header) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+srv.Addr+"/?"+values.Encode(), body)
	if err != nil {
		t.Fatal(err)
	}
	if header != nil {
		req.Header = header
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return answer{status: res.StatusCode, header: res.Header, body: string(data)}
}

func TestPlainHTTP(t *testing.T) {
	t.Parallel()
	srv := shared.Server(t)
	tests := []struct {
		name, method string
		values       url.Values
		body, want   string
	}{
		{name: "root", method: "GET", want: "Ok.\n"},
		{name: "get", method: "GET", values: url.Values{"query": {"SELECT 1"}}, want: "1\n"},
		{name: "post", method: "POST", body: "SELECT 1", want: "1\n"},
		{name: "semicolon", method: "POST", body: " SELECT 1 ; -- done\n", want: "1\n"},
		{name: "query and body", method: "POST", values: url.Values{"query": {"SELECT 1 +"}}, body: "41", want: "42\n"},
		{name: "parameter", method: "GET", values: url.Values{"query": {"SELECT {x:UInt8} + 1"}, "param_x": {"41"}}, want: "42\n"},
		{name: "null parameter", method: "GET", values: url.Values{"query": {"SELECT ifNull({x:Nullable(String)}, 'none')"}, "param_x": {`\N`}}, want: "none\n"},
		{name: "default format", method: "GET", values: url.Values{"query": {"SELECT 1 AS x"}, "default_format": {"JSONEachRow"}}, want: "{\"x\":1}\n"},
		{name: "format clause", method: "GET", values: url.Values{"query": {"SELECT 1 AS x FORMAT CSVWithNames"}}, want: "\"x\"\n1\n"},
		{name: "format in a string", method: "GET", values: url.Values{"query": {"SELECT 'FORMAT JSON' AS x"}}, want: "FORMAT JSON\n"},
		{name: "totals", method: "GET", values: url.Values{"query": {"SELECT number % 2 AS k, count() FROM numbers(3) GROUP BY k WITH TOTALS ORDER BY k"}}, want: "0\t2\n1\t1\n\n0\t3\n"},
		{name: "show", method: "GET", values: url.Values{"query": {"SHOW TABLES FROM system LIKE 'one'"}}, want: "one\n"},
		{name: "wait", method: "GET", values: url.Values{"query": {"SELECT count() FROM numbers(10)"}, "wait_end_of_query": {"1"}}, want: "10\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := ask(t, srv, tt.method, tt.values, strings.NewReader(tt.body), nil)
			if got.status != http.StatusOK || got.body != tt.want {
				t.Errorf("got %d %q, want %q", got.status, got.body, tt.want)
			}
		})
	}
}

// Formats with a frame around their rows are one document, however long.
func TestFramedFormat(t *testing.T) {
	t.Parallel()
	body := ask(t, shared.Server(t), "GET", url.Values{"query": {"SELECT number FROM numbers(200000) FORMAT JSON"}}, nil, nil).body
	var doc struct {
		Rows int `json:"rows"`
		Data []struct {
			Number int `json:"number"`
		} `json:"data"`
	}
	if err := json.Unmarshal([]byte(body), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.Rows != 200_000 || len(doc.Data) != doc.Rows || doc.Data[199_999].Number != 199_999 {
		t.Errorf("got %d rows, said to be %d", len(doc.Data), doc.Rows)
	}
}

func TestSummary(t *testing.T) {
	t.Parallel()
	srv := shared.Server(t)
	res := ask(t, srv, "POST", url.Values{"query_id": {"my-id.1"}, "query": {"SELECT sum(number) FROM numbers(100000)"}}, nil, nil)
	got := map[string]string{}
	if err := json.Unmarshal([]byte(res.header.Get("X-ClickHouse-Summary")), &got); err != nil {
		t.Fatal(err)
	}
	delete(got, "elapsed_ns")
	want := map[string]string{
		"read_rows": "100000", "read_bytes": "800000", "written_rows": "0", "written_bytes": "0",
		"total_rows_to_read": "0", "result_rows": "1", "result_bytes": "0",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if id := res.header.Get("X-ClickHouse-Query-Id"); id != "my-id.1" {
		t.Errorf("query id %q", id)
	}
}

// A client that hangs up has its statement cancelled in the engine.
func TestCancel(t *testing.T) {
	t.Parallel()
	srv := shared.Server(t)
	db := srv.Database(t)
	srv.Exec(t, "CREATE TABLE "+db+".t (a UInt64) ENGINE = MergeTree ORDER BY a")
	tests := map[string]string{
		"aggregation": "SELECT sum(cityHash64(number)) FROM numbers(1000000000000)",
		"rows":        "SELECT number FROM numbers(1000000000000)",
		"insert":      "INSERT INTO t SELECT cityHash64(number) FROM numbers(1000000000000) SETTINGS max_insert_block_size = 100000, max_memory_usage = 0 /* in place of rows */",
		"sort":        "SELECT number FROM numbers(1000000000000) ORDER BY cityHash64(number) LIMIT 1",
	}
	for name, sql := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			marker := db + name
			conn := srv.Open(t, db)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			ended := make(chan error, 1)
			go func() {
				rows, err := conn.Query(ctx, sql+" -- "+marker)
				if err == nil {
					for rows.Next() {
						continue
					}
					err = errors.Join(rows.Err(), rows.Close())
				}
				ended <- err
			}()
			running := func() bool {
				out, err := srv.Query(t.Context(), "default", "SELECT count() FROM system.processes WHERE query LIKE '%-- "+marker+"%' AND query NOT LIKE '%system.processes%'")
				if err != nil {
					t.Fatal(err)
				}
				return out != "0\n"
			}
			waitFor(t, "the statement to run", running)
			cancel()
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want it cancelled", err)
			}
			waitFor(t, "the statement to leave system.processes", func() bool { return !running() })
		})
	}
}

// waitFor polls until condition holds; the test's deadline ends it otherwise.
func waitFor(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for !condition() {
		select {
		case <-ctx.Done():
			t.Fatalf("gave up waiting for %s", what)
		case <-ticker.C:
		}
	}
}
