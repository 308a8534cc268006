package agent

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/atlhyper/observe/redis/conn"
)

// Election says which of a cluster's agents collects and publishes; *kube.Election is
// one.
type Election interface {
	// Run takes part until ctx is done, and then tells the others if this agent leads.
	Run(ctx context.Context)
	// Standby tells whether another agent leads; the channel is closed when that changes.
	Standby() (bool, <-chan struct{})
}

// alone is the Election of one that knows of no others.
type alone struct{}

func (alone) Run(context.Context)              {}
func (alone) Standby() (bool, <-chan struct{}) { return false, nil }

// elect returns the Election of the configuration.
func (c Config) elect() (Election, error) {
	if c.Elect == nil {
		return alone{}, nil
	}
	return c.Elect(c.ClusterID, c.Instance)
}

// lead collects and publishes until ctx is done, except while another agent leads.
func (a *Agent) lead(ctx context.Context) error {
	for ctx.Err() == nil {
		do := a.publish
		by, changed := a.election.Standby()
		if by {
			do = a.standBy
		}
		if err := while(ctx, changed, do); err != nil {
			return err
		}
	}
	return nil
}

// while runs do until ctx or until is done.
func while(ctx context.Context, until <-chan struct{}, do func(context.Context) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return do(ctx) })
	group.Go(func() error {
		select {
		case <-until:
			stop()
		case <-ctx.Done():
		}
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
