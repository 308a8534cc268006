package api

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// maxDurationText is longer than any sensible duration.
const maxDurationText = 32

var errDuration = errors.New("is no duration such as 15m, 6h, 1h30m or 7d")

// ParseDuration reads a positive Go or Prometheus duration: numbers with the
// units ns, us, ms, s, m, h, and d of 24 hours, w of 7 days, y of 365 days.
func ParseDuration(text string) (time.Duration, error) {
	if text == "" || len(text) > maxDurationText {
		return 0, errDuration
	}
	var total time.Duration
	for rest := text; rest != ""; {
		number, unit, next := nextTerm(rest)
		if number == "" || unit == "" {
			return 0, errDuration
		}
		d, err := term(number, unit)
		if err != nil || total > math.MaxInt64-d {
			return 0, errDuration
		}
		total += d
		rest = next
	}
	if total <= 0 {
		return 0, errors.New("must be more than 0")
	}
	return total, nil
}

// nextTerm splits "1h30m" into "1", "h" and "30m".
func nextTerm(s string) (number, unit, rest string) {
	isNumber := func(c byte) bool { return c >= '0' && c <= '9' || c == '.' }
	i := 0
	for i < len(s) && isNumber(s[i]) {
		i++
	}
	j := i
	for j < len(s) && !isNumber(s[j]) {
		j++
	}
	return s[:i], s[i:j], s[j:]
}

// term is one number with its unit. Days and longer are counted in hours, so
// that time.ParseDuration does the arithmetic, exactly.
func term(number, unit string) (time.Duration, error) {
	factor := int64(1)
	switch unit {
	case "d":
		unit, factor = "h", 24
	case "w":
		unit, factor = "h", 24*7
	case "y":
		unit, factor = "h", 24*365
	}
	d, err := time.ParseDuration(number + unit)
	if err != nil {
		return 0, fmt.Errorf("duration: %w", err)
	}
	if int64(d) > math.MaxInt64/factor {
		return 0, errDuration
	}
	return time.Duration(int64(d) * factor), nil
}

// parseSeconds reads a duration, or a bare number of seconds as Prometheus's own
// API does for steps and timeouts.
func parseSeconds(text string) (time.Duration, error) {
	if text != "" && strings.Trim(text, "0123456789.") == "" {
		text += "s"
	}
	return ParseDuration(text)
}

// FormatDuration writes whole days as "30d", anything else as Go does, without
// the trailing zero units.
func FormatDuration(d time.Duration) string {
	const day = 24 * time.Hour
	if d >= day && d%day == 0 {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
