package bus

import (
	"context"
	"fmt"
	"time"

	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/shared/fault"
)

// What pushLua says.
const (
	pushed     = 1
	noLive     = 2 // there are agents, none of them takes commands
	noAgents   = 3 // there never were, or long ago
	pushedFull = 4
	hasResult  = 5
)

// pushLua appends a command if an agent is live and there is room, or returns a
// finished reply to an equal request instead.
//
//	KEYS[1] commands  KEYS[2] agents  KEYS[3] result:<hash>, if one may be used
//	ARGV    command, most in the list, expiry of beats in ms, TTL in ms, longest result
//	result  {1 pushed | 2 no live agent | 3 no agents | 4 full | 5 a result,
//	        seconds, microseconds of TIME, the result}
const pushLua = `
local seconds, micros = now_parts()
local now, live = seconds * 1000 + math.floor(micros / 1000), false
local beats = redis.call('HVALS', KEYS[2])
for _, value in ipairs(beats) do
  if beat_live(value, now, tonumber(ARGV[3])) == 'r' then live = true; break end
end
if not live then return {#beats > 0 and 2 or 3, seconds, micros} end
if KEYS[3] then
  local length = redis.pcall('STRLEN', KEYS[3])
  if type(length) == 'table' and not string.find(length.err, 'WRONGTYPE', 1, true) then return length end
  if type(length) == 'number' and length > 0 and length <= tonumber(ARGV[5]) then
    return {5, seconds, micros, redis.call('GET', KEYS[3])}
  end
end
if redis.call('LLEN', KEYS[1]) >= tonumber(ARGV[2]) then return {4, seconds, micros} end
redis.call('RPUSH', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[1], math.max(redis.call('PTTL', KEYS[1]), tonumber(ARGV[4])))
return {1, seconds, micros}
`

// send pushes the command, or returns a shared reply when there is one.
func (c *Client) send(ctx context.Context, a *ask, timeout time.Duration) (*Reply, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	did, raw, err := c.runPush(ctx, a, timeout, a.result != "")
	if err == nil && did == hasResult {
		if reply, ok := decodeResult(raw, a.ttl, c.clients.Clock(a.cluster).Now()); ok {
			c.stats.shared.Add(1)
			return &reply, nil
		}
		// Of another version, or forged: nobody can use it.
		did, _, err = c.runPush(ctx, a, timeout, false)
	}
	if err != nil {
		c.stats.unavailable.Add(1)
		return nil, err
	}
	switch did {
	case pushed:
		c.stats.pushed.Add(1)
		return nil, nil
	case pushedFull:
		c.stats.fullList.Add(1)
		return nil, queueFull("%d commands wait for the agents of cluster %s already", c.cfg.MaxQueue, a.cluster)
	case noLive:
		c.stats.offline.Add(1)
		return nil, offline(a.cluster)
	default:
		c.stats.offline.Add(1)
		return nil, c.unknownOrOffline(ctx, a.cluster)
	}
}

func (c *Client) runPush(ctx context.Context, a *ask, timeout time.Duration, useResult bool) (did int64, result string, err error) {
	keys := []string{a.cluster.Commands(), a.cluster.Agents()}
	if useResult {
		keys = append(keys, a.result)
	}
	sent := c.clients.Clock(a.cluster).Here()
	answer, err := c.push.Run(ctx, keys,
		a.raw, c.cfg.MaxQueue, key.BeatExpiry.Milliseconds(), (timeout + key.Grace).Milliseconds(), min(MaxResultBytes, c.cfg.MaxReplyBytes))
	if err != nil {
		return 0, "", fmt.Errorf("push: %w", err)
	}
	n, err := conn.Ints(answer, 3)
	if err != nil {
		return 0, "", fault.Wrap(err, fault.Internal, "internal error")
	}
	c.clients.Clock(a.cluster).Observe(sent, conn.Time(n[1], n[2]))
	if list, ok := answer.([]any); ok && len(list) == 4 {
		result, _ = list[3].(string)
	}
	return n[0], result, nil
}

// queueFull says which bound was reached.
func queueFull(format string, args ...any) error {
	return fault.New(fault.QueueFull, format, args...).After(time.Second)
}

func offline(cluster key.Cluster) error {
	return fault.New(fault.AgentOffline, "no agent of cluster %s is online", cluster).After(key.BeatInterval)
}

// unknownOrOffline says which of the two a cluster without agents is.
func (c *Client) unknownOrOffline(ctx context.Context, cluster key.Cluster) error {
	scores, err := c.clients.Normal.ZMScore(ctx, key.Clusters, string(cluster)).Result()
	if err := conn.Unavailable(err); err != nil && !c.cfg.Known(cluster) {
		return fmt.Errorf("look up cluster: %w", err)
	}
	now := c.clients.Now()
	if err == nil && len(scores) == 1 {
		if _, seen := key.SeenAt(scores[0], now); seen {
			return offline(cluster)
		}
		if _, forgotten := key.ForgottenAt(scores[0], now); forgotten {
			return unknown(cluster)
		}
	}
	if c.cfg.Known(cluster) {
		return fault.New(fault.AgentOffline, "Redis lost what it knew of the agents of cluster %s; those that live are back with their next beat", cluster).
			After(key.BeatInterval)
	}
	return unknown(cluster)
}

func unknown(cluster key.Cluster) error { return fault.UnknownCluster(string(cluster)) }
