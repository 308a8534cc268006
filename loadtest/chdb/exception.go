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
	codeBadArguments     = 36
	codeNotImplemented   = 48
	codeSyntaxError      = 62
	codeUnknownFormat    = 73
	codeQueryTooLarge    = 229
	codeCannotDecompress = 271
	codeCancelled        = 394
	codeTooManyBytes     = 396
	codeUnknownException = 1002
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

// status is the HTTP status ClickHouse answers a code with
// (exceptionCodeToHTTPStatus in ClickHouse's sources).
func (e *exception) status() int {
	switch e.code {
	case 194: // REQUIRED_PASSWORD
		return http.StatusUnauthorized
	case 192, 193, 497, 512, 516: // UNKNOWN_USER and others about rights
		return http.StatusForbidden
	case 6, 25, 26, 27, 38, 41, 72, 376, 441, 675, 676, // CANNOT_PARSE_*
		36,                                                  // BAD_ARGUMENTS
		8, 15, 37, 44, 53, 62, 117, 123, 167, 168, 223, 321, // SYNTAX_ERROR, TYPE_MISMATCH and their like
		427: // CANNOT_COMPILE_REGEXP
		return http.StatusBadRequest
	case 46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 152, 336, 511: // UNKNOWN_*
		return http.StatusNotFound
	case 159: // TIMEOUT_EXCEEDED
		return http.StatusRequestTimeout
	case 381: // HTTP_LENGTH_REQUIRED
		return http.StatusLengthRequired
	case 229: // QUERY_IS_TOO_LARGE
		return http.StatusRequestEntityTooLarge
	case 779: // UNSUPPORTED_MEDIA_TYPE
		return http.StatusUnsupportedMediaType
	case 48: // NOT_IMPLEMENTED
		return http.StatusNotImplemented
	case 76, 209, 439: // CANNOT_OPEN_FILE, SOCKET_TIMEOUT, CANNOT_SCHEDULE_TASK
		return http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError
	}
}
