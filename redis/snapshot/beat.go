package snapshot

import (
	"context"
	"fmt"

	"github.com/atlhyper/observe/redis/beat"
	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/key"
)

// Beat is what an agent says about itself; see the package beat.
type Beat = beat.Beat

// maxAgents is the number of entries over which every beat that no longer counts
// is pruned, and not only the old ones.
const maxAgents = 256

// beatLua writes a beat at Redis's time and prunes those of agents that are gone.
//
//	KEYS[1] agents
//	ARGV    instance, state, body, ms of: the beats' expiry, the key's TTL; most entries
//	result  {seconds, microseconds of TIME, what healLua deleted}
//
// PEXPIRE comes first, too: a script that has written may go on when Redis has run
// out of memory, and an agent that lives there is no dead one.
const beatLua = beat.Lua + healLua + `
local seconds, micros = now_parts()
local now = now_ms()
redis.call('PEXPIRE', KEYS[1], ARGV[5])
redis.call('HSET', KEYS[1], ARGV[1], beat_value(now, ARGV[2], ARGV[3]))
redis.call('PEXPIRE', KEYS[1], ARGV[5])
local keep = tonumber(ARGV[5])
if redis.call('HLEN', KEYS[1]) > tonumber(ARGV[6]) then keep = tonumber(ARGV[4]) end
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  if not beat_live(all[i + 1], now, keep) then redis.call('HDEL', KEYS[1], all[i]) end
end
return {seconds, micros, healed}
`

// Beat says that the agent lives; call it each key.BeatInterval.
func (w *Writer) Beat(ctx context.Context, b Beat) error {
	w.mu.Lock()
	b.PublishedAt = w.published
	w.mu.Unlock()
	b.Interval = w.cfg.Interval
	state, body, err := b.Args()
	if err != nil {
		return err
	}
	clock := w.clients.Clock(w.cfg.Cluster)
	sent := clock.Here()
	result, err := w.beat.Run(ctx, w.clients.Normal, []string{w.cfg.Cluster.Agents()},
		w.cfg.Instance, state, body, key.BeatExpiry.Milliseconds(), key.AgentsTTL.Milliseconds(), maxAgents)
	if err != nil {
		return fmt.Errorf("beat: %w", err)
	}
	now, err := conn.Ints(result, 2)
	if err != nil {
		return fmt.Errorf("beat: %w", err)
	}
	w.reportHealed(ctx, result)
	clock.Observe(sent, conn.Time(now[0], now[1]))
	return nil
}

// leaveLua takes the agent off the list, unless it leaves commands behind: then its
// beat must run out, so that another agent takes them back.
//
//	KEYS[1] agents  KEYS[2] claimed:<instance>  KEYS[3] meta
//	ARGV    instance, TTL of the claimed list in ms
//	result  1 when it is off the list
//
// In any case it publishes no more: another agent may at once. A BLMOVE whose
// connection was cut may still wait in Redis, or be on its way there, and take a
// command when nobody looks at the claimed list any more. So a string bars the list:
// Redis then refuses to move, and the command stays where the next agent finds it.
//
// HDEL comes first: a script that has written may go on when Redis has run out of
// memory.
const leaveLua = `
if redis.call('HGET', KEYS[3], 'agent') == ARGV[1] then redis.call('HDEL', KEYS[3], 'agent') end
if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('SET', KEYS[2], 'left', 'PX', ARGV[2])
return 1
`

// Leave takes the agent off the list of agents: masters know at once. Nothing can be
// claimed under its name any more.
func (w *Writer) Leave(ctx context.Context) error {
	_, err := w.leave.Run(ctx, w.clients.Normal,
		[]string{w.cfg.Cluster.Agents(), w.cfg.Cluster.Claimed(w.cfg.Instance), w.cfg.Cluster.Meta()},
		w.cfg.Instance, key.ClaimedTTL.Milliseconds())
	if err != nil {
		return fmt.Errorf("leave: %w", err)
	}
	return nil
}
