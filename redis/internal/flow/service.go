package flow

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/atlhyper/observe/redis/bus"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/codec"
)

// Service is an agent and a master that run, with light traffic between them.
type Service struct {
	f       *flow
	running *running
	count   atomic.Int64 // of checks, each with a value of its own

	// Good and Bad count the checks of the traffic; Wrong are those that got an
	// answer to another question.
	Good, Bad, Wrong atomic.Int64
}

// checkTime bounds one check.
const checkTime = 10 * time.Second

// errWrong is an answer to another question.
var errWrong = errors.New("wrong answer")

// Serve starts them; Stop ends them. ctx must outlive them.
func Serve(ctx context.Context, cfg Config) (*Service, error) {
	f, err := newFlow(cfg)
	if err != nil {
		return nil, err
	}
	s := &Service{f: f}
	if err := f.publish(ctx); err != nil {
		return nil, err
	}
	s.running = start(ctx, f.reader.Gather, f.client.Run, f.server.Run, f.beat, s.traffic)
	return s, nil
}

// Stop ends everything and reports what did not end well.
func (s *Service) Stop() error { return s.running.stop() }

// traffic checks again and again.
func (s *Service) traffic(ctx context.Context) error {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			err := s.Check(ctx)
			switch {
			case errors.Is(err, errWrong):
				s.Wrong.Add(1)
				s.f.Logger.ErrorContext(ctx, "a check got a wrong answer", "error", err)
			case err == nil:
				s.Good.Add(1)
			case ctx.Err() == nil:
				s.Bad.Add(1)
				s.f.Logger.DebugContext(ctx, "a check failed", "error", err)
			}
		}
	}
}

// Check publishes a value and reads it as a master, asks a question, and looks at
// the list of clusters.
func (s *Service) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	value, err := codec.Encode(s.count.Add(1))
	if err != nil {
		return err
	}
	name := s.f.Cluster
	reply, err := s.f.client.Do(ctx, name, bus.Request{Kind: "echo", Params: value, Timeout: checkTime / 2})
	if err != nil {
		return fmt.Errorf("ask: %w", err)
	}
	if !bytes.Equal(reply.Data, value) {
		return fmt.Errorf("%w: asked %x, answered %x", errWrong, value, reply.Data)
	}
	// A section that two checks write: the other's value is no wrong answer.
	if _, err := s.f.writer.Publish(ctx, []snapshot.Update{{Name: "checked", Data: value, At: time.Now()}}); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	if _, err := s.f.reader.Section(ctx, name, "checked"); err != nil {
		return fmt.Errorf("read: %w", err)
	}
	info, err := s.f.reader.Cluster(ctx, name)
	if err != nil || info.Status != snapshot.Online {
		return fmt.Errorf("look: the cluster is %q, error %w", info.Status, err)
	}
	clusters, err := s.f.reader.Clusters(ctx)
	if err != nil {
		return fmt.Errorf("list: %w", err)
	}
	for _, c := range clusters {
		if c.ID == name {
			return nil
		}
	}
	return fmt.Errorf("list: the cluster is missing among %d", len(clusters))
}

// Key is one of the cluster's keys: they are all in one slot.
func (s *Service) Key() string { return s.f.Cluster.Meta() }
