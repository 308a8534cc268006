//go:build linux || darwin

package chdb

import (
	"compress/gzip"
	"compress/zlib"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/ch-go/compress"
	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"github.com/atlhyper/observe/loadtest/chdb/libchdb"
)

// responseBuffer is how much of an answer is held back before the headers go
// out, in bytes: until then a failure still gets its own status.
const responseBuffer = 1 << 20

// response sends an answer as ClickHouse does: headers late, so that short
// answers have a summary and failures a status; a failure further on as an
// exception block at the end of the body.
type response struct {
	w       http.ResponseWriter
	log     *slog.Logger
	limit   int64 // bytes held back before the headers are sent
	hard    bool  // more than limit is an error, not a reason to send
	held    []byte
	sent    bool
	started time.Time
	stats   libchdb.Stats

	body    io.Writer // compresses into the response
	closers []io.Closer
	tag     string // marks the exception block
}

func newResponse(w http.ResponseWriter, req *request, cfg Config) (*response, error) {
	r := &response{w: w, log: cfg.Logger, limit: responseBuffer, started: time.Now(), tag: rand.Text()[:16]}
	if req.waitEndOfQuery {
		r.limit, r.hard = cfg.MaxBufferedResult, true
	}
	r.body = rawBody{r}
	encoder, err := httpEncoder(req.httpEncoding, rawBody{r})
	if err != nil {
		return nil, err
	}
	if encoder != nil {
		w.Header().Set("Content-Encoding", req.httpEncoding)
		r.body, r.closers = encoder, append(r.closers, encoder)
	}
	if req.compress {
		frames, err := newFrameWriter(r.body, req.method)
		if err != nil {
			return nil, err
		}
		r.body, r.closers = frames, append([]io.Closer{frames}, r.closers...)
	}
	w.Header().Set("X-ClickHouse-Exception-Tag", r.tag)
	return r, nil
}

// Write takes the next bytes of the answer, uncompressed.
func (r *response) Write(p []byte) (int, error) { return r.body.Write(p) }

// rawBody takes the bytes that go over the wire.
type rawBody struct{ *response }

func (b rawBody) Write(p []byte) (int, error) {
	r := b.response
	if !r.sent {
		r.held = append(r.held, p...)
		if int64(len(r.held)) <= r.limit {
			return len(p), nil
		}
		if r.hard {
			return 0, newException(codeTooManyBytes, "TOO_MANY_ROWS_OR_BYTES",
				"the answer is larger than the %d bytes this server holds back for wait_end_of_query=1", r.limit)
		}
		return len(p), r.send()
	}
	return r.w.Write(p)
}

// send sends the headers and what was held back.
func (r *response) send() error {
	r.sent = true
	r.w.Header().Set("X-ClickHouse-Summary", r.summary())
	r.w.WriteHeader(http.StatusOK)
	held := r.held
	r.held = nil
	_, err := r.w.Write(held)
	return err
}

// finish ends a complete answer.
func (r *response) finish() error {
	for _, c := range r.closers {
		if err := c.Close(); err != nil {
			return err
		}
	}
	if r.sent {
		return nil
	}
	r.w.Header().Set("Content-Length", strconv.Itoa(len(r.held)))
	return r.send()
}

// fail answers with e: with a status of its own while nothing was sent, else
// with an exception block and a connection cut, so that no client takes the
// answer for complete.
func (r *response) fail(e *exception) {
	if !r.sent {
		r.w.Header().Del("Content-Encoding")
		writeException(r.w, e)
		return
	}
	message := strings.TrimRight(e.text, "\n") + "\n"
	block := fmt.Sprintf("\r\n__exception__\r\n%s\r\n%s%d %s\r\n__exception__\r\n", r.tag, message, len(message), r.tag)
	// Inside an HTTP encoding, but after ClickHouse's frames: a client finds
	// the block in the bytes it got.
	var out io.Writer = rawBody{r}
	if n := len(r.closers); n > 0 {
		if encoder, ok := r.closers[n-1].(io.Writer); ok && r.w.Header().Get("Content-Encoding") != "" {
			out = encoder
		}
	}
	_, err := io.WriteString(out, block)
	if flusher, ok := out.(interface{ Flush() error }); ok && err == nil {
		err = flusher.Flush()
	}
	if err == nil {
		err = http.NewResponseController(r.w).Flush()
	}
	if err != nil {
		r.log.Debug("the client left before the end of a failed answer", "error", err)
	}
	panic(http.ErrAbortHandler)
}

// writeException answers with e and nothing else.
func writeException(w http.ResponseWriter, e *exception) {
	body := strings.TrimRight(e.text, "\n") + "\n"
	w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.Header().Set("X-ClickHouse-Exception-Code", strconv.Itoa(e.code))
	w.WriteHeader(e.status())
	if _, err := io.WriteString(w, body); err != nil {
		panic(http.ErrAbortHandler) // the client has gone
	}
}

// summary is the X-ClickHouse-Summary header, with numbers as strings.
func (r *response) summary() string {
	number := func(n uint64) string { return strconv.FormatUint(n, 10) }
	text, err := json.Marshal(struct {
		ReadRows     string `json:"read_rows"`
		ReadBytes    string `json:"read_bytes"`
		WrittenRows  string `json:"written_rows"`
		WrittenBytes string `json:"written_bytes"`
		TotalRows    string `json:"total_rows_to_read"`
		ResultRows   string `json:"result_rows"`
		ResultBytes  string `json:"result_bytes"`
		Elapsed      string `json:"elapsed_ns"`
	}{
		number(r.stats.ReadRows), number(r.stats.ReadBytes), number(r.stats.WrittenRows), number(r.stats.WrittenBytes),
		"0", number(r.stats.ResultRows), "0", strconv.FormatInt(time.Since(r.started).Nanoseconds(), 10),
	})
	if err != nil {
		return "{}" // a struct of strings always encodes
	}
	return string(text)
}

// httpEncoder compresses into out for a Content-Encoding, nil for none.
func httpEncoder(encoding string, out io.Writer) (io.WriteCloser, error) {
	switch encoding {
	case "":
		return nil, nil
	case "gzip":
		return gzip.NewWriterLevel(out, gzip.BestSpeed)
	case "deflate":
		return zlib.NewWriterLevel(out, zlib.BestSpeed)
	case "br":
		return brotli.NewWriterLevel(out, brotli.BestSpeed), nil
	case "zstd":
		return zstd.NewWriter(out, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	default:
		return nil, newException(codeNotImplemented, "NOT_IMPLEMENTED", "Content-Encoding %q is not supported", encoding)
	}
}

// frameSize is how much goes into one of ClickHouse's compressed frames, in bytes.
const frameSize = 1 << 20

// frameWriter writes ClickHouse's compressed frames: checksum, header, data.
type frameWriter struct {
	out     io.Writer
	pending []byte
	frames  *compress.Writer
}

func newFrameWriter(out io.Writer, method string) (*frameWriter, error) {
	methods := map[string]compress.Method{
		"LZ4": compress.LZ4, "LZ4HC": compress.LZ4HC, "ZSTD": compress.ZSTD, "NONE": compress.None,
	}
	m, ok := methods[method]
	if !ok {
		return nil, newException(codeBadArguments, "BAD_ARGUMENTS", "unknown network_compression_method %q", method)
	}
	return &frameWriter{out: out, frames: compress.NewWriter(compress.LevelZero, m)}, nil
}

func (f *frameWriter) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		n := min(len(rest), frameSize-len(f.pending))
		f.pending = append(f.pending, rest[:n]...)
		rest = rest[n:]
		if len(f.pending) == frameSize {
			if err := f.Close(); err != nil {
				return 0, err
			}
		}
	}
	return len(p), nil
}

// Close writes the last frame.
func (f *frameWriter) Close() error {
	if len(f.pending) == 0 {
		return nil
	}
	if err := f.frames.Compress(f.pending); err != nil {
		return fmt.Errorf("compress the answer: %w", err)
	}
	f.pending = f.pending[:0]
	_, err := f.out.Write(f.frames.Data)
	return err
}
