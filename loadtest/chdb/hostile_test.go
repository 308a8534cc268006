//go:build linux || darwin

package chdb_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/ClickHouse/ch-go/compress"

	"github.com/atlhyper/observe/loadtest/chdb/chdbtest"
)

// Requests that are wrong, broken or out of bounds get an error that names
// the reason, and the server goes on.
func TestHostileRequests(t *testing.T) {
	t.Parallel()
	srv := shared.Server(t)
	db := srv.Database(t)
	srv.Exec(t, "CREATE TABLE "+db+".t (n UInt64, s LowCardinality(String), m Map(String, String)) ENGINE = MergeTree ORDER BY n")
	insert := func(more ...string) url.Values {
		values := url.Values{"database": {db}, "query": {"INSERT INTO t FORMAT Native"}}
		for i := 0; i < len(more); i += 2 {
			values.Set(more[i], more[i+1])
		}
		return values
	}
	// Two columns in which the string says it is 2^60 bytes long.
	hugeString := append([]byte("\x01\x01\x01s\x06String"), binary.AppendUvarint(nil, 1<<60)...)
	tests := []struct {
		name   string
		values url.Values
		body   []byte
		header http.Header
		status int
		code   int
	}{
		{"huge statement", nil, []byte("SELECT 1 -- " + strings.Repeat("x", 2<<20)), nil, 413, 229},
		{"huge statement in the URL", url.Values{"query": {"SELECT 1 -- " + strings.Repeat("x", 1<<20)}}, nil, nil, 413, 229},
		{"bomb", insert(), zip(bytes.Repeat([]byte{0}, 40<<20)), http.Header{"Content-Encoding": {"gzip"}}, 413, 229},
		{"deep nesting", nil, []byte("SELECT " + strings.Repeat("(", 100_000) + "1" + strings.Repeat(")", 100_000)), nil, 500, 306},
		{"binary", nil, randomBytes(10_000), nil, 400, 62},
		{"bad setting name", url.Values{"a b": {"1"}}, []byte("SELECT 1"), nil, 400, 36},
		{"setting that breaks out", url.Values{"max_threads": {"1', max_block_size = '1"}}, []byte("SELECT 1"), nil, 400, 27},
		{"bad parameter name", url.Values{"param_a;b": {"1"}}, []byte("SELECT 1"), nil, 400, 36},
		{"bad database", url.Values{"database": {"`; DROP DATABASE " + db}}, []byte("SELECT 1"), nil, 404, 81},
		{"bad flag", url.Values{"compress": {"maybe"}}, []byte("SELECT 1"), nil, 400, 36},
		{"bad method", url.Values{"compress": {"1"}, "network_compression_method": {"rot13"}}, []byte("SELECT 1"), nil, 400, 36},
		{"bad revision", url.Values{"client_protocol_version": {"-1"}}, []byte("SELECT 1"), nil, 400, 36},
		{"bad format", url.Values{"default_format": {"Native; DROP"}}, []byte("SELECT 1"), nil, 404, 73},
		{"bad encoding", nil, []byte("SELECT 1"), http.Header{"Content-Encoding": {"rot13"}}, 501, 48},
		{"not gzip", nil, []byte("SELECT 1"), http.Header{"Content-Encoding": {"gzip"}}, 500, 271},
		{"cut gzip", insert(), zip(make([]byte, 1000))[:15], http.Header{"Content-Encoding": {"gzip"}}, 500, 271},
		{"multipart", nil, []byte("x"), http.Header{"Content-Type": {"multipart/form-data; boundary=x"}}, 501, 48},
		{"cut native", insert(), []byte("\x03\x05\x01n\x06UInt64\x00"), nil, 500, 33},
		{"random native", insert(), randomBytes(1000), nil, 0, 0},
		{"huge string in native", insert(), hugeString, nil, 0, 0},
		{"unknown column in native", insert("input_format_skip_unknown_fields", "0"), []byte("\x01\x01\x01x\x05UInt8\x00"), nil, 400, 117},
		{"not frames", insert("decompress", "1"), []byte("not frames at all, by far too short"), nil, 500, 271},
		{"cut frame", insert("decompress", "1"), frame(t, []byte("\x01\x01\x01n\x06UInt64"))[:20], nil, 500, 271},
		{"broken frame", insert("decompress", "1"), flipLast(frame(t, []byte("\x01\x01\x01n\x06UInt64"))), nil, 500, 271},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			res := ask(t, srv, "POST", tt.values, bytes.NewReader(tt.body), tt.header)
			if res.status == http.StatusOK {
				t.Errorf("passed: %q", res.body)
			}
			if tt.status != 0 && res.status != tt.status {
				t.Errorf("got %d, want %d: %.300s", res.status, tt.status, res.body)
			}
			if code := res.header.Get("X-ClickHouse-Exception-Code"); tt.code != 0 && code != strconv.Itoa(tt.code) {
				t.Errorf("got code %s, want %d: %.300s", code, tt.code, res.body)
			}
			if got, err := srv.Query(t.Context(), db, "SELECT count() FROM t"); err != nil || got != "0\n" {
				t.Errorf("afterwards: %q rows, %v", got, err)
			}
		})
	}
}

// A client that goes away in the middle of its upload inserts nothing.
func TestBrokenUpload(t *testing.T) {
	t.Parallel()
	srv := shared.Server(t)
	db := srv.Database(t)
	srv.Exec(t, "CREATE TABLE "+db+".t (n UInt64) ENGINE = MergeTree ORDER BY n")
	for range 20 {
		var dialer net.Dialer
		conn, err := dialer.DialContext(t.Context(), "tcp", srv.Addr)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.WriteString(conn, "POST /?database="+db+"&query=INSERT+INTO+t+FORMAT+TSV HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n1\n2\n3\n")
		if err := errors.Join(err, conn.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := srv.Query(t.Context(), db, "SELECT count() FROM t"); err != nil || got != "0\n" {
		t.Errorf("%q rows, %v", got, err)
	}
}

// An answer that would have to be held whole is refused when it is too large.
func TestResultTooLarge(t *testing.T) {
	t.Parallel()
	srv := shared.Server(t)
	for _, values := range []url.Values{
		{"wait_end_of_query": {"1"}},
		{"default_format": {"JSON"}},
	} {
		res := ask(t, srv, "POST", values, strings.NewReader("SELECT randomPrintableASCII(1000000) FROM numbers(100)"), nil)
		if res.header.Get("X-ClickHouse-Exception-Code") != "396" {
			t.Errorf("%v: got %d %.200q", values, res.status, res.body)
		}
	}
}

// A crash of the engine takes its process with it and nothing else: the test
// process gets an error.
func TestEngineDies(t *testing.T) {
	t.Parallel()
	srv := chdbtest.Start(t)
	conn := srv.Open(t, "default")
	if err := conn.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	srv.Kill(t)
	if _, err := srv.Query(context.WithoutCancel(t.Context()), "default", "SELECT 1"); err == nil {
		t.Error("a dead server answered")
	}
}

func zip(data []byte) []byte {
	var b bytes.Buffer
	zw := gzip.NewWriter(&b)
	if _, err := zw.Write(data); err != nil {
		panic(err) // a bytes.Buffer takes everything
	}
	if err := zw.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func frame(t *testing.T, data []byte) []byte {
	t.Helper()
	w := compress.NewWriter(compress.LevelZero, compress.LZ4)
	if err := w.Compress(data); err != nil {
		t.Fatal(err)
	}
	return w.Data
}

func flipLast(data []byte) []byte {
	data[len(data)-1] ^= 1
	return data
}

// randomBytes are the same bytes each time.
func randomBytes(n int) []byte {
	b := make([]byte, n)
	rng := rand.NewChaCha8([32]byte{1})
	if _, err := rng.Read(b); err != nil {
		panic(err) // it cannot fail
	}
	return b
}
