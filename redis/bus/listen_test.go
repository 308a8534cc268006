package bus

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/conn/conntest"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/shared/logtest"
)

// A sweep that had nothing to ask does not say that Redis, which nobody could reach yet,
// works again.
func TestSweepWithoutWaitersSaysNothing(t *testing.T) {
	t.Parallel()
	const interval = time.Millisecond
	log := &logtest.Buffer{}
	client, err := NewClient(conntest.Open(t, conn.Config{URL: "redis://127.0.0.1:1"}), ClientConfig{
		Replica: "m1", SweepInterval: interval, Logger: slog.New(slog.NewTextHandler(log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var sweeping sync.WaitGroup
	sweeping.Go(func() { client.sweep(ctx) })
	redistest.Eventually(t, "it is said that Redis is away", func() bool { return strings.Contains(log.String(), "it fails") })
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for range 20 { // about as many sweeps
		<-ticker.C
	}
	cancel()
	sweeping.Wait()
	if strings.Contains(log.String(), "it works again") {
		t.Errorf("nobody asked Redis, and the log says\n%s", log.String())
	}

	a, err := client.newAsk(t.Context(), "c1", Request{Kind: "node", Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.fetcher.add(a); err != nil {
		t.Fatal(err)
	}
	if asked, err := client.fetchWaiting(t.Context()); !asked || err == nil {
		t.Errorf("with one who waits: asked %v, %v", asked, err)
	}
}
