// Package conntest opens connections to Redis for a test.
package conntest

import (
	"testing"

	"github.com/atlhyper/observe/redis/conn"
)

// Open is conn.Open for a test: an error fails it, and so does one of Close, which
// comes when the test ends.
func Open(tb testing.TB, cfg conn.Config) *conn.Clients {
	tb.Helper()
	clients, err := conn.Open(cfg)
	if err != nil {
		tb.Fatalf("conntest: open: %v", err)
	}
	tb.Cleanup(func() {
		if err := clients.Close(); err != nil {
			tb.Errorf("conntest: close: %v", err)
		}
	})
	return clients
}
