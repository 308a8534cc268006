package snapshot

import (
	"context"
	"fmt"
	"time"

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
//	ARGV    instance, then state and body, unless those that are there are to be renewed
//	result  {seconds, microseconds of TIME, digest of the beat that is there now, "" when
//	        there was none to renew; what healLua deleted}
//
// PEXPIRE comes first, too: a script that has written may go on when Redis has run
// out of memory, and an agent that lives there is no dead one.
const beatLua = beat.Lua + healLua + `
local seconds, micros = now_parts()
local now = seconds * 1000 + math.floor(micros / 1000)
local all, value = redis.call('HGETALL', KEYS[1]), nil
if ARGV[2] then
  value = beat_value(now, ARGV[2], ARGV[3])
else
  for i = 1, #all, 2 do
    if all[i] == ARGV[1] then value = beat_renewed(all[i + 1], now) end
  end
  if not value then return {seconds, micros, '', healed} end
end
local there = redis.call('PEXPIRE', KEYS[1], ttl)
local count = fields[1] + redis.call('HSET', KEYS[1], ARGV[1], value)
if there == 0 then redis.call('PEXPIRE', KEYS[1], ttl) end
local keep = ttl
if count > most then keep = expiry end
for i = 1, #all, 2 do
  if all[i] ~= ARGV[1] and not beat_live(all[i + 1], now, keep) then redis.call('HDEL', KEYS[1], all[i]) end
end
return {seconds, micros, beat_digest(value), healed}
`

// beatScript is beatLua with what never changes.
func beatScript() *conn.Script {
	return conn.NewScript(fmt.Sprintf("local ttl, expiry, most = %d, %d, %d\n",
		key.AgentsTTL.Milliseconds(), key.BeatExpiry.Milliseconds(), maxAgents), beatLua)
}

// Beat says that the agent lives; call it each key.BeatInterval. What the beat before
// said already is not sent again, only renewed, unless Redis answers that it holds
// something else: it was emptied, or another server took over that was behind.
func (w *Writer) Beat(ctx context.Context, b Beat) error {
	if ms := w.published.Load(); ms > 0 {
		b.PublishedAt = time.UnixMilli(ms).UTC()
	}
	b.Interval = w.cfg.Interval
	state, body, err := b.Args()
	if err != nil {
		return err
	}
	digest := beat.Digest(state, body)
	if last := w.beaten.Load(); last != nil && *last == digest {
		there, err := w.sendBeat(ctx, w.cfg.Instance)
		if err != nil || there == digest {
			return err
		}
	}
	if _, err := w.sendBeat(ctx, w.cfg.Instance, state, body); err != nil {
		return err
	}
	w.beaten.Store(&digest)
	return nil
}

// sendBeat returns the digest of the beat that is there now.
func (w *Writer) sendBeat(ctx context.Context, args ...any) (string, error) {
	clock := w.clients.Clock(w.cfg.Cluster)
	sent := clock.Here()
	result, err := w.beat.Run(ctx, w.clients.Normal, []string{w.cfg.Cluster.Agents()}, args...)
	if err != nil {
		return "", fmt.Errorf("beat: %w", err)
	}
	now, err := conn.Ints(result, 2)
	if err != nil {
		return "", fmt.Errorf("beat: %w", err)
	}
	clock.Observe(sent, conn.Time(now[0], now[1]))
	w.reportHealed(ctx, result)
	list, _ := result.([]any)
	if len(list) < 4 {
		return "", fmt.Errorf("beat: Redis answered with %d elements", len(list))
	}
	digest, _ := list[2].(string)
	return digest, nil
}

// Led tells whether another agent of the cluster lives that leads, as its last beat says
// and as Redis's clock has it. The error is a *fault.Error with store_unavailable.
func (w *Writer) Led(ctx context.Context) (bool, error) {
	beats, err := w.clients.Normal.HGetAll(ctx, w.cfg.Cluster.Agents()).Result()
	if err := conn.Unavailable(err); err != nil {
		return false, fmt.Errorf("look for a leader: %w", err)
	}
	now := w.clients.Clock(w.cfg.Cluster).Now()
	for instance, value := range beats {
		if instance == w.cfg.Instance {
			continue
		}
		// Of one that cannot be read, nobody knows that it leads.
		if b, at, err := beat.Decode(value); err == nil && b.Leads && !b.Leaving && isLive(at, now) {
			return true, nil
		}
	}
	return false, nil
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
