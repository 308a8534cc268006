package bus

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/shared/span"
)

// take moves commands to the claimed list and starts them, one taker's loop. A
// taker does not wait on the list while there is no free slot: what it got could
// not run, and another agent might have one.
func (s *Server) take(ctx context.Context) {
	var backoff conn.Backoff
	for s.acquire(ctx) {
		moved, err := s.clients.BlockingMove(ctx, s.cfg.Cluster.Commands(), s.claimedBy, key.ClaimedTTL)
		if moved.OK && ctx.Err() == nil {
			s.start(ctx, moved.Element)
		} else {
			s.release(1)
		}
		if ctx.Err() != nil {
			// What was moved stays in the claimed list and is handed back.
			return
		}
		if err == nil && moved.Left > 0 {
			err = s.drain(ctx)
		}
		if errors.Is(err, redis.Nil) {
			err = nil // nothing came
		}
		if err == nil {
			s.healthy(ctx, &backoff)
			continue
		}
		s.taking.Note(ctx, conn.Unavailable(err))
		// The answer is lost, not what it told of: that is in the claimed list.
		backoff.Wait(ctx)
		if err := s.recover(ctx); err != nil {
			s.taking.Note(ctx, err)
		}
	}
}

func (s *Server) healthy(ctx context.Context, b *conn.Backoff) {
	b.Reset()
	s.taking.Note(ctx, nil)
}

// drainLua moves up to n more commands to the claimed list.
//
//	KEYS[1] commands  KEYS[2] claimed:<instance>
//	ARGV    n, TTL of the claimed list in ms
//	result  what was moved, in order
const drainLua = `
local moved = {}
for i = 1, tonumber(ARGV[1]) do
  local raw = redis.call('LMOVE', KEYS[1], KEYS[2], 'LEFT', 'RIGHT')
  if not raw then break end
  moved[i] = raw
end
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return moved
`

// drain takes and starts as many more commands as there are free slots, until the
// list is empty or no slot is free.
func (s *Server) drain(ctx context.Context) error {
	for ctx.Err() == nil {
		free := s.tryAcquire()
		if free == 0 {
			return nil
		}
		result, err := s.scripts.drain.Run(context.WithoutCancel(ctx), s.clients.Normal,
			[]string{s.cfg.Cluster.Commands(), s.claimedBy}, free, key.ClaimedTTL.Milliseconds())
		var moved []string
		if err == nil {
			moved, err = conn.Strings(result)
		}
		if err != nil {
			s.release(free)
			return fmt.Errorf("drain: %w", err)
		}
		s.release(free - len(moved))
		for _, raw := range moved {
			s.start(ctx, raw)
		}
		if len(moved) < free {
			return nil
		}
	}
	return nil
}

// start runs what was claimed, in the slot that the caller acquired for it.
func (s *Server) start(ctx context.Context, raw string) {
	cmd, err := DecodeCommand([]byte(raw))
	if cmd.ID == "" {
		s.cfg.Logger.WarnContext(ctx, "a command cannot be read and is dropped", "bytes", len(raw), "error", err)
		s.drop(ctx, raw, &s.stats.undecodable)
		return
	}
	now := s.clients.Clock(s.cfg.Cluster).Now()
	deadline := time.UnixMilli(min(max(cmd.Deadline, 0), maxDeadline))
	if !now.Before(deadline) {
		s.drop(ctx, raw, &s.stats.expired)
		return
	}
	left := min(deadline.Sub(now), s.cfg.MaxRuntime)
	run := span.WithRequest(span.Continue(context.WithoutCancel(ctx), cmd.Traceparent), cmd.RequestID)
	run, cancel := context.WithTimeoutCause(run, left, errDeadline)
	run, abandon := context.WithCancelCause(run)
	stop := func(cause error) { abandon(cause); cancel() }

	c := claim{cmd: cmd, raw: raw, bad: err, at: now, until: now.Add(left + key.Grace), expires: time.Now().Add(left + key.Grace)}
	switch s.ledger.begin(cmd.ID, stop, c.expires) {
	case entryRunning:
		stop(nil)
		s.stats.duplicates.Add(1)
		s.release(1)
	case entryDone:
		stop(nil)
		s.drop(ctx, raw, &s.stats.duplicates)
	case entryCanceled:
		stop(errCanceled)
		s.launch(run, stop, c)
	case entryNew:
		s.launch(run, stop, c)
	}
}

// maxDeadline keeps a hostile deadline inside what time can hold.
const maxDeadline = int64(9_999_999_999_999)

// drop takes a command off the claimed list without a reply, in the slot that the
// caller acquired: nobody waits for it. What was taken off is counted, since a look
// at the claimed list may meet it once more before it is.
func (s *Server) drop(ctx context.Context, raw string, counter *atomic.Int64) {
	s.answers.Go(func() {
		defer s.release(1)
		n, err := s.clients.Normal.LRem(context.WithoutCancel(ctx), s.claimedBy, 0, raw).Result()
		counter.Add(n)
		if err != nil {
			// It is found again by the next look at the claimed list.
			s.tidying.Note(ctx, conn.Unavailable(err))
		}
	})
}
