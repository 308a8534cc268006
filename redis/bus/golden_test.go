package bus_test

import (
	"context"
	"flag"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/atlhyper/observe/redis/bus"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/shared/codec"
	"github.com/atlhyper/observe/shared/codec/wiretest"
	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/span"
)

var update = flag.Bool("update", false, "rewrite the golden files: commands and replies change for agents and masters in the field")

func goldenFiles() wiretest.Files { return wiretest.Files{Dir: "testdata", Update: *update} }

const (
	goldenID      = "4bf92f3577b34da6a3ce929d0e0e4736"
	traceparent   = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	goldenTime    = int64(1_700_000_000_000)
	commandFile   = "command.msgpack"
	replyFile     = "reply.msgpack"
	refusalFile   = "refusal.msgpack"
	announcedFile = "announcement"
)

func goldenRequest() detail.Trace { return detail.Trace{TraceID: goldenID} }

func goldenReply(t *testing.T) bus.Reply {
	t.Helper()
	return bus.Reply{
		Data: encode(t, map[string]any{"traceId": goldenID, "spans": []any{}}),
		Meta: detail.Meta{WindowSeconds: 900, NextCursor: "next", Truncated: true},
	}
}

// written are the bytes of what another process wrote, with what is another each time
// replaced.
func written(t *testing.T, data []byte, volatile map[string]any) []byte {
	t.Helper()
	for name, value := range volatile {
		data = wiretest.With(t, data, name, value)
	}
	return data
}

// What a master writes for agents of the release before; and what masters of earlier
// releases wrote is answered.
func TestGoldenCommands(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.beats("a1")
	client := r.client(bus.ClientConfig{})
	ctx, hangUp := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ctx := span.WithRequest(span.Continue(ctx, traceparent), "request-1")
		_, err := client.Do(ctx, cluster, bus.Request{
			Kind: detail.KindTrace, Params: encode(t, goldenRequest()), Timeout: 30 * time.Second,
		})
		ended <- err
	}()
	var raw string
	redistest.Eventually(t, "a command", func() bool {
		raw = r.admin.LPop(t.Context(), cluster.Commands()).Val()
		return raw != ""
	})
	hangUp()
	if err := <-ended; !strings.Contains(err.Error(), context.Canceled.Error()) {
		t.Errorf("it ended with %v", err)
	}
	goldenFiles().Written(t, commandFile, written(t, []byte(raw), map[string]any{"id": goldenID, "deadline": goldenTime, "sentAt": goldenTime}))

	took := make(chan bus.Command, 1)
	_, _ = r.agent(bus.ServerConfig{Instance: "a2", Handle: func(_ context.Context, cmd bus.Command) bus.Reply {
		took <- cmd
		return bus.Reply{Data: cmd.Params}
	}})
	for _, old := range goldenFiles().All(t, commandFile) {
		id, deadline := "from-"+old.Release, time.Now().Add(time.Minute).UnixMilli()
		// m1 deletes what it does not wait for.
		raw := written(t, old.Data, map[string]any{"id": id, "deadline": deadline, "replica": "m2"})
		r.do(r.admin.RPush(t.Context(), cluster.Commands(), raw))
		reply := r.reply(id)
		var cmd bus.Command
		select {
		case cmd = <-took:
		default: // it was answered without being run
		}
		if reply.Code != "" || cmd.ID != id || cmd.Kind != detail.KindTrace || cmd.Traceparent != traceparent || cmd.Deadline != deadline {
			t.Errorf("of what %s wrote an agent reads %+v and answers %+v", old.Release, cmd, reply)
		}
		if got := decode[detail.Trace](t, cmd.Params); got != goldenRequest() {
			t.Errorf("of what %s asked an agent reads %+v", old.Release, got)
		}
		wiretest.Kept(t, raw, encode(t, cmd))
	}
}

// What an agent writes for masters of the release before.
func TestGoldenReplies(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	said := r.admin.Subscribe(t.Context(), cluster.Replies("m2"))
	t.Cleanup(func() {
		if err := said.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := said.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, _ = r.agent(bus.ServerConfig{Handle: func(_ context.Context, cmd bus.Command) bus.Reply {
		if cmd.Kind == detail.KindNode {
			return bus.Refusal(fault.New(fault.NotFound, "no node of this name"))
		}
		return goldenReply(t)
	}})
	volatile := map[string]any{"id": goldenID, "at": goldenTime, "tookMs": 1.5}
	for file, kind := range map[string]detail.Kind{replyFile: detail.KindTrace, refusalFile: detail.KindNode} {
		id := "id-" + string(kind)
		r.do(r.admin.RPush(t.Context(), cluster.Commands(), r.command(id, func(c *bus.Command) { c.Kind, c.Carry = kind, 8<<10 })))
		msg, err := said.ReceiveMessage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		raw := r.list(cluster.Reply(id))
		if len(raw) != 1 || msg.Payload != id+" "+raw[0] {
			t.Fatalf("announced %q, want the id and what lies in its key: %q", msg.Payload, raw)
		}
		reply := written(t, []byte(raw[0]), volatile)
		goldenFiles().Written(t, file, reply)
		if file == replyFile {
			goldenFiles().Written(t, announcedFile, append([]byte(goldenID+" "), reply...))
		}
	}
}

// What agents of earlier releases wrote is what a master gets.
func TestEarlierReplies(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.beats("a1")
	client := r.client(bus.ClientConfig{})
	for _, old := range goldenFiles().All(t, replyFile) {
		cmd, got := r.asks(client)
		raw := written(t, old.Data, map[string]any{"id": cmd.ID})
		r.announce(cluster, cmd, cmd.ID+" "+string(raw))
		o := <-got
		if o.err != nil {
			t.Fatalf("what %s answered: %v", old.Release, o.err)
		}
		wiretest.Kept(t, raw, encode(t, o.reply))
		if diff := cmp.Diff(goldenReply(t).Meta, o.reply.Meta); diff != "" || o.reply.TookMs != 1.5 || o.reply.At != goldenTime {
			t.Errorf("of what %s answered a master reads %+v", old.Release, o.reply)
		}
	}
	for _, old := range goldenFiles().All(t, refusalFile) {
		cmd, got := r.asks(client)
		raw := written(t, old.Data, map[string]any{"id": cmd.ID})
		r.do(r.admin.RPush(t.Context(), cluster.Reply(cmd.ID), raw))
		r.announce(cluster, cmd, cmd.ID) // in its key only, as a long one
		if o := <-got; !fault.Is(o.err, fault.NotFound) || fault.From(o.err).Message != "no node of this name" {
			t.Errorf("what %s refused: %v", old.Release, o.err)
		}
	}
	for _, old := range goldenFiles().All(t, announcedFile) {
		id, reply, ok := bus.Announced(string(old.Data))
		if !ok || id != goldenID {
			t.Fatalf("%s announced %q, %v", old.Release, id, ok)
		}
		if _, err := bus.DecodeReply([]byte(reply)); err != nil {
			t.Errorf("%s announced: %v", old.Release, err)
		}
	}
}

type outcome struct {
	reply bus.Reply
	err   error
}

// asks starts a request and returns its command, which no agent has taken, and what
// becomes of it.
func (r *rig) asks(client *bus.Client) (bus.Command, <-chan outcome) {
	r.t.Helper()
	got := make(chan outcome, 1)
	go func() {
		reply, err := client.Do(r.t.Context(), cluster, echoRequest(r.t, 1))
		got <- outcome{reply, err}
	}()
	return r.fakeAgent(), got
}

// What another release does not say, or says besides, leaves the rest as it is.
func TestOtherReleases(t *testing.T) {
	t.Parallel()
	others(t, newest(t, commandFile), bus.DecodeCommand, map[string]func(*bus.Command){
		"kind":        func(c *bus.Command) { c.Kind = "" }, // answered as a kind that nobody knows
		"params":      func(c *bus.Command) { c.Params = nil },
		"deadline":    func(c *bus.Command) { c.Deadline = 0 }, // long ago: dropped
		"replica":     func(c *bus.Command) { c.Replica = "" }, // told nobody; a sweep finds it
		"traceparent": func(c *bus.Command) { c.Traceparent = "" },
		"requestId":   func(c *bus.Command) { c.RequestID = "" },
		"sentAt":      func(c *bus.Command) { c.SentAt = 0 },
		"carry":       func(c *bus.Command) { c.Carry = 0 },
		"v":           nil, "id": nil,
	})
	others(t, newest(t, replyFile), bus.DecodeReply, map[string]func(*bus.Reply){
		"id":     func(r *bus.Reply) { r.ID = "" }, // of no command: refused by who asked for one
		"agent":  func(r *bus.Reply) { r.Agent = "" },
		"data":   func(r *bus.Reply) { r.Data = nil },
		"meta":   func(r *bus.Reply) { r.Meta = detail.Meta{} },
		"tookMs": func(r *bus.Reply) { r.TookMs = 0 },
		"at":     func(r *bus.Reply) { r.At = 0 },
		"v":      nil,
	})
	others(t, newest(t, refusalFile), bus.DecodeReply, map[string]func(*bus.Reply){
		"id":      func(r *bus.Reply) { r.ID = "" },
		"agent":   func(r *bus.Reply) { r.Agent = "" },
		"code":    func(r *bus.Reply) { r.Code = "" },
		"message": func(r *bus.Reply) { r.Message = "" },
		"meta":    func(r *bus.Reply) { r.Meta = detail.Meta{} },
		"tookMs":  func(r *bus.Reply) { r.TookMs = 0 },
		"at":      func(r *bus.Reply) { r.At = 0 },
		"v":       nil,
	})
}

// newest is what is written today.
func newest(t *testing.T, file string) []byte {
	t.Helper()
	all := goldenFiles().All(t, file)
	if len(all) == 0 {
		t.Fatalf("%s has no golden file: make golden writes it", file)
	}
	return all[len(all)-1].Data
}

// others tries data with a field more, and without each of its fields: nil in the table
// says that it is refused then.
func others[T any](t *testing.T, data []byte, read func([]byte) (T, error), without map[string]func(*T)) {
	t.Helper()
	want := decode[T](t, data)
	got, err := read(wiretest.With(t, data, "weather", map[string]any{"rain": true}))
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%T with an unknown field: %v (-want +got):\n%s", want, err, diff)
	}
	for _, field := range wiretest.Keys(t, data) {
		change, known := without[field]
		if !known {
			t.Errorf("say here what a %T without %q means", want, field)
			continue
		}
		got, err := read(wiretest.Without(t, data, field))
		if change == nil {
			if err == nil {
				t.Errorf("%T without %s is read as %+v", want, field, got)
			}
			continue
		}
		want := decode[T](t, data)
		change(&want)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%T without %s: %v (-want +got):\n%s", want, field, err, diff)
		}
	}
}

// Who asks the same with another release finds the reply that is shared.
func TestGoldenResults(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, _ = r.agent(bus.ServerConfig{Handle: func(context.Context, bus.Command) bus.Reply { return goldenReply(t) }})
	r.do(r.admin.RPush(t.Context(), cluster.Commands(), r.command("id", func(c *bus.Command) {
		c.Kind, c.Params = detail.KindTrace, codec.Raw(encode(t, goldenRequest()))
	})))
	r.reply("id")
	keys := r.keys(cluster.Result("*"))
	goldenFiles().Written(t, "result.txt", []byte(strings.Join(keys, "\n")+"\n"))
}
