package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/atlhyper/observe/shared/fault"
)

// Exception codes of ClickHouse (src/Common/ErrorCodes.cpp).
const (
	codeNoSuchColumn      = 16
	codeUnknownIdentifier = 47
	codeSyntaxError       = 62
	codeUnknownDatabase   = 81
	codeTimeoutExceeded   = 159
	codeReadonly          = 164
	codeThrown            = 395 // by throwIf in a statement
	codeAccessDenied      = 497
)

// hasCode tells whether err is an exception of the server with one of the codes.
func hasCode(err error, codes ...int32) bool {
	var e *clickhouse.Exception
	return errors.As(err, &e) && slices.Contains(codes, e.Code)
}

// chError turns a failure of the statement name into what a user may read: the
// server's code and words, without the statement, addresses or the DSN. The
// cause stays in the chain for logs. A cancelled context stays what it is.
func chError(ctx context.Context, name string, err error) error {
	var known *fault.Error
	if errors.As(err, &known) { // of what was done with a row
		return err
	}
	var exception *clickhouse.Exception
	isException := errors.As(err, &exception)
	if !isException {
		err = withoutQuery(err)
	}
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return fmt.Errorf("clickhouse: %s: %w", name, context.Cause(ctx))
	case errors.Is(ctx.Err(), context.DeadlineExceeded), errors.Is(err, context.DeadlineExceeded),
		isException && exception.Code == codeTimeoutExceeded:
		return fault.Wrap(err, fault.Timeout, "ClickHouse did not answer %s in time", name)
	case isException && exception.Code == codeUnknownDatabase:
		return fault.Wrap(err, fault.AgentError, "the ClickHouse database does not exist: code %d: %s",
			exception.Code, publicText(exception))
	case isException:
		return fault.Wrap(err, fault.AgentError, "ClickHouse failed %s with code %d: %s",
			name, exception.Code, publicText(exception))
	}
	return fault.Wrap(err, fault.AgentError, "ClickHouse cannot be reached or broke off while it answered %s", name)
}

// withoutQuery is err, for logs; of an HTTP request that failed without the query of its
// URL, which has all parameters and settings of the statement.
func withoutQuery(err error) error {
	var failed *url.Error
	if !errors.As(err, &failed) {
		return err
	}
	address, _, _ := strings.Cut(failed.URL, "?")
	return &url.Error{Op: failed.Op, URL: address, Err: failed.Err}
}

const maxPublicText = 300 // bytes of an exception's text that users get to see

func publicText(e *clickhouse.Exception) string {
	if e.Code == codeSyntaxError {
		return "syntax error" // all the rest of its text is the statement
	}
	text := strings.ToValidUTF8(e.Message, "?")
	if at := strings.Index(text, "Not enough privileges"); e.Code == codeAccessDenied && at > 0 {
		text = text[at:] // after the user's name
	}
	text = fault.Public(text)
	if len(text) > maxPublicText {
		text = strings.ToValidUTF8(text[:maxPublicText], "") + "…"
	}
	return text
}
