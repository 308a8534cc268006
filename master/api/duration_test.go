package api

import (
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"15m":       15 * time.Minute,
		"6h":        6 * time.Hour,
		"7d":        7 * 24 * time.Hour,
		"1h30m":     90 * time.Minute,
		"1w":        7 * 24 * time.Hour,
		"1d12h":     36 * time.Hour,
		"1.5d":      36 * time.Hour,
		"1y":        365 * 24 * time.Hour,
		"500ms":     500 * time.Millisecond,
		"1h0m0s":    time.Hour,
		"100y":      100 * 365 * 24 * time.Hour,
		"1µs":       time.Microsecond,
		"2540400h":  2540400 * time.Hour,
		"0h0.5h30m": time.Hour,
	} {
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("ParseDuration(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "15", "m", "-5m", "+5m", "5m ", " 5m", "5 m", "5mm", "1e3s", "5M", "0s", "0", "..5s", "1.2.3s",
		"300y", "106751d24h", "9223372036854775807h", "1d1", "5m-3m", "١m", "11111111111111111111111111111111s", "1h\x00",
	} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("ParseDuration(%q) = %v, want an error", text, got)
		}
	}
}

func TestParseSeconds(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{"15": 15 * time.Second, "1.5": 1500 * time.Millisecond, "2m": 2 * time.Minute} {
		if got, err := parseSeconds(text); err != nil || got != want {
			t.Errorf("parseSeconds(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
}

func TestFormatDuration(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		30 * 24 * time.Hour:    "30d",
		15 * time.Minute:       "15m",
		time.Hour:              "1h",
		90 * time.Minute:       "1h30m",
		25 * time.Hour:         "25h",
		10 * time.Second:       "10s",
		100 * time.Millisecond: "100ms",
	} {
		if got := FormatDuration(d); got != want {
			t.Errorf("FormatDuration(%v) = %q, want %q", d, got, want)
		}
	}
}

func FuzzParseDuration(f *testing.F) {
	for _, seed := range []string{"15m", "1d12h", "1.5y", "-1h", "9223372036854775807ns", "1e9s", "0.0000001ms", "µ"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseDuration(text)
		if err != nil {
			if d != 0 {
				t.Errorf("%q: %v with an error", text, d)
			}
			return
		}
		if d <= 0 {
			t.Errorf("%q: %v is not positive", text, d)
		}
		// What Go understands means the same here.
		if want, err := time.ParseDuration(text); err == nil && want != d {
			t.Errorf("%q: %v, but Go says %v", text, d, want)
		}
		// What we write, we read.
		if back, err := ParseDuration(FormatDuration(d)); err != nil || back != d {
			t.Errorf("%q: %v is written %q and read as %v, %v", text, d, FormatDuration(d), back, err)
		}
	})
}
