package api

import (
	"encoding/hex"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/atlhyper/observe/master/access"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/shared/ascii"
	"github.com/atlhyper/observe/shared/fault"
)

// exchange is one request under way: the ResponseWriter of its handler, and what is
// said of it in logs, metrics and failures. It takes the place of a wrapped writer
// and of values in the request's context, each of which would cost an allocation
// and the latter a copy of the request.
type exchange struct {
	http.ResponseWriter
	begun    time.Time
	endpoint *endpoint
	caller   *access.Caller // access.Nobody until it is known
	credential
	cluster key.Cluster // that it is about; "" for none
	noted   *noted      // for audit and traces; see note
	status  int         // 0 while nothing was written
	code    fault.Code  // of the failure that was answered, or that ended a stream; "" for none
	bytes   int64       // of the body
	hidden  bool        // the caller may not see the cluster
	endless bool        // its length says nothing of how fast we are
	// Values of headers, kept here so that a header is no allocation of its own.
	id, age [1]string
}

// exchangeOf returns the exchange that ServeHTTP has put around a writer.
func exchangeOf(w http.ResponseWriter) *exchange {
	x, ok := w.(*exchange)
	if !ok {
		panic("api: a handler was called around ServeHTTP")
	}
	return x
}

// requestID names the request in the logs, in answers and on the way.
func (x *exchange) requestID() string { return x.id[0] }

// WriteHeader implements http.ResponseWriter.
func (x *exchange) WriteHeader(status int) {
	if x.status == 0 && status >= http.StatusOK {
		x.status = status
	}
	x.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (x *exchange) Write(p []byte) (int, error) {
	if x.status == 0 {
		x.status = http.StatusOK
	}
	n, err := x.ResponseWriter.Write(p)
	x.bytes += int64(n)
	return n, err
}

// Unwrap is for http.ResponseController.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// newID returns 32 hexadecimal digits. They only have to be different, not secret,
// so they come from the runtime's generator without a system call.
func newID() string {
	var random [16]byte
	for i, word := range [2]uint64{rand.Uint64(), rand.Uint64()} {
		for j := range 8 {
			random[8*i+j] = byte(word >> (8 * j))
		}
	}
	return hex.EncodeToString(random[:])
}

// saneID accepts the ids of proxies: they reach the logs.
func saneID(id string) bool {
	return id != "" && len(id) <= 64 && ascii.IndexOther(id, "-_.") < 0
}
