package bus_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/atlhyper/observe/redis/bus"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/logtest"
	"github.com/atlhyper/observe/shared/span"
	"github.com/atlhyper/observe/shared/span/spantest"
)

const (
	sends     = "send atlhyper:{cluster}:commands"
	processes = "process atlhyper:{cluster}:commands"
)

// awaitBoth returns the spans when n agents and as many masters are done.
func awaitBoth(t *testing.T, spans *spantest.Recorder, n int) spantest.Spans {
	t.Helper()
	return spans.Await(t, "both ends", func(s spantest.Spans) bool {
		return len(s.Named(sends)) == n && len(s.Named(processes)) == n
	})
}

// The trace of whoever asks goes on through the command to what the agent does, with the
// id of the request.
func TestTraceGoesOn(t *testing.T) {
	t.Parallel()
	r, spans := newRig(t), spantest.New(t)
	_, _ = r.agent(bus.ServerConfig{TracerProvider: spans, Handle: func(ctx context.Context, cmd bus.Command) bus.Reply {
		_, s := spans.Tracer("test").Start(ctx, "work")
		s.End()
		return bus.Reply{Data: encode(t, span.Request(ctx)+" "+cmd.RequestID)}
	}})
	client := r.client(bus.ClientConfig{TracerProvider: spans})
	ctx := span.WithRequest(span.Continue(t.Context(), traceparent), "request-1")
	reply, err := client.Do(ctx, cluster, echoRequest(t, "x"))
	if err != nil {
		t.Fatal(err)
	}
	if got := decode[string](t, reply.Data); got != "request-1 request-1" {
		t.Errorf("the agent has the request ids %q", got)
	}
	all := awaitBoth(t, spans, 1)
	want := "PRODUCER " + sends + "\n CONSUMER " + processes + "\n  INTERNAL work\n"
	if diff := cmp.Diff(want, all.In(trace.SpanContextFromContext(ctx).TraceID()).Tree()); diff != "" {
		t.Error(diff)
	}
	sent, processed := all.Named(sends).One(t), all.Named(processes).One(t)
	if sent.Parent.SpanID().String() != "00f067aa0ba902b7" || !processed.Parent.IsRemote() {
		t.Errorf("parents %v and %v", sent.Parent, processed.Parent)
	}
	checkMessage(t, sent, map[string]any{
		"messaging.operation.type": "send", "messaging.operation.name": "send", "messaging.client.id": "m1",
		"atlhyper.agent": "a1", "atlhyper.shared": false,
	})
	wait, ok := spantest.Attributes(processed)["atlhyper.queue_wait_ms"].(int64)
	if !ok || wait < 0 {
		t.Errorf("it waited %v, %v", wait, ok)
	}
	checkMessage(t, processed, map[string]any{
		"messaging.operation.type": "process", "messaging.operation.name": "process", "messaging.client.id": "a1",
		"atlhyper.request_id": "request-1", "atlhyper.queue_wait_ms": wait,
	})
	if a, b := spantest.Attributes(sent), spantest.Attributes(processed); a["messaging.message.id"] != b["messaging.message.id"] ||
		a["messaging.message.body.size"] != b["messaging.message.body.size"] {
		t.Errorf("one sent %v, the other processed %v", a, b)
	}
}

// checkMessage wants these attributes besides those that both ends have.
func checkMessage(t *testing.T, s tracetest.SpanStub, want map[string]any) {
	t.Helper()
	got := spantest.Attributes(s)
	for _, name := range []string{"messaging.message.id", "messaging.message.body.size"} {
		if got[name] == nil {
			t.Errorf("%s: no %s", s.Name, name)
		}
		delete(got, name)
	}
	want["messaging.system"] = "redis"
	want["messaging.destination.template"] = "atlhyper:{cluster}:commands"
	want["messaging.destination.name"] = cluster.Commands()
	want["atlhyper.cluster"], want["atlhyper.kind"] = string(cluster), "echo"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: %s", s.Name, diff)
	}
	if s.Status.Code != codes.Unset {
		t.Errorf("%s: status %v", s.Name, s.Status)
	}
}

// Without a provider a trace goes through to the agent all the same, and back is none.
func TestTraceGoesThrough(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, _ = r.agent(bus.ServerConfig{Handle: func(ctx context.Context, cmd bus.Command) bus.Reply {
		return bus.Reply{Data: encode(t, span.Traceparent(ctx)+cmd.Traceparent)}
	}})
	client := r.client(bus.ClientConfig{})
	for _, parent := range []string{traceparent, "", "00-x"} {
		reply, err := client.Do(span.Continue(t.Context(), parent), cluster, echoRequest(t, parent))
		if err != nil {
			t.Fatal(err)
		}
		want := ""
		if parent == traceparent {
			want = traceparent + traceparent
		}
		if got := decode[string](t, reply.Data); got != want {
			t.Errorf("of %q came %q", parent, got)
		}
	}
}

// Who fails says so, on both ends.
func TestTraceOfFailures(t *testing.T) {
	t.Parallel()
	r, spans := newRig(t), spantest.New(t)
	client := r.client(bus.ClientConfig{TracerProvider: spans})
	if _, err := client.Do(t.Context(), cluster, echoRequest(t, "x")); err == nil {
		t.Fatal("it was answered")
	}
	checkFailed(t, spans.Spans().Named(sends).One(t), "cluster_unknown")
	spans.Reset()

	_, _ = r.agent(bus.ServerConfig{TracerProvider: spans, MaxReplyBytes: 1000, Handle: func(ctx context.Context, cmd bus.Command) bus.Reply {
		switch decode[string](t, cmd.Params) {
		case "refuse":
			return bus.Refusal(fault.New(fault.NotFound, "there is no such node"))
		case "large":
			return bus.Reply{Data: encode(t, strings.Repeat("x", 2000))}
		case "wait":
			<-ctx.Done()
		}
		return bus.Reply{}
	}})
	for params, code := range map[string]fault.Code{"refuse": fault.NotFound, "large": fault.ResultTooLarge} {
		_, err := client.Do(t.Context(), cluster, echoRequest(t, params))
		wantCode(t, err, code)
		all := awaitBoth(t, spans, 1)
		checkFailed(t, all.Named(sends).One(t), string(code))
		checkFailed(t, all.Named(processes).One(t), string(code))
		spans.Reset()
	}

	ctx, hangUp := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := client.Do(ctx, cluster, echoRequest(t, "wait"))
		ended <- err
	}()
	redistest.Eventually(t, "it runs", func() bool { return len(r.list(cluster.Claimed("a1"))) == 1 })
	r.hearsCancels(1)
	hangUp()
	if err := <-ended; err == nil {
		t.Error("it was answered")
	}
	all := awaitBoth(t, spans, 1)
	checkFailed(t, all.Named(sends).One(t), "canceled")
	checkFailed(t, all.Named(processes).One(t), "canceled")
}

func checkFailed(t *testing.T, s tracetest.SpanStub, kind string) {
	t.Helper()
	if got := spantest.Attributes(s)["error.type"]; s.Status.Code != codes.Error || got != kind {
		t.Errorf("%s: status %v, error.type %v, want %s", s.Name, s.Status, got, kind)
	}
}

// A reply that was made for an equal request says so, and sends nothing.
func TestTraceOfSharedReplies(t *testing.T) {
	t.Parallel()
	r, spans := newRig(t), spantest.New(t)
	_, _ = r.agent(bus.ServerConfig{Handle: echo})
	client := r.client(bus.ClientConfig{TracerProvider: spans})
	request := bus.Request{Kind: "trace", Params: encode(t, "same"), Timeout: 30 * time.Second}
	for range 2 {
		if _, err := client.Do(t.Context(), cluster, request); err != nil {
			t.Fatal(err)
		}
	}
	var shared []any
	for _, s := range spans.Spans().Named(sends) {
		shared = append(shared, spantest.Attributes(s)["atlhyper.shared"])
	}
	if diff := cmp.Diff([]any{false, true}, shared); diff != "" {
		t.Error(diff)
	}
}

// What lies in Redis may be forged, or written by another release.
func TestTraceOfForeignCommands(t *testing.T) {
	t.Parallel()
	r, spans := newRig(t), spantest.New(t)
	var log logtest.Buffer
	logger := slog.New(span.LogHandler(slog.NewTextHandler(&log, nil)))
	_, _ = r.agent(bus.ServerConfig{TracerProvider: spans, Logger: logger, Handle: func(ctx context.Context, cmd bus.Command) bus.Reply {
		logger.InfoContext(ctx, "it runs", "id", cmd.ID)
		return echo(ctx, cmd)
	}})
	for id, change := range map[string]func(*bus.Command){
		"older":  func(*bus.Command) {},
		"forged": func(c *bus.Command) { c.Traceparent = "00-" + strings.Repeat("Z", 52) },
		"future": func(c *bus.Command) { c.SentAt = 1 << 62 },
		"past":   func(c *bus.Command) { c.SentAt = -1 },
		"long":   func(c *bus.Command) { c.RequestID = strings.Repeat("r", 100) },
		"lines":  func(c *bus.Command) { c.RequestID = "a\nlevel=ERROR" },
	} {
		r.do(r.admin.RPush(t.Context(), cluster.Commands(), r.command(id, change)))
		if reply := r.reply(id); reply.Code != "" {
			t.Errorf("%s: %+v", id, reply)
		}
		s := spans.Await(t, id, func(s spantest.Spans) bool { return len(s.Named(processes)) == 1 }).One(t)
		if got := spantest.Attributes(s); s.Parent.IsValid() || got["atlhyper.queue_wait_ms"] != nil {
			t.Errorf("%s: parent %v, attributes %v", id, s.Parent, got)
		}
		if got, ok := spantest.Attributes(s)["atlhyper.request_id"].(string); ok && len(got) > 64 {
			t.Errorf("%s: a request id of %d bytes", id, len(got))
		}
		spans.Reset()
	}
	if text := log.String(); strings.Count(text, "\n") != 6 {
		t.Errorf("%d lines, want 6:\n%s", strings.Count(text, "\n"), text)
	}
}
