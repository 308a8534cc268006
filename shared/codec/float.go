package codec

import (
	"fmt"
	"math"
	"strconv"
)

// appendFloat writes f as encoding/json does: the shortest text that reads back
// as f, with an exponent only for very small and very large numbers (ES6).
func appendFloat(dst []byte, f float64) ([]byte, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil, fmt.Errorf("%v has no JSON", f)
	}
	if out, ok := appendDecimal(dst, f); ok {
		return out, nil
	}
	abs := math.Abs(f)
	if abs == 0 || (abs >= 1e-6 && abs < 1e21) {
		return strconv.AppendFloat(dst, f, 'f', -1, 64), nil
	}
	dst = strconv.AppendFloat(dst, f, 'e', -1, 64)
	// e-09 becomes e-9.
	if n := len(dst); n >= 4 && dst[n-4] == 'e' && dst[n-3] == '-' && dst[n-2] == '0' {
		dst[n-2] = dst[n-1]
		dst = dst[:n-1]
	}
	return dst, nil
}

// appendDecimal writes f if it is 0, or lies between 1e-5 and 1e14 and has at most
// 14 significant digits, as Encode writes floats. It says whether it did, and is
// faster than strconv, which must find how many digits f needs.
//
// Why it is the same text: f is scaled to an integer n of 14 or 15 digits. n and
// the power of ten (at most 1e19) are exact float64s, so their quotient, which
// IEEE 754 rounds correctly, is what n's decimal reads as; if that is f, the
// decimal is one that reads back as f. No other decimal of at most 15 digits
// does: they lie further apart than float64s. So without its trailing zeros it is
// the shortest.
func appendDecimal(dst []byte, f float64) ([]byte, bool) {
	abs := math.Abs(f)
	if math.Float64bits(f) == 0 { // but not -0
		return append(dst, '0'), true
	}
	if abs < 1e-5 || abs >= 1e14 {
		return dst, false
	}
	if i := int64(f); float64(i) == f {
		return strconv.AppendInt(dst, i, 10), true
	}
	exponent := int(math.Float64bits(abs)>>52) - 1023
	decimals := 13 - exponent*1233>>12 // 1233/4096 is log10(2), a little less: 14 digits, or 15
	scale := math.Pow10(decimals)
	n := uint64(abs*scale + 0.5)
	if float64(n)/scale != abs {
		return dst, false
	}
	if f < 0 {
		dst = append(dst, '-')
	}
	whole, one := uint64(abs), uint64(scale)
	dst = strconv.AppendUint(dst, whole, 10)
	point := len(dst)
	dst = strconv.AppendUint(dst, one+n-whole*one, 10) // the 1 in front keeps the zeros after the point
	dst[point] = '.'
	for dst[len(dst)-1] == '0' {
		dst = dst[:len(dst)-1]
	}
	return dst, true
}
