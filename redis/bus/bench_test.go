package bus_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/atlhyper/observe/redis/bus"
	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/conn/conntest"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/redis/snapshot"
)

// BenchmarkRequest is a request with a 4 KB reply there and back, by how many are
// in flight.
func BenchmarkRequest(b *testing.B) {
	redisServer := redistest.Start(b)
	clients := conntest.Open(b, conn.Config{URL: redisServer.URL()})
	w, err := snapshot.NewWriter(clients, snapshot.WriterConfig{Cluster: cluster, Instance: "a1"})
	if err != nil {
		b.Fatal(err)
	}
	reply := encode(b, strings.Repeat("x", 4096))
	server, err := bus.NewServer(clients, bus.ServerConfig{
		Cluster: cluster, Instance: "a1", Slots: 64,
		Handle: func(context.Context, bus.Command) bus.Reply { return bus.Reply{Data: reply} },
	})
	if err != nil {
		b.Fatal(err)
	}
	client, err := bus.NewClient(clients, bus.ClientConfig{Replica: "m1"})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, run := range []func(context.Context) error{server.Run, client.Run, func(ctx context.Context) error { return beatUntil(ctx, w) }} {
		running.Go(func() {
			if err := run(ctx); err != nil {
				b.Error(err)
			}
		})
	}
	b.Cleanup(func() {
		cancel()
		running.Wait()
	})
	if err := w.Beat(ctx, snapshot.Beat{}); err != nil {
		b.Fatal(err)
	}
	for name, inFlight := range map[string]int{"1_in_flight": 1, "50_in_flight": 50} {
		b.Run(name, func(b *testing.B) {
			var left atomic.Int64
			left.Store(int64(b.N))
			var asking sync.WaitGroup
			for range inFlight {
				asking.Go(func() {
					for left.Add(-1) >= 0 {
						if _, err := client.Do(ctx, cluster, echoRequest(b, 1)); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			asking.Wait()
		})
	}
}

// testBeat is between the beats of tests' agents, which must not look dead when the
// machine is busy.
const testBeat = key.BeatInterval / 4

// beatUntil keeps the agent live.
func beatUntil(ctx context.Context, w *snapshot.Writer) error {
	ticker := time.NewTicker(testBeat)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			if err := w.Beat(ctx, snapshot.Beat{}); err != nil && ctx.Err() == nil {
				return err
			}
		}
	}
}
