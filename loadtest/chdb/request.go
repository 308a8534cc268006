//go:build linux || darwin

package chdb

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"sort"
	"strconv"
	"strings"

	"github.com/atlhyper/observe/loadtest/chdb/libchdb"
)

// request is what the URL and the headers of a query ask for.
type request struct {
	query         string // the query parameter; the body follows it
	database      string
	defaultFormat string
	queryID       string // empty when the client gave none or an unusable one
	settings      []setting
	params        []libchdb.Param

	compress       bool   // answer in ClickHouse's compressed frames
	decompress     bool   // the body is in ClickHouse's compressed frames
	method         string // of compress: LZ4, ZSTD or NONE
	httpEncoding   string // of the answer: gzip, deflate, br, zstd or empty
	waitEndOfQuery bool
	revision       uint64 // of the protocol that answers in Native follow
}

// setting is one of ClickHouse's query settings.
type setting struct {
	name, value string
}

// assign is the assignment of a SET statement.
func (s setting) assign() string { return s.name + " = " + quote(s.value) }

// reserved reports whether a URL parameter is no setting of the engine. Some
// of these have no meaning here and are accepted because clients send them.
func reserved(name string) bool {
	switch name {
	case "query", "database", "default_format", "query_id", "compress", "decompress", "client_protocol_version",
		"wait_end_of_query", "buffer_size", "enable_http_compression",
		"user", "password", "role", "quota_key", "stacktrace",
		"session_id", "session_timeout", "session_check", "close_session",
		"send_progress_in_http_headers", "http_headers_progress_interval_ms",
		// Inserts are written before they are answered, which is what a client
		// gets that waits for its asynchronous insert.
		"async_insert", "wait_for_async_insert":
		return true
	default:
		return false
	}
}

var (
	settingName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]{0,127}$`)
	paramName   = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)
	formatName  = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]{0,63}$`)
	// queryIDPattern is what of a client's query_id is safe in a comment.
	queryIDPattern = regexp.MustCompile(`^[A-Za-z0-9_.:-]{1,128}$`)
)

// parseRequest reads the URL and the headers. Errors are exceptions that name
// the parameter.
func parseRequest(r *http.Request) (*request, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, newException(codeBadArguments, "BAD_ARGUMENTS", "malformed URL: %v", err)
	}
	req := &request{
		query:         values.Get("query"),
		database:      firstOf(values.Get("database"), r.Header.Get("X-ClickHouse-Database"), "default"),
		defaultFormat: firstOf(r.Header.Get("X-ClickHouse-Format"), values.Get("default_format"), "TabSeparated"),
		queryID:       values.Get("query_id"),
		method:        strings.ToUpper(firstOf(values.Get("network_compression_method"), "LZ4")),
	}
	if !queryIDPattern.MatchString(req.queryID) {
		req.queryID = ""
	}
	if !formatName.MatchString(req.defaultFormat) {
		return nil, newException(codeUnknownFormat, "UNKNOWN_FORMAT", "Unknown format %q", req.defaultFormat)
	}
	for _, flag := range []struct {
		name  string
		field *bool
	}{
		{"compress", &req.compress},
		{"decompress", &req.decompress},
		{"wait_end_of_query", &req.waitEndOfQuery},
	} {
		if *flag.field, err = boolParam(values, flag.name); err != nil {
			return nil, err
		}
	}
	if err := req.parseEncoding(values, r.Header.Get("Accept-Encoding")); err != nil {
		return nil, err
	}
	if v := values.Get("client_protocol_version"); v != "" {
		if req.revision, err = strconv.ParseUint(v, 10, 32); err != nil {
			return nil, newException(codeBadArguments, "BAD_ARGUMENTS", "client_protocol_version %q is not a number", v)
		}
	}
	return req, req.parseSettings(values)
}

// parseSettings takes what is neither reserved nor a param_* as a setting.
func (req *request) parseSettings(values url.Values) error {
	for name, all := range values {
		value := all[len(all)-1]
		param, isParam := strings.CutPrefix(name, "param_")
		switch {
		case isParam && !paramName.MatchString(param):
			return newException(codeBadArguments, "BAD_ARGUMENTS", "%q is not a name of a query parameter", name)
		case isParam:
			req.params = append(req.params, libchdb.Param{Name: param, Value: value})
		case reserved(name):
		case !settingName.MatchString(name):
			return newException(codeBadArguments, "BAD_ARGUMENTS", "%q is not a name of a setting", name)
		default:
			req.settings = append(req.settings, setting{name: name, value: value})
		}
	}
	sort.Slice(req.settings, func(i, j int) bool { return req.settings[i].name < req.settings[j].name })
	return nil
}

// parseEncoding picks the Content-Encoding of the answer: as in ClickHouse
// the client has to allow it with enable_http_compression=1.
func (req *request) parseEncoding(values url.Values, accept string) error {
	enabled, err := boolParam(values, "enable_http_compression")
	if err != nil || !enabled {
		return err
	}
	for _, encoding := range []string{"br", "zstd", "gzip", "deflate"} {
		for offered := range strings.SplitSeq(accept, ",") {
			name, _, _ := strings.Cut(strings.TrimSpace(offered), ";")
			if strings.EqualFold(name, encoding) {
				req.httpEncoding = encoding
				return nil
			}
		}
	}
	return nil
}

func boolParam(values url.Values, name string) (bool, error) {
	switch v := values.Get(name); v {
	case "", "0", "false":
		return false, nil
	case "1", "true":
		return true, nil
	default:
		return false, newException(codeBadArguments, "BAD_ARGUMENTS", "%s=%q is neither 0 nor 1", name, v)
	}
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// quote makes a string literal of SQL.
func quote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

// quoteName makes an identifier of SQL.
func quoteName(s string) string {
	return "`" + strings.NewReplacer("\\", "\\\\", "`", "\\`").Replace(s) + "`"
}

// tag is the comment that marks the n-th statement of the process, so that it
// can be found in system.processes and cancelled.
func (req *request) tag(n int64) string {
	return fmt.Sprintf("/* query_id: %s #%d */", req.queryID, n)
}
