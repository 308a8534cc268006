//go:build linux || darwin

package chdb

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/ClickHouse/ch-go/compress"
	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// spoolMemory is how much of a body is held in memory before it goes to a
// file, in bytes.
const spoolMemory = 4 << 20

// bodyReader undoes the compression of a request body: Content-Encoding
// first, then ClickHouse's own frames. It fails with an exception when the
// body is larger than limit bytes before or after. The returned function
// frees what the decompression holds.
func bodyReader(r *http.Request, req *request, limit int64) (io.Reader, func(), error) {
	var body io.Reader = &limitedReader{r: r.Body, left: limit, limit: limit}
	free := func() {}
	switch encoding := r.Header.Get("Content-Encoding"); encoding {
	case "", "identity":
	case "gzip":
		zr, err := gzip.NewReader(body)
		if err != nil {
			return nil, free, badBody(err)
		}
		body = zr
	case "deflate":
		zr, err := zlib.NewReader(body)
		if err != nil {
			return nil, free, badBody(err)
		}
		body = zr
	case "br":
		body = brotli.NewReader(body)
	case "zstd":
		zr, err := zstd.NewReader(body, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20))
		if err != nil {
			return nil, free, badBody(err)
		}
		body, free = zr, zr.Close
	default:
		return nil, free, newException(codeNotImplemented, "NOT_IMPLEMENTED", "Content-Encoding %q is not supported", encoding)
	}
	if req.decompress {
		body = &frameReader{compress.NewReader(body)}
	}
	return &limitedReader{r: &bodyErrors{body}, left: limit, limit: limit}, free, nil
}

// limitedReader fails once more than limit bytes have come.
type limitedReader struct {
	r           io.Reader
	left, limit int64
}

func (l *limitedReader) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return 0, newException(codeQueryTooLarge, "QUERY_IS_TOO_LARGE", "the request body is larger than %d bytes", l.limit)
	}
	return n, err
}

// frameReader reads ClickHouse's compressed frames up to a clean end.
type frameReader struct {
	r *compress.Reader
}

func (f *frameReader) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	// A body that ends between two frames ends the data; within one it is cut.
	if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return n, io.EOF
	}
	return n, err
}

// bodyErrors turns a failure to read or to decompress into an exception.
type bodyErrors struct {
	r io.Reader
}

func (b *bodyErrors) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = badBody(err)
	}
	return n, err
}

// badBody is the exception for a body that cannot be read.
func badBody(err error) error {
	if e, ok := errors.AsType[*exception](err); ok {
		return e
	}
	return newException(codeCannotDecompress, "CANNOT_DECOMPRESS", "cannot read the request body: %v", err)
}

// spool holds a whole body, so that a slow or broken upload never reaches the
// engine: a small one in memory, a large one in a file that is gone with it.
type spool struct {
	memory []byte
	file   *os.File
}

// newSpool reads all of body.
func newSpool(body io.Reader) (_ *spool, err error) {
	s := &spool{}
	s.memory, err = io.ReadAll(io.LimitReader(body, spoolMemory))
	if err != nil {
		return nil, err
	}
	if len(s.memory) < spoolMemory {
		return s, nil
	}
	if s.file, err = os.CreateTemp("", "chdb-body-*"); err != nil {
		return nil, fmt.Errorf("spool the request body: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	// Removed while open: nothing stays behind however the process ends.
	if err = os.Remove(s.file.Name()); err != nil {
		return nil, fmt.Errorf("spool the request body: %w", err)
	}
	if _, err = io.Copy(s.file, body); err != nil {
		return nil, err
	}
	if _, err = s.file.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("spool the request body: %w", err)
	}
	return s, nil
}

func (s *spool) reader() io.Reader {
	if s.file == nil {
		return bytes.NewReader(s.memory)
	}
	return io.MultiReader(bytes.NewReader(s.memory), s.file)
}

func (s *spool) close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}
