package snapshot

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/shared/model"
)

// refreshLua tells what is new in a cluster, as it is at one moment.
//
//	KEYS[1] snapshot  KEYS[2] meta  KEYS[3] agents
//	ARGV    seq that the asker holds, then, unless it asks for that alone, most bytes of
//	        all values, and each section's name and the hash that is held
//	result  {seconds, microseconds of TIME, head, agents as of whole, number of the
//	        snapshot's fields or a text, 1 if meta tells of a value, sections}
//
// head is {schema, seq, at, interval} of meta or a text. sections is a list only when
// they were asked for and seq is another one: for each {what there is, the value or its
// length, its fields' values or a text}, where what there is is none, same, value, long
// (over the most bytes of a value) or later (over those of all).
//
// Most answers by far are that seq is the same. So what is asked for then is short, and
// what it takes is few commands; of meta, whose fields Redis would have to look up one by
// one to tell their lengths, it reads first and then refuses to send what is too long.
const refreshLua = boundedLua + `
local held, budget = ARGV[1], tonumber(ARGV[2])
local room = bytes
local function some(names)
  local values, sum = redis.pcall('HMGET', KEYS[2], unpack(names)), 0
  if values.err and string.find(values.err, 'WRONGTYPE', 1, true) then return 'WRONGTYPE: it is not a hash' end
  if values.err then return values end
  for i, name in ipairs(names) do sum = sum + #name + #(values[i] or '') end
  if sum > room then return string.format('%.0f bytes are more than %.0f', sum, room) end
  room = room - sum
  return values
end
local function value(name, hash, meta)
  local length = redis.call('HSTRLEN', KEYS[1], name)
  if length == 0 then return 'none', 0 end
  if length > most then return 'long', length end
  if type(meta) == 'table' and hash ~= '' then
    for i, suffix in ipairs(suffixes) do
      if suffix == 'hash' and meta[i] == hash then return 'same', length end
    end
  end
  if length > budget then return 'later', length end
  budget = budget - length
  return 'value', redis.call('HGET', KEYS[1], name)
end

local time = redis.call('TIME')
local head = some({'schema', 'seq', 'at', 'interval'})
local there, collected = fields_of(KEYS[1]), 0
if there == 0 then
  local known = fields_of(KEYS[2])
  if type(known) == 'number' and known <= fields then
    for _, name in ipairs(redis.call('HKEYS', KEYS[2])) do
      if string.find(name, '%.hash$') then collected = 1 end
    end
  end
end
local sections = false
if budget and type(head) == 'table' and head[2] and head[2] ~= held and type(there) == 'number' then
  sections = {}
  for i = 3, #ARGV, 2 do
    local name, names = ARGV[i], {}
    for j, suffix in ipairs(suffixes) do names[j] = name .. '.' .. suffix end
    local meta = some(names)
    local what, v = value(name, ARGV[i + 1], meta)
    sections[#sections + 1] = {what, v, meta}
  end
end
return {time[1], time[2], head, whole(KEYS[3], fields, bytes), there, collected, sections}
`

// refreshScript is refreshLua with what never changes: the most bytes of a value, the
// most fields and bytes of a hash, and the fields of a section in meta.
func refreshScript(most int) *conn.Script {
	var suffixes []string
	for _, f := range key.SectionFields() {
		suffixes = append(suffixes, "'"+string(f)+"'")
	}
	return conn.NewScript(fmt.Sprintf("local most, fields, bytes, suffixes = %d, %d, %d, {%s}\n",
		most, maxHashFields, maxHashBytes, strings.Join(suffixes, ", ")), refreshLua)
}

// refreshCall is a run of the script for one of n clusters; brief, it asks for seq alone.
func (r *Reader) refreshCall(a Ask, brief bool, n int) conn.Call {
	call := conn.Call{Keys: []string{a.Cluster.Snapshot(), a.Cluster.Meta(), a.Cluster.Agents()}, Args: []any{a.Seq}}
	if brief {
		return call
	}
	budget := r.cfg.MaxSectionBytes // enough for one of them, so that something comes
	if n > 1 {
		budget = min(budget, batchValueBytes/n)
	}
	call.Args = append(call.Args, budget)
	for _, s := range a.Sections {
		call.Args = append(call.Args, string(s.Name), s.Hash)
	}
	return call
}

// brief tells whether seq alone is worth a question: when it is the same, the rest need
// not be asked.
func (a Ask) brief() bool { return a.Seq > 0 && len(a.Sections) > 0 }

// isNew tells whether an answer to a brief question calls for another one.
func (a Ask) isNew(answer conn.Answer) bool {
	list, ok := answer.Value.([]any)
	if answer.Err != nil || !ok || len(list) != 7 {
		return false
	}
	head, ok := list[2].([]any)
	if !ok || len(head) < 2 {
		return false
	}
	seq, there := head[1].(string)
	return there && seq != strconv.FormatInt(a.Seq, 10)
}

// view reads one answer of the script.
func (r *Reader) view(ctx context.Context, v *View, a Ask, answer any) {
	list, ok := answer.([]any)
	if !ok || len(list) != 7 {
		v.Err = unreadable(nil, "Redis answered with %d elements instead of a snapshot", len(list))
		return
	}
	clock := r.clients.Clock(a.Cluster)
	if now, err := conn.Ints(list, 2); err == nil {
		clock.Observe(v.Asked, conn.Time(now[0], now[1]))
	}
	v.Here = r.clients.Here()
	v.Now = clock.At(v.Here)
	beats, err := entriesOf(list[3])
	if err != nil && !errors.Is(err, errUnbounded) {
		v.Err = fmt.Errorf("read a snapshot: %w", err)
		return
	}
	// Agents that cannot be read hide the status, not the sections; who lists the
	// clusters reports them.
	v.Info.Agents = r.parseAgents(ctx, a.Cluster, beats)
	head, err := readHead(v, list)
	if err != nil {
		v.Unreadable, v.Info.unreadable = err, true
	}
	if sections, ok := list[6].([]any); ok && err == nil {
		v.Changed = true
		r.readSections(v, a, head, sections)
	}
	v.Info.judge(v.Now)
	if published := v.Info.PublishedAt; v.Present() && !published.After(v.Now.Add(key.BeatExpiry)) {
		// When Redis has it no more, it is known whether it was lost or has expired.
		at := clock.Local(published)
		r.memory.note(a.Cluster, sighting{seen: at, published: at, ttl: v.ExpiresAt.Sub(published)})
	}
}

// readHead reads what the answer says of the whole snapshot.
func readHead(v *View, list []any) (metaMap, error) {
	values, ok := list[2].([]any)
	if !ok {
		return nil, unreadable(refusal(list[2]), "the snapshot's meta of cluster %s cannot be read", v.Info.ID)
	}
	there, ok := list[4].(int64)
	if !ok {
		return nil, unreadable(refusal(list[4]), "the snapshot of cluster %s cannot be read", v.Info.ID)
	}
	m := metaOf(headFields(), values)
	if err := m.checkSchema(); err != nil {
		return nil, err
	}
	seq, err := m.integer(key.MetaSeq)
	if err != nil {
		return nil, err
	}
	at, err := m.milli(key.MetaAt)
	if err != nil {
		return nil, err
	}
	interval, err := m.integer(key.MetaInterval)
	if err != nil {
		return nil, err
	}
	v.Info.Seq, v.Info.PublishedAt, v.Info.interval = seq, at, millis(interval)
	v.Info.lost = there == 0 && list[5] == int64(1)
	if !at.IsZero() {
		v.ExpiresAt = at.Add(key.SnapshotIntervals * v.Info.interval)
	}
	return m, nil
}

// readSections reads what the answer says of each section that was asked for.
func (r *Reader) readSections(v *View, a Ask, head metaMap, list []any) {
	v.Sections = make(map[model.Section]Found, len(a.Sections))
	v.Info.Sections = make(map[model.Section]SectionMeta, len(a.Sections))
	for i, s := range a.Sections {
		if i >= len(list) {
			v.Unreadable = unreadable(nil, "Redis answered with %d sections instead of %d", len(list), len(a.Sections))
			return
		}
		found, later := r.readFound(v, s.Name, head, list[i])
		if later {
			v.More = true
			continue
		}
		v.Sections[s.Name] = found
		v.Info.Sections[s.Name] = found.Meta
	}
}

// readFound reads what the answer says of one section; later means that its value
// had no room.
func (r *Reader) readFound(v *View, name model.Section, head metaMap, answer any) (f Found, later bool) {
	list, ok := answer.([]any)
	if !ok || len(list) != 3 {
		return Found{Err: unreadable(nil, "Redis answered with %T instead of section %s", answer, name)}, false
	}
	values, ok := list[2].([]any)
	if !ok {
		return Found{Err: unreadable(refusal(list[2]), "the snapshot's meta of cluster %s is too large to be read", v.Info.ID)}, false
	}
	m := metaOf(fieldsOf(name), values)
	maps.Copy(m, head)
	meta, err := r.parseSection(m, name, v.Now)
	if err != nil {
		return Found{Err: err}, false
	}
	f = Found{Meta: meta}
	switch list[0] {
	case "same":
		f.Same = true
	case "value":
		stored, _ := list[1].(string)
		f.Value = &Value{stored: stored, codec: m[key.Field(name, key.FieldCodec)], unpack: r.unpack}
	case "later":
		return f, true
	case "long":
		f.Err = unreadable(nil, "section %s of cluster %s is too large to be read: %v bytes are more than %d",
			name, v.Info.ID, list[1], r.cfg.MaxSectionBytes)
	default:
		f.Err = notThere(v.Info.ID, name, meta)
	}
	return f, false
}
