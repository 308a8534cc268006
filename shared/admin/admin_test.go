package admin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/atlhyper/observe/shared/admin"
	"github.com/atlhyper/observe/shared/build"
	"github.com/atlhyper/observe/shared/httpserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// listener is one that runs until the test ends.
type listener struct {
	url   string
	side  *httpserver.Side
	level *slog.LevelVar
}

func start(t *testing.T, to io.Writer) listener {
	t.Helper()
	l := listener{level: new(slog.LevelVar)}
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if _, err := io.WriteString(w, "up 1\n"); err != nil {
			t.Error(err)
		}
	})
	logger := slog.New(slog.NewTextHandler(to, &slog.HandlerOptions{Level: l.level}))
	var err error
	l.side, err = admin.Start(t.Context(), admin.Config{
		Listen: "127.0.0.1:0", Level: l.level,
		OnListen: func(at net.Addr) { l.url = "http://" + at.String() },
	}, metrics, logger)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (l listener) end(t *testing.T) {
	t.Helper()
	if err := l.side.End(); err != nil {
		t.Error(err)
	}
}

// ask sends one request on a connection of its own; change may alter it.
func (l listener) ask(t *testing.T, method, path, body string, change ...func(*http.Request)) (status int, text string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, l.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range change {
		c(req)
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	read, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Fatal(err)
	}
	if resp.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%s: may be sniffed", path)
	}
	return resp.StatusCode, string(read)
}

func TestEndpoints(t *testing.T) {
	t.Parallel()
	l := start(t, io.Discard)
	defer l.end(t)
	for path, want := range map[string]string{
		"/metrics":                       "up 1",
		"/debug/pprof/":                  "goroutine",
		"/debug/pprof/goroutine?debug=1": "goroutine profile:",
		"/debug/pprof/heap?debug=1":      "heap profile:",
		"/debug/pprof/symbol":            "num_symbols",
	} {
		if status, text := l.ask(t, http.MethodGet, path, ""); status != http.StatusOK || !strings.Contains(text, want) {
			t.Errorf("%s: %d %.100q, want %q in it", path, status, text, want)
		}
	}
	status, text := l.ask(t, http.MethodGet, "/buildinfo", "")
	var info build.Info
	if err := json.Unmarshal([]byte(text), &info); err != nil || status != http.StatusOK || info != build.Read() {
		t.Errorf("buildinfo: %d %q, %v", status, text, err)
	}
	for path, want := range map[string]int{
		"/": http.StatusNotFound, "/debug/": http.StatusNotFound, "/debug/pprof/none": http.StatusNotFound, "/debug/vars": http.StatusNotFound,
		"/debug/pprof/cmdline": http.StatusNotFound, // a flag may hold a password
	} {
		if status, _ := l.ask(t, http.MethodGet, path, ""); status != want {
			t.Errorf("%s: %d, want %d", path, status, want)
		}
	}
	if status, _ := l.ask(t, http.MethodPost, "/metrics", ""); status != http.StatusMethodNotAllowed {
		t.Errorf("POST /metrics: %d", status)
	}
}

func TestLogLevel(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	l := start(t, &log)
	if status, text := l.ask(t, http.MethodGet, "/loglevel", ""); status != http.StatusOK || text != `{"level":"INFO"}`+"\n" {
		t.Errorf("GET: %d %s", status, text)
	}
	for _, bad := range []string{
		"", "debug", `{}`, `{"level":"loud"}`, `{"level":7}`, `{"level":"debug+1"}`, `{"level":null}`, `{"level":"debug","for":"1h"}`,
		`{"level":"debug"} {}`, `{"level":"debug"` + strings.Repeat(" ", 1<<10) + `}`, strings.Repeat("x", 4<<10),
	} {
		if status, text := l.ask(t, http.MethodPut, "/loglevel", bad); status != http.StatusBadRequest || !strings.HasPrefix(text, "body: ") {
			t.Errorf("PUT %.40s: %d %s", bad, status, text)
		}
	}
	if l.level.Level() != slog.LevelInfo {
		t.Errorf("a bad body made the level %s", l.level.Level())
	}
	for _, want := range []slog.Level{slog.LevelError, slog.LevelDebug} {
		body := `{"level":"` + strings.ToLower(want.String()) + `"}`
		if status, text := l.ask(t, http.MethodPut, "/loglevel", body); status != http.StatusOK || text != `{"level":"`+want.String()+`"}`+"\n" {
			t.Errorf("PUT %s: %d %s", body, status, text)
		}
		if l.level.Level() != want {
			t.Errorf("the level is %s, want %s", l.level.Level(), want)
		}
	}
	l.end(t)
	for _, want := range []string{"from=INFO to=ERROR", "from=ERROR to=DEBUG"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not say %s:\n%s", want, log.String())
		}
	}
}

// What a browser may be talked into by a page of others is refused on every path.
func TestForeignRequests(t *testing.T) {
	t.Parallel()
	l := start(t, io.Discard)
	defer l.end(t)
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	host := func(name string) func(*http.Request) { return func(r *http.Request) { r.Host = name } }
	for name, tc := range map[string]struct {
		change func(*http.Request)
		want   int
	}{
		"rebound name":           {host("evil.example:6060"), http.StatusForbidden},
		"name like localhost":    {host("localhost.evil.example"), http.StatusForbidden},
		"name like an address":   {host("127.0.0.1.evil.example:6060"), http.StatusForbidden},
		"below localhost":        {host("x.localhost:6060"), http.StatusForbidden},
		"localhost":              {host("localhost:6060"), http.StatusOK},
		"localhost without port": {host("LOCALHOST"), http.StatusOK},
		"address":                {host("127.0.0.1"), http.StatusOK},
		"IPv6":                   {host("[::1]:6060"), http.StatusOK},
		"IPv6 without port":      {host("[::1]"), http.StatusOK},
		"other origin":           {header("Origin", "https://evil.example"), http.StatusForbidden},
		"opaque origin":          {header("Origin", "null"), http.StatusForbidden},
		"image of another site":  {header("Sec-Fetch-Site", "cross-site"), http.StatusForbidden},
		"other port":             {header("Sec-Fetch-Site", "same-site"), http.StatusForbidden},
		"address bar":            {header("Sec-Fetch-Site", "none"), http.StatusOK},
		"own link":               {header("Sec-Fetch-Site", "same-origin"), http.StatusOK},
	} {
		for _, path := range []string{"/metrics", "/buildinfo", "/loglevel", "/debug/pprof/"} {
			if status, text := l.ask(t, http.MethodGet, path, "", tc.change); status != tc.want {
				t.Errorf("%s: %s: %d %s, want %d", name, path, status, text, tc.want)
			}
		}
		if status, _ := l.ask(t, http.MethodPut, "/loglevel", `{"level":"info"}`, tc.change); status != tc.want {
			t.Errorf("%s: PUT: %d, want %d", name, status, tc.want)
		}
	}
}

// A profile may take a minute, no longer, and does not hold up the end of the process.
func TestProfilesAreBounded(t *testing.T) { // not beside others that take CPU profiles
	l := start(t, io.Discard)
	for _, seconds := range []string{"61", "-1", "0", "NaN", "1e9", "x"} {
		for _, name := range []string{"profile", "trace", "heap"} {
			if status, text := l.ask(t, http.MethodGet, "/debug/pprof/"+name+"?seconds="+seconds, ""); status != http.StatusBadRequest || !strings.Contains(text, "60") {
				t.Errorf("%s of %s s: %d %s", name, seconds, status, text)
			}
		}
	}
	if status, text := l.ask(t, http.MethodGet, "/debug/pprof/trace?seconds=0.01", ""); status != http.StatusOK || text == "" {
		t.Errorf("trace: %d, %d bytes", status, len(text))
	}

	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, l.url+"/debug/pprof/profile?seconds=60", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	cut := make(chan error, 1)
	go func() {
		resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
		if err == nil { // it was refused
			_, err = io.ReadAll(resp.Body)
			t.Errorf("a profile of a minute: %d, %v, %v", resp.StatusCode, err, resp.Body.Close())
		}
		cut <- err
	}()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for stacks := ""; !strings.Contains(stacks, "net/http/pprof.sleep("); {
		select {
		case <-ctx.Done():
			t.Fatal("the profile does not begin")
		case <-ticker.C:
		}
		_, stacks = l.ask(t, http.MethodGet, "/debug/pprof/goroutine?debug=2", "")
	}
	l.end(t)
	<-cut
}

func TestConfig(t *testing.T) {
	t.Parallel()
	for address, ok := range map[string]bool{
		"": true, "127.0.0.1:6060": true, "127.9.9.9:0": true, "[::1]:6060": true, "localhost:6060": true,
		"0.0.0.0:6060": false, ":6060": false, "10.0.0.1:6060": false, "[::]:6060": false, "example.org:6060": false,
		"6060": false, "127.0.0.1": false,
	} {
		if err := (admin.Config{Listen: address}).Validate(); (err == nil) != ok {
			t.Errorf("%q: %v", address, err)
		}
	}
	if err := (admin.Config{Listen: "0.0.0.0:6060", Insecure: true}).Validate(); err != nil {
		t.Error(err)
	}
	side, err := admin.Start(t.Context(), admin.Config{}, nil, nil)
	if side != nil || err != nil || side.End() != nil {
		t.Errorf("without an address: %v, %v", side, err)
	}
	// A taken address is an error that says which flag is meant.
	l := start(t, io.Discard)
	defer l.end(t)
	taken := admin.Config{Listen: strings.TrimPrefix(l.url, "http://")}
	if _, err := admin.Start(t.Context(), taken, http.NotFoundHandler(), slog.New(slog.DiscardHandler)); err == nil ||
		!strings.Contains(err.Error(), "--admin-listen") {
		t.Errorf("taken: %v", err)
	}
}
