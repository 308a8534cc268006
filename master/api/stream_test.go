package api_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/atlhyper/observe/master/access"
	"github.com/atlhyper/observe/master/api"
	"github.com/atlhyper/observe/master/dashboard"
	"github.com/atlhyper/observe/master/envelope"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
)

func TestStreamShowsWhatChanges(t *testing.T) {
	t.Parallel()
	b := newBoard(t)
	edges := func(data string, meta envelope.Meta) *dashboard.Answer {
		a := b.answer(t, data, meta)
		b.put(model.SectionSLOEdges, a)
		return a
	}
	first := edges(`[1]`, envelope.Meta{Seq: 7, CollectedAt: "t1", ClusterStatus: "online"})
	s := b.serve(t, nil)
	l := s.follow(t, "&sections=slo.edges,metrics.nodes", nil)
	l.expect(t, "at first", event{"7.0", "slo.edges", bodyOf(first)})
	l.expect(t, "what is not there", event{"", "error",
		`{"section":"metrics.nodes","error":"metrics.nodes was never collected","code":"not_ready"}` + "\n"})

	again := b.answer(t, `["<b>",{"x":null}]`, envelope.Meta{Seq: 8, CollectedAt: "t2"})
	b.put(model.SectionMetricsNodes, again)
	l.expect(t, "what is there now", event{"7.8", "metrics.nodes", bodyOf(again)})

	edges(`[1]`, envelope.Meta{Seq: 7, CollectedAt: "t3", ClusterStatus: "online"})
	l.expect(t, "collected again, with the same result", event{"", "meta",
		`{"section":"slo.edges","meta":{"collectedAt":"t3","windowSeconds":0,"seq":7,"stale":false,"clusterStatus":"online"}}` + "\n"})

	stale := edges(`[1]`, envelope.Meta{Seq: 7, CollectedAt: "t3", Stale: true, Error: "why", ClusterStatus: "offline"})
	l.expect(t, "stale", event{"7.8", "slo.edges", bodyOf(stale)})

	changed := edges(`[2]`, envelope.Meta{Seq: 9, CollectedAt: "t4"})
	l.expect(t, "changed", event{"9.8", "slo.edges", bodyOf(changed)})

	b.put(model.SectionSLOEdges, fault.New(fault.SnapshotExpired, "expired"))
	l.expect(t, "expired", event{"", "error", `{"section":"slo.edges","error":"expired","code":"snapshot_expired"}` + "\n"})
	b.put(model.SectionSLOEdges, fault.New(fault.SnapshotExpired, "expired")) // is not told again
	b.put(model.SectionSLOEdges, changed)
	l.expect(t, "there again", event{"9.8", "slo.edges", bodyOf(changed)})
}

func TestStreamHidesInternalErrors(t *testing.T) {
	t.Parallel()
	b := newBoard(t)
	b.put(model.SectionSLOEdges, errors.New("password=hunter2"))
	l := b.serve(t, nil).follow(t, "&sections=slo.edges", http.Header{"X-Request-Id": {"req-1"}})
	if e := l.next(t); e.name != "error" || !strings.Contains(e.data, `"internal"`) || !strings.Contains(e.data, "req-1") || strings.Contains(e.data, "hunter2") {
		t.Errorf("%+v", e)
	}
}

func TestStreamResumes(t *testing.T) {
	t.Parallel()
	b := newBoard(t)
	edges := b.answer(t, `[1]`, envelope.Meta{Seq: 7, CollectedAt: "t1"})
	nodes := b.answer(t, `[2]`, envelope.Meta{Seq: 5, CollectedAt: "t1"})
	b.put(model.SectionSLOEdges, edges)
	b.put(model.SectionMetricsNodes, nodes)
	s := b.serve(t, nil)
	const sections = "&sections=slo.edges,metrics.nodes"
	meta := func(section string, seq int) event {
		return event{"", "meta", fmt.Sprintf(`{"section":%q,"meta":{"collectedAt":"t1","windowSeconds":0,"seq":%d,"stale":false}}`+"\n", section, seq)}
	}
	for _, c := range []struct {
		name, query string
		header      http.Header
		want        []event
	}{
		{"all is the same", sections, http.Header{"Last-Event-Id": {"7.5"}}, []event{meta("slo.edges", 7), meta("metrics.nodes", 5)}},
		{"by parameter", sections + "&last_event_id=7.4", nil, []event{meta("slo.edges", 7), {"7.5", "metrics.nodes", bodyOf(nodes)}}},
		{"the header goes first", sections + "&last_event_id=7.5", http.Header{"Last-Event-Id": {"6.5"}},
			[]event{{"7.5", "slo.edges", bodyOf(edges)}, meta("metrics.nodes", 5)}},
		{"one was never shown", sections, http.Header{"Last-Event-Id": {"7.0"}},
			[]event{meta("slo.edges", 7), {"7.5", "metrics.nodes", bodyOf(nodes)}}},
	} {
		l := s.follow(t, c.query, c.header)
		for _, want := range c.want {
			l.expect(t, c.name, want)
		}
	}
	for _, id := range []string{
		"7", "7.", "7.5.3", "7,5", "x.5", "-7.5", "07.5", "+7.5", "99999999999999999999.5", strings.Repeat("7.", 3000),
	} {
		l := s.follow(t, sections, http.Header{"Last-Event-Id": {id}})
		l.expect(t, id, event{"7.0", "slo.edges", bodyOf(edges)})
		l.expect(t, id, event{"7.5", "metrics.nodes", bodyOf(nodes)})
	}
}

// What a caller has seen on another replica, it does not see undone here.
func TestStreamWaitsWhileTheReplicaIsBehind(t *testing.T) {
	t.Parallel()
	b := newBoard(t)
	b.put(model.SectionSLOEdges, b.answer(t, `["old"]`, envelope.Meta{Seq: 7}))
	nodes := b.answer(t, `[1]`, envelope.Meta{Seq: 8})
	b.put(model.SectionMetricsNodes, nodes)
	l := b.serve(t, nil).follow(t, "&sections=slo.edges,metrics.nodes&last_event_id=9.0", nil)
	l.expect(t, "the one that is not behind", event{"9.8", "metrics.nodes", bodyOf(nodes)})
	b.put(model.SectionSLOEdges, b.answer(t, `["older"]`, envelope.Meta{Seq: 8}))
	newer := b.answer(t, `["newer"]`, envelope.Meta{Seq: 11})
	b.put(model.SectionSLOEdges, newer)
	l.expect(t, "caught up", event{"11.8", "slo.edges", bodyOf(newer)})
}

// An id from the future, or of a Redis that lost what it held, is not waited for
// without end.
func TestStreamStopsWaiting(t *testing.T) {
	t.Parallel()
	b := newBoard(t)
	held := b.answer(t, `["all there is"]`, envelope.Meta{Seq: 7})
	b.put(model.SectionSLOEdges, held)
	s := b.serve(t, func(c *api.Config) { c.Heartbeat = 10 * time.Millisecond })
	l := s.follow(t, "&sections=slo.edges&last_event_id=9000000000000000000", nil)
	l.expect(t, "after a heartbeat", event{"7", "slo.edges", bodyOf(held)})
}

func TestStreamHeartbeats(t *testing.T) {
	t.Parallel()
	b := newBoard(t)
	b.put(model.SectionSLOEdges, b.answer(t, `[]`, envelope.Meta{Seq: 7}))
	l := b.serve(t, func(c *api.Config) { c.Heartbeat = 5 * time.Millisecond }).follow(t, "&sections=slo.edges", nil)
	l.next(t)
	for range 3 {
		if line := l.line(t); line != ":" {
			t.Errorf("line %q, want a comment", line)
		}
		if line := l.line(t); line != "" {
			t.Errorf("line %q after a comment", line)
		}
	}
}

func TestStreamParameters(t *testing.T) {
	t.Parallel()
	b := newBoard(t)
	s := b.serve(t, nil)
	for query, names := range map[string]string{
		"&sections=slo.edges,slo.none":   "slo.none",
		"&sections=slo.edges,":           `sections: "" is no section`,
		"&sections=slo.edges,slo.edges":  "twice",
		"&sections=a&sections=b":         "2 times",
		"&section=slo.edges":             "there are cluster_id, sections, last_event_id",
		"&time_range=5m":                 "time_range",
		"&last_event_id=1&cluster_id=b":  "cluster_id",
		"&sections=metrics.nodes%2Cnone": "none",
	} {
		l := s.open(t, query, nil)
		var f failure
		if err := json.NewDecoder(l.reader).Decode(&f); err != nil || l.resp.StatusCode != http.StatusBadRequest || !strings.Contains(f.Error, names) {
			t.Errorf("%s: %d %+v, %v", query, l.resp.StatusCode, f, err)
		}
	}
	b.put(model.SectionOverview, fault.New(fault.ClusterUnknown, "no such cluster"))
	l := s.open(t, "", nil)
	var f failure
	if err := json.NewDecoder(l.reader).Decode(&f); err != nil || l.resp.StatusCode != http.StatusNotFound || f.Code != "cluster_unknown" {
		t.Errorf("unknown cluster: %d %+v, %v", l.resp.StatusCode, f, err)
	}
	if n := b.subscribers(); n != 0 {
		t.Errorf("%d subscriptions of callers that got no stream", n)
	}

	b.put(model.SectionOverview, nil)
	all := s.follow(t, "", nil)
	var sections []string
	for range 9 {
		var e struct{ Section string }
		if err := json.Unmarshal([]byte(all.next(t).data), &e); err != nil {
			t.Fatal(err)
		}
		sections = append(sections, e.Section)
	}
	slices.Sort(sections)
	want := []string{"metrics.nodes", "metrics.summary", "otel.overview", "slo.edges", "slo.ingress", "slo.services",
		"slo.summary", "traces.services", "traces.topology"}
	if diff := cmp.Diff(want, sections); diff != "" {
		t.Errorf("without sections: -want +got\n%s", diff)
	}

	head, err := s.server.Client().Head(s.server.URL + "/api/v2/observe/stream?cluster_id=a")
	if err != nil || head.StatusCode != http.StatusOK || head.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("HEAD: %v, %v", head, err)
	}
	if err := head.Body.Close(); err != nil {
		t.Error(err)
	}
}

func TestStreamsEndAtDrain(t *testing.T) {
	t.Parallel()
	b := newBoard(t)
	b.put(model.SectionSLOEdges, b.answer(t, `[]`, envelope.Meta{Seq: 7}))
	s := b.serve(t, nil)
	l := s.follow(t, "&sections=slo.edges", nil)
	l.next(t)
	s.api.Drain()
	if rest, err := io.ReadAll(l.reader); err != nil || string(rest) != ":\n\n" {
		t.Errorf("%v after %q, want an orderly end", err, rest)
	}
	await(t, "the end is counted", func() bool { return s.metric(t, "atlhyper_http_streams_ended_total", "drained") == 1 })
	// Who comes back too early is told when to come again.
	late := s.follow(t, "&sections=slo.edges", nil)
	if rest, err := io.ReadAll(late.reader); err != nil || string(rest) != ":\n\n" {
		t.Errorf("while draining: %v after %q", err, rest)
	}
	s.api.Drain() // twice does no harm
}

func TestStreamsOfCallersThatLeave(t *testing.T) {
	t.Parallel()
	b := newBoard(t)
	s := b.serve(t, nil)
	l := s.follow(t, "&sections=slo.edges", nil)
	l.next(t)
	if b.subscribers() != 1 || s.metric(t, "atlhyper_http_streams", "") != 1 {
		t.Errorf("%d subscribers, %v streams; want 1", b.subscribers(), s.metric(t, "atlhyper_http_streams", ""))
	}
	l.hangUp()
	await(t, "nothing is left of the stream", func() bool {
		return b.subscribers() == 0 && s.metric(t, "atlhyper_http_streams", "") == 0 &&
			s.metric(t, "atlhyper_http_streams_ended_total", "left") == 1
	})
}

// A caller that does not read costs what the kernel holds for it, and is dropped;
// versions in between are not kept for it.
func TestSlowCallersAreDropped(t *testing.T) {
	t.Parallel()
	b := newBoard(t)
	hurry := &hurrying{}
	s := b.serve(t, func(c *api.Config) { c.StreamWait = 500 * time.Millisecond }, hurry.wrap)
	l := s.follow(t, "&sections=slo.edges", nil)
	l.next(t)
	hurry.begun.Store(true)
	const size, bound = 1 << 20, 64 // more than buffers of sockets hold
	data := `"` + strings.Repeat("x", size) + `"`
	b.mu.Lock()
	before := b.asked
	b.mu.Unlock()
	puts := int64(0)
	await(t, "the caller is dropped", func() bool {
		puts++
		b.put(model.SectionSLOEdges, b.answer(t, data, envelope.Meta{Seq: puts}))
		return s.metric(t, "atlhyper_http_streams_ended_total", "slow") == 1
	})
	await(t, "its subscription ends", func() bool { return b.subscribers() == 0 }) // after the stream is counted
	b.mu.Lock()
	asked := b.asked - before
	b.mu.Unlock()
	if asked > bound {
		t.Errorf("%d of %d versions of 1 MiB were taken for a caller that reads nothing", asked, puts)
	}
	if rest, err := io.ReadAll(l.reader); err == nil {
		t.Errorf("%d bytes and an orderly end: half an event must not pass for a whole", len(rest))
	}
}

// hurrying serves without deadlines for writing until begun: a machine that is slow must
// not drop a caller that still reads.
type hurrying struct{ begun atomic.Bool }

func (h *hurrying) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(&hurried{w, h}, r)
	})
}

type hurried struct {
	http.ResponseWriter
	by *hurrying
}

func (h *hurried) Unwrap() http.ResponseWriter { return h.ResponseWriter }

// SetWriteDeadline is what http.ResponseController calls.
func (h *hurried) SetWriteDeadline(at time.Time) error {
	if !h.by.begun.Load() {
		at = time.Time{}
	}
	return http.NewResponseController(h.ResponseWriter).SetWriteDeadline(at)
}

// As many callers as there may be all see a change, one more is refused until one
// leaves, and all end at once when the replica does.
func TestManyStreams(t *testing.T) {
	const most = 1000
	b := newBoard(t)
	b.put(model.SectionSLOEdges, b.answer(t, `[]`, envelope.Meta{Seq: 7}))
	s := b.serve(t, func(c *api.Config) { c.MaxStreams = most })
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	goroutines := runtime.NumGoroutine()

	const query = "&sections=slo.edges"
	conns := make([]*rawStream, most)
	for i := range conns {
		conns[i] = s.raw(t, query)
	}
	for _, c := range conns {
		c.await(t, `"seq":7`)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	used := int64(after.HeapInuse+after.StackInuse) - int64(before.HeapInuse+before.StackInuse)
	t.Logf("per stream, with its caller's end: %d bytes of heap and stacks, %.1f goroutines",
		used/most, float64(runtime.NumGoroutine()-goroutines)/most)

	refused := s.open(t, query, nil)
	var f failure
	if err := json.NewDecoder(refused.reader).Decode(&f); err != nil || refused.resp.StatusCode != http.StatusTooManyRequests || f.Code != "queue_full" ||
		refused.resp.Header.Get("Retry-After") == "" || s.metric(t, "atlhyper_http_streams_refused_total", "") != 1 {
		t.Errorf("one too many: %d %+v, %v", refused.resp.StatusCode, f, err)
	}

	b.put(model.SectionSLOEdges, b.answer(t, `["changed"]`, envelope.Meta{Seq: 8}))
	for _, c := range conns {
		c.await(t, `"changed"`)
	}

	conns[0].close(t)
	await(t, "the place of one that left is free", func() bool { return s.metric(t, "atlhyper_http_streams", "") == most-1 })
	conns[0] = s.raw(t, query)
	conns[0].await(t, `"changed"`)

	s.api.Drain()
	for _, c := range conns {
		c.await(t, "0\r\n") // the last chunk
	}
	await(t, "none is open", func() bool { return s.metric(t, "atlhyper_http_streams", "") == 0 && b.subscribers() == 0 })
}

// One caller takes no more than its share of the streams, however many tokens it may ask with.
func TestOneCallerLeavesStreamsToOthers(t *testing.T) {
	t.Parallel()
	b := newBoard(t)
	s := b.serve(t, func(c *api.Config) {
		c.MaxStreams = 30
		c.Access = byToken{"of-alice": callerOf(t, "alice", access.Viewer, "*"), "of-bob": callerOf(t, "bob", access.Viewer, "*")}
	})
	const share, query = 20, "&sections=slo.edges"
	var first *listener
	for range share {
		first = s.follow(t, query, as("alice"))
	}
	refused := s.open(t, query, as("alice"))
	var f failure
	if err := json.NewDecoder(refused.reader).Decode(&f); err != nil || refused.resp.StatusCode != http.StatusTooManyRequests || f.Code != "rate_limited" ||
		refused.resp.Header.Get("Retry-After") == "" || s.metric(t, "atlhyper_http_streams_refused_total", "") != 1 {
		t.Errorf("one too many of a caller: %d %+v, %v", refused.resp.StatusCode, f, err)
	}
	s.follow(t, query, as("bob"))
	first.hangUp()
	await(t, "the place of the one that left is free", func() bool {
		return s.open(t, query, as("alice")).resp.StatusCode == http.StatusOK
	})
	if got := s.open(t, query, as("alice")).resp.StatusCode; got != http.StatusTooManyRequests {
		t.Errorf("one place was free, and two were given: %d", got)
	}
}
