package dispatch_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"github.com/atlhyper/observe/master/dispatch"
	"github.com/atlhyper/observe/redis/bus"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/shared/codec"
	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/span"
	"github.com/atlhyper/observe/shared/span/spantest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// scripted is a bus whose replies the test gives.
type scripted struct {
	calls  atomic.Int64
	answer func(ctx context.Context, call int64, r bus.Request) (bus.Reply, error)
}

func (s *scripted) Do(ctx context.Context, _ key.Cluster, r bus.Request) (bus.Reply, error) {
	return s.answer(ctx, s.calls.Add(1), r)
}

// nowOf has the clock of another cluster an hour ahead.
func nowOf(c key.Cluster) time.Time {
	if c == "ahead" {
		return now().Add(time.Hour)
	}
	return now()
}

func now() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 123_000_000, time.UTC) }

func dispatcher(t *testing.T, b dispatch.Bus) *dispatch.Dispatcher {
	t.Helper()
	d, err := dispatch.New(dispatch.Config{Bus: b, Now: nowOf})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func nodeRequest(name string) dispatch.Request {
	return dispatch.Request{Cluster: "a", Detail: detail.Node{Name: name}, Timeout: time.Minute}
}

func encode(t *testing.T, v any) codec.Raw {
	t.Helper()
	data, err := codec.Encode(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestRepliesBecomeBodies(t *testing.T) {
	t.Parallel()
	data := encode(t, map[string]any{"text": "<a> \"é\"", "list": []string{}, "n": 1.5})
	var sent bus.Request
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	d := dispatcher(t, &scripted{answer: func(ctx context.Context, _ int64, r bus.Request) (bus.Reply, error) {
		if got := span.Traceparent(ctx); got != parent {
			t.Errorf("it goes on with the trace %q, not the caller's", got)
		}
		sent = r
		return bus.Reply{Agent: "agent-1", Data: data, TookMs: 12.5, Meta: detail.Meta{WindowSeconds: 900, NextCursor: "c", Truncated: true}}, nil
	}})
	body, err := d.Do(span.Continue(t.Context(), parent), nodeRequest("n1"))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"message":"ok","data":{"list":[],"n":1.5,"text":"<a> \"é\""},"meta":{"clusterId":"a","collectedAt":"2026-03-01T12:00:00.123Z",` +
		`"windowSeconds":900,"stale":false,"tookMs":12.5,"agent":"agent-1","nextCursor":"c","truncated":true}}` + "\n"
	if diff := cmp.Diff(want, string(body)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	var params detail.Node
	if err := codec.Decode(sent.Params, &params); err != nil || params.Name != "n1" || sent.Kind != detail.KindNode ||
		sent.Timeout != time.Minute {
		t.Errorf("sent %+v with %+v, %v", sent, params, err)
	}
}

// A shared answer says when, by whom and how long it was run.
func TestSharedRepliesSaySo(t *testing.T) {
	t.Parallel()
	for at, want := range map[time.Time]string{
		now().Add(-20 * time.Second): "2026-03-01T11:59:40.123Z",
		{}:                           "2026-03-01T12:00:00.123Z",
		now().Add(time.Hour):         "2026-03-01T12:00:00.123Z",
		now().Add(-time.Hour):        "2026-03-01T12:00:00.123Z",
	} {
		d := dispatcher(t, &scripted{answer: func(context.Context, int64, bus.Request) (bus.Reply, error) {
			return bus.Reply{Agent: "a", Data: encode(t, 1), TookMs: 3, Shared: true, At: at.UnixMilli()}, nil
		}})
		body, err := d.Do(t.Context(), nodeRequest("n1"))
		if err != nil {
			t.Fatal(err)
		}
		full := `{"message":"ok","data":1,"meta":{"clusterId":"a","collectedAt":"` + want +
			`","windowSeconds":0,"stale":false,"tookMs":3,"agent":"a","shared":true}}` + "\n"
		if diff := cmp.Diff(full, string(body)); diff != "" {
			t.Errorf("at %s: -want +got\n%s", at, diff)
		}
	}
}

// Servers of a Redis Cluster need not agree on the time: what a reply says is held
// against the clock of its own cluster's.
func TestCollectedAtIsOnTheClustersClock(t *testing.T) {
	t.Parallel()
	for cluster, at := range map[key.Cluster]time.Time{
		"a":     now().Add(-20 * time.Second),
		"ahead": now().Add(time.Hour - 20*time.Second),
	} {
		d := dispatcher(t, &scripted{answer: func(context.Context, int64, bus.Request) (bus.Reply, error) {
			return bus.Reply{Data: encode(t, 1), At: at.UnixMilli()}, nil
		}})
		req := nodeRequest("n1")
		req.Cluster = cluster
		body, err := d.Do(t.Context(), req)
		if want := at.Format(`"collectedAt":"2006-01-02T15:04:05.000Z"`); err != nil || !strings.Contains(string(body), want) {
			t.Errorf("%s: %s, %v; want %s", cluster, body, err, want)
		}
	}
}

func TestBadRequestsAreNotSent(t *testing.T) {
	t.Parallel()
	b := &scripted{}
	_, err := dispatcher(t, b).Do(t.Context(), nodeRequest(""))
	if !fault.Is(err, fault.BadRequest) || fault.From(err).Message != "name: is required" || b.calls.Load() != 0 {
		t.Errorf("%v after %d calls", err, b.calls.Load())
	}
}

// No reply, however wrong, becomes anything but an error.
func TestHostileReplies(t *testing.T) {
	t.Parallel()
	good := encode(t, 1)
	for name, reply := range map[string]bus.Reply{
		"no data":         {},
		"cut data":        {Data: encode(t, "text")[:2]},
		"trailing data":   {Data: append(encode(t, "text"), 1)},
		"an extension":    {Data: codec.Raw{0xd4, 1, 2}},
		"not a number":    {Data: codec.Raw{0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 1}},
		"deep nesting":    {Data: codec.Raw(strings.Repeat("\x91", 1<<20))},
		"a huge length":   {Data: codec.Raw{0xdd, 0xff, 0xff, 0xff, 0xff}},
		"a NaN time":      {Data: good, TookMs: math.NaN()},
		"a negative time": {Data: good, TookMs: -1},
		"an endless time": {Data: good, TookMs: math.Inf(1)},
		"a long cursor":   {Data: good, Meta: detail.Meta{NextCursor: strings.Repeat("x", detail.MaxCursor+1)}},
	} {
		d := dispatcher(t, &scripted{answer: func(context.Context, int64, bus.Request) (bus.Reply, error) { return reply, nil }})
		if body, err := d.Do(t.Context(), nodeRequest("n")); !fault.Is(err, fault.AgentError) {
			t.Errorf("%s: %.100s, %v; want agent_error", name, body, err)
		}
	}
	long := bus.Reply{Data: good, Agent: strings.Repeat("é", 4000) + "\xff"}
	d := dispatcher(t, &scripted{answer: func(context.Context, int64, bus.Request) (bus.Reply, error) { return long, nil }})
	if body, err := d.Do(t.Context(), nodeRequest("n")); err != nil || len(body) > 2000 || !json.Valid(body) {
		t.Errorf("a long name of an agent: %d bytes, %v", len(body), err)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for code, want := range map[fault.Code]fault.Code{
		fault.BadRequest: fault.BadRequest, fault.NotFound: fault.NotFound, fault.AgentError: fault.AgentError,
		fault.Timeout: fault.Timeout, fault.ResultTooLarge: fault.ResultTooLarge, fault.QueueFull: fault.QueueFull,
		fault.AgentOffline: fault.AgentOffline, fault.ClusterUnknown: fault.ClusterUnknown, fault.StoreUnavailable: fault.StoreUnavailable,
		fault.Internal: fault.AgentError, fault.Unauthorized: fault.AgentError, "invented": fault.AgentError,
	} {
		d := dispatcher(t, &scripted{answer: func(context.Context, int64, bus.Request) (bus.Reply, error) {
			return bus.Reply{}, fault.New(code, "%s", strings.Repeat("x", 5000)).After(7 * time.Second)
		}})
		_, err := d.Do(t.Context(), nodeRequest("n"))
		f := fault.From(err)
		if f.Code != want || f.RetryAfter != 7*time.Second || len(f.Message) > 1100 {
			t.Errorf("%s: %s, after %s, %d bytes; want %s", code, f.Code, f.RetryAfter, len(f.Message), want)
		}
	}
}

type outcome struct {
	body string
	err  error
}

func start(ctx context.Context, d *dispatch.Dispatcher, req dispatch.Request) <-chan outcome {
	out := make(chan outcome, 1)
	go func() {
		body, err := d.Do(ctx, req)
		out <- outcome{string(body), err}
	}()
	return out
}

func TestIdenticalRequestsRunOnceAndOthersApart(t *testing.T) {
	t.Parallel()
	started, release := make(chan string, 10), make(chan struct{})
	b := &scripted{}
	b.answer = func(ctx context.Context, call int64, r bus.Request) (bus.Reply, error) {
		var n detail.Node
		if err := codec.Decode(r.Params, &n); err != nil {
			return bus.Reply{}, err
		}
		started <- n.Name
		select {
		case <-release:
			return bus.Reply{Data: encode(t, call)}, nil
		case <-ctx.Done():
			return bus.Reply{}, ctx.Err()
		}
	}
	d := dispatcher(t, b)
	first := start(t.Context(), d, nodeRequest("n1"))
	<-started
	// One that joins and hangs up takes the others' answer from nobody. Its end
	// also shows that a joiner never got as far as the bus.
	ctx, cancel := context.WithCancel(t.Context())
	leaver := start(ctx, d, nodeRequest("n1"))
	other := start(t.Context(), d, nodeRequest("n2"))
	if name := <-started; name != "n2" {
		t.Errorf("%s was sent a second time", name)
	}
	cancel()
	if got := <-leaver; !errors.Is(got.err, context.Canceled) {
		t.Errorf("the one that left got %+v", got)
	}
	close(release)
	if got := <-first; got.err != nil {
		t.Errorf("the one that stayed got %v", got.err)
	}
	if got := <-other; got.err != nil {
		t.Errorf("the other got %v", got.err)
	}
	if n := b.calls.Load(); n != 2 {
		t.Errorf("%d commands, want 2", n)
	}
}

const oneJoined = `
# HELP atlhyper_master_requests_joined Detail requests that wait for the reply to an identical one.
# TYPE atlhyper_master_requests_joined gauge
atlhyper_master_requests_joined 1
`

// Who joins says so on its span, which is linked to the one it waited for.
func TestJoinersAreLinked(t *testing.T) {
	t.Parallel()
	spans := spantest.New(t)
	started, release := make(chan struct{}), make(chan struct{})
	metrics := prometheus.NewRegistry()
	d, err := dispatch.New(dispatch.Config{Now: nowOf, Metrics: metrics, Bus: &scripted{
		answer: func(context.Context, int64, bus.Request) (bus.Reply, error) {
			close(started)
			<-release
			return bus.Reply{Data: encode(t, 1)}, nil
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, first := spans.Tracer("test").Start(t.Context(), "first")
	one := start(ctx, d, nodeRequest("n1"))
	<-started
	ctx, second := spans.Tracer("test").Start(t.Context(), "second")
	two := start(ctx, d, nodeRequest("n1"))
	redistest.Eventually(t, "it joins", func() bool {
		return testutil.GatherAndCompare(metrics, strings.NewReader(oneJoined), "atlhyper_master_requests_joined") == nil
	})
	close(release)
	for _, call := range []<-chan outcome{one, two} {
		if got := <-call; got.err != nil {
			t.Error(got.err)
		}
	}
	first.End()
	second.End()
	if s := spans.Spans().Named("first").One(t); len(s.Links)+len(s.Attributes) > 0 {
		t.Errorf("the first has %v and %v", s.Links, s.Attributes)
	}
	s := spans.Spans().Named("second").One(t)
	if len(s.Links) != 1 || !s.Links[0].SpanContext.Equal(first.SpanContext()) || spantest.Attributes(s)["atlhyper.joined"] != true {
		t.Errorf("the second has %v and %v, want the first %v", s.Links, s.Attributes, first.SpanContext())
	}
}

// Those who join are bounded as well: the one too many is told at once.
func TestJoinersAreBounded(t *testing.T) {
	t.Parallel()
	started, release := make(chan struct{}), make(chan struct{})
	metrics := prometheus.NewRegistry()
	d, err := dispatch.New(dispatch.Config{MaxJoined: 2, Now: nowOf, Metrics: metrics, Bus: &scripted{
		answer: func(_ context.Context, call int64, _ bus.Request) (bus.Reply, error) {
			close(started)
			<-release
			return bus.Reply{Data: encode(t, call)}, nil
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	calls := []<-chan outcome{start(t.Context(), d, nodeRequest("n1"))}
	<-started
	for range 3 {
		calls = append(calls, start(t.Context(), d, nodeRequest("n1")))
	}
	// Of the three that join one is refused, while the others wait.
	var got outcome
	select {
	case got = <-calls[1]:
	case got = <-calls[2]:
	case got = <-calls[3]:
	}
	if f := fault.From(got.err); !fault.Is(got.err, fault.QueueFull) || f.RetryAfter <= 0 {
		t.Errorf("one too many got %+v, want queue_full and when to retry", got)
	}
	close(release)
	answered := 0
	for range 3 {
		select {
		case got = <-calls[0]:
		case got = <-calls[1]:
		case got = <-calls[2]:
		case got = <-calls[3]:
		}
		if got.err == nil && strings.Contains(got.body, `"data":1`) {
			answered++
		}
	}
	if answered != 3 {
		t.Errorf("%d of 3 that waited were answered", answered)
	}
	want := `
# HELP atlhyper_master_requests_joined Detail requests that wait for the reply to an identical one.
# TYPE atlhyper_master_requests_joined gauge
atlhyper_master_requests_joined 0
# HELP atlhyper_master_requests_joined_full_total Detail requests refused because too many waited for the replies to identical ones.
# TYPE atlhyper_master_requests_joined_full_total counter
atlhyper_master_requests_joined_full_total 1
`
	if err := testutil.GatherAndCompare(metrics, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}

func TestTheLastToHangUpCancelsTheCommand(t *testing.T) {
	t.Parallel()
	started, ended := make(chan struct{}), make(chan error, 1)
	d := dispatcher(t, &scripted{answer: func(ctx context.Context, _ int64, _ bus.Request) (bus.Reply, error) {
		close(started)
		<-ctx.Done()
		ended <- ctx.Err()
		return bus.Reply{}, ctx.Err()
	}})
	ctx, cancel := context.WithCancel(t.Context())
	call := start(ctx, d, nodeRequest("n1"))
	<-started
	cancel()
	if got := <-call; !errors.Is(got.err, context.Canceled) {
		t.Errorf("got %+v", got)
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the command ended with %v", err)
	}
}

func TestTheCallersOwnDeadline(t *testing.T) {
	t.Parallel()
	d := dispatcher(t, &scripted{answer: func(ctx context.Context, _ int64, _ bus.Request) (bus.Reply, error) {
		<-ctx.Done()
		return bus.Reply{}, ctx.Err()
	}})
	req := nodeRequest("n1")
	req.Timeout = time.Millisecond
	if _, err := d.Do(t.Context(), req); !fault.Is(err, fault.Timeout) {
		t.Errorf("%v, want timeout", err)
	}
}

// Who joins a call that has less time left than itself is not cut short by it.
func TestAJoinedTimeoutIsAskedAgain(t *testing.T) {
	t.Parallel()
	started, release := make(chan struct{}), make(chan struct{})
	d := dispatcher(t, &scripted{answer: func(_ context.Context, call int64, _ bus.Request) (bus.Reply, error) {
		if call == 1 {
			close(started)
			<-release
			return bus.Reply{}, fault.New(fault.Timeout, "the first one's")
		}
		return bus.Reply{Data: encode(t, call)}, nil
	}})
	first := start(t.Context(), d, nodeRequest("n1"))
	<-started
	joined := make(chan struct{})
	ctx := &joiningCtx{Context: t.Context(), joined: joined}
	second := start(ctx, d, nodeRequest("n1"))
	<-joined
	close(release)
	if got := <-first; !fault.Is(got.err, fault.Timeout) {
		t.Errorf("the first got %+v, want its timeout", got)
	}
	if got := <-second; got.err != nil || !strings.Contains(got.body, `"data":2`) {
		t.Errorf("the second got %+v, want a run of its own", got)
	}
}

// joiningCtx tells when its values are looked up, which a context does when a
// deadline is put on it: the call is on its way to join then. A joiner that
// comes later than the release starts its own run, with the same outcome.
type joiningCtx struct {
	context.Context
	joined chan struct{}
	told   atomic.Bool
}

func (c *joiningCtx) Done() <-chan struct{} {
	if c.told.CompareAndSwap(false, true) {
		close(c.joined)
	}
	return c.Context.Done()
}
