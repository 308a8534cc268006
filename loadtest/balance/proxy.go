package balance

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/atlhyper/observe/shared/fault"
)

// ServeHTTP asks the backends in turn until one answers in full.
func (b *Balancer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, b.cfg.MaxBody))
	if err != nil {
		b.refuse(w, r, http.StatusBadRequest, fault.New(fault.BadRequest, "body: is larger than %d bytes or ended early", b.cfg.MaxBody))
		return
	}
	for _, candidate := range b.order() {
		err := b.try(w, r, candidate, body)
		switch {
		case err == nil:
			return
		case r.Context().Err() != nil:
			return // the caller hung up
		}
		candidate.fail(b.cfg.Rest)
		b.cfg.Logger.WarnContext(r.Context(), "backend failed", "backend", candidate.url.Host, "path", r.URL.Path, "error", err)
		if !repeatable(r) && !neverSent(err) {
			break
		}
	}
	b.refuse(w, r, http.StatusServiceUnavailable, fault.New(fault.Unavailable, "no replica answers"))
}

// repeatable tells whether asking twice does no harm: all reads, and the one
// that is a POST because its filters don't fit into a URL.
func repeatable(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return true
	default:
		return r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/observe/logs/query")
	}
}

// neverSent tells whether no connection came about.
func neverSent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// try asks one backend. On an error nothing has been written to w.
func (b *Balancer) try(w http.ResponseWriter, r *http.Request, candidate *backend, body []byte) error {
	resp, err := b.transport.RoundTrip(b.outgoing(r, candidate, body))
	if err != nil {
		return fmt.Errorf("ask: %w", err)
	}
	defer b.close(resp.Body)
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		b.stream(w, r, resp, nil) // endless: held back it would never arrive
		return nil
	}
	held, err := io.ReadAll(io.LimitReader(resp.Body, b.cfg.MaxBuffer))
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	b.stream(w, r, resp, held)
	return nil
}

func (b *Balancer) close(body io.Closer) {
	if err := body.Close(); err != nil {
		b.cfg.Logger.Debug("close response", "error", err)
	}
}

// outgoing is the request as the backend gets it.
func (b *Balancer) outgoing(r *http.Request, candidate *backend, body []byte) *http.Request {
	out := r.Clone(r.Context())
	out.RequestURI = ""
	out.URL.Scheme, out.URL.Host = candidate.url.Scheme, candidate.url.Host
	out.Close = false
	removeHopByHop(out.Header)
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		out.Header.Set("X-Forwarded-For", host)
	}
	out.Body, out.GetBody, out.ContentLength = http.NoBody, nil, 0
	out.TransferEncoding = nil
	if len(body) > 0 {
		out.Body, out.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	}
	return out
}

// stream writes what is held and then what still comes. A response that is cut
// now can only be cut for the caller, too: half of it must not pass for a whole.
func (b *Balancer) stream(w http.ResponseWriter, r *http.Request, resp *http.Response, held []byte) {
	removeHopByHop(resp.Header)
	maps.Copy(w.Header(), resp.Header)
	w.WriteHeader(resp.StatusCode)
	if _, err := w.Write(held); err != nil {
		b.cfg.Logger.DebugContext(r.Context(), "answer not sent", "error", err)
		return
	}
	if err := copyFlushing(w, resp.Body); err != nil {
		b.cfg.Logger.WarnContext(r.Context(), "answer cut", "path", r.URL.Path, "error", err)
		panic(http.ErrAbortHandler)
	}
}

// copyFlushing passes on what comes as soon as it comes.
func copyFlushing(w http.ResponseWriter, from io.Reader) error {
	control := http.NewResponseController(w)
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return fmt.Errorf("write: %w", err)
			}
			if err := control.Flush(); err != nil {
				return fmt.Errorf("flush: %w", err)
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read: %w", err)
		}
	}
}

// removeHopByHop removes what speaks of one connection: RFC 9110, 7.6.1.
func removeHopByHop(h http.Header) {
	for _, name := range slices.Concat(strings.Split(h.Get("Connection"), ","), []string{
		"Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
	}) {
		h.Del(strings.TrimSpace(name))
	}
}

// refuse answers in the API's own style.
func (b *Balancer) refuse(w http.ResponseWriter, r *http.Request, status int, f *fault.Error) {
	body, err := json.Marshal(map[string]string{"error": f.Message, "code": string(f.Code)})
	if err != nil { // a map of strings: cannot happen
		panic(err)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	w.WriteHeader(status)
	if _, err := w.Write(append(body, '\n')); err != nil {
		b.cfg.Logger.DebugContext(r.Context(), "answer not sent", "error", err)
	}
}
