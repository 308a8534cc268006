package inspect

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/atlhyper/observe/redis/bus"
	"github.com/atlhyper/observe/shared/codec"
	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/fault"
)

func seed(f *testing.F, values ...any) {
	f.Helper()
	for _, v := range values {
		data, err := codec.Encode(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
}

// Whatever lies in a list, what is shown of it is bounded and can be written as JSON.
func FuzzCommandOf(f *testing.F) {
	seed(f,
		bus.Command{V: bus.Version, ID: "a", Kind: detail.KindLogs, Params: codec.Raw("\x81\xa1q\xa1\x1b"), Deadline: 1, Replica: "m1"},
		bus.Command{V: bus.Version, ID: "a", Params: codec.Raw("\x01"), Deadline: math.MaxInt64},
		bus.Command{V: 2, ID: "b", Deadline: math.MinInt64})
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, raw string) {
		c := commandOf(element{raw: raw, bytes: int64(len(raw))}, now, true)
		if len(c.ID) > 64 || len(c.Kind) > maxName+3 || len(c.Replica) > maxName+3 || c.ID == "" && c.Error == "" {
			t.Errorf("%+v", c)
		}
		if c.ID != "" && bus.ValidateID(c.ID) != nil {
			t.Errorf("id %q", c.ID)
		}
		if _, err := json.Marshal(c); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	})
}

// Whatever a reply is, what is told of it is bounded and can be written as JSON.
func FuzzAnswerEvent(f *testing.F) {
	seed(f,
		bus.Reply{V: bus.Version, ID: "a", Agent: "a1", Data: codec.Raw("\x07"), TookMs: 1.5, At: 1},
		bus.Reply{V: bus.Version, ID: "a", Code: fault.Timeout, Message: "\x1b", TookMs: -1, At: math.MaxInt64},
		bus.Reply{V: bus.Version, ID: "b"})
	f.Fuzz(func(t *testing.T, raw string) {
		e := answer{there: true, bytes: int64(len(raw)), reply: raw}.event("a")
		if e.Command != "a" || e.Event != eventAnswered || len(e.Agent) > 64 || len(e.Message) > 2<<10 || e.TookMs < 0 {
			t.Errorf("%+v", e)
		}
		if _, err := json.Marshal(e); err != nil {
			t.Errorf("%+v: %v", e, err)
		}
	})
}

// A script's answer that is none is an error.
func TestAnswersOfNoScript(t *testing.T) {
	t.Parallel()
	for _, v := range []any{
		nil, "text", []any{}, []any{int64(1)}, []any{"1", "2"}, []any{"1", "2", int64(3)}, []any{"1", "2", []any{}},
		[]any{"1", "2", []any{int64(1)}}, []any{"1", "2", []any{int64(1), []any{nil}}},
	} {
		if l, _, err := listsOf(v, 1); err == nil {
			t.Errorf("%v is lists %+v", v, l)
		}
	}
	for _, v := range []any{nil, []any{}, []any{"a"}, []any{int64(1), int64(1)}, []any{"a", "b"}} {
		if a, err := answerOf(v); err == nil {
			t.Errorf("%v is answer %+v", v, a)
		}
	}
}
