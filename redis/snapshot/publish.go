package snapshot

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/atlhyper/observe/redis/beat"
	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/shared/model"
)

// publishLua writes the changed fields of the snapshot and of meta, renews the TTL
// of both and announces the publish, in one step; or nothing at all when Redis does
// not hold what the writer believes it does (it was emptied, a key was evicted,
// another agent published), or when another agent is the one that publishes: it did
// less than a lease ago, and its beat has not run out.
//
//	KEYS[1] snapshot  KEYS[2] meta  KEYS[3] agents
//	ARGV    channel, TTL in ms, schema, instance, lease in ms, last seq of this
//	        writer, expiry of beats in ms, then four lists, each after its length:
//	        name, hash   sections that must be there
//	        name, value  sections to write; their <name>.seq becomes the new seq
//	        field, value of meta to write
//	        field        of meta to delete
//	result  {seq, seconds, microseconds of TIME}; {0, 0, 0} when Redis holds something
//	        else than expected; {-1, 0, 0} when another agent publishes; then, each
//	        time, what healLua deleted
//
// seq is the largest of the last one plus 1, the writer's last one plus 1 and TIME
// in ms, so it grows even when Redis forgot the last one. The event is "seq name
// name …", the sections whose value changed; what meta says of the others may have
// changed too.
const publishLua = beat.Lua + healLua + `
local arg = 7
local function list(width)
  local n, items = tonumber(ARGV[arg + 1]), {}
  arg = arg + 1
  for i = 1, n do
    local item = {}
    for j = 1, width do arg = arg + 1; item[j] = ARGV[arg] end
    items[i] = item
  end
  return items
end
local expected, values, fields, gone = list(2), list(2), list(2), list(1)

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local holder = redis.call('HGET', KEYS[2], 'agent')
if holder and holder ~= ARGV[4] then
  local silent = now - (tonumber(redis.call('HGET', KEYS[2], 'at') or '0') or 0)
  local beat = redis.call('HGET', KEYS[3], holder)
  local dead = beat and not beat_live(beat, now, tonumber(ARGV[7]))
  if silent >= 0 and silent < tonumber(ARGV[5]) and not dead then return {-1, 0, 0, healed} end
end

local schema = redis.call('HGET', KEYS[2], 'schema')
if schema and schema ~= ARGV[3] then redis.call('DEL', KEYS[1], KEYS[2]) end
for _, e in ipairs(expected) do
  if redis.call('HGET', KEYS[2], e[1] .. '.hash') ~= e[2] or redis.call('HEXISTS', KEYS[1], e[1]) == 0 then
    return {0, 0, 0, healed}
  end
end

local last = tonumber(redis.call('HGET', KEYS[2], 'seq') or '0') or 0
if last ~= last or last < 0 or last > 2^52 then last = 0 end
local seq = string.format('%.0f', math.max(math.floor(last) + 1, tonumber(ARGV[6]) + 1, now))

local event = {seq}
for _, v in ipairs(values) do
  redis.call('HSET', KEYS[1], v[1], v[2])
  redis.call('HSET', KEYS[2], v[1] .. '.seq', seq)
  event[#event + 1] = v[1]
end
for _, f in ipairs(fields) do redis.call('HSET', KEYS[2], f[1], f[2]) end
for _, f in ipairs(gone) do redis.call('HDEL', KEYS[2], f[1]) end
redis.call('HSET', KEYS[2], 'schema', ARGV[3], 'seq', seq, 'at', string.format('%.0f', now))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[2])
redis.call('PUBLISH', ARGV[1], table.concat(event, ' '))
return {seq, time[1], time[2], healed}
`

// Publish takes the updates over and writes what changed since the last publish in
// one atomic step. After an error the updates are kept: call it again, with newer
// ones or none. Errors: a *fault.Error with store_unavailable; a plain error for
// an update that makes no sense, before anything is sent.
func (w *Writer) Publish(ctx context.Context, updates []Update) (Published, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, u := range updates {
		if err := u.validate(); err != nil {
			return Published{}, err
		}
	}
	for _, u := range updates {
		if err := w.absorb(u); err != nil {
			return Published{}, err
		}
	}
	done, err := w.send(ctx)
	if errors.Is(err, errLost) {
		w.cfg.Logger.InfoContext(ctx, "Redis lost the snapshot or another agent wrote it; all of it is sent again")
		for _, s := range w.sections {
			s.forget()
		}
		w.stats.resent.Add(1)
		done, err = w.send(ctx)
	}
	w.count(done, err)
	return done, err
}

func (w *Writer) count(done Published, err error) {
	switch {
	case err != nil:
		w.stats.failed.Add(1)
	case done.Standby:
		w.stats.stoodBy.Add(1)
	default:
		w.stats.published.Add(1)
		w.stats.sections.Add(int64(len(done.Written)))
		w.stats.bytes.Add(int64(done.Bytes))
		w.stats.lastMs.Store(w.published.UnixMilli())
	}
}

// errLost says that Redis does not hold what the writer believes it does.
var errLost = errors.New("snapshot: Redis does not hold what was published")

func (w *Writer) send(ctx context.Context) (Published, error) {
	p := w.plan()
	clock := w.clients.Clock(w.cfg.Cluster)
	sent := clock.Here()
	result, err := w.publish.Run(ctx, w.clients.Normal, []string{w.cfg.Cluster.Snapshot(), w.cfg.Cluster.Meta(), w.cfg.Cluster.Agents()}, p.args()...)
	if err != nil {
		return Published{}, fmt.Errorf("publish: %w", err)
	}
	n, err := conn.Ints(result, 3)
	if err != nil {
		return Published{}, fmt.Errorf("publish: %w", err)
	}
	w.reportHealed(ctx, result)
	switch {
	case n[0] == 0:
		return Published{}, errLost
	case n[0] < 0:
		w.stand(ctx, true)
		return Published{Standby: true}, nil
	}
	w.stand(ctx, false)
	w.seq, w.published = n[0], conn.Time(n[1], n[2])
	clock.Observe(sent, w.published)
	for _, s := range w.sections {
		s.commit()
	}
	return Published{Seq: n[0], Written: p.written, Bytes: p.bytes}, nil
}

// stand logs when the writer begins or ceases to stand by.
func (w *Writer) stand(ctx context.Context, by bool) {
	w.stats.standby.Store(by)
	if by == w.standby {
		return
	}
	w.standby = by
	if by {
		w.cfg.Logger.InfoContext(ctx, "another agent of the cluster publishes; this one stands by")
	} else {
		w.cfg.Logger.InfoContext(ctx, "this agent publishes now")
	}
}

// plan is what one publish says.
type plan struct {
	head            []any // channel, TTL, schema
	expected        []any
	values          []any
	fields          []any
	gone            []any
	written         []model.Section
	bytes           int
	clock           *conn.Clock
	defaultInterval time.Duration
}

func (w *Writer) plan() *plan {
	ttl := w.cfg.Interval * key.SnapshotIntervals
	p := &plan{
		head: []any{
			w.cfg.Cluster.Events(), ttl.Milliseconds(), key.SchemaVersion,
			w.cfg.Instance, (w.cfg.Interval * key.LeaseIntervals).Milliseconds(), w.seq,
			key.BeatExpiry.Milliseconds(),
		},
		clock: w.clients.Clock(w.cfg.Cluster), defaultInterval: w.cfg.Interval,
	}
	p.fields = append(p.fields,
		key.MetaAgent, w.cfg.Instance, key.MetaVersion, w.cfg.Version, key.MetaInterval, w.cfg.Interval.Milliseconds())
	for _, name := range w.names() {
		w.sections[name].plan(p, name)
	}
	return p
}

// args are the script's: each list after its length.
func (p *plan) args() []any {
	args := p.head
	for _, list := range []struct {
		items []any
		width int
	}{{p.expected, 2}, {p.values, 2}, {p.fields, 2}, {p.gone, 1}} {
		args = append(args, strconv.Itoa(len(list.items)/list.width))
		args = append(args, list.items...)
	}
	return args
}
