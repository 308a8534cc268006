package conn

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	// clockFresh is the age at which a measured offset is measured again.
	clockFresh = 30 * time.Second
	// clockRetry is the wait after a measurement that failed.
	clockRetry = time.Second
	// clockWait bounds what a caller of Now may have to wait for a measurement.
	clockWait = time.Second
	// clockDrift is how much two machines' clocks may part in one second; it lets
	// a newer but less exact measurement replace an older one in the end.
	clockDrift = time.Millisecond
	// clockJump is logged: somebody set a clock, or another server took over.
	clockJump = 2 * time.Second
)

// Clock tells the time of Redis: the last measured TIME plus what this process's
// monotonic clock counted since, so that setting this machine's clock changes
// nothing. Ages and deadlines are taken on it, never on two machines' clocks.
type Clock struct {
	measure func(context.Context) (time.Time, error)
	logger  *slog.Logger
	here    func() time.Time // this process's clock, with its monotonic reading
	// refresh is Sync with a time limit of its own: a clock is read where there is
	// no context.
	refresh func() error

	measuring sync.Mutex // held by the one who asks the server

	mu    sync.Mutex
	base  reading
	tried time.Time // last measurement that failed
}

// reading is one measurement.
type reading struct {
	server time.Time     // what TIME said
	local  time.Time     // the middle of its round trip, with the monotonic clock
	err    time.Duration // half the round trip: the largest error
}

func newClock(measure func(context.Context) (time.Time, error), timeout time.Duration, logger *slog.Logger) *Clock {
	c := &Clock{measure: measure, logger: logger, here: time.Now}
	c.refresh = func() error {
		ctx, cancel := context.WithTimeout(context.Background(), min(timeout, clockWait))
		defer cancel()
		return c.Sync(ctx)
	}
	return c
}

// Now is the time on Redis's clock, UTC. When no measurement is at hand or it is
// older than 30 s, one caller takes a new one, at the cost of a round trip; the
// others go on with the old one. Without any (Redis was never reached) it is
// this machine's time.
func (c *Clock) Now() time.Time { return c.At(c.here()) }

// Here is the time on this process's clock: what At and Observe take. It is
// time.Now() unless Config.Now says otherwise.
func (c *Clock) Here() time.Time { return c.here() }

// At is the time on Redis's clock at a moment of this process (a Here() that kept
// its monotonic reading).
func (c *Clock) At(local time.Time) time.Time {
	base, due := c.current()
	if due {
		base = c.renew(base)
	}
	return base.at(local)
}

// Local is the inverse of At: when this process's clock shows what Redis's
// clock will show at server.
func (c *Clock) Local(server time.Time) time.Time {
	now := c.here()
	return now.Add(server.Sub(c.At(now)))
}

// Sync measures now.
func (c *Clock) Sync(ctx context.Context) error {
	sent := c.here()
	server, err := c.measure(ctx)
	if err != nil {
		c.mu.Lock()
		c.tried = c.here()
		c.mu.Unlock()
		return err
	}
	c.Observe(sent, server)
	return nil
}

// Observe takes a server time that came with an answer to a command sent at sent
// (a Here()); call it as soon as the answer is there.
func (c *Clock) Observe(sent, server time.Time) {
	half := c.here().Sub(sent) / 2
	next := reading{server: server, local: sent.Add(half), err: half}
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.base
	if old.local.IsZero() {
		c.base = next
		return
	}
	age := next.local.Sub(old.local)
	shift := next.server.Sub(old.at(next.local)).Abs()
	allowed := old.err + time.Duration(age.Seconds()*float64(clockDrift))
	if shift > next.err+allowed && shift > clockJump {
		c.logger.Warn("Redis's clock jumped", "by", shift)
	}
	// A less exact measurement is of no use unless it contradicts the old one.
	if next.err <= allowed || shift > next.err+allowed {
		c.base = next
	}
}

// current returns the last measurement and whether it is time for a new one.
func (c *Clock) current() (base reading, due bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	due = c.base.local.IsZero() || c.here().Sub(c.base.local) > clockFresh
	return c.base, due && (c.tried.IsZero() || c.here().Sub(c.tried) > clockRetry)
}

// renew measures, unless somebody does: then only those wait who have nothing.
func (c *Clock) renew(base reading) reading {
	if !c.measuring.TryLock() {
		if !base.local.IsZero() {
			return base
		}
		c.measuring.Lock()
	}
	defer c.measuring.Unlock()
	if again, due := c.current(); !due {
		return again
	}
	if err := c.refresh(); err != nil {
		c.logger.Debug("Redis's clock cannot be read", "error", err)
	}
	again, _ := c.current()
	return again
}

func (r reading) at(local time.Time) time.Time {
	if r.local.IsZero() {
		return local.UTC()
	}
	return r.server.Add(local.Sub(r.local)).UTC()
}
