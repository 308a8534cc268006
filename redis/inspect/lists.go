package inspect

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/atlhyper/observe/redis/bus"
	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/shared/codec"
	"github.com/atlhyper/observe/shared/model"
)

const (
	// MaxCommands is the most commands that are shown of one list.
	MaxCommands = 1000
	// listsBytes bounds the commands that are read at once.
	listsBytes = 16 << 20
	// maxName is the longest name of a replica or kind that is shown, in bytes.
	maxName = 64
	// maxDeadline keeps a hostile deadline inside what a time can be printed of.
	maxDeadline = int64(9_999_999_999_999)
)

// listsLua reads lists of one cluster from their heads, all at one moment.
//
//	KEYS    the lists
//	ARGV    most elements of each, most bytes of an element, most bytes of all
//	result  {seconds, microseconds of TIME, then for each list {how many there are,
//	        elements}, or a text when it is no list}
//
// Of an element that is too long there is the length. What comes after the most bytes of
// all is left out.
const listsLua = `
local most, longest, left = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local out = {time[1], time[2]}
for i, key in ipairs(KEYS) do
  local n = redis.pcall('LLEN', key)
  if type(n) == 'table' then
    if not string.find(n.err, 'WRONGTYPE', 1, true) then return n end
    out[i + 2] = 'it is not a list'
  else
    local elements = {}
    for j = 1, math.min(n, most) do
      if left <= 0 then break end
      local raw = redis.call('LINDEX', key, j - 1)
      left = left - #raw
      elements[j] = raw
      if #raw > longest then elements[j] = #raw end
    end
    out[i + 2] = {n, elements}
  end
end
return out
`

// list is one list of commands as it lies in Redis.
type list struct {
	length   int64
	elements []element
	// odd is true when there is something that is no list.
	odd bool
}

// element is one command: raw is "" when it is too long to be one.
type element struct {
	raw   string
	bytes int64
}

// lists reads lists of one cluster at one moment, and when that was on Redis's clock.
func (i *Inspector) lists(ctx context.Context, c key.Cluster, names []string, most int) ([]list, time.Time, error) {
	sent := i.clients.Clock(c).Here()
	answer, err := i.readLists.Run(ctx, i.clients.Normal, names, most, bus.MaxCommandBytes, listsBytes)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("read lists: %w", err)
	}
	out, now, err := listsOf(answer, len(names))
	if err != nil {
		return nil, time.Time{}, err
	}
	i.clients.Clock(c).Observe(sent, now)
	return out, now, nil
}

// listsOf reads the answer of listsLua about n lists.
func listsOf(answer any, n int) ([]list, time.Time, error) {
	clock, err := conn.Ints(answer, 2)
	parts, _ := answer.([]any)
	if err != nil || len(parts) != n+2 {
		return nil, time.Time{}, fmt.Errorf("script: want %d lists, got %d elements: %w", n, len(parts), err)
	}
	out := make([]list, n)
	for j, part := range parts[2:] {
		if _, odd := part.(string); odd {
			out[j].odd = true
			continue
		}
		length, err := conn.Ints(part, 1)
		if err != nil {
			return nil, time.Time{}, err
		}
		out[j].length = length[0]
		pair, _ := part.([]any)
		if len(pair) != 2 {
			return nil, time.Time{}, fmt.Errorf("script: want a length and elements, got %d elements", len(pair))
		}
		elements, _ := pair[1].([]any)
		for _, e := range elements {
			switch v := e.(type) {
			case string:
				out[j].elements = append(out[j].elements, element{raw: v, bytes: int64(len(v))})
			case int64:
				out[j].elements = append(out[j].elements, element{bytes: v})
			default:
				return nil, time.Time{}, fmt.Errorf("script: an element of a list is a %T", e)
			}
		}
	}
	return out, conn.Time(clock[0], clock[1]), nil
}

// Command is a command that waits or runs.
type Command struct {
	ID          string          `json:"id"` // "" when it cannot be read
	Kind        string          `json:"kind"`
	Deadline    model.Time      `json:"deadline"`    // when nobody waits any more, on Redis's clock
	LeftSeconds float64         `json:"leftSeconds"` // until then; negative when it has passed
	Replica     string          `json:"replica"`     // master that waits
	Bytes       int64           `json:"bytes"`       // of it in Redis
	Params      json.RawMessage `json:"params,omitempty"`
	Error       string          `json:"error,omitempty"` // why an agent cannot read it
}

// commandOf reads a command, with its parameters if they are wanted.
func commandOf(e element, now time.Time, params bool) Command {
	out := Command{Bytes: e.bytes}
	if e.raw == "" {
		out.Error = fmt.Sprintf("%d bytes are not between 1 and %d", e.bytes, bus.MaxCommandBytes)
		return out
	}
	cmd, err := bus.DecodeCommand([]byte(e.raw))
	if err != nil {
		out.Error = err.Error()
	}
	if cmd.ID == "" {
		return out
	}
	deadline := time.UnixMilli(min(max(cmd.Deadline, 0), maxDeadline))
	out.ID, out.Kind, out.Replica = cmd.ID, clip(string(cmd.Kind)), clip(cmd.Replica)
	out.Deadline, out.LeftSeconds = model.NewTime(deadline), seconds(deadline.Sub(now))
	if params && err == nil {
		text, err := codec.ToJSON(nil, cmd.Params)
		if err != nil {
			out.Error = "its parameters cannot be read: " + err.Error()
			return out
		}
		out.Params = text
	}
	return out
}

func commandsOf(l list, now time.Time, params bool) []Command {
	out := make([]Command, 0, len(l.elements))
	for _, e := range l.elements {
		out = append(out, commandOf(e, now, params))
	}
	return out
}
