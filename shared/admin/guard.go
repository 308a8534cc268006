package admin

import (
	"net"
	"net/http"
	"strings"
)

// guarded refuses requests that a browser sends for another page than one of this
// listener's own: a page can make a browser ask loopback addresses, under a name of its
// own that resolves to one (DNS rebinding), or without reading the answer.
func guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
		h.Set("Cache-Control", "no-store")
		if why := foreign(r); why != "" {
			http.Error(w, why, http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// foreign says why a request is refused; "" when it is not.
func foreign(r *http.Request) string {
	if !isOwn(r.Host) {
		return "the Host header must be an IP address or localhost"
	}
	if r.Header.Get("Origin") != "" {
		return "requests with an Origin header are refused"
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin": // no browser, its address bar, a link on a page of ours
		return ""
	}
	return "requests that another site causes are refused"
}

// isOwn tells whether no page but one of this machine's can be behind a Host header:
// only names can be made to resolve to an address that is another's.
func isOwn(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return strings.EqualFold(host, "localhost") || net.ParseIP(host) != nil
}
