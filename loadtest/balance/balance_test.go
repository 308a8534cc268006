package balance_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/atlhyper/observe/loadtest/balance"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs a balancer over the backends and returns its URL. It checks them once: a
// check may take as long as there is between two, and a machine that stands still for a
// moment must make no backend unready.
func start(t *testing.T, cfg balance.Config, backends ...string) string {
	t.Helper()
	for _, b := range backends {
		u, err := url.Parse(b)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Backends = append(cfg.Backends, u)
	}
	listening := make(chan net.Addr, 1)
	cfg.Listen, cfg.CheckInterval = "127.0.0.1:0", time.Hour
	cfg.OnListen = func(a net.Addr) { listening <- a }
	b, err := balance.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	t.Cleanup(func() {
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
	return "http://" + (<-listening).String()
}

// serve starts a backend that is ready and answers with h.
func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			h(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// named answers with its name and what it got.
func named(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("X-Backend", name)
		io.WriteString(w, name+" "+r.Method+" "+r.URL.RequestURI()+" "+string(body))
	}
}

type response struct {
	status int
	header http.Header
	body   string
}

func do(t *testing.T, method, target, body string) (response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		return response{}, err
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return response{}, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return response{resp.StatusCode, resp.Header, string(data)}, err
}

func TestRequestsPassWholeAndInTurn(t *testing.T) {
	t.Parallel()
	a, b := serve(t, named("a")), serve(t, named("b"))
	base := start(t, balance.Config{}, a.URL, b.URL)
	seen := map[string]int{}
	for range 10 {
		got, err := do(t, http.MethodPost, base+"/api/v2/observe/logs/query?x=%2F&y=1", `{"q":1}`)
		name := got.header.Get("X-Backend")
		if err != nil || got.status != 200 || got.body != name+` POST /api/v2/observe/logs/query?x=%2F&y=1 {"q":1}` {
			t.Fatalf("%+v, %v", got, err)
		}
		seen[name]++
	}
	if seen["a"] != 5 || seen["b"] != 5 {
		t.Errorf("spread %v, want half each", seen)
	}
}

// A backend that dies at any point of an answer fails no read.
func TestFailuresAreAskedOfTheNext(t *testing.T) {
	t.Parallel()
	good := serve(t, named("good"))
	for name, h := range map[string]http.HandlerFunc{
		"before the answer": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"within the answer": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			io.WriteString(w, "half")
			panic(http.ErrAbortHandler)
		},
		"within a chunk": func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "half")
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
			panic(http.ErrAbortHandler)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var failed atomic.Int64
			bad := serve(t, func(w http.ResponseWriter, r *http.Request) {
				failed.Add(1)
				h(w, r)
			})
			base := start(t, balance.Config{Rest: time.Nanosecond}, bad.URL, good.URL)
			for _, c := range []struct{ method, path, body string }{
				{http.MethodGet, "/x", ""}, {http.MethodGet, "/x", ""},
				{http.MethodPost, "/api/v2/observe/logs/query", "body"}, {http.MethodPost, "/api/v2/observe/logs/query", "body"},
			} {
				got, err := do(t, c.method, base+c.path, c.body)
				if err != nil || got.body != "good "+c.method+" "+c.path+" "+c.body {
					t.Errorf("%+v: %+v, %v", c, got, err)
				}
			}
			if failed.Load() == 0 {
				t.Error("the bad backend was never asked")
			}
		})
	}
}

// Two of four: every request in flight on a backend that is killed is answered.
func TestKillingABackendFailsNoRequest(t *testing.T) {
	t.Parallel()
	held := make(chan struct{})
	var holding sync.WaitGroup
	holding.Add(8)
	doomed := serve(t, func(http.ResponseWriter, *http.Request) {
		holding.Done()
		<-held // the kill comes while the requests wait
	})
	good := serve(t, named("good"))
	base := start(t, balance.Config{}, doomed.URL, good.URL)

	const requests = 16
	results := make(chan error, requests)
	for range requests {
		go func() {
			got, err := do(t, http.MethodGet, base+"/x", "")
			if err == nil && got.body != "good GET /x " {
				err = errors.New(got.body)
			}
			results <- err
		}()
	}
	holding.Wait()
	if err := doomed.Listener.Close(); err != nil {
		t.Error(err)
	}
	doomed.CloseClientConnections()
	for range requests {
		if err := <-results; err != nil {
			t.Errorf("a request failed: %v", err)
		}
	}
	close(held)
}

func TestWritesAreNotRepeated(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	fail := func(http.ResponseWriter, *http.Request) {
		asked.Add(1)
		panic(http.ErrAbortHandler)
	}
	a, b := serve(t, fail), serve(t, fail)
	base := start(t, balance.Config{}, a.URL, b.URL)
	got, err := do(t, http.MethodPost, base+"/api/v2/elsewhere", "x")
	if err != nil || got.status != 503 || asked.Load() != 1 {
		t.Errorf("%+v, %v after %d tries; want 503 after 1", got, err, asked.Load())
	}
}

func TestNoBackendLeft(t *testing.T) {
	t.Parallel()
	a := serve(t, named("a"))
	base := start(t, balance.Config{}, a.URL)
	a.Close()
	got, err := do(t, http.MethodGet, base+"/x", "")
	if err != nil {
		t.Fatal(err)
	}
	var f struct{ Error, Code string }
	if err := json.Unmarshal([]byte(got.body), &f); err != nil || got.status != 503 || f.Code != "unavailable" || f.Error == "" ||
		got.header.Get("Retry-After") != "1" {
		t.Errorf("%+v, %v", got, err)
	}
}

// logged gets the first line.
type logged chan string

// Write implements io.Writer.
func (l logged) Write(line []byte) (int, error) {
	select {
	case l <- string(line):
	default:
	}
	return len(line), nil
}

func TestUnreadyBackendsComeLast(t *testing.T) {
	t.Parallel()
	unready := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/readyz" {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		named("unready")(w, r)
	}))
	defer unready.Close()
	good := serve(t, named("good"))
	changed := make(logged, 1)
	base := start(t, balance.Config{Logger: slog.New(slog.NewTextHandler(changed, nil))}, unready.URL, good.URL)
	select {
	case line := <-changed: // said when the check's answer is known
		if !strings.Contains(line, "backend changed") || !strings.Contains(line, "ready=false") {
			t.Errorf("logged %q", line)
		}
	case <-t.Context().Done():
		t.Fatal("the check found nothing")
	}
	for range 6 {
		if got, err := do(t, http.MethodGet, base+"/x", ""); err != nil || !strings.HasPrefix(got.body, "good") {
			t.Errorf("%+v, %v", got, err)
		}
	}
	good.Close()
	if got, err := do(t, http.MethodGet, base+"/x", ""); err != nil || !strings.HasPrefix(got.body, "unready") {
		t.Errorf("with no ready one left: %+v, %v", got, err)
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("x", 5000)
	a := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, large)
		if r.URL.Path == "/cut" {
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
			panic(http.ErrAbortHandler)
		}
	})
	base := start(t, balance.Config{MaxBuffer: 1000, MaxBody: 100}, a.URL)
	if got, err := do(t, http.MethodGet, base+"/x", ""); err != nil || got.body != large {
		t.Errorf("a large response: %d bytes, %v", len(got.body), err)
	}
	if got, err := do(t, http.MethodGet, base+"/cut", ""); err == nil {
		t.Errorf("a response cut beyond the buffer passed for a whole one: %d bytes", len(got.body))
	}
	if got, err := do(t, http.MethodPost, base+"/x", large); err != nil || got.status != 400 {
		t.Errorf("a large body: %+v, %v", got, err)
	}
}

// Events must not wait for the end of a response that has none.
func TestEventStreamsAreNotHeldBack(t *testing.T) {
	t.Parallel()
	sent, done := make(chan struct{}), make(chan struct{})
	a := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, "data: 1\n\n")
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		close(sent)
		<-r.Context().Done()
		close(done)
	})
	base := start(t, balance.Config{}, a.URL)
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	<-sent
	buf := make([]byte, 9)
	if _, err := io.ReadFull(resp.Body, buf); err != nil || string(buf) != "data: 1\n\n" {
		t.Errorf("%q, %v", buf, err)
	}
	cancel()
	<-done // the backend learns that the caller left
	if err := resp.Body.Close(); err != nil {
		t.Error(err)
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	good := []*url.URL{{Scheme: "http", Host: "127.0.0.1:1"}}
	for want, cfg := range map[string]balance.Config{
		"listen":   {Listen: "x", Backends: good},
		"backends": {Listen: "127.0.0.1:0"},
		"base URL": {Listen: "127.0.0.1:0", Backends: []*url.URL{{Path: "127.0.0.1"}}},
		"negative": {Listen: "127.0.0.1:0", Backends: good, Rest: -1},
	} {
		if _, err := balance.New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want an error about %s", cfg, err, want)
		}
	}
}
