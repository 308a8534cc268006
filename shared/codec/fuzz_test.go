package codec_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/atlhyper/observe/shared/codec"
)

// FuzzToJSON compares streaming with decoding into any value and encoding that:
// they refuse the same input, and what they take has the same JSON but for the
// order of keys.
func FuzzToJSON(f *testing.F) {
	addWireTypes(f)
	for _, odd := range []string{
		"\xd0\x80", "\xca\x3f\x80\x00\x00", "\xca\x7f\xc0\x00\x00", "\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00", "\xa2\xff\xfe",
		"\x82\xa1a\x01\xa1a\x02", "\x82\xa1\xff\x01\xa1\xfe\x02", "\x81\xc0\x01", "\x81\x01\x01", "\xc4\x01a", "\xd4\x01a", "\xc7\x01\xffa",
		"\xdd\xff\xff\xff\xff", "\xdf\xff\xff\xff\xff\x01", "\xdb\xff\xff\xff\xffa", "\xa6\u2028\u2029", "\xc1", "\x91\x91\x91\xc0", "\xc0\xc0",
	} {
		f.Add([]byte(odd))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := codec.ToJSON(nil, data)
		want, distinct, wantErr := decodeAndEncode(data)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%x: streamed with %v, decoded and encoded with %v", data, err, wantErr)
		}
		if err != nil {
			return
		}
		streamed, encoded := anyJSON(t, got), anyJSON(t, want)
		if distinct && !reflect.DeepEqual(streamed, encoded) {
			t.Fatalf("%x (-decoded and encoded +streamed):\n%s", data, cmp.Diff(encoded, streamed))
		}
	})
}

// decodeAndEncode is ToJSON as encoding/json does it. It says whether keys are
// distinct still after bytes that are no UTF-8 were replaced: which of them counts
// is then a matter of their order.
func decodeAndEncode(data []byte) (text []byte, distinct bool, err error) {
	var v any
	if err := codec.Decode(data, &v); err != nil {
		return nil, false, err
	}
	distinct = true
	text, err = json.Marshal(widen(v, &distinct))
	return text, distinct, err
}

// widen turns float32 into the float64 that it equals, as decoding into a
// float64 does.
func widen(v any, distinct *bool) any {
	switch v := v.(type) {
	case float32:
		return float64(v)
	case []any:
		for i := range v {
			v[i] = widen(v[i], distinct)
		}
	case map[string]any:
		names := map[string]bool{}
		for k, value := range v {
			v[k] = widen(value, distinct)
			names[string([]rune(k))] = true
		}
		*distinct = *distinct && len(names) == len(v)
	}
	return v
}

// anyJSON keeps the digits of numbers.
func anyJSON(t *testing.T, text []byte) any {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil || dec.InputOffset() != int64(len(text)) {
		t.Fatalf("%q: %v", text, err)
	}
	return v
}

// FuzzWireTypes: of all that agents and masters can write, streaming gives byte
// for byte what decoding into structs and encoding gives.
func FuzzWireTypes(f *testing.F) {
	addWireTypes(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		for name, v := range wireTypes() {
			if err := codec.Decode(data, v); err != nil {
				continue
			}
			packed, err := codec.Encode(v)
			if err != nil {
				continue // NaN and Inf
			}
			got, err := codec.ToJSON(nil, packed)
			if err != nil {
				t.Fatalf("%s: %x: %v", name, packed, err)
			}
			back := reflect.New(reflect.TypeOf(v).Elem()).Interface()
			if err := codec.Decode(packed, back); err != nil {
				t.Fatalf("%s: %x: %v", name, packed, err)
			}
			if want := plainJSON(t, back); !bytes.Equal(got, want) {
				t.Fatalf("%s: %x:\n got %s\nwant %s", name, packed, got, want)
			}
		}
	})
}

// FuzzDecode: no input crashes the typed decoders or makes them allocate what it
// does not hold.
func FuzzDecode(f *testing.F) {
	f.Add([]byte{0x80})
	f.Add([]byte{0x91, 0x81, 0xa5, 'd', 'i', 's', 'k', 's', 0xdd, 0, 0, 0xff, 0xff})
	f.Fuzz(func(_ *testing.T, data []byte) {
		for _, v := range wireTypes() {
			_ = codec.Decode(data, v)
		}
	})
}

func addWireTypes(f *testing.F) {
	f.Helper()
	for _, v := range wireTypes() {
		n := 0
		fill(reflect.ValueOf(v).Elem(), &n)
		data, err := codec.Encode(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
}
