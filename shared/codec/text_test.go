package codec

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

// sameFloat compares with strconv, as encoding/json uses it.
func sameFloat(t *testing.T, f float64) {
	t.Helper()
	want, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	got, err := appendFloat([]byte("x"), f)
	if err != nil || string(got) != "x"+string(want) {
		t.Fatalf("%b: %q (%v), want %q", f, got, err, want)
	}
}

// around compares f, -f and the floats next to them.
func around(t *testing.T, f float64) {
	t.Helper()
	for _, f := range []float64{f, math.Nextafter(f, 0), math.Nextafter(f, math.MaxFloat64)} {
		sameFloat(t, f)
		sameFloat(t, -f)
	}
}

// TestFloats walks decimals of 1 to 17 digits at every exponent around those of
// appendDecimal.
func TestFloats(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	for digits := 1; digits <= 17; digits++ {
		least := uint64(math.Pow10(digits - 1))
		integers := []uint64{least, least + 1, 2 * least, 5*least + 5, 10*least - 1}
		for range 20 {
			integers = append(integers, least+random.Uint64N(9*least))
		}
		for _, n := range integers {
			for exponent := -25; exponent <= 25; exponent++ {
				f, err := strconv.ParseFloat(strconv.FormatUint(n, 10)+"e"+strconv.Itoa(exponent), 64)
				if err != nil {
					t.Fatal(err)
				}
				around(t, f)
			}
		}
	}
}

// TestFloatBounds walks powers of two, where floats' distances change, and the
// bounds of what is an integer or has an exponent.
func TestFloatBounds(t *testing.T) {
	t.Parallel()
	for e := -1074; e <= 1023; e++ {
		around(t, math.Ldexp(1, e))
	}
	for _, f := range []float64{0, 1e-6, 1e-7, 1e14, 1e15, 1e16, 1e20, 1e21, 1e22, 1 << 52, 1 << 53, 1 << 63, 1 << 64, math.MaxFloat64 / 2, 0.1 + 0.2} {
		around(t, f)
	}
	for _, f := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		if got, err := appendFloat(nil, f); err == nil {
			t.Errorf("%v became %q", f, got)
		}
	}
}

// TestWireFloatsAreFast: what Encode writes does not need strconv.
func TestWireFloatsAreFast(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(5, 6))
	for range 200_000 {
		f := math.Pow(10, -5+18.99*random.Float64())
		rounded, err := round(f)
		if err != nil {
			t.Fatal(err)
		}
		sameFloat(t, rounded)
		if _, ok := appendDecimal(nil, rounded); !ok {
			t.Fatalf("%v has 14 digits and is left to strconv", rounded)
		}
	}
}

// FuzzFloat compares any float64, and the same rounded as Encode does.
func FuzzFloat(f *testing.F) {
	for _, bits := range []uint64{0, 1 << 63, 1, math.Float64bits(1.54), math.Float64bits(1e-6), math.Float64bits(0.066666666666667), math.Float64bits(1e22)} {
		f.Add(bits)
	}
	f.Fuzz(func(t *testing.T, bits uint64) {
		v := math.Float64frombits(bits)
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return
		}
		sameFloat(t, v)
		rounded, err := round(v)
		if err != nil {
			return // the largest float64 rounds up to infinity
		}
		sameFloat(t, rounded)
		if want := strconv.FormatFloat(v, 'g', significantDigits, 64); strconv.FormatFloat(rounded, 'g', significantDigits, 64) != want {
			t.Fatalf("%v rounds to %v, want %s", v, rounded, want)
		}
	})
}

func sameString(t *testing.T, s string) {
	t.Helper()
	var want bytes.Buffer
	enc := json.NewEncoder(&want)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		t.Fatal(err)
	}
	if got := appendString([]byte("x"), []byte(s)); string(got)+"\n" != "x"+want.String() {
		t.Fatalf("%q: %s, want %s", s, got, want.String())
	}
}

// TestStrings puts every byte, and some runes, at every place of strings of every
// length up to two words and a rest.
func TestStrings(t *testing.T) {
	t.Parallel()
	var parts []string
	for b := range 256 {
		parts = append(parts, string([]byte{byte(b)}))
	}
	parts = append(parts, "é", "\u2027", "\u2028", "\u2029", "\u202a", "\uFFFD", "😀", "\xe2\x80", "\xf0\x9f", "\"\\", "<&>")
	for length := range 20 {
		plain := strings.Repeat("a", length)
		for _, part := range parts {
			for at := range length + 1 {
				sameString(t, plain[:at]+part+plain[at:])
			}
		}
	}
}

// FuzzString compares any string.
func FuzzString(f *testing.F) {
	f.Add("plain and \x00 not \xff so \u2028 plain")
	f.Fuzz(sameString)
}
