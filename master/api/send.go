package api

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/atlhyper/observe/master/compress"
	"github.com/atlhyper/observe/master/dashboard"
)

const contentType = "application/json; charset=utf-8"

// sendAnswer writes a dashboard in the encoding that the caller likes best, or 304
// when the caller has it already. Both say how old the data is.
func (a *API) sendAnswer(w http.ResponseWriter, r *http.Request, answer *dashboard.Answer, age time.Duration) error {
	enc := compress.Negotiate(r.Header["Accept-Encoding"])
	h := w.Header()
	h.Set("Vary", "Accept-Encoding")
	h.Set("Cache-Control", "no-cache")
	h.Set("Age", strconv.FormatInt(int64(max(0, age)/time.Second), 10))
	tag := answer.Tag(enc)
	h["Etag"] = tag
	if matches(r.Header["If-None-Match"], tag[0]) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	form, err := answer.Form(enc)
	if err != nil {
		return err
	}
	if form.ContentEncoding != nil {
		h["Content-Encoding"] = form.ContentEncoding
	}
	h.Set("Content-Type", contentType)
	h["Content-Length"] = form.ContentLength
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		a.write(w, r, form.Body)
	}
	return nil
}

// send writes a body that was made for this request and must not be stored, in the
// encoding that the caller likes best.
func (a *API) send(w http.ResponseWriter, r *http.Request, body []byte) error {
	enc := compress.Identity
	if len(body) >= compress.MinSize {
		enc = compress.Negotiate(r.Header["Accept-Encoding"])
	}
	body, err := a.compressor.Encode(enc, body)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Vary", "Accept-Encoding")
	h.Set("Cache-Control", "no-store")
	if enc != compress.Identity {
		h.Set("Content-Encoding", enc.String())
	}
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		a.write(w, r, body)
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
