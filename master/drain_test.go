package master

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// While DrainDelay lasts, a replica that was told to end still accepts, and
// /readyz says that it ends.
func TestDrainDelay(t *testing.T) {
	t.Parallel()
	m, err := New(Config{Redis: "redis://127.0.0.1:1", DrainDelay: 10 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := m.clients.Close(); err != nil {
			t.Error(err)
		}
	}()
	var listen net.ListenConfig
	listener, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- m.serve(ctx, listener) }()

	transport := &http.Transport{DisableKeepAlives: true}
	get := func(path string) string {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+listener.Addr().String()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatalf("%s is not accepted: %v", path, err)
		}
		body, err := io.ReadAll(resp.Body)
		if err := errors.Join(err, resp.Body.Close()); err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	if body := get("/healthz"); body != `{"status":"ok"}`+"\n" {
		t.Errorf("/healthz: %s", body)
	}
	end()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	// Without Redis /readyz fails in any case; the code tells which failure it is.
	for !strings.Contains(get("/readyz"), `"code":"unavailable"`) {
		<-ticker.C
	}
	// The test need not wait for the delay: without its listener the server ends.
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-served; err == nil {
		t.Error("serve ended without an error though its listener broke")
	}
}
