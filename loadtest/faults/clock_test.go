package faults

import (
	"context"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/atlhyper/observe/loadtest/verify"
	"github.com/atlhyper/observe/redis/redistest"
)

// clockFaults set the clock that everything is measured on: Redis's. That the hour
// which agents and masters believe in does not matter is tested in redis/bus and
// redis/snapshot.
func clockFaults() []experiment {
	step := func(by time.Duration) func(*testing.T) (*stack, func()) {
		return func(t *testing.T) (*stack, func()) {
			s, set := clocked(t)
			s.setBack = by < 0
			return s, func() {
				set(by)
				s.hold(25 * time.Second)
			}
		}
	}
	note := ""
	if !redistest.FakeClocks() {
		note = "An embedded Redis here"
	}
	return []experiment{
		{fault: "Redis's clock set an hour forward", setup: step(time.Hour), momentary: true, note: note},
		{fault: "Redis's clock set an hour back", setup: step(-time.Hour), momentary: true, note: note},
	}
}

// clocked is a stack on a Redis whose clock can be set to what this machine's shows
// and ahead: a redis-server's with libfaketime. Where that is not at hand, an embedded
// stand-in takes its place, in which keys do not expire when it is set.
func clocked(t *testing.T) (s *stack, set func(ahead time.Duration)) {
	t.Helper()
	cfg := verify.Config{ClockSteps: true}
	if redistest.FakeClocks() {
		server := redistest.Start(t, redistest.WithClock(t))
		return newStack(t, plan{redisURL: server.URL(), verify: cfg}, server.Client(t)), server.SetClock
	}
	server := miniredis.RunT(t)
	s = newStack(t, plan{redisURL: "redis://" + server.Addr(), verify: cfg})
	return s, func(ahead time.Duration) {
		server.SetTime(time.Now().Add(ahead))
		s.background("the clock", func(ctx context.Context) error {
			ticker := time.NewTicker(20 * time.Millisecond)
			defer ticker.Stop()
			for {
				select {
				case <-ctx.Done():
					return nil
				case <-ticker.C: // a clock that was set stands still
					server.SetTime(time.Now().Add(ahead))
				}
			}
		})
	}
}
