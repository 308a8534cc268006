package api

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// encoding is a content coding.
type encoding string

const (
	identity encoding = "identity"
	gzipped  encoding = "gzip"
	zstded   encoding = "zstd"
)

// minCompress is the smallest body worth compressing: below it, it fits into a
// packet anyway.
const minCompress = 1024

// zstdWindow keeps the memory of encoder and browser small; browsers refuse
// windows over 8 MiB.
const zstdWindow = 1 << 20

func (e encoding) tagSuffix() string {
	if e == identity {
		return ""
	}
	return "-" + string(e)
}

// compressor holds the encoders, which are costly to make.
type compressor struct {
	zstd *zstd.Encoder // EncodeAll is safe for concurrent use
	gzip sync.Pool     // *gzip.Writer
}

func newCompressor() (*compressor, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(zstdWindow))
	if err != nil {
		return nil, fmt.Errorf("zstd: %w", err)
	}
	// Level and writer are checked at once; a pool's New cannot report an error.
	if _, err := gzip.NewWriterLevel(nil, gzip.BestSpeed); err != nil {
		return nil, fmt.Errorf("gzip: %w", err)
	}
	return &compressor{zstd: enc}, nil
}

// encode returns the body in an encoding.
func (c *compressor) encode(enc encoding, body []byte) ([]byte, error) {
	switch enc {
	case zstded:
		return c.zstd.EncodeAll(body, make([]byte, 0, len(body)/4)), nil
	case gzipped:
		return c.gzipAll(body)
	default:
		return body, nil
	}
}

func (c *compressor) gzipAll(body []byte) ([]byte, error) {
	var buf bytes.Buffer
	buf.Grow(len(body) / 4)
	w, ok := c.gzip.Get().(*gzip.Writer)
	if ok {
		w.Reset(&buf)
	} else {
		var err error
		if w, err = gzip.NewWriterLevel(&buf, gzip.BestSpeed); err != nil {
			return nil, fmt.Errorf("gzip: %w", err)
		}
	}
	defer c.gzip.Put(w)
	if _, err := w.Write(body); err != nil {
		return nil, fmt.Errorf("gzip: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("gzip: %w", err)
	}
	return buf.Bytes(), nil
}

// negotiate returns the encoding that Accept-Encoding likes best: RFC 9110,
// 12.5.3. Of those it likes alike, the one that is cheapest to send. Who refuses
// all of them, identity too, gets identity.
func negotiate(headers []string) encoding {
	quality := map[encoding]float64{}
	rest, hasRest := 0.0, false
	for part := range strings.SplitSeq(strings.Join(headers, ","), ",") {
		name, q := quantity(part)
		switch name {
		case "":
		case "*":
			rest, hasRest = q, true
		case "x-gzip":
			quality[gzipped] = q
		default:
			quality[encoding(name)] = q
		}
	}
	best, bestQ := identity, 0.0
	for _, enc := range []encoding{zstded, gzipped, identity} {
		q, named := quality[enc]
		switch {
		case named:
		case hasRest:
			q = rest
		case enc == identity:
			// Not named it is acceptable, but less liked than anything named.
			q = 0.0001
		}
		if q > bestQ {
			best, bestQ = enc, q
		}
	}
	return best
}

// quantity splits "gzip;q=0.5"; a malformed weight counts as not acceptable.
func quantity(part string) (name string, q float64) {
	name, params, _ := strings.Cut(part, ";")
	name, params = strings.ToLower(strings.TrimSpace(name)), strings.ToLower(strings.TrimSpace(params))
	if params == "" {
		return name, 1
	}
	text, ok := strings.CutPrefix(params, "q=")
	if !ok {
		return name, 0
	}
	q, err := strconv.ParseFloat(text, 64)
	if err != nil || !(q >= 0 && q <= 1) {
		return name, 0
	}
	return name, q
}
