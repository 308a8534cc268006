package scale

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"text/template"
	"time"
)

// functions are those that the prose writes figures with. They take the units of
// Measured: bytes and seconds.
func functions() template.FuncMap {
	known := make(map[string]bool)
	for _, name := range Lines() {
		known[name] = true
	}
	return template.FuncMap{
		"bytes":   sizeOf,
		"figure":  figure,
		"micros":  func(seconds float64) string { return figure(seconds / micro) },
		"count":   grouped,
		"seconds": func(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + " s" },
		"percent": func(share float64) string { return figure(100*share) + "%" },
		"cores":   cores,
		"exact":   func(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) },
		"word":    word,
		"join":    strings.Join,
		"line": func(name string) (string, error) {
			if !known[name] {
				return "", fmt.Errorf("no figure is taken from the line %s", name)
			}
			return "`" + name + "`", nil
		},
	}
}

// figure writes two digits, or all that stand before the point.
func figure(v float64) string {
	switch size := math.Abs(v); {
	case size == 0:
		return "0"
	case size < 0.995:
		return strconv.FormatFloat(v, 'f', 1-int(math.Floor(math.Log10(size))), 64)
	case size < 9.95:
		return strconv.FormatFloat(v, 'f', 1, 64)
	default:
		return grouped(int(math.Round(v)))
	}
}

// grouped writes a comma between thousands.
func grouped(n int) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// sizeOf writes bytes in the unit that leaves three digits before the point at most.
func sizeOf(bytes float64) string {
	units := []string{" bytes", " KB", " MB", " GB"}
	for len(units) > 1 && math.Abs(bytes) >= 999.5 {
		bytes /= kilo
		units = units[1:]
	}
	return figure(bytes) + units[0]
}

func cores(n int) string {
	if n == 1 {
		return "1 core"
	}
	return grouped(n) + " cores"
}

// word writes a small number as prose does.
func word(n int) string {
	words := []string{"no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"}
	if n < 0 || n >= len(words) {
		return grouped(n)
	}
	return words[n]
}
