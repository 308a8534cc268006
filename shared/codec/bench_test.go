package codec_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/atlhyper/observe/shared/codec"
	"github.com/atlhyper/observe/shared/model"
)

// BenchmarkToJSON prints how many times faster streaming is than decoding into
// structs and encoding again, both measured in the same run.
func BenchmarkToJSON(b *testing.B) {
	nodes := make([]model.NodeMetrics, 6)
	n := 0
	for i := range nodes {
		fill(reflect.ValueOf(&nodes[i]).Elem(), &n)
	}
	data, err := codec.Encode(nodes)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(data)))
	streamed := testing.Benchmark(func(b *testing.B) {
		var buf []byte
		for b.Loop() {
			if buf, err = codec.ToJSON(buf[:0], data); err != nil {
				b.Fatal(err)
			}
		}
	})
	structs := testing.Benchmark(func(b *testing.B) {
		for b.Loop() {
			var v []model.NodeMetrics
			if err := codec.Decode(data, &v); err != nil {
				b.Fatal(err)
			}
			if _, err := json.Marshal(v); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.ReportMetric(float64(structs.NsPerOp())/float64(streamed.NsPerOp()), "times-faster")
	b.ReportMetric(float64(streamed.NsPerOp())/1e3, "streamed-µs")
	b.ReportMetric(float64(structs.NsPerOp())/1e3, "structs-µs")
}
