package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/atlhyper/observe/master/api"
	"github.com/atlhyper/observe/master/compress"
	"github.com/atlhyper/observe/master/dashboard"
	"github.com/atlhyper/observe/master/envelope"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
)

// board is a cache whose content the test sets.
type board struct {
	backend
	compressor *compress.Compressor

	mu      sync.Mutex
	held    map[model.Section]any // *dashboard.Answer or error
	asked   int
	subs    map[chan struct{}]struct{}
	version int
}

func newBoard(t *testing.T) *board {
	t.Helper()
	compressor, err := compress.New()
	if err != nil {
		t.Fatal(err)
	}
	return &board{compressor: compressor, held: map[model.Section]any{}, subs: map[chan struct{}]struct{}{}}
}

func (b *board) Section(_ context.Context, _ key.Cluster, s model.Section) (*dashboard.Answer, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked++
	switch held := b.held[s].(type) {
	case *dashboard.Answer:
		return held, nil
	case error:
		return nil, held
	default:
		return nil, fault.New(fault.NotReady, "%s was never collected", s)
	}
}

func (b *board) Subscribe(key.Cluster, []model.Section) (<-chan struct{}, func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	sub := make(chan struct{}, 1)
	b.subs[sub] = struct{}{}
	return sub, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.subs, sub)
	}
}

func (b *board) subscribers() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.subs)
}

// put changes what is held, and tells subscribers.
func (b *board) put(s model.Section, held any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held[s] = held
	for sub := range b.subs {
		select {
		case sub <- struct{}{}:
		default:
		}
	}
}

// answer is data in an answer of its own.
func (b *board) answer(t *testing.T, data string, meta envelope.Meta) *dashboard.Answer {
	t.Helper()
	body, err := envelope.FromValue(json.RawMessage(data), meta)
	if err != nil {
		t.Fatal(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.version++
	return dashboard.NewAnswer(dashboard.Content{Body: body, ETag: fmt.Sprintf("%d-%d", meta.Seq, b.version), Meta: meta}, b.compressor)
}

type streamServer struct {
	*board
	api      *api.API
	server   *httptest.Server
	registry *prometheus.Registry
}

// serve starts a server; what wraps its handler may be given.
func (b *board) serve(t *testing.T, change func(*api.Config), wraps ...func(http.Handler) http.Handler) *streamServer {
	t.Helper()
	s := &streamServer{board: b, registry: prometheus.NewRegistry()}
	cfg := api.Config{
		Dashboards: b, Details: b, Ready: func(context.Context) error { return nil }, Now: clocks,
		Heartbeat: time.Hour, Metrics: s.registry, Logger: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&cfg)
	}
	var err error
	if s.api, err = api.New(cfg); err != nil {
		t.Fatal(err)
	}
	var handler http.Handler = s.api
	for _, wrap := range wraps {
		handler = wrap(handler)
	}
	s.server = httptest.NewUnstartedServer(handler)
	s.server.Config.WriteTimeout = time.Minute
	s.server.Start()
	t.Cleanup(s.server.Close)
	return s
}

// metric returns the value of a metric without labels, or of one with that label value.
func (s *streamServer) metric(t *testing.T, name, label string) float64 {
	t.Helper()
	families, err := s.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && (label == "" || m.GetLabel()[0].GetValue() == label) {
				return m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	t.Fatalf("there is no metric %s %s", name, label)
	return 0
}

// await asks until a condition holds, or the test ends.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-ticker.C:
		case <-t.Context().Done():
			t.Fatal("in vain: " + what)
		}
	}
}

type event struct{ id, name, data string }

// listener reads one stream.
type listener struct {
	resp   *http.Response
	reader *bufio.Reader
	hangUp context.CancelFunc
}

func (s *streamServer) open(t *testing.T, query string, header http.Header) *listener {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.server.URL+"/api/v2/observe/stream?cluster_id=a"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	resp, err := s.server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		if err := resp.Body.Close(); err != nil {
			t.Error(err)
		}
	})
	return &listener{resp: resp, reader: bufio.NewReader(resp.Body), hangUp: cancel}
}

// follow opens a stream that must begin as one does.
func (s *streamServer) follow(t *testing.T, query string, header http.Header) *listener {
	t.Helper()
	l := s.open(t, query, header)
	h := l.resp.Header
	if l.resp.StatusCode != http.StatusOK || h.Get("Content-Type") != "text/event-stream" || h.Get("Cache-Control") != "no-store" ||
		h.Get("X-Accel-Buffering") != "no" || h.Get("X-Request-Id") == "" {
		t.Fatalf("%d %v", l.resp.StatusCode, h)
	}
	if line := l.line(t); line != "retry: 2000" {
		t.Fatalf("the stream begins with %q", line)
	}
	if line := l.line(t); line != "" {
		t.Fatalf("after retry comes %q", line)
	}
	return l
}

func (l *listener) line(t *testing.T) string {
	t.Helper()
	line, err := l.reader.ReadString('\n')
	if err != nil {
		t.Fatalf("%v after %q", err, line)
	}
	return strings.TrimSuffix(line, "\n")
}

// next returns the next event, passing over comments.
func (l *listener) next(t *testing.T) event {
	t.Helper()
	var e event
	for {
		switch field, value, _ := strings.Cut(l.line(t), ": "); field {
		case "id":
			e.id = value
		case "event":
			e.name = value
		case "data":
			e.data += value + "\n"
		case "":
			if e != (event{}) {
				return e
			}
		case ":":
		default:
			t.Fatalf("field %q", field)
		}
	}
}

func (l *listener) expect(t *testing.T, what string, want event) {
	t.Helper()
	if diff := cmp.Diff(want, l.next(t), cmp.AllowUnexported(event{})); diff != "" {
		t.Fatalf("%s: -want +got\n%s", what, diff)
	}
}

func bodyOf(a *dashboard.Answer) string { return string(a.Body()) }

// rawStream is a stream on a connection of its own, cheaper than an http.Client's.
type rawStream struct {
	conn   net.Conn
	reader *bufio.Reader
}

func (s *streamServer) raw(t *testing.T, query string) *rawStream {
	t.Helper()
	var dialer net.Dialer
	conn, err := dialer.DialContext(t.Context(), "tcp", s.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c := &rawStream{conn, bufio.NewReaderSize(conn, 512)}
	t.Cleanup(func() { c.close(t) })
	if _, err := fmt.Fprintf(conn, "GET /api/v2/observe/stream?cluster_id=a%s HTTP/1.1\r\nHost: test\r\n\r\n", query); err != nil {
		t.Fatal(err)
	}
	return c
}

// await reads until a line holds a text.
func (c *rawStream) await(t *testing.T, text string) {
	t.Helper()
	for {
		line, err := c.reader.ReadString('\n')
		if err != nil {
			t.Fatalf("%v before %q came", err, text)
		}
		if strings.Contains(line, text) {
			return
		}
	}
}

func (c *rawStream) close(t *testing.T) {
	t.Helper()
	if err := c.conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}
