//go:build linux || darwin

package chdb

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/atlhyper/observe/loadtest/chdb/libchdb"
)

func TestParseRequest(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/?"+url.Values{
		"query": {"SELECT {a:UInt8}"}, "database": {"otel"}, "param_a": {"1"}, "query_id": {"id */ DROP"},
		"max_threads": {"3"}, "date_time_input_format": {"it's"}, "compress": {"1"}, "wait_end_of_query": {"1"},
		"enable_http_compression": {"1"}, "client_protocol_version": {"54479"}, "session_id": {"x"}, "async_insert": {"1"},
	}.Encode(), nil)
	r.Header.Set("Accept-Encoding", "identity, gzip;q=0.5, deflate")
	got, err := parseRequest(r)
	if err != nil {
		t.Fatal(err)
	}
	want := &request{
		query: "SELECT {a:UInt8}", database: "otel", defaultFormat: "TabSeparated", method: "LZ4",
		settings: []setting{{"date_time_input_format", "it's"}, {"max_threads", "3"}},
		params:   []libchdb.Param{{Name: "a", Value: "1"}},
		compress: true, waitEndOfQuery: true, httpEncoding: "gzip", revision: 54479,
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(request{}, setting{})); diff != "" {
		t.Error(diff)
	}
}

func FuzzParseRequest(f *testing.F) {
	f.Add("query=SELECT+1&param_x=%5CN&max_threads=1", "gzip")
	f.Add("a%20b=1&compress=2&client_protocol_version=x", "br;q=1,,")
	f.Fuzz(func(t *testing.T, query, accept string) {
		r := &http.Request{URL: &url.URL{RawQuery: query}, Header: http.Header{"Accept-Encoding": {accept}}}
		req, err := parseRequest(r)
		if err != nil {
			if e := asException(err); e.code == 0 || e.code == codeUnknownException {
				t.Errorf("no code: %v", err)
			}
			return
		}
		for _, s := range req.settings {
			if strings.ContainsAny(s.name, " '\"=,;") {
				t.Errorf("setting %q", s.name)
			}
		}
		if strings.Contains(strings.TrimSuffix(req.tag(1), "*/"), "*/") {
			t.Errorf("the tag %q ends early", req.tag(1))
		}
	})
}
