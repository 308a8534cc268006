//go:build linux || darwin

package chdb

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"

	"github.com/atlhyper/observe/loadtest/chdb/libchdb"
)

// Codes of ClickHouse that the server itself answers with.
const (
	codeBadArguments      = 36
	codeNotImplemented    = 48
	codeSyntaxError       = 62
	codeQueryTooLarge     = 229
	codeCannotDecompress  = 271
	codeCancelled         = 394
	codeTooManyBytes      = 396
	codeIncorrectData     = 117
	codeUnknownFormat     = 73
	codeUnknownException  = 1002
	codeResourceExhausted = 202 // TOO_MANY_SIMULTANEOUS_QUERIES
)

// exception is an error with a code of ClickHouse.
type exception struct {
	code int
	// text is what the client gets: "Code: 62. DB::Exception: ... (SYNTAX_ERROR)".
	text string
}

func (e *exception) Error() string { return e.text }

// newException words an error of the server itself as ClickHouse would.
func newException(code int, name, format string, args ...any) *exception {
	return &exception{code: code, text: fmt.Sprintf("Code: %d. DB::Exception: %s (%s)", code, fmt.Sprintf(format, args...), name)}
}

var codePattern = regexp.MustCompile(`^Code: (\d+)\.`)

// asException gives any error its code.
func asException(err error) *exception {
	if e, ok := errors.AsType[*exception](err); ok {
		return e
	}
	if e, ok := errors.AsType[*libchdb.Error](err); ok {
		if m := codePattern.FindStringSubmatch(e.Message); m != nil {
			if code, err := strconv.Atoi(m[1]); err == nil {
				return &exception{code: code, text: e.Message}
			}
		}
		return newException(codeUnknownException, "UNKNOWN_EXCEPTION", "%s", e.Message)
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return newException(codeCancelled, "QUERY_WAS_CANCELLED", "Query was cancelled by the client")
	}
	return newException(codeUnknownException, "UNKNOWN_EXCEPTION", "%s", err)
}

// statusOf maps a code to the HTTP status ClickHouse answers with, which is
// 500 for all codes that are not here (exceptionCodeToHTTPStatus in
// ClickHouse's sources).
var statusOf = map[int]int{
	6:   http.StatusBadRequest, // CANNOT_PARSE_TEXT
	26:  http.StatusBadRequest, // CANNOT_PARSE_QUOTED_STRING
	27:  http.StatusBadRequest, // CANNOT_PARSE_INPUT_ASSERTION_FAILED
	38:  http.StatusBadRequest, // CANNOT_PARSE_DATE
	41:  http.StatusBadRequest, // CANNOT_PARSE_DATETIME
	43:  http.StatusBadRequest, // ILLEGAL_TYPE_OF_ARGUMENT
	51:  http.StatusBadRequest, // EMPTY_LIST_OF_COLUMNS_QUERIED
	53:  http.StatusBadRequest, // TYPE_MISMATCH
	62:  http.StatusBadRequest, // SYNTAX_ERROR
	69:  http.StatusBadRequest, // ARGUMENT_OUT_OF_BOUND
	72:  http.StatusBadRequest, // CANNOT_PARSE_NUMBER
	117: http.StatusBadRequest, // INCORRECT_DATA
	179: http.StatusBadRequest, // MULTIPLE_EXPRESSIONS_FOR_ALIAS
	215: http.StatusBadRequest, // NOT_AN_AGGREGATE
	321: http.StatusBadRequest, // VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
	456: http.StatusBadRequest, // UNKNOWN_QUERY_PARAMETER

	16:  http.StatusNotFound, // NO_SUCH_COLUMN_IN_TABLE
	46:  http.StatusNotFound, // UNKNOWN_FUNCTION
	47:  http.StatusNotFound, // UNKNOWN_IDENTIFIER
	50:  http.StatusNotFound, // UNKNOWN_TYPE
	56:  http.StatusNotFound, // UNKNOWN_STORAGE
	60:  http.StatusNotFound, // UNKNOWN_TABLE
	63:  http.StatusNotFound, // UNKNOWN_AGGREGATE_FUNCTION
	73:  http.StatusNotFound, // UNKNOWN_FORMAT
	78:  http.StatusNotFound, // UNKNOWN_TYPE_OF_QUERY
	81:  http.StatusNotFound, // UNKNOWN_DATABASE
	115: http.StatusNotFound, // UNKNOWN_SETTING

	159: http.StatusRequestTimeout,        // TIMEOUT_EXCEEDED
	229: http.StatusRequestEntityTooLarge, // QUERY_IS_TOO_LARGE
	48:  http.StatusNotImplemented,        // NOT_IMPLEMENTED
	209: http.StatusServiceUnavailable,    // SOCKET_TIMEOUT
	202: http.StatusServiceUnavailable,    // TOO_MANY_SIMULTANEOUS_QUERIES
}

func (e *exception) status() int {
	if status, ok := statusOf[e.code]; ok {
		return status
	}
	return http.StatusInternalServerError
}
