package compress

import (
	"strconv"
	"strings"
)

// Negotiate returns the encoding that the values of Accept-Encoding like best: RFC
// 9110, 12.5.3. Of those they like alike, the one that is cheapest to send. Who
// refuses all of them, identity too, gets identity. It allocates nothing for names
// in lower case, which all browsers send.
func Negotiate(headers []string) Encoding {
	var quality [Encodings]float64
	var named [Encodings]bool
	rest, hasRest := 0.0, false
	for _, header := range headers {
		for part := range strings.SplitSeq(header, ",") {
			name, q := weigh(part)
			if name == "*" {
				rest, hasRest = q, true
			} else if enc, ok := parse(name); ok {
				quality[enc], named[enc] = q, true
			}
		}
	}
	best, bestQ := Identity, 0.0
	for _, enc := range [...]Encoding{Zstd, Gzip, Identity} {
		q := quality[enc]
		switch {
		case named[enc]:
		case hasRest:
			q = rest
		case enc == Identity:
			// Not named it is acceptable, but less liked than anything named.
			q = 0.0001
		}
		if q > bestQ {
			best, bestQ = enc, q
		}
	}
	return best
}

func parse(name string) (Encoding, bool) {
	switch name {
	case "zstd":
		return Zstd, true
	case "gzip", "x-gzip":
		return Gzip, true
	case "identity":
		return Identity, true
	default:
		return 0, false
	}
}

// weigh splits "gzip;q=0.5"; a malformed weight counts as not acceptable.
func weigh(part string) (name string, q float64) {
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
