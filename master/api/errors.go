package api

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/atlhyper/observe/master/flight"
	"github.com/atlhyper/observe/shared/fault"
)

// handler serves an endpoint. It may fail before it has written anything.
type handler func(*exchange, *http.Request) error

// failure is the body of every answer that is not a success.
type failure struct {
	Error string     `json:"error"`
	Code  fault.Code `json:"code"`
}

// status is the HTTP status of an error code: the one place that says it.
func status(code fault.Code) int {
	switch code {
	case fault.BadRequest:
		return http.StatusBadRequest
	case fault.Unauthorized:
		return http.StatusUnauthorized
	case fault.Forbidden:
		return http.StatusForbidden
	case fault.ClusterUnknown, fault.NotReady, fault.SnapshotExpired, fault.NotFound:
		return http.StatusNotFound
	case fault.MethodNotAllowed:
		return http.StatusMethodNotAllowed
	case fault.ResultTooLarge:
		return http.StatusRequestEntityTooLarge
	case fault.QueueFull, fault.RateLimited:
		return http.StatusTooManyRequests
	case fault.AgentError:
		return http.StatusBadGateway
	case fault.AgentOffline, fault.StoreUnavailable, fault.Unavailable:
		return http.StatusServiceUnavailable
	case fault.Timeout:
		return http.StatusGatewayTimeout
	case fault.Internal:
		return http.StatusInternalServerError
	default:
		return http.StatusInternalServerError
	}
}

// defaultRetryAfter is said on 429 and 503 when the error says nothing itself.
const defaultRetryAfter = time.Second

// fail answers with an error. Nothing is written for a caller that hung up.
func (a *API) fail(x *exchange, r *http.Request, err error) {
	ctx := r.Context()
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		a.log.DebugContext(ctx, "caller hung up", "request_id", x.requestID(), "path", r.URL.Path)
		x.traceFailure(0, err)
		return
	}
	f := fault.From(err)
	code := status(f.Code)
	x.code = f.Code
	x.traceFailure(code, err)
	a.logFailure(x, r, err)
	if code == http.StatusTooManyRequests || code == http.StatusServiceUnavailable {
		x.Header().Set("Retry-After", retryAfter(f.RetryAfter))
	}
	if code == http.StatusUnauthorized {
		x.Header()["Www-Authenticate"] = a.values.bearer
	}
	a.writeJSON(x, r, code, failureOf(x, f))
}

// failureOf is what the caller is told.
func failureOf(x *exchange, f *fault.Error) failure {
	if f.Code == fault.Internal {
		return failure{f.Message + ", request " + x.requestID(), f.Code}
	}
	return failure{f.Message, f.Code}
}

// logFailure logs what is the server's fault.
func (a *API) logFailure(x *exchange, r *http.Request, err error) {
	code := status(fault.From(err).Code)
	if code < http.StatusInternalServerError {
		return
	}
	attrs := []slog.Attr{
		slog.String("request_id", x.requestID()), slog.String("method", r.Method), slog.String("path", r.URL.Path),
		slog.Int("status", code), slog.String("error", err.Error()),
	}
	var p *flight.PanicError
	if errors.As(err, &p) {
		attrs = append(attrs, slog.String("stack", string(p.Stack)))
	}
	level := slog.LevelWarn
	if code == http.StatusServiceUnavailable {
		level = slog.LevelDebug // a state that is known and logged once, not for each front end that polls
	}
	a.log.LogAttrs(r.Context(), level, "request failed", attrs...)
}

// retryAfter is in whole seconds, rounded up.
func retryAfter(d time.Duration) string {
	if d <= 0 {
		d = defaultRetryAfter
	}
	return strconv.Itoa(int(math.Ceil(d.Seconds())))
}

// writeJSON writes a small body that must not be cached.
func (a *API) writeJSON(x *exchange, r *http.Request, code int, v any) {
	body, err := json.Marshal(v)
	if err != nil { // our own structs of strings: cannot happen
		panic(err)
	}
	body = append(body, '\n')
	h := x.Header()
	h["Content-Type"] = a.values.json
	h["Cache-Control"] = a.values.noStore
	h.Set("Content-Length", strconv.Itoa(len(body)))
	x.WriteHeader(code)
	a.write(x, r, body)
}

// write sends the body; a caller that is gone is no failure of ours.
func (a *API) write(x *exchange, r *http.Request, body []byte) {
	if _, err := x.Write(body); err != nil {
		a.log.DebugContext(r.Context(), "answer not sent", "request_id", x.requestID(), "error", err)
	}
}

func notFound(_ *exchange, r *http.Request) error {
	return fault.New(fault.NotFound, "there is no endpoint %.100q", r.URL.Path)
}

// allowed are the methods that a path has; none when there is no such path.
func allowed(routes chi.Routes, r *http.Request) []string {
	path := r.URL.EscapedPath()
	if r.URL.RawPath == "" {
		path = r.URL.Path
	}
	var methods []string
	for _, m := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodDelete} {
		if routes.Match(chi.NewRouteContext(), m, path) {
			methods = append(methods, m)
		}
	}
	return methods
}

// methodNotAllowed answers with the methods that the path has.
func methodNotAllowed(routes chi.Routes) handler {
	return func(x *exchange, r *http.Request) error {
		allow := strings.Join(allowed(routes, r), ", ")
		x.Header().Set("Allow", allow)
		return fault.New(fault.MethodNotAllowed, "%.20q is not allowed here, only %s", r.Method, allow)
	}
}
