package flow

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/snapshot"
)

func (f *flow) publish(ctx context.Context) error {
	if err := f.writer.Beat(ctx, snapshot.Beat{Slots: 2}); err != nil {
		return err
	}
	return f.publishAll(ctx)
}

func (f *flow) publishAll(ctx context.Context) error {
	done, err := f.writer.Publish(ctx, []snapshot.Update{
		{Name: "a", Data: params(), At: time.Now()}, {Name: "b", Err: "ClickHouse is away"},
	})
	if err == nil && done.Standby {
		err = errors.New("it stands by, but nobody else publishes")
	}
	return err
}

// publishAgain meets a snapshot of another layout and one that is gone, and comes back
// after it made way.
func (f *flow) publishAgain(ctx context.Context) error {
	return errors.Join(
		f.Admin.HSet(ctx, f.Cluster.Meta(), key.MetaSchema, "0").Err(), f.publishAll(ctx), f.publishAll(ctx),
		f.Admin.Del(ctx, f.Cluster.Snapshot()).Err(), f.publishAll(ctx),
		f.writer.Yield(ctx), f.look(ctx), f.publishAll(ctx), f.writer.Beat(ctx, snapshot.Beat{Slots: 2}))
}

// look finds no leader.
func (f *flow) look(ctx context.Context) error {
	led, err := f.writer.Led(ctx)
	if err == nil && led {
		err = errors.New("somebody leads")
	}
	return err
}

func (f *flow) listed(ctx context.Context) error {
	return until(ctx, func() (bool, error) {
		clusters, err := f.reader.Clusters(ctx)
		for _, c := range clusters {
			if c.ID == f.Cluster && c.Status == snapshot.Online && len(c.Agents) == 2 {
				return true, err
			}
		}
		return false, err
	})
}

// read tries again: servers of Redis Cluster have a second to answer.
func (f *flow) read(ctx context.Context) error {
	return until(ctx, func() (bool, error) {
		err := f.readOnce(ctx)
		return err == nil, err
	})
}

func (f *flow) readOnce(ctx context.Context) error {
	section, err := f.reader.Section(ctx, f.Cluster, "a")
	if err == nil && !bytes.Equal(section.Data, params()) {
		err = fmt.Errorf("read %x, want %x", section.Data, params())
	}
	if err == nil {
		_, err = f.reader.Cluster(ctx, f.Cluster)
	}
	if err == nil {
		err = f.reader.Refresh(ctx, []snapshot.Ask{{Cluster: f.Cluster, Sections: []snapshot.Held{{Name: "a"}}}})[0].Err
	}
	return err
}
