package snapshot

import (
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// codecZstd is the value of key.FieldCodec for compressed sections.
const codecZstd = "zstd"

// zstdWindow is how far back the encoder looks. What repeats in a section repeats from
// row to row: 5,000 pods take as little as with the default of 8 MiB, which holds 16 MB
// for good.
const zstdWindow = 1 << 20

// compressor packs large values. The encoder is made when first needed: it takes
// some megabytes, and most clusters never have a section that large.
type compressor struct {
	once    sync.Once
	encoder *zstd.Encoder
	err     error
}

// pack returns what to store of data and its codec; above < 0 never compresses.
func (c *compressor) pack(data []byte, above int) (stored []byte, codec string, err error) {
	if above < 0 || len(data) <= above {
		return data, "", nil
	}
	c.once.Do(func() {
		c.encoder, c.err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(zstdWindow))
	})
	if c.err != nil {
		return nil, "", fmt.Errorf("zstd: %w", c.err)
	}
	return c.encoder.EncodeAll(data, nil), codecZstd, nil
}

// unpacker is the other end, with a bound on what comes out.
type unpacker struct {
	max     int
	once    sync.Once
	decoder *zstd.Decoder
	err     error
}

func (u *unpacker) unpack(stored []byte, codec string) ([]byte, error) {
	switch codec {
	case "":
		if len(stored) > u.max {
			return nil, fmt.Errorf("%d bytes are more than %d", len(stored), u.max)
		}
		return stored, nil
	case codecZstd:
		u.once.Do(func() {
			u.decoder, u.err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(uint64(u.max)))
		})
		if u.err != nil {
			return nil, fmt.Errorf("zstd: %w", u.err)
		}
		data, err := u.decoder.DecodeAll(stored, nil)
		if err != nil {
			return nil, fmt.Errorf("zstd: %w", err)
		}
		return data, nil
	default:
		return nil, fmt.Errorf("unknown codec %.20q", codec)
	}
}
