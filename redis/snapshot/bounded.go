package snapshot

import (
	"errors"
	"fmt"

	"github.com/atlhyper/observe/redis/conn"
)

// What a cluster's agents write is bounded where it lies: no user of one of them
// may make masters read more than they can hold.
const (
	// maxHashFields and maxHashBytes bound what is read of a meta or an agents hash:
	// well above maxSections with long errors, and maxAgents.
	maxHashFields = 8192
	maxHashBytes  = 2 << 20
)

// boundedLua defines for a script: length(key, fields), the bytes of some fields of a
// hash, names and values; fields_of(key), how many it has, or a text when it is no
// hash; and whole(key, fields, bytes), all of a hash that holds no more than that, else
// a text that says what is the matter with it.
//
// Scripts that begin with it write nothing, so that Redis runs them without memory,
// too.
const boundedLua = `
local function length(key, fields)
  local sum = 0
  for _, f in ipairs(fields) do sum = sum + #f + redis.call('HSTRLEN', key, f) end
  return sum
end
local function fields_of(key)
  local n = redis.pcall('HLEN', key)
  if type(n) == 'table' and string.find(n.err, 'WRONGTYPE', 1, true) then return 'WRONGTYPE: it is not a hash' end
  return n
end
local function whole(key, fields, bytes)
  local n = fields_of(key)
  if type(n) ~= 'number' then return n end
  if n > fields then return string.format('%.0f fields are more than %.0f', n, fields) end
  local sum = length(key, redis.call('HKEYS', key))
  if sum > bytes then return string.format('%.0f bytes are more than %.0f', sum, bytes) end
  return redis.call('HGETALL', key)
end
`

// sectionLua reads all that Section needs, as it is at one moment.
//
//	KEYS[1] snapshot  KEYS[2] meta  KEYS[3] agents
//	ARGV    section, most bytes of its value, most fields and most bytes of a hash,
//	        then the fields of meta
//	result  {bytes of the value, the value or nil, the fields' values or a text, agents
//	        as of whole}; the value is nil when there is none and when it is too long
const sectionLua = boundedLua + `
local fields, most, bytes = {unpack(ARGV, 5)}, tonumber(ARGV[3]), tonumber(ARGV[4])
local n, value, meta = redis.call('HSTRLEN', KEYS[1], ARGV[1]), false, nil
if n <= tonumber(ARGV[2]) then value = redis.call('HGET', KEYS[1], ARGV[1]) end
local sum = length(KEYS[2], fields)
if sum > bytes then
  meta = string.format('%.0f bytes are more than %.0f', sum, bytes)
else
  meta = redis.call('HMGET', KEYS[2], unpack(fields))
end
return {n, value, meta, whole(KEYS[3], most, bytes)}
`

// hashesLua reads the hashes of one cluster, each as whole does.
//
//	KEYS[1] agents, then, when they are wanted, meta and the snapshot
//	ARGV    most fields and most bytes of each
//	result  agents, meta, the number of the snapshot's fields or a text
const hashesLua = boundedLua + `
local out = {}
for i = 1, math.min(#KEYS, 2) do out[i] = whole(KEYS[i], tonumber(ARGV[1]), tonumber(ARGV[2])) end
if KEYS[3] then out[3] = fields_of(KEYS[3]) end
return out
`

// errUnbounded is about a hash that is none, or too large to be read.
var errUnbounded = errors.New("snapshot: a hash cannot be read")

// entriesOf is what the script's whole said of a hash. An error that is no
// errUnbounded is Redis's.
func entriesOf(answer any) (map[string]string, error) {
	if list, ok := answer.([]any); ok {
		texts, err := conn.Strings(list)
		if err != nil {
			return nil, err
		}
		entries := make(map[string]string, len(texts)/2)
		for i := 0; i+1 < len(texts); i += 2 {
			entries[texts[i]] = texts[i+1]
		}
		return entries, nil
	}
	return nil, refusal(answer)
}

// refusal is what a script said instead of a list.
func refusal(answer any) error {
	switch v := answer.(type) {
	case string:
		return fmt.Errorf("%w: %s", errUnbounded, v)
	case error:
		return conn.Unavailable(v)
	default:
		return fmt.Errorf("script: want a list or a text, got %T", answer)
	}
}

// hashes is the answer of hashesLua; what cannot be read has an errUnbounded instead.
type hashes struct {
	agents, meta                 map[string]string
	agentsErr, metaErr, fieldErr error
	snapshotFields               int64
}

// hashesOf reads the answer of hashesLua about n keys. The error is Redis's.
func hashesOf(answer any, n int) (h hashes, err error) {
	list, ok := answer.([]any)
	if !ok || len(list) != n {
		return hashes{}, fmt.Errorf("script: want a list of %d, got %T", n, answer)
	}
	h.agents, h.agentsErr = entriesOf(list[0])
	if n > 1 {
		h.meta, h.metaErr = entriesOf(list[1])
		if h.snapshotFields, ok = list[2].(int64); !ok {
			h.fieldErr = refusal(list[2])
		}
	}
	for _, err := range []error{h.agentsErr, h.metaErr, h.fieldErr} {
		if err != nil && !errors.Is(err, errUnbounded) {
			return hashes{}, err
		}
	}
	return h, nil
}
