package admin

import (
	"fmt"
	"net/http"
	"net/http/pprof" // it also registers with http.DefaultServeMux, which nothing here serves
	"strconv"
	"time"
)

const (
	// maxSeconds bounds how long one profile or trace may be taken.
	maxSeconds = 60
	// writeSlack is what writing one may take besides.
	writeSlack = 15 * time.Second
)

// profiles adds what runtime/pprof tells. The command line is left out: a URL in it may hold
// a password.
func profiles(mux *http.ServeMux) {
	for pattern, serve := range map[string]http.HandlerFunc{
		"GET /debug/pprof/":        pprof.Index, // and all profiles by name
		"GET /debug/pprof/profile": pprof.Profile,
		"GET /debug/pprof/symbol":  pprof.Symbol,
		"POST /debug/pprof/symbol": pprof.Symbol,
		"GET /debug/pprof/trace":   pprof.Trace,
	} {
		mux.Handle(pattern, brief(serve))
	}
}

// brief bounds how long a profile is taken: the connection's own bound is a little
// longer, so that what was taken can be written.
func brief(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if text := r.URL.Query().Get("seconds"); text != "" {
			seconds, err := strconv.ParseFloat(text, 64) // a trace may take a part of one
			if err != nil || !(seconds > 0 && seconds <= maxSeconds) {
				http.Error(w, fmt.Sprintf("seconds: want more than 0 and at most %d", maxSeconds), http.StatusBadRequest)
				return
			}
		}
		next(w, r)
	})
}
