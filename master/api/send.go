package api

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/atlhyper/observe/master/compress"
	"github.com/atlhyper/observe/master/dashboard"
	"github.com/atlhyper/observe/redis/key"
)

// headerValues are the values of headers that never change, made once: sending them
// allocates nothing. Nobody appends to them.
type headerValues struct {
	json, noStore, noCache, vary, nosniff, bearer []string
	policy, referrer, resource, transport         []string // of protect
	yes, exposed                                  []string // of share
}

// newHeaderValues are those of an API that tells its callers apart or does not, and that
// pages of other origins may ask or may not.
func newHeaderValues(private, shared bool) headerValues {
	v := headerValues{
		json:      []string{"application/json; charset=utf-8"},
		noStore:   []string{"no-store"},
		noCache:   []string{"no-cache"},
		nosniff:   []string{"nosniff"},
		bearer:    []string{"Bearer"},
		policy:    []string{"default-src 'none'; frame-ancestors 'none'"},
		referrer:  []string{"no-referrer"},
		resource:  []string{"same-origin"},
		transport: []string{"max-age=31536000"},
		yes:       []string{"true"},
		exposed:   []string{corsExposed},
	}
	vary := "Accept-Encoding"
	if private {
		v.noCache = []string{"private, no-cache"}
		vary += ", Authorization, Cookie"
	}
	if shared {
		vary += ", Origin"
	}
	v.vary = []string{vary}
	return v
}

// protect says to browsers what the answer is not: a page, a script, or anything that
// others may embed; and, once they came by TLS, that they shall always.
func (a *API) protect(x *exchange, r *http.Request) {
	h := x.Header()
	h["X-Content-Type-Options"] = a.values.nosniff
	h["Content-Security-Policy"] = a.values.policy
	h["Referrer-Policy"] = a.values.referrer
	h["Cross-Origin-Resource-Policy"] = a.values.resource
	if a.cfg.Proxies.IsTLS(r) {
		h["Strict-Transport-Security"] = a.values.transport
	}
}

// sendAnswer writes a dashboard as sendForm does, and says how old the data is.
func (a *API) sendAnswer(x *exchange, r *http.Request, cluster key.Cluster, answer *dashboard.Answer) error {
	age := max(0, a.cfg.Now(cluster).Sub(answer.CollectedAt()))
	x.age[0] = strconv.FormatInt(int64(age/time.Second), 10)
	x.Header()["Age"] = x.age[:]
	return a.sendForm(x, r, answer)
}

// sendForm writes an answer in the encoding that the caller likes best, or 304 when the
// caller has it already.
func (a *API) sendForm(x *exchange, r *http.Request, answer *dashboard.Answer) error {
	enc := compress.Negotiate(r.Header["Accept-Encoding"])
	h := x.Header()
	h["Vary"] = a.values.vary
	h["Cache-Control"] = a.values.noCache
	tag := answer.Tag(enc)
	h["Etag"] = tag
	if matches(r.Header["If-None-Match"], tag[0]) {
		x.WriteHeader(http.StatusNotModified)
		return nil
	}
	form, err := answer.Form(enc)
	if err != nil {
		return err
	}
	if form.ContentEncoding != nil {
		h["Content-Encoding"] = form.ContentEncoding
	}
	h["Content-Type"] = a.values.json
	h["Content-Length"] = form.ContentLength
	x.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		a.write(x, r, form.Body)
	}
	return nil
}

// send writes a body that was made for this request and must not be stored, in the
// encoding that the caller likes best.
func (a *API) send(x *exchange, r *http.Request, body []byte) error {
	enc := compress.Identity
	if len(body) >= compress.MinSize {
		enc = compress.Negotiate(r.Header["Accept-Encoding"])
	}
	body, err := a.compressor.Encode(enc, body)
	if err != nil {
		return err
	}
	h := x.Header()
	h["Vary"] = a.values.vary
	h["Cache-Control"] = a.values.noStore
	if enc != compress.Identity {
		h.Set("Content-Encoding", enc.String())
	}
	h["Content-Type"] = a.values.json
	h.Set("Content-Length", strconv.Itoa(len(body)))
	x.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		a.write(x, r, body)
	}
	return nil
}

// matches tells whether an If-None-Match header names the tag: RFC 9110, 13.1.2,
// by weak comparison. A malformed list matches nothing from there on.
func matches(headers []string, tag string) bool {
	for _, list := range headers {
		for {
			list = strings.TrimLeft(list, " \t,")
			if strings.HasPrefix(list, "*") {
				return true
			}
			list = strings.TrimPrefix(list, "W/")
			if !strings.HasPrefix(list, `"`) {
				break
			}
			end := strings.IndexByte(list[1:], '"')
			if end < 0 {
				break
			}
			if list[:end+2] == tag {
				return true
			}
			list = list[end+2:]
		}
	}
	return false
}
