package codec_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

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
	var streamed, structs time.Duration
	var buf []byte
	for b.Loop() {
		began := time.Now()
		if buf, err = codec.ToJSON(buf[:0], data); err != nil {
			b.Fatal(err)
		}
		middle := time.Now()
		var v []model.NodeMetrics
		if err := codec.Decode(data, &v); err != nil {
			b.Fatal(err)
		}
		if _, err := json.Marshal(v); err != nil {
			b.Fatal(err)
		}
		streamed += middle.Sub(began)
		structs += time.Since(middle)
	}
	b.ReportMetric(float64(structs)/float64(streamed), "times-faster")
	b.ReportMetric(float64(streamed.Microseconds())/float64(b.N), "streamed-µs/op")
	b.ReportMetric(float64(structs.Microseconds())/float64(b.N), "structs-µs/op")
}
