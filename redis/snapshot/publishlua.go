package snapshot

import (
	"crypto/sha1" //nolint:gosec // see tag
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/atlhyper/observe/redis/beat"
	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/key"
)

// publishLua writes what changed of the snapshot and of meta, renews the TTL of both
// and announces the publish, in one step; or nothing at all when Redis does not hold
// what the writer left there (it was emptied, a key was evicted, another server took
// over that was behind, another agent published), or when another agent is the one
// that publishes: it did less than a lease ago, and its beat has not run out.
//
//	KEYS[1] snapshot  KEYS[2] meta  KEYS[3] agents, for one who begins
//	ARGV    who, numbers, then, unless there are none, three lists, each after its length:
//	        name, value  sections to write; their <name>.seq becomes the new seq
//	        field, value of meta to write
//	        field        of meta to delete
//	result  {seq, seconds, microseconds of TIME, fields of the snapshot, fields of meta};
//	        seq is 0 when Redis holds something else than the writer left there, and -1
//	        when another agent publishes; then, each time, what healLua deleted
//
// who is "seq fields fields tag" of a writer that goes on: its last seq, how many fields
// it left in the snapshot and in meta, and the tag of its name. Every publish writes seq,
// which never repeats, and the snapshot together with meta. So one who finds all of that
// as it was finds all that it wrote, and need not send it again; and that it is the one
// that publishes. Of a writer that begins it is "seq instance"; without numbers it only
// asks, and seq is 0 when it may publish.
//
// numbers are those of columns, which are others at nearly every publish: "base;row;row…",
// a row for each section that stands in meta's field sections after this publish, with
// the columns apart by commas and none for what stays. at counts from base. The numbers
// are in base 36.
//
// seq is the largest of the last one plus 1, the writer's last one plus 1 and TIME
// in ms, so it grows even when Redis forgot the last one. The event is "seq name
// name …", the sections whose value changed; what meta says of the others may have
// changed too.
//
// All is read and checked before anything is written: nothing that was written would
// be taken back.
const publishLua = beat.Lua + key.EventsLua + tagLua + healLua + `
local seconds, micros = now_parts()
local now = seconds * 1000 + math.floor(micros / 1000)
local function refuse(why) return {why, seconds, micros, 0, 0, healed} end
local function split(text, by)
  local out = {}
  for piece in string.gmatch(text .. by, '([^' .. by .. ']*)' .. by) do out[#out + 1] = piece end
  return out
end

local holder, at, last, layout, names =
  unpack(redis.call('HMGET', KEYS[2], 'agent', 'at', 'seq', 'schema', 'sections'), 1, 5)
local who = split(ARGV[1], ' ')
if #who == 4 then
  if last ~= who[1] or fields[1] ~= tonumber(who[2]) or fields[2] ~= tonumber(who[3]) or layout ~= schema
    or not holder or tag_of(holder) ~= who[4] then return refuse(0) end
else
  if holder and holder ~= who[2] then
    local silent = now - (tonumber(at or '0') or 0)
    local beat = redis.call('HGET', KEYS[3], holder)
    local dead = beat and not beat_live(beat, now, expiry)
    if silent >= 0 and silent < lease and not dead then return refuse(-1) end
  end
  if not ARGV[2] then return refuse(0) end
end

local arg = 2
local function list(width)
  local out = {}
  arg = arg + 1
  local n = tonumber(ARGV[arg] or '0') * width
  for i = 1, n do out[i] = ARGV[arg + i] end
  arg = arg + n
  return out
end
local values, set, gone = list(2), list(2), list(1)
local function put(field, value) set[#set + 1] = field; set[#set + 1] = value end
local function number(n) return string.format('%.0f', n) end

for i = 1, #set, 2 do
  if set[i] == 'sections' then names = set[i + 1] end
end
local rows = split(ARGV[2], ';')
local base = tonumber(rows[1], 36)
for i, name in ipairs(split(names or '', ' ')) do
  local row = split(rows[i + 1] or '', ',')
  for j, column in ipairs(columns) do
    local n = tonumber(row[j] or '', 36)
    if n and column == 'at' then n = base + n end
    if n then put(name .. '.' .. column, number(n)) end
  end
end

last = tonumber(last or '0') or 0
if last ~= last or last < 0 or last > 2^52 then last = 0 end
local seq = number(math.max(math.floor(last) + 1, tonumber(who[1]) + 1, now))
local event = {seq}
for i = 1, #values, 2 do
  put(values[i] .. '.seq', seq)
  event[#event + 1] = values[i]
end
put('schema', schema); put('seq', seq); put('at', number(now))

if layout and layout ~= schema then
  redis.call('DEL', KEYS[1], KEYS[2])
  fields = {0, 0}
end
for i = 1, #values, 2 do fields[1] = fields[1] + redis.call('HSET', KEYS[1], values[i], values[i + 1]) end
-- Lua puts no more than some thousands of arguments on its stack.
for i = 1, #set, 1000 do fields[2] = fields[2] + redis.call('HSET', KEYS[2], unpack(set, i, math.min(i + 999, #set))) end
for i = 1, #gone, 1000 do fields[2] = fields[2] - redis.call('HDEL', KEYS[2], unpack(gone, i, math.min(i + 999, #gone))) end
redis.call('PEXPIRE', KEYS[1], ttl)
redis.call('PEXPIRE', KEYS[2], ttl)
redis.call('PUBLISH', events_of(KEYS[1]), table.concat(event, ' '))
return {seq, seconds, micros, fields[1], fields[2], healed}
`

// tag tells writers apart in a few bytes, as publishLua's tag_of does.
func tag(instance string) string {
	sum := sha1.Sum([]byte(instance)) //nolint:gosec // no secret: scripts have no other digest
	return hex.EncodeToString(sum[:4])
}

const tagLua = "local function tag_of(instance) return string.sub(redis.sha1hex(instance), 1, 8) end\n"

// columns are the fields of a section that go by publishLua's numbers.
func columns() []key.SectionField {
	return []key.SectionField{key.FieldAt, key.FieldTook, key.FieldRowsRead, key.FieldBytesRead}
}

// publishScript is publishLua for writers that publish at an interval: what never
// changes stands in the text, and is not sent each time.
func publishScript(interval time.Duration) *conn.Script {
	names := make([]string, 0, len(columns()))
	for _, c := range columns() {
		names = append(names, "'"+string(c)+"'")
	}
	return conn.NewScript(fmt.Sprintf("local ttl, lease, expiry, schema, columns = %d, %d, %d, '%s', {%s}\n",
		snapshotTTL(interval).Milliseconds(), (interval*key.LeaseIntervals).Milliseconds(), key.BeatExpiry.Milliseconds(),
		key.SchemaVersion, strings.Join(names, ", ")), publishLua)
}

func snapshotTTL(interval time.Duration) time.Duration { return interval * key.SnapshotIntervals }
