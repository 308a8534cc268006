package conn

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"
)

// near is how far a reading may be off in these tests, far below the offsets.
const near = 10 * time.Second

func testClock(measure func(context.Context) (time.Time, error)) *Clock {
	return newClock(measure, time.Second, slog.New(slog.DiscardHandler))
}

func within(t *testing.T, got, want time.Time) {
	t.Helper()
	if got.Sub(want).Abs() > near {
		t.Errorf("clock shows %v, want about %v", got, want)
	}
}

func TestClockFollowsTheServer(t *testing.T) {
	t.Parallel()
	offset := -3 * time.Hour
	c := testClock(func(context.Context) (time.Time, error) { return time.Now().Add(offset), nil })
	within(t, c.Now(), time.Now().Add(offset))
	moment := time.Now().Add(-time.Minute)
	within(t, c.At(moment), moment.Add(offset))
	within(t, c.Local(c.Now().Add(time.Hour)), time.Now().Add(time.Hour))

	// The server's clock is set, or another server takes over.
	offset = 24 * time.Hour
	if err := c.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	within(t, c.Now(), time.Now().Add(offset))
}

func TestClockWithoutAServerIsLocal(t *testing.T) {
	t.Parallel()
	tries := 0
	c := testClock(func(context.Context) (time.Time, error) { tries++; return time.Time{}, errors.New("away") })
	for range 5 {
		within(t, c.Now(), time.Now())
	}
	if tries != 1 {
		t.Errorf("asked %d times within a second, want once", tries)
	}
}

// A measurement over a slow answer does not replace a better one that agrees.
func TestClockKeepsTheBetterMeasurement(t *testing.T) {
	t.Parallel()
	c := testClock(nil)
	now := time.Now()
	c.Observe(now, now.Add(time.Hour))
	before := c.base
	// The answer took two minutes; its server time lies within what that allows.
	c.Observe(time.Now().Add(-2*time.Minute), time.Now().Add(time.Hour-30*time.Second))
	if c.base != before {
		t.Errorf("replaced %+v by %+v", before, c.base)
	}
	c.Observe(time.Now().Add(-2*time.Minute), time.Now().Add(5*time.Hour))
	if c.base == before {
		t.Error("a measurement that contradicts the old one was ignored")
	}
}
