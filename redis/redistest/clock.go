package redistest

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// FakeClocks tells whether WithClock can be used: libfaketime is installed, or
// loadtest/faults/setup.sh has fetched it.
func FakeClocks() bool { return faketime() != "" }

// faketime is where libfaketime is; "" when it is nowhere.
func faketime() string {
	var cache string
	if home, err := os.UserCacheDir(); err == nil {
		cache = filepath.Join(home, "atlhyper-observe")
	}
	places := []string{
		"/usr/lib/*/faketime", "/usr/lib64/faketime",
		filepath.Join(cmp.Or(os.Getenv("ATLHYPER_CACHE"), cache), "faketime"),
	}
	for _, place := range places {
		found, err := filepath.Glob(filepath.Join(place, "libfaketime.so.1"))
		if err == nil && len(found) > 0 {
			return found[0]
		}
	}
	return ""
}

// WithClock gives the server a clock of its own, for SetClock.
func WithClock(tb testing.TB) Option {
	tb.Helper()
	library := faketime()
	if library == "" {
		tb.Fatal("redistest: no libfaketime; see FakeClocks")
	}
	return func(s *Server) {
		s.clock = filepath.Join(tb.TempDir(), "clock")
		s.SetClock(0)
		s.env = []string{
			// The C library first, so that its malloc is the one: jemalloc, which Redis comes
			// with, asks for the time before libfaketime is ready to tell it.
			"LD_PRELOAD=" + library + " libc.so.6",
			"FAKETIME_TIMESTAMP_FILE=" + s.clock, "FAKETIME_NO_CACHE=1",
			// What waits goes on waiting: only the time of day is set.
			"FAKETIME_DONT_FAKE_MONOTONIC=1", "DONT_FAKE_MONOTONIC=1",
		}
	}
}

// SetClock sets the server's clock to what this machine's shows and ahead, which may
// be negative.
func (s *Server) SetClock(ahead time.Duration) {
	s.t.Helper()
	text := fmt.Sprintf("%+.3f\n", ahead.Seconds())
	err := os.WriteFile(s.clock+".new", []byte(text), 0o600)
	if err == nil {
		err = os.Rename(s.clock+".new", s.clock) // it may be read at any moment
	}
	if err != nil {
		s.t.Fatalf("redistest: set the clock: %v", err)
	}
}
