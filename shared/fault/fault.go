// Package fault holds the error codes that travel between agents and masters and
// reach the users of the HTTP API. What HTTP status a code has is decided once,
// in master/api.
package fault

import (
	"errors"
	"fmt"
	"time"
)

// Code is a stable, machine-readable kind of failure.
type Code string

// The codes of the HTTP contract.
const (
	BadRequest       Code = "bad_request"        // a parameter is missing, malformed or out of bounds
	Unauthorized     Code = "unauthorized"       // no or bad credentials
	Forbidden        Code = "forbidden"          // not for this cluster
	ClusterUnknown   Code = "cluster_unknown"    // no such cluster was ever seen
	NotReady         Code = "not_ready"          // known cluster, section never collected
	SnapshotExpired  Code = "snapshot_expired"   // it was there and its TTL ran out
	NotFound         Code = "not_found"          // no such node, trace, service or route
	MethodNotAllowed Code = "method_not_allowed" // the route exists, not for this method
	QueueFull        Code = "queue_full"         // command list or waiters at their bound
	RateLimited      Code = "rate_limited"       // asked more often than one may
	AgentError       Code = "agent_error"        // the query failed on the agent
	AgentOffline     Code = "agent_offline"      // no live agent
	StoreUnavailable Code = "store_unavailable"  // Redis cannot be reached
	Timeout          Code = "timeout"            // the deadline passed
	ResultTooLarge   Code = "result_too_large"   // the reply is over its bound
	Unavailable      Code = "unavailable"        // the replica shuts down, or the balancer has no replica left
	Internal         Code = "internal"           // a bug: the log has the cause
)

// Codes are all of them.
func Codes() []Code {
	return []Code{
		BadRequest, Unauthorized, Forbidden, ClusterUnknown, NotReady, SnapshotExpired, NotFound, MethodNotAllowed, QueueFull, RateLimited,
		AgentError, AgentOffline, StoreUnavailable, Timeout, ResultTooLarge, Unavailable, Internal,
	}
}

// Error is a failure that a user may read: the message holds no secrets,
// addresses or SQL. The cause, if any, is for logs only.
type Error struct {
	Code    Code
	Message string
	// RetryAfter tells the caller when to try again; zero means not said.
	RetryAfter time.Duration
	cause      error
}

// New returns an error with a formatted message.
func New(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Wrap is New with a cause that logs show and users don't.
func Wrap(cause error, code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), cause: cause}
}

// UnknownCluster is cluster_unknown, in the words that all use: one that a caller may not
// see must not be told from one that is not there.
func UnknownCluster(id string) *Error {
	return New(ClusterUnknown, "no cluster %s was ever seen, or Redis lost it and its agents are not back yet", id)
}

// After returns a copy of e that asks the caller to wait d before the next try.
func (e *Error) After(d time.Duration) *Error {
	c := *e
	c.RetryAfter = d
	return &c
}

// Error is the code, the message and the cause: for logs.
func (e *Error) Error() string {
	if e.cause != nil {
		return fmt.Sprintf("%s: %s: %v", e.Code, e.Message, e.cause)
	}
	return fmt.Sprintf("%s: %s", e.Code, e.Message)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// From finds the Error in err's chain; any other error becomes Internal with a
// message that gives nothing away, and nil stays nil.
func From(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return Wrap(err, Internal, "internal error")
}

// Is tells whether err carries the code.
func Is(err error, code Code) bool {
	if err == nil {
		return false // and allocate nothing to find that out
	}
	var e *Error
	return errors.As(err, &e) && e.Code == code
}
