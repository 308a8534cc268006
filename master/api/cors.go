package api

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// What pages of allowed origins may do: everything that the API has.
const (
	corsMethods = "GET, HEAD, POST, DELETE"
	corsHeaders = "Authorization, Content-Type, If-None-Match, Last-Event-ID, Traceparent, Tracestate, X-Request-Id"
	corsExposed = "Age, ETag, Retry-After, X-Request-Id"
	corsMaxAge  = "600" // s that a browser may remember it
)

// origins are those whose pages may read answers, each as the value of a header.
type origins map[string][]string

// parseOrigins reads exact origins: scheme, host, and port unless it is the scheme's.
// The error names what is none.
func parseOrigins(texts []string) (origins, error) {
	all := make(origins, len(texts))
	for _, text := range texts {
		if text == "*" {
			return nil, errors.New("origin: * would let every page read every cluster that its visitor may see; name the origins")
		}
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" ||
			strings.ContainsAny(text, "*, ") || text != u.Scheme+"://"+strings.ToLower(u.Host) || strings.HasSuffix(text, ":") {
			return nil, fmt.Errorf("origin: %.100q is none such as https://dash.example.org or http://localhost:3000, in lower case and without a path", text)
		}
		all[text] = []string{text}
	}
	return all, nil
}

// share lets a page of an allowed origin read the answer, and answers the question that
// a browser asks before (WHATWG Fetch, 4.9); true when that was it. Anyone else is told
// nothing, so that a browser lets no other page read.
func (a *API) share(x *exchange, r *http.Request) (answered bool) {
	given := r.Header["Origin"]
	if len(a.origins) == 0 || len(given) != 1 {
		return false
	}
	origin := a.origins[given[0]]
	if origin == nil {
		return false
	}
	h := x.Header()
	h["Access-Control-Allow-Origin"] = origin
	h["Access-Control-Allow-Credentials"] = a.values.yes
	if r.Method != http.MethodOptions || r.Header["Access-Control-Request-Method"] == nil {
		h["Access-Control-Expose-Headers"] = a.values.exposed
		return false
	}
	if len(allowed(a.router, r)) == 0 {
		return false // there is no such path, which is said as always
	}
	h.Set("Vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers")
	h.Set("Access-Control-Allow-Methods", corsMethods)
	h.Set("Access-Control-Allow-Headers", corsHeaders)
	h.Set("Access-Control-Max-Age", corsMaxAge)
	x.WriteHeader(http.StatusNoContent)
	return true
}
