package codec_test

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/atlhyper/observe/shared/codec"
)

// numbers has a float64 wherever the models have one.
type numbers struct {
	Value   float64            `json:"value"`
	Pointer *float64           `json:"pointer"`
	List    []float64          `json:"list"`
	Map     map[string]float64 `json:"map"`
}

// Whole floats are integers on the wire: shorter, the same JSON, and a float64 again
// for whoever decodes them.
func TestWholeFloats(t *testing.T) {
	t.Parallel()
	negative := math.Copysign(0, -1)
	for _, c := range []struct {
		value float64
		bytes int // of msgpack
	}{
		{0, 1}, {1, 1}, {-1, 1}, {100, 1}, {200, 2}, {-200, 3}, {4.2e9, 5}, {99_999_999_999_999, 9},
		{0.5, 9}, {negative, 9}, {1e14, 9}, {1e15, 9}, {1e21, 9}, {-1e300, 9},
	} {
		data, err := codec.Encode(c.value)
		if err != nil || len(data) != c.bytes {
			t.Errorf("%v: %v, takes %d bytes, want %d", c.value, err, len(data), c.bytes)
		}
		want := numbers{c.value, &c.value, []float64{c.value}, map[string]float64{"a": c.value}}
		if data, err = codec.Encode(want); err != nil {
			t.Fatal(err)
		}
		var got numbers
		if err := codec.Decode(data, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" || math.Signbit(got.Value) != math.Signbit(c.value) {
			t.Errorf("%v: -want +got\n%s", c.value, diff)
		}
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		streamed, err := codec.ToJSON(nil, data)
		if err != nil || string(streamed) != string(text) {
			t.Errorf("%v: %v, JSON %s, want %s", c.value, err, streamed, text)
		}
	}
}
