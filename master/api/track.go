package api

import (
	"context"
	"crypto/rand"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/go-chi/chi/v5/middleware"

	"github.com/atlhyper/observe/master/flight"
	"github.com/atlhyper/observe/shared/fault"
)

// requestIDHeader names a request in the logs, in answers and on the way.
const requestIDHeader = "X-Request-Id"

type requestIDKey struct{}

func requestID(ctx context.Context) string {
	id, ok := ctx.Value(requestIDKey{}).(string)
	if !ok {
		return ""
	}
	return id
}

// track gives a request its id, logs it, and answers for a handler that panics.
func (a *API) track(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		id := r.Header.Get(requestIDHeader)
		if !saneID(id) {
			id = rand.Text()
		}
		ctx := context.WithValue(r.Context(), requestIDKey{}, id)
		r = r.WithContext(ctx)
		w.Header().Set(requestIDHeader, id)
		w.Header().Set("X-Content-Type-Options", "nosniff")

		ww := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
		defer func() {
			a.metrics.observe(r, ww.Status(), time.Since(start))
			a.log.DebugContext(ctx, "request", "request_id", id, "method", r.Method, "path", r.URL.Path,
				"status", ww.Status(), "bytes", ww.BytesWritten(), "took_ms", time.Since(start).Milliseconds())
		}()
		defer func() {
			if p := recover(); p != nil {
				a.recovered(ww, r, p)
			}
		}()
		next.ServeHTTP(ww, r)
	})
}

// recovered answers 500, or cuts the connection when an answer has begun: half
// of one must not pass for a whole.
func (a *API) recovered(w middleware.WrapResponseWriter, r *http.Request, p any) {
	if p == http.ErrAbortHandler { //nolint:errorlint // net/http compares it so, too
		panic(p)
	}
	err := &flight.PanicError{Value: p, Stack: debug.Stack()}
	if w.Status() == 0 {
		a.fail(w, r, err)
		return
	}
	a.log.WarnContext(r.Context(), "request failed after its answer began", "request_id", requestID(r.Context()),
		"path", r.URL.Path, "error", err.Error(), "stack", string(err.Stack))
	panic(http.ErrAbortHandler)
}

// bound refuses long URLs and cuts bodies; net/http bounds the headers.
func (a *API) bound(next http.Handler) http.Handler {
	return a.handle(func(w http.ResponseWriter, r *http.Request) error {
		if len(r.RequestURI) > MaxURL {
			return fault.New(fault.BadRequest, "URL: is longer than %d bytes", MaxURL)
		}
		r.Body = http.MaxBytesReader(w, r.Body, MaxBody)
		next.ServeHTTP(w, r)
		return nil
	})
}

// saneID accepts the ids of proxies: they reach the logs.
func saneID(id string) bool {
	if id == "" || len(id) > 64 {
		return false
	}
	for _, c := range []byte(id) {
		alnum := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alnum && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

// traceparent returns the caller's W3C trace context, "" when it is not valid:
// 00-<32 hex>-<16 hex>-<2 hex>.
func traceparent(r *http.Request) string {
	value := r.Header.Get("Traceparent")
	parts := strings.Split(value, "-")
	if len(value) != 55 || len(parts) != 4 || parts[0] != "00" || len(parts[1]) != 32 || len(parts[2]) != 16 {
		return ""
	}
	if strings.Trim(value, "0123456789abcdef-") != "" {
		return ""
	}
	return value
}
