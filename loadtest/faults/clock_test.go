package faults

import (
	"context"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/atlhyper/observe/loadtest/verify"
)

// clockFaults set the clock that everything is measured on: Redis's. The clock of a
// redis-server is its machine's, which no test may set, so that here, and only
// here, an embedded stand-in takes its place. That the hour which agents and masters
// believe in does not matter is tested in redis/bus and redis/snapshot.
func clockFaults() []experiment {
	step := func(by time.Duration) func(*testing.T) (*stack, func()) {
		return func(t *testing.T) (*stack, func()) {
			server := miniredis.RunT(t)
			s := newStack(t, plan{redisURL: "redis://" + server.Addr(), verify: verify.Config{ClockSteps: true}})
			return s, func() {
				server.SetTime(time.Now().Add(by))
				s.background("the clock", func(ctx context.Context) error {
					ticker := time.NewTicker(20 * time.Millisecond)
					defer ticker.Stop()
					for {
						select {
						case <-ctx.Done():
							return nil
						case <-ticker.C: // a clock that was set stands still
							server.SetTime(time.Now().Add(by))
						}
					}
				})
				s.hold(25 * time.Second)
			}
		}
	}
	return []experiment{
		{fault: "Redis's clock set an hour forward", setup: step(time.Hour), momentary: true, note: "An embedded Redis here"},
		{fault: "Redis's clock set an hour back", setup: step(-time.Hour), momentary: true, note: "An embedded Redis here"},
	}
}
