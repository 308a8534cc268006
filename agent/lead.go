package agent

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/key"
)

// Election says which of a cluster's agents collects and publishes; *kube.Election is
// one.
type Election interface {
	// Run takes part until ctx is done, and then tells the others if this agent leads.
	Run(ctx context.Context)
	// Leads tells whether this agent leads; the channel is closed when that changes.
	Leads() (bool, <-chan struct{})
}

// alone is the Election of one that knows of no others. It leads nobody: what Redis
// says of who publishes is all there is.
type alone struct{}

func (alone) Run(context.Context)            {}
func (alone) Leads() (bool, <-chan struct{}) { return false, nil }

// elect returns the Election of the configuration.
func (c Config) elect() (Election, error) {
	if c.Elect == nil {
		return alone{}, nil
	}
	return c.Elect(c.ClusterID, c.Instance)
}

// lookInterval is between two looks for a leader. Together with key.BeatExpiry it is
// how long after the end of one the others go on, before its dashboards look stale.
const lookInterval = 2 * key.BeatInterval

// lead collects and publishes until ctx is done, except while another agent leads.
// That agent says so with its beats, in Redis: so one that cannot reach Redis, and one
// that cannot renew its Lease, lead nobody.
func (a *Agent) lead(ctx context.Context) error {
	if a.cfg.Elect == nil {
		return a.publish(ctx)
	}
	led := a.led(ctx, false)
	for ctx.Err() == nil {
		do := a.publish
		if led {
			do = a.standBy
		}
		err := while(ctx, func(ctx context.Context) { led = a.awaitChange(ctx, led) }, do)
		if err != nil {
			return err
		}
	}
	return nil
}

// awaitChange looks again and again until led is another than it was, or ctx is done.
func (a *Agent) awaitChange(ctx context.Context, was bool) (led bool) {
	ticker := time.NewTicker(lookInterval)
	defer ticker.Stop()
	for {
		_, changed := a.election.Leads()
		if led = a.led(ctx, was); led != was || ctx.Err() != nil {
			return led
		}
		select {
		case <-ctx.Done():
		case <-changed:
		case <-ticker.C:
		}
	}
}

// led tells whether this agent is led by another one; while Redis is away, what was
// known holds: nothing can be published then.
func (a *Agent) led(ctx context.Context, was bool) bool {
	if leads, _ := a.election.Leads(); leads {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, key.BeatTimeout)
	defer cancel()
	led, err := a.writer.Led(ctx)
	if err != nil { // the beat fails, too, and says so
		return was
	}
	return led
}

// while runs do until ctx is done or until has returned.
func while(ctx context.Context, until func(context.Context), do func(context.Context) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return do(ctx) })
	group.Go(func() error {
		until(ctx)
		stop()
		return nil
	})
	return group.Wait()
}

// publish collects and publishes until ctx is done.
func (a *Agent) publish(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return a.collector.Run(ctx) })
	if a.follower != nil {
		group.Go(func() error { return a.follower.Run(ctx) })
	}
	return group.Wait()
}

// standBy makes way for the leader and waits until ctx is done. Nothing is published
// at this time, so the way stays free.
func (a *Agent) standBy(ctx context.Context) error {
	outage := conn.Outage{Logger: a.cfg.Logger, What: "making way for the agent that leads"}
	backoff := conn.Backoff{Max: a.cfg.Interval}
	for ctx.Err() == nil {
		err := a.writer.Yield(ctx)
		outage.Note(ctx, err)
		if err == nil {
			break
		}
		backoff.Wait(ctx)
	}
	<-ctx.Done()
	return nil
}
