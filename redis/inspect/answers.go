package inspect

import (
	"context"
	"fmt"
	"time"

	"github.com/atlhyper/observe/redis/bus"
	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/shared/model"
)

// longestReply is the longest reply, in bytes, that is read to say how it went; of a
// longer one it is known who gave it.
const longestReply = 256 << 10

// answersBatch is how many replies are looked for in one round trip.
const answersBatch = 64

// answerLua tells whether a command was answered. Masters delete a reply when they have
// read it; the mark stays for some time.
//
//	KEYS[1] answered:<id>  KEYS[2] reply:<id>
//	ARGV    most bytes of the reply
//	result  {who answered or "", bytes of the reply or -1, the reply unless it is too long}
const answerLua = `
local mark = redis.pcall('GET', KEYS[1])
if type(mark) ~= 'string' then
  if mark and not string.find(mark.err, 'WRONGTYPE', 1, true) then return mark end
  mark = ''
end
local reply = redis.pcall('LINDEX', KEYS[2], 0)
if type(reply) ~= 'string' then
  if reply and not string.find(reply.err, 'WRONGTYPE', 1, true) then return reply end
  return {mark, -1}
end
if #reply > tonumber(ARGV[1]) then return {mark, #reply} end
return {mark, #reply, reply}
`

// answer is what is known of the answer to a command.
type answer struct {
	there bool
	agent string // "" when nothing but the reply says so
	bytes int64  // of the reply
	reply string // "" when it is gone or too long
	err   error
}

// answers looks for the answers to commands.
func (f *follower) answers(ctx context.Context, ids []string) []answer {
	out := make([]answer, 0, len(ids))
	for from := 0; from < len(ids); from += answersBatch {
		batch := ids[from:min(from+answersBatch, len(ids))]
		calls := make([]conn.Call, len(batch))
		for n, id := range batch {
			calls[n] = conn.Call{Keys: []string{f.cfg.Cluster.Answered(id), f.cfg.Cluster.Reply(id)}, Args: []any{longestReply}}
		}
		for _, got := range f.readAnswer.RunAll(ctx, f.clients.Normal, calls) {
			a, err := answerOf(got.Value)
			if got.Err != nil {
				a, err = answer{}, fmt.Errorf("look for a reply: %w", got.Err)
			}
			a.err = err
			out = append(out, a)
		}
	}
	return out
}

// answerOf reads the answer of answerLua.
func answerOf(value any) (answer, error) {
	list, ok := value.([]any)
	if !ok || len(list) < 2 {
		return answer{}, fmt.Errorf("script: want an answer, got %T", value)
	}
	mark, ok := list[0].(string)
	bytes, isNumber := list[1].(int64)
	if !ok || !isNumber {
		return answer{}, fmt.Errorf("script: want an answer, got a %T and a %T", list[0], list[1])
	}
	a := answer{there: mark != "" || bytes >= 0, agent: clip(mark), bytes: max(bytes, 0)}
	if len(list) > 2 {
		a.reply, _ = list[2].(string)
	}
	return a, nil
}

// event says how it went.
func (a answer) event(id string) Event {
	e := Event{Command: id, Event: eventAnswered, Agent: a.agent, Bytes: a.bytes}
	if a.reply == "" {
		return e
	}
	r, err := bus.DecodeReply([]byte(a.reply))
	switch {
	case err != nil:
		e.Message = "the reply cannot be read: " + err.Error()
	case r.ID != id:
		e.Message = "the reply is to another command"
	default:
		e.Agent, e.Code, e.Message = r.Agent, string(r.Code), r.Message
		if r.TookMs >= 0 && r.TookMs < float64(maxDeadline) { // neither holds for NaN
			e.TookMs = r.TookMs
		}
		if r.At > 0 {
			e.RunAt = model.NewTime(time.UnixMilli(min(r.At, maxDeadline)))
		}
	}
	return e
}
