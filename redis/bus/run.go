package bus

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/shared/codec"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/span"
)

// claim is one command that this agent has and will answer.
type claim struct {
	cmd     Command
	raw     string    // as it lies in the claimed list
	bad     error     // why it cannot be run; nil when it can
	at      time.Time // when the run began; Redis's clock
	until   time.Time // when the reply is of no use any more; Redis's clock
	expires time.Time // the same on this process's clock, which may have stood still
}

// Why a run's context ended.
var (
	errDeadline = errors.New("the deadline passed")
	errCanceled = errors.New("nobody waits any more")
)

// launch runs and answers a claim in the background. Its slot is free when the
// handler has returned, which may be after the answer if it ignores its context.
func (s *Server) launch(ctx context.Context, stop func(error), c claim) {
	s.stats.claimed.Add(1)
	s.stats.running.Add(1)
	returned := make(chan struct{})
	ctx, sp := s.traceRun(ctx, c)
	s.answers.Go(func() {
		reply := s.execute(ctx, c, returned)
		cause := context.Cause(ctx) // nil unless it was ended
		stop(nil)
		reply = s.answer(context.WithoutCancel(ctx), c, reply, cause != nil)
		endRun(sp, reply, cause)
		s.ledger.end(c.cmd.ID)
	})
	go func() {
		<-returned
		s.stats.running.Add(-1)
		s.release(1)
	}()
}

// execute runs the command until it returns or its context ends, and closes
// returned when the handler has come back.
func (s *Server) execute(ctx context.Context, c claim, returned chan<- struct{}) Reply {
	if c.bad != nil {
		close(returned)
		s.stats.refused.Add(1)
		s.cfg.Logger.WarnContext(ctx, "a command cannot be read and is refused", "id", c.cmd.ID, "error", c.bad)
		return Refusal(fault.New(fault.BadRequest, "the agent cannot read the command: %s", readable(c.bad)))
	}
	if ctx.Err() != nil {
		close(returned)
		return ended(ctx)
	}
	began := time.Now()
	result := make(chan Reply, 1)
	go func() {
		defer close(returned)
		result <- s.guarded(ctx, c.cmd)
	}()
	var reply Reply
	select {
	case reply = <-result:
	case <-ctx.Done():
		// The handler may have come back in the same moment, with the better answer.
		select {
		case reply = <-result:
		default:
			reply = ended(ctx)
		}
	}
	took := time.Since(began)
	s.took.Observe(took.Seconds())
	reply.TookMs = float64(took.Microseconds()) / 1000
	return reply
}

// readable is what the asker may know of a decoding error.
func readable(err error) string {
	if errors.Is(err, errVersion) {
		return err.Error()
	}
	return "it is not what this version expects"
}

func ended(ctx context.Context) Reply {
	return Refusal(fault.New(fault.Timeout, "the agent stopped the command: %s", context.Cause(ctx)))
}

// guarded calls the handler; a panic is an answer too.
func (s *Server) guarded(ctx context.Context, cmd Command) (reply Reply) {
	defer func() {
		if p := recover(); p != nil {
			s.stats.panics.Add(1)
			s.cfg.Logger.ErrorContext(ctx, "a command's handler panicked",
				"id", cmd.ID, "kind", cmd.Kind, "panic", p, "stack", string(debug.Stack()))
			reply = Refusal(fault.New(fault.AgentError, "the agent failed on this command; its log has the cause"))
		}
	}()
	return s.cfg.Handle(ctx, cmd)
}

// answerLua delivers a reply unless the command was answered before: by this agent,
// whose connection was cut before it heard so, or by one that took the command back
// while this one was frozen; and unless it is past its time, when the mark of an
// earlier answer may be gone. In any case the command leaves the claimed list. A
// shared reply lives for its kind's time from when its run began.
//
//	KEYS[1] reply:<id>  KEYS[2] claimed:<instance>  KEYS[3] answered:<id>
//	KEYS[4] result:<hash>, when the reply is shared
//	ARGV    reply, TTL of reply and mark in ms, command, instance, id, channel of the
//	        replica or ""; ms on Redis's clock: when the reply, when the result is of no use;
//	        what parts the id and the reply in the announcement, "" to leave the reply out
//	result  {1 delivered | 0 answered before | 2 too late}
//
// LREM comes first: a script that has written may go on when Redis has run out of
// memory, so that what was claimed before is answered then, too.
const answerLua = `
redis.call('LREM', KEYS[2], 0, ARGV[3])
local now = now_ms()
if now > tonumber(ARGV[7]) then return {2} end
if not redis.call('SET', KEYS[3], ARGV[4], 'NX', 'PX', ARGV[2]) then return {0} end
redis.call('RPUSH', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
local keep = tonumber(ARGV[8]) - now
if KEYS[4] and keep > 0 then redis.call('SET', KEYS[4], ARGV[1], 'PX', keep) end
if ARGV[6] ~= '' then
  local said = ARGV[5]
  if ARGV[9] ~= '' then said = said .. ARGV[9] .. ARGV[1] end
  redis.call('PUBLISH', ARGV[6], said)
end
return {1}
`

// What answerLua says, besides that the reply came too late.
const (
	answeredBefore  = 0
	answerDelivered = 1
)

// answer delivers the reply, again and again until it is of no use any more: the
// command leaves the claimed list in the same step, so it is answered or still
// there. One that came back after its run had ended, late, is not shared. It returns
// what was sent.
func (s *Server) answer(ctx context.Context, c claim, reply Reply, late bool) Reply {
	reply, data := s.encode(ctx, c, reply)
	keys, args := s.answerArgs(c, data, !late && reply.shareable(data))
	var backoff conn.Backoff
	for {
		result, err := s.deliver(ctx, len(data), keys, args(time.Until(c.expires)))
		var delivered []int64
		if err == nil {
			delivered, err = conn.Ints(result, 1)
		}
		switch {
		case err == nil && delivered[0] == answerDelivered:
			s.stats.answered.Add(1)
			s.stats.replyBytes.Add(int64(len(data)))
			return reply
		case err == nil && delivered[0] == answeredBefore:
			s.stats.answeredBefore.Add(1)
			return reply
		case err == nil || time.Now().After(c.expires):
			s.stats.unanswered.Add(1)
			span.Fail(trace.SpanFromContext(ctx), fault.New(fault.StoreUnavailable, "the reply could not be delivered in time"))
			s.cfg.Logger.WarnContext(ctx, "a reply could not be delivered in time", "id", c.cmd.ID, "error", err)
			return reply
		}
		backoff.Wait(ctx)
	}
}

// deliver runs answerLua: short replies together, long ones by themselves, so that
// none waits for megabytes that are not its own.
func (s *Server) deliver(ctx context.Context, bytes int, keys []string, args []any) (any, error) {
	if bytes > inlineBytes {
		return s.scripts.answer.Run(ctx, s.clients.Normal, keys, args...)
	}
	return s.scripts.answers.Run(ctx, keys, args...)
}

// answerArgs are the script's; left is how long the reply is of use.
func (s *Server) answerArgs(c claim, data []byte, share bool) (keys []string, args func(left time.Duration) []any) {
	cluster, channel, apart := s.cfg.Cluster, "", ""
	if len(data) <= min(c.cmd.Carry, maxCarried) {
		apart = carrier
	}
	if key.ValidateInstance(c.cmd.Replica) == nil {
		channel = cluster.Replies(c.cmd.Replica)
	}
	keys = []string{cluster.Reply(c.cmd.ID), s.claimedBy, cluster.Answered(c.cmd.ID)}
	shared, ttl, ok := resultKey(cluster, c.cmd.Kind, c.cmd.Params)
	if ok && share {
		keys = append(keys, shared)
	}
	return keys, func(left time.Duration) []any {
		return []any{
			data, max(left, key.Grace).Milliseconds(), c.raw, s.cfg.Instance, c.cmd.ID, channel,
			c.until.UnixMilli(), c.at.Add(ttl).UnixMilli(), apart,
		}
	}
}

// encode returns the reply as it is sent and its bytes, or those of a refusal when
// it has none or too many.
func (s *Server) encode(ctx context.Context, c claim, reply Reply) (Reply, []byte) {
	cmd := c.cmd
	reply.V, reply.ID, reply.Agent, reply.At = Version, cmd.ID, s.cfg.Instance, c.at.UnixMilli()
	reply.Message = bounded(reply.Message, maxMessage)
	if reply.Code != "" {
		reply.Data = nil
	}
	data, err := codec.Encode(reply)
	switch {
	case err != nil:
		s.cfg.Logger.ErrorContext(ctx, "a reply cannot be encoded", "id", cmd.ID, "kind", cmd.Kind, "error", err)
		reply = refused(reply, fault.New(fault.AgentError, "the result cannot be encoded; the agent's log has the cause"))
	case len(data) > s.cfg.MaxReplyBytes:
		s.stats.tooLarge.Add(1)
		reply = refused(reply, tooLarge(len(data), s.cfg.MaxReplyBytes))
	default:
		return reply, data
	}
	data, err = codec.Encode(reply)
	if err != nil {
		// Only text and numbers are left: this is a bug.
		panic(fmt.Sprintf("bus: encode a refusal: %v", err))
	}
	return reply, data
}

// tooLarge says how to get by with less.
func tooLarge(bytes, most int) *fault.Error {
	return fault.New(fault.ResultTooLarge,
		"the result has %d bytes, more than %d; use a shorter time range or a lower limit", bytes, most)
}

// refused keeps who answered and how long it took.
func refused(r Reply, err *fault.Error) Reply {
	return Reply{V: r.V, ID: r.ID, Agent: r.Agent, At: r.At, TookMs: r.TookMs, Code: err.Code, Message: err.Message}
}
