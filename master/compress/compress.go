// Package compress is HTTP's content codings: which one a caller likes best, and
// bodies in it.
package compress

import (
	"bytes"
	"fmt"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Encoding is a content coding.
type Encoding uint8

// The content codings, which are also indices below Encodings.
const (
	Identity Encoding = iota
	Gzip
	Zstd
	Encodings = iota // how many there are
)

// String returns the name in Accept-Encoding and Content-Encoding.
func (e Encoding) String() string {
	switch e {
	case Gzip:
		return "gzip"
	case Zstd:
		return "zstd"
	default:
		return "identity"
	}
}

// MinSize is the smallest body worth compressing, in bytes: below it, it fits into
// a packet anyway.
const MinSize = 1024

// zstdWindow keeps the memory of encoder and browser small; browsers refuse
// windows over 8 MiB.
const zstdWindow = 1 << 20

// Compressor holds the encoders, which are costly to make. It is safe for
// concurrent use.
type Compressor struct {
	zstd *zstd.Encoder // EncodeAll is safe for concurrent use
	gzip sync.Pool     // *gzip.Writer
}

// New returns a Compressor. The error is about the settings in this file.
func New() (*Compressor, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(zstdWindow))
	if err != nil {
		return nil, fmt.Errorf("compress: zstd: %w", err)
	}
	// Level and writer are checked at once; a pool's New cannot report an error.
	if _, err := gzip.NewWriterLevel(nil, gzip.BestSpeed); err != nil {
		return nil, fmt.Errorf("compress: gzip: %w", err)
	}
	return &Compressor{zstd: enc}, nil
}

// Encode returns the body in an encoding; of Identity, the body itself.
func (c *Compressor) Encode(enc Encoding, body []byte) ([]byte, error) {
	switch enc {
	case Zstd:
		return c.zstd.EncodeAll(body, make([]byte, 0, len(body)/4)), nil
	case Gzip:
		return c.gzipAll(body)
	default:
		return body, nil
	}
}

func (c *Compressor) gzipAll(body []byte) ([]byte, error) {
	var buf bytes.Buffer
	buf.Grow(len(body) / 4)
	w, ok := c.gzip.Get().(*gzip.Writer)
	if ok {
		w.Reset(&buf)
	} else {
		var err error
		if w, err = gzip.NewWriterLevel(&buf, gzip.BestSpeed); err != nil {
			return nil, fmt.Errorf("compress: gzip: %w", err)
		}
	}
	defer c.gzip.Put(w)
	if _, err := w.Write(body); err != nil {
		return nil, fmt.Errorf("compress: gzip: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("compress: gzip: %w", err)
	}
	return buf.Bytes(), nil
}
