package codec_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/atlhyper/observe/shared/codec"
	"github.com/atlhyper/observe/shared/model"
)

// BenchmarkCodec compares with encoding/json, side by side in the same run:
//
//	encode     Encode, against json.Encoder
//	decode     Decode, against json.Unmarshal
//	transcode  ToJSON, against Decode into structs and json.Encoder: what a
//	           master without ToJSON would do per answer
//
// For each of the three it reports our µs, the others' (-json-µs, -structs-µs)
// and how many times as fast we are (-x), each the median of five rounds.
func BenchmarkCodec(b *testing.B) {
	b.Run("nodes=6", benchmark(newValues().nodes(6)))
	b.Run("nodes=100", benchmark(newValues().nodes(100)))
	b.Run("ingress=300KB", benchmark(newValues().ingress(320)))
	b.Run("topology=300KB", benchmark(newValues().topology(800)))
}

func benchmark[T any](value T) func(b *testing.B) {
	return func(b *testing.B) {
		packed, err := codec.Encode(value)
		if err != nil {
			b.Fatal(err)
		}
		text, err := codec.ToJSON(nil, packed)
		if err != nil {
			b.Fatal(err)
		}
		var streamed []byte
		var written bytes.Buffer
		writeJSON := func(v T) error {
			written.Reset()
			enc := json.NewEncoder(&written)
			enc.SetEscapeHTML(false)
			return enc.Encode(v)
		}
		took := interleave(b,
			func() error { _, err := codec.Encode(value); return err },
			func() error { return writeJSON(value) },
			func() error { var v T; return codec.Decode(packed, &v) },
			func() error { var v T; return json.Unmarshal(text, &v) },
			func() error { streamed, err = codec.ToJSON(streamed[:0], packed); return err },
			func() error {
				var v T
				if err := codec.Decode(packed, &v); err != nil {
					return err
				}
				return writeJSON(v)
			},
		)
		b.ReportMetric(0, "ns/op") // of all six together: says nothing
		b.ReportMetric(float64(len(text)), "json-bytes")
		b.ReportMetric(float64(len(packed)), "msgpack-bytes")
		for i, names := range [][3]string{
			{"encode-µs", "encode-json-µs", "encode-x"},
			{"decode-µs", "decode-json-µs", "decode-x"},
			{"transcode-µs", "transcode-structs-µs", "transcode-x"},
		} {
			ours, theirs := took[2*i], took[2*i+1]
			b.ReportMetric(ours*1e6, names[0])
			b.ReportMetric(theirs*1e6, names[1])
			b.ReportMetric(theirs/ours, names[2])
		}
	}
}

// interleave runs the operations in turn in five rounds, so that whatever else
// the machine does hits all of them, and returns the seconds that one run of each
// takes: the median of the rounds. A round is the median of its runs, which leaves
// out those that lost the processor or met the garbage collector.
func interleave(b *testing.B, operations ...func() error) []float64 {
	b.Helper()
	const rounds = 5
	took := make([][]time.Duration, len(operations))
	for range rounds {
		for op, run := range operations {
			runs := make([]time.Duration, (b.N+rounds-1)/rounds)
			for i := range runs {
				began := time.Now()
				if err := run(); err != nil {
					b.Fatal(err)
				}
				runs[i] = time.Since(began)
			}
			took[op] = append(took[op], median(runs))
		}
	}
	seconds := make([]float64, len(operations))
	for op := range took {
		seconds[op] = median(took[op]).Seconds()
	}
	return seconds
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

// BenchmarkToJSON is the streaming alone, for profiles.
func BenchmarkToJSON(b *testing.B) {
	benchmarkOne(b, newValues().nodes(100), func(packed []byte, buf []byte, _ []model.NodeMetrics) ([]byte, error) {
		return codec.ToJSON(buf[:0], packed)
	})
}

// BenchmarkEncode is the encoding alone, for profiles.
func BenchmarkEncode(b *testing.B) {
	benchmarkOne(b, newValues().nodes(100), func(_, _ []byte, nodes []model.NodeMetrics) ([]byte, error) {
		return codec.Encode(nodes)
	})
}

func benchmarkOne(b *testing.B, nodes []model.NodeMetrics, run func(packed, buf []byte, nodes []model.NodeMetrics) ([]byte, error)) {
	b.Helper()
	packed, err := codec.Encode(nodes)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(packed)))
	var buf []byte
	for b.Loop() {
		if buf, err = run(packed, buf, nodes); err != nil {
			b.Fatal(err)
		}
	}
}
