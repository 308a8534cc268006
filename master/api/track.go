package api

import (
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/atlhyper/observe/master/flight"
	"github.com/atlhyper/observe/shared/fault"
)

// ServeHTTP implements http.Handler: it gives a request its id, bounds it, finds its
// endpoint, counts and logs it, and answers for a handler that panics.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{ResponseWriter: w, begun: time.Now(), endpoint: a.none, caller: a.nobody}
	x.id[0] = r.Header.Get("X-Request-Id")
	if !saneID(x.id[0]) {
		x.id[0] = newID()
	}
	w.Header()["X-Request-Id"] = x.id[:]
	a.protect(x, r)

	defer a.finish(x, r)
	defer a.rescue(x, r)
	if len(r.RequestURI) > MaxURL {
		a.fail(x, r, fault.New(fault.BadRequest, "URL: is longer than %d bytes", MaxURL))
		return
	}
	if r.Body != nil && r.Body != http.NoBody { // net/http bounds the headers
		r.Body = http.MaxBytesReader(x, r.Body, MaxBody)
	}
	if a.share(x, r) {
		return
	}
	if e := a.fixed[r.URL.Path]; e != nil && e.serves(r) {
		e.ServeHTTP(x, r)
		return
	}
	a.router.ServeHTTP(x, r)
}

// finish counts and logs a request.
func (a *API) finish(x *exchange, r *http.Request) {
	took := time.Since(x.begun)
	x.endpoint.metrics.observe(x, took)
	a.audit(x, r, took)
	x.endTrace()
	ctx := r.Context()
	if !a.log.Enabled(ctx, slog.LevelDebug) {
		return // and box no arguments
	}
	a.log.DebugContext(x.within(ctx), "request", "request_id", x.requestID(), "method", r.Method, "path", r.URL.Path,
		"status", x.status, "bytes", x.bytes, "took_ms", took.Milliseconds())
}

// rescue answers 500 for a handler that panics, or cuts the connection when an
// answer has begun: half of one must not pass for a whole.
func (a *API) rescue(x *exchange, r *http.Request) {
	p := recover()
	if p == nil {
		return
	}
	if p == http.ErrAbortHandler { //nolint:errorlint // net/http compares it so, too
		panic(p)
	}
	err := &flight.PanicError{Value: p, Stack: debug.Stack()}
	ctx := x.within(r.Context())
	if x.status == 0 {
		a.fail(x, r.WithContext(ctx), err)
		return
	}
	x.traceFailure(http.StatusInternalServerError, err)
	a.log.WarnContext(ctx, "request failed after its answer began", "request_id", x.requestID(),
		"path", r.URL.Path, "error", err.Error(), "stack", string(err.Stack))
	panic(http.ErrAbortHandler)
}
