package bus_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/atlhyper/observe/redis/bus"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/shared/codec"
	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/fault"
)

// counted answers with the params and counts how often; "big" ones are long, "bad"
// ones are refused.
func counted(t *testing.T, runs *atomic.Int64) func(context.Context, bus.Command) bus.Reply {
	t.Helper()
	return func(_ context.Context, cmd bus.Command) bus.Reply {
		runs.Add(1)
		switch decode[string](t, cmd.Params) {
		case "big":
			return bus.Reply{Data: encode(t, strings.Repeat("x", bus.MaxResultBytes))}
		case "bad":
			return bus.Refusal(fault.New(fault.NotFound, "no such trace"))
		default:
			return bus.Reply{Data: cmd.Params, Meta: detail.Meta{WindowSeconds: 7, NextCursor: "next"}}
		}
	}
}

// A finished reply answers equal requests of all replicas while its time lasts, and
// nothing else does.
func TestResultsAreShared(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var runs atomic.Int64
	_, _ = r.agent(bus.ServerConfig{Handle: counted(t, &runs)})
	replicas := []*bus.Client{r.client(bus.ClientConfig{}), r.client(bus.ClientConfig{Replica: "m2"})}
	ask := func(kind detail.Kind, params string) (replies [2]bus.Reply, ran int64) {
		t.Helper()
		before := runs.Load()
		for i, c := range replicas {
			reply, err := c.Do(t.Context(), cluster, bus.Request{Kind: kind, Params: encode(t, params), Timeout: 30 * time.Second})
			if err != nil && (params != "bad" || !fault.Is(err, fault.NotFound)) {
				t.Fatal(err)
			}
			replies[i] = reply
		}
		return replies, runs.Load() - before
	}

	replies, ran := ask(detail.KindTrace, "one")
	first, second := replies[0], replies[1]
	if ran != 1 || first.Shared || !second.Shared {
		t.Fatalf("%d runs, shared %v and %v; want the second replica to read what the first had run", ran, first.Shared, second.Shared)
	}
	first.Shared = true
	if diff := cmp.Diff(first, second); diff != "" || first.At == 0 {
		t.Errorf("the shared reply says otherwise (-first +second)\n%s", diff)
	}
	for _, tt := range []struct {
		name   string
		kind   detail.Kind
		params string
		want   int64
	}{
		{"asked again", detail.KindTrace, "one", 0},
		{"other params", detail.KindTrace, "two", 1},
		{"another kind", detail.KindNode, "one", 1},
		{"logs", detail.KindLogs, "one", 2},
		{"a kind of the future", "echo", "one", 2},
		{"a refusal", detail.KindTrace, "bad", 2},
		{"a long one", detail.KindTrace, "big", 2},
	} {
		if _, ran := ask(tt.kind, tt.params); ran != tt.want {
			t.Errorf("%s: %d runs for two requests, want %d", tt.name, ran, tt.want)
		}
	}
	if s := replicas[1].Stats(); s.Shared != 4 || s.Pushed != s.Answered+s.Refused {
		t.Errorf("stats of the second replica: %+v", s)
	}
	for _, k := range r.admin.Keys(t.Context(), cluster.Pattern()).Val() {
		if ttl := r.admin.PTTL(t.Context(), k).Val(); strings.Contains(k, ":result:") && (ttl <= 0 || ttl > key.ResultTTL(detail.KindTrace)) {
			t.Errorf("%s lives %v", k, ttl)
		}
	}
}

// A shared reply that cannot be used is as if it were not there.
func TestHostileResults(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var runs atomic.Int64
	_, _ = r.agent(bus.ServerConfig{Handle: counted(t, &runs)})
	client := r.client(bus.ClientConfig{})
	request := bus.Request{Kind: detail.KindTrace, Params: encode(t, "one"), Timeout: 30 * time.Second}
	do := func() bus.Reply {
		t.Helper()
		reply, err := client.Do(t.Context(), cluster, request)
		if err != nil {
			t.Fatal(err)
		}
		return reply
	}
	do()
	keys := r.admin.Keys(t.Context(), cluster.Result("*")).Val()
	if len(keys) != 1 {
		t.Fatalf("keys %v, want one result", keys)
	}
	good := decode[bus.Reply](t, []byte(r.admin.Get(t.Context(), keys[0]).Val()))
	with := func(change func(*bus.Reply)) string {
		reply := good
		change(&reply)
		return string(encode(t, reply))
	}
	for name, value := range map[string]string{
		"junk":      "\xdf\xff\xff\xff\xff",
		"deep":      strings.Repeat("\x91", 100_000),
		"truncated": with(func(*bus.Reply) {})[:20],
		"version":   with(func(r *bus.Reply) { r.V = 2 }),
		"no code":   with(func(r *bus.Reply) { r.Code = "sudo" }),
		"refusal":   with(func(r *bus.Reply) { r.Code = fault.NotFound }),
		"old":       with(func(r *bus.Reply) { r.At -= time.Minute.Milliseconds() }),
		"future":    with(func(r *bus.Reply) { r.At += time.Minute.Milliseconds() }),
		"ageless":   with(func(r *bus.Reply) { r.At = -1 << 62 }),
		"too long":  with(func(r *bus.Reply) { r.Data = codec.Raw(encode(t, strings.Repeat("x", bus.MaxResultBytes))) }),
	} {
		before := runs.Load()
		r.do(r.admin.Set(t.Context(), keys[0], value, time.Minute))
		if reply := do(); reply.Shared || decode[string](t, reply.Data) != "one" || runs.Load() != before+1 {
			t.Errorf("%s: %+v after %d runs, want a run", name, reply, runs.Load()-before)
		}
	}
	r.do(r.admin.Del(t.Context(), keys[0]))
	r.do(r.admin.RPush(t.Context(), keys[0], "a list"))
	if reply := do(); reply.Shared {
		t.Error("a list was read as a result")
	}
}
