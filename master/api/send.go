package api

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

const contentType = "application/json; charset=utf-8"

// answer is a success that is ready to be sent.
type answer struct {
	body []byte
	// etag is the opaque part of the strong entity tag of the uncompressed body;
	// "" for an answer that is made anew each time and must not be stored.
	etag string
	// age is how old the data is; said with an etag only.
	age time.Duration
}

// send writes an answer in the encoding that the caller likes best, or 304 when
// the caller has it already. Bodies that differ in a byte have different tags,
// so the encoding is part of the tag.
func (a *API) send(w http.ResponseWriter, r *http.Request, ans answer) error {
	enc := identity
	if len(ans.body) >= minCompress {
		enc = negotiate(r.Header.Values("Accept-Encoding"))
	}
	h := w.Header()
	h.Set("Vary", "Accept-Encoding")
	if ans.etag == "" {
		h.Set("Cache-Control", "no-store")
	} else {
		tag := `"` + ans.etag + enc.tagSuffix() + `"`
		h.Set("Cache-Control", "no-cache")
		h.Set("ETag", tag)
		h.Set("Age", strconv.FormatInt(int64(ans.age/time.Second), 10))
		if matches(r.Header.Values("If-None-Match"), tag) {
			w.WriteHeader(http.StatusNotModified)
			return nil
		}
	}
	body, err := a.compressor.encode(enc, ans.body)
	if err != nil {
		return err
	}
	if enc != identity {
		h.Set("Content-Encoding", string(enc))
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
