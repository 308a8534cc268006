// Package conntest opens connections to Redis for a test.
package conntest

import (
	"testing"
	"time"

	"github.com/atlhyper/observe/redis/conn"
)

// patience is how long a Redis that shares its machine with other tests may take to
// answer, where a test says nothing of it.
const patience = 30 * time.Second

// Open is conn.Open for a test: an error fails it, and so does one of Close, which
// comes when the test ends. The timeouts are long ones unless cfg has some.
func Open(tb testing.TB, cfg conn.Config) *conn.Clients {
	tb.Helper()
	if cfg.Timeout == 0 {
		cfg.Timeout = patience
	}
	if cfg.DialTimeout == 0 {
		cfg.DialTimeout = patience
	}
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
