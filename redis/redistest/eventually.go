package redistest

import (
	"testing"
	"time"
)

// patience is how long Eventually waits before it gives up; no test that passes
// comes near it.
const patience = 2 * time.Minute

// Eventually polls cond until it is true and fails the test when it never is.
func Eventually(tb testing.TB, what string, cond func() bool) {
	tb.Helper()
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for !cond() {
		select {
		case <-ticker.C:
		case <-limit.C:
			tb.Fatalf("gave up waiting: %s", what)
		case <-tb.Context().Done():
			tb.Fatalf("the test ended before: %s", what)
		}
	}
}
