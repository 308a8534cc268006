package master

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/atlhyper/observe/master/access"
	"github.com/atlhyper/observe/master/api"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/shared/httpserver"
)

// longer than any of these tests, so that only the bound under test can end a connection.
const endless = 10 * time.Minute

func unbounded() bounds {
	return bounds{readHeader: endless, read: endless, write: endless, idle: endless, headerBytes: 32 << 10, connections: 100}
}

// counting counts the connections that are open.
type counting struct {
	net.Listener
	open, most atomic.Int64
}

type counted struct {
	net.Conn
	of   *counting
	once atomic.Bool
}

func (c *counting) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c.most.Store(max(c.most.Load(), c.open.Add(1))) // one goroutine accepts
	return &counted{Conn: conn, of: c}, nil
}

func (c *counted) Close() error {
	if !c.once.Swap(true) {
		c.of.open.Add(-1)
	}
	return c.Conn.Close()
}

// serving starts a server with the bounds; it ends with the test.
func serving(t *testing.T, b bounds, h http.Handler) *counting {
	t.Helper()
	var listen net.ListenConfig
	inner, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &counting{Listener: inner}
	server, limited := b.server(h, l, slog.New(slog.DiscardHandler))
	ctx, end := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- httpserver.Run(ctx, server, limited, 0) }()
	t.Cleanup(func() {
		end()
		if err := <-served; err != nil && !errors.Is(err, context.DeadlineExceeded) { // what still runs is cut
			t.Error(err)
		}
	})
	return l
}

// dial connects; a read that takes too long is an error of the test.
func dial(t *testing.T, addr net.Addr, text string) net.Conn {
	t.Helper()
	var dialer net.Dialer
	conn, err := dialer.DialContext(t.Context(), "tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
	if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	return conn
}

// readAll reads until the other end closes the connection, which may be by a reset.
func readAll(t *testing.T, conn net.Conn) string {
	t.Helper()
	text, err := io.ReadAll(conn)
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		t.Fatal("the connection stays open")
	}
	return string(text)
}

func ok(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }

func TestSlowHeaders(t *testing.T) {
	t.Parallel()
	b := unbounded()
	b.readHeader = 20 * time.Millisecond
	l := serving(t, b, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the handler was called") }))
	readAll(t, dial(t, l.Addr(), "GET / HTTP/1.1\r\nHost: x\r\nX-Slow"))
	readAll(t, dial(t, l.Addr(), "")) // and who says nothing at all
}

func TestSlowBody(t *testing.T) {
	t.Parallel()
	b := unbounded()
	b.read = 20 * time.Millisecond
	read := make(chan error, 1)
	l := serving(t, b, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		read <- err
	}))
	readAll(t, dial(t, l.Addr(), "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nslow"))
	if err := <-read; err == nil {
		t.Error("half of a body passed for a whole one")
	}
}

func TestIdleConnections(t *testing.T) {
	t.Parallel()
	b := unbounded()
	b.idle = 20 * time.Millisecond
	l := serving(t, b, http.HandlerFunc(ok))
	if got := readAll(t, dial(t, l.Addr(), "GET / HTTP/1.1\r\nHost: x\r\n\r\n")); !strings.HasPrefix(got, "HTTP/1.1 204") {
		t.Errorf("the answer before the connection was idle: %q", got)
	}
}

// Who asks for much and takes nothing holds no memory for ever.
func TestSlowReaders(t *testing.T) {
	t.Parallel()
	b := unbounded()
	b.write = 20 * time.Millisecond
	wrote := make(chan error, 1)
	l := serving(t, b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				wrote <- err
				return
			}
		}
		wrote <- r.Context().Err()
	}))
	dial(t, l.Addr(), "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	select {
	case <-wrote:
	case <-t.Context().Done():
		t.Error("the handler still writes")
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	b := unbounded()
	b.connections = 2
	l := serving(t, b, http.HandlerFunc(ok))
	held := []net.Conn{dial(t, l.Addr(), "GET"), dial(t, l.Addr(), "GET")}
	redistest.Eventually(t, "both are accepted", func() bool { return l.open.Load() == 2 })
	var waiting []net.Conn
	for range 10 {
		waiting = append(waiting, dial(t, l.Addr(), "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
	}
	for _, conn := range held {
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for i, conn := range waiting {
		if got := readAll(t, conn); !strings.HasPrefix(got, "HTTP/1.1 204") {
			t.Errorf("connection %d, when there was room: %q", i, got)
		}
	}
	if most := l.most.Load(); most != 2 {
		t.Errorf("%d connections were open at once, want 2", most)
	}
}

// The bounds that a replica has, and what it says to requests that are too large.
func TestLargeRequests(t *testing.T) {
	t.Parallel()
	m, err := New(Config{Redis: "redis://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.clients.Close(); err != nil {
			t.Error(err)
		}
	})
	b := boundsOf(m.cfg)
	for name, d := range map[string]time.Duration{"readHeader": b.readHeader, "read": b.read, "write": b.write, "idle": b.idle} {
		if d <= 0 || d > 5*time.Minute {
			t.Errorf("%s is %s", name, d)
		}
	}
	if b.connections != DefaultMaxConnections || b.write <= m.cfg.MaxTimeout {
		t.Errorf("bounds %+v", b)
	}
	l := serving(t, b, m.api)
	// A little beyond each bound: of what is far beyond, the server need not read all.
	long := strings.Repeat("x", 40<<10)
	body := `{"query":"` + strings.Repeat("x", 2*api.MaxBody) + `"}`
	const logs = "POST /api/v2/observe/logs/query HTTP/1.1\r\nHost: x\r\n"
	for _, c := range []struct{ name, request, status, says string }{
		{"a huge header", "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Huge: " + long + "\r\n\r\n", "431", ""},
		{"many headers", "GET /healthz HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X-Many: x\r\n", 4<<10) + "\r\n", "431", ""},
		{"a huge URL", "GET /healthz?" + long + " HTTP/1.1\r\nHost: x\r\n\r\n", "431", ""},
		{"a long URL", "GET /healthz?" + long[:api.MaxURL] + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "400", "URL"},
		{"a huge body", fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", logs, len(body), body), "400", "body"},
		{"a huge body in chunks", fmt.Sprintf("%sTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", logs, len(body), body), "400", "body"},
		{"HTTP/2 without TLS", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "405", ""},
		{"two lengths", "POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "400", ""},
		{"no host", "GET /healthz HTTP/1.1\r\n\r\n", "400", ""},
	} {
		conn := dial(t, l.Addr(), "")
		// The server may answer and close before it has read all: that is no error here.
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			if _, err := io.WriteString(conn, c.request); err != nil {
				return
			}
		}()
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		body, err := io.ReadAll(io.LimitReader(response.Body, 1<<10))
		if err := errors.Join(err, response.Body.Close(), conn.Close()); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Logf("%s: %v", c.name, err)
		}
		<-sent
		if !strings.HasPrefix(response.Status, c.status) || !strings.Contains(string(body), c.says) {
			t.Errorf("%s: %s %s, want %s that says %q", c.name, response.Status, body, c.status, c.says)
		}
	}
}

func TestGuardRefusesWhatMakesNoSense(t *testing.T) {
	t.Parallel()
	for name, g := range map[string]Guard{
		"caller rate":     {CallerRate: -3},
		"cluster rate":    {ClusterRate: math.NaN()},
		"trusted proxies": {TrustedProxies: []string{"proxy.example.org"}},
		"max connections": {MaxConnections: -1},
		"origin":          {Origins: []string{"*"}},
		"audit log":       {AuditLog: filepath.Join(t.TempDir(), "no", "such")},
	} {
		if _, err := New(Config{Redis: "redis://127.0.0.1:1", Guard: g}); err == nil || !strings.Contains(strings.ToLower(err.Error()), name) {
			t.Errorf("%+v: %v, want an error that names %s", g, err, name)
		}
	}
}

// Limits are for callers that are told apart, unless they are asked for.
func TestDefaultLimits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		mode                       access.Mode
		guard                      Guard
		callers, clusters, guesses bool
	}{
		{access.ModeNone, Guard{}, false, false, false},
		{access.ModeNone, Guard{CallerRate: 5}, true, false, false},
		{access.ModeTokens, Guard{}, true, true, true},
		{access.ModeOIDC, Guard{CallerRate: NoLimit, ClusterRate: NoLimit}, false, false, true},
	} {
		l, err := c.guard.limits(c.mode)
		if err != nil {
			t.Fatal(err)
		}
		if (l.Callers != nil) != c.callers || (l.Clusters != nil) != c.clusters || (l.Failures != nil) != c.guesses {
			t.Errorf("%+v: %+v", c, l)
		}
	}
}
