package main

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/atlhyper/observe/redis/bus"
	"github.com/atlhyper/observe/redis/inspect"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/fault"
)

// One command is followed to its answer, a line for each thing that happens; what others
// wrote does nothing to the terminal.
func TestInspectFollow(t *testing.T) {
	t.Parallel()
	r := newInspected(t)
	r.publish()
	cmd := bus.Command{V: bus.Version, ID: "c1", Kind: "kind \x1b[2J", Replica: "m\u009b1", Params: encode(t, 1), Deadline: r.now().Add(time.Hour).UnixMilli()}
	r.command(east.Commands(), cmd)
	type said struct {
		out, notes string
		err        error
	}
	run := func(args ...string) <-chan said {
		done := make(chan said, 1)
		go func() {
			out, notes, err := r.run(append([]string{"follow", "-c", "east", "--command", "c1", "--interval", "50ms"}, args...)...)
			done <- said{out, notes, err}
		}()
		return done
	}
	text, lines := run(), run("--output", "json")
	reply := bus.Reply{V: bus.Version, ID: "c1", Agent: "a1", Code: fault.Timeout, Message: "said \x1b]0;x\a\u202e", TookMs: 12.5}
	announced := "c1 " + string(encode(t, reply))
	// Said until both have heard it: they begin to listen some time.
	redistest.Eventually(t, "both have ended", func() bool {
		r.must(r.admin.Publish(t.Context(), east.Replies("m1"), announced).Err())
		return len(text) == 1 && len(lines) == 1
	})
	got := <-text
	if got.err != nil || got.notes != "" {
		t.Fatal(got)
	}
	mustMatch(t, got.out, `\d\d:\d\d:\d\d\.\d{3}  c1  waiting  kind=kind \\x1b\[2J  replica=m\\u009b1  left=\S+`)
	mustMatch(t, got.out, `\S+  c1  answered  kind=kind \\x1b\[2J  replica=m1  agent=a1  took=12.5ms  bytes=\d+  code=timeout  message=said \\x1b\]0;x\\a\\u202e`)

	got = <-lines
	if got.err != nil || strings.ContainsAny(got.out, "\x1b\a\u009b\u202e") {
		t.Fatalf("%q, %v", got.out, got.err)
	}
	decoder := json.NewDecoder(strings.NewReader(got.out))
	var events []inspect.Event
	for decoder.More() {
		var e inspect.Event
		r.must(decoder.Decode(&e))
		e.At, e.LeftSeconds, e.Bytes = "", 0, 0
		events = append(events, e)
	}
	want := []inspect.Event{
		{Command: "c1", Event: "waiting", Kind: string(cmd.Kind), Replica: cmd.Replica},
		{Command: "c1", Event: "answered", Kind: string(cmd.Kind), Replica: "m1", Agent: "a1", TookMs: 12.5, Code: "timeout", Message: reply.Message},
	}
	if diff := cmp.Diff(want, events); diff != "" || strings.Count(got.out, "\n") != 2 {
		t.Errorf("%s\n%s", diff, got.out)
	}
}

// Following ends with its time or Ctrl-C; only a command that was never seen is an error
// then.
func TestInspectFollowEnds(t *testing.T) {
	t.Parallel()
	r := newInspected(t)
	r.publish()
	r.command(east.Commands(), bus.Command{V: bus.Version, ID: "c1", Kind: detail.KindTrace, Deadline: r.now().Add(time.Hour).UnixMilli()})
	redistest.Eventually(t, "it is seen within a second", func() bool {
		out, _, err := r.run("follow", "-c", "east", "--timeout", "1s")
		r.must(err)
		return strings.Contains(out, "c1  waiting")
	})
	for says, args := range map[string][]string{
		"command c2 of cluster east was not seen": {"-c", "east", "--command", "c2", "--timeout", "1s"},
		"no cluster west":                         {"-c", "west"},
		"timeout: -1s is negative":                {"-c", "east", "--timeout=-1s"},
		"interval: 1h0m0s is not between":         {"-c", "east", "--interval=1h"},
		"command: id":                             {"-c", "east", "--command=A"},
	} {
		if out, _, err := r.run(append([]string{"follow"}, args...)...); err == nil || out != "" || !strings.Contains(err.Error(), says) {
			t.Errorf("%v: %q, %v", args, out, err)
		}
	}
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	if _, _, err := runInspect(ctx, t, "follow", "-c", "east", "--redis", r.server.URL()); err != nil {
		t.Errorf("interrupted: %v", err)
	}
}
