package clickhouse

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"
)

// The driver sends the server a time limit for every deadline it sees. A user
// with readonly=1 may not set one: once the server has refused it, statements go
// without, over both protocols. The context still ends them.

// timeLimit is the setting that the driver adds.
const timeLimit = "max_execution_time"

// withoutDeadline is a context that ends at its deadline but does not tell of it.
type withoutDeadline struct{ context.Context }

func unlimited(ctx context.Context) context.Context { return withoutDeadline{ctx} }

// Deadline says that there is none.
func (withoutDeadline) Deadline() (deadline time.Time, ok bool) { return time.Time{}, false }

// readonlyTransport takes the time limit out of requests over HTTP, of those too
// that the driver makes by itself when it connects.
type readonlyTransport struct {
	*http.Transport
	readonly *atomic.Bool
}

// RoundTrip sends the request, without the limit once readonly is set.
func (t readonlyTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if t.readonly.Load() {
		r = r.Clone(r.Context())
		parameters := r.URL.Query()
		parameters.Del(timeLimit)
		r.URL.RawQuery = parameters.Encode()
	}
	return t.Transport.RoundTrip(r)
}
