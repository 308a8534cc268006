package compress_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/atlhyper/observe/master/compress"
)

func decode(t *testing.T, enc compress.Encoding, body []byte) []byte {
	t.Helper()
	var from io.Reader = bytes.NewReader(body)
	switch enc {
	case compress.Gzip:
		r, err := gzip.NewReader(from)
		if err != nil {
			t.Fatal(err)
		}
		from = r
	case compress.Zstd:
		r, err := zstd.NewReader(from)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		from = r
	}
	decoded, err := io.ReadAll(from)
	if err != nil {
		t.Fatal(err)
	}
	return decoded
}

func TestBodiesComeBack(t *testing.T) {
	t.Parallel()
	c, err := compress.New()
	if err != nil {
		t.Fatal(err)
	}
	bodies := [][]byte{nil, []byte("x"), bytes.Repeat([]byte("telemetry "), 100_000)}
	var all sync.WaitGroup
	for range 4 { // encoders are shared
		all.Go(func() {
			for enc := range compress.Encoding(compress.Encodings) {
				for _, body := range bodies {
					encoded, err := c.Encode(enc, body)
					if err != nil {
						t.Errorf("%s: %v", enc, err)
						continue
					}
					if enc != compress.Identity && len(body) > compress.MinSize && len(encoded) > len(body)/10 {
						t.Errorf("%s: %d bytes of %d", enc, len(encoded), len(body))
					}
					if got := decode(t, enc, encoded); !bytes.Equal(got, body) {
						t.Errorf("%s: %d bytes came back as %d others", enc, len(body), len(got))
					}
				}
			}
		})
	}
	all.Wait()
}

func TestNegotiate(t *testing.T) {
	t.Parallel()
	for accept, want := range map[string]compress.Encoding{
		"":                          compress.Identity,
		"gzip":                      compress.Gzip,
		"x-gzip":                    compress.Gzip,
		"GZIP":                      compress.Gzip,
		"zstd":                      compress.Zstd,
		"gzip, deflate, br, zstd":   compress.Zstd,
		"gzip|zstd":                 compress.Zstd, // two headers
		"gzip;q=1.0, zstd;q=0.5":    compress.Gzip,
		"gzip;q=0.5 , zstd ; q=0.9": compress.Zstd,
		"gzip;q=0":                  compress.Identity,
		"gzip|gzip;q=0":             compress.Identity,
		"*":                         compress.Zstd,
		"*;q=0.1, zstd;q=0":         compress.Gzip,
		"identity, gzip;q=0.5":      compress.Identity,
		"identity;q=0, gzip;q=0.1":  compress.Gzip,
		"identity;q=0":              compress.Identity,
		"br, deflate":               compress.Identity,
		"gzip;q=x":                  compress.Identity,
		"gzip;q=2":                  compress.Identity,
		"gzip;q=NaN":                compress.Identity,
		"gzip;level=9":              compress.Identity,
		";;,,=":                     compress.Identity,
	} {
		if got := compress.Negotiate(strings.Split(accept, "|")); got != want {
			t.Errorf("Accept-Encoding %q: %s, want %s", accept, got, want)
		}
	}
	if got := compress.Negotiate(nil); got != compress.Identity {
		t.Errorf("no Accept-Encoding: %s", got)
	}
}

func TestNegotiatingAllocatesNothing(t *testing.T) {
	for _, accept := range []string{"", "gzip", "gzip, deflate, br, zstd", "br;q=1.0, gzip;q=0.8, *;q=0.1"} {
		headers := []string{accept}
		if n := testing.AllocsPerRun(100, func() { compress.Negotiate(headers) }); n != 0 {
			t.Errorf("Accept-Encoding %q: %v allocations", accept, n)
		}
	}
}

func FuzzNegotiate(f *testing.F) {
	f.Add("gzip;q=0.5, zstd;q=0.9, *;q=0", "identity;q=0")
	f.Add("gzip;q=1e-3", "\xff;q=+0.1")
	f.Fuzz(func(t *testing.T, one, two string) {
		apart, joined := compress.Negotiate([]string{one, two}), compress.Negotiate([]string{one + "," + two})
		if apart != joined || apart >= compress.Encodings {
			t.Fatalf("two headers: %s, one with both: %s", apart, joined)
		}
	})
}

func BenchmarkNegotiate(b *testing.B) {
	for _, accept := range []string{"gzip", "gzip, deflate, br, zstd"} {
		b.Run(accept, func(b *testing.B) {
			headers := []string{accept}
			for b.Loop() {
				compress.Negotiate(headers)
			}
		})
	}
}
