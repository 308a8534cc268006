package master

import (
	"context"
	"net"
	"net/http"
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
	get := func(path string) (int, error) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+listener.Addr().String()+path, nil)
		if err != nil {
			return 0, err
		}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			return 0, err
		}
		return resp.StatusCode, resp.Body.Close()
	}
	if status, err := get("/healthz"); status != 200 || err != nil {
		t.Errorf("/healthz: %d, %v", status, err)
	}
	end()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	// Without Redis /readyz fails in any case; the code tells which it is.
	for drained := false; !drained; <-ticker.C {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+listener.Addr().String()+"/readyz", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatalf("nothing is accepted any more: %v", err)
		}
		buf := make([]byte, 200)
		n, _ := resp.Body.Read(buf)
		if err := resp.Body.Close(); err != nil {
			t.Fatal(err)
		}
		drained = n > 0 && string(buf[:n]) == `{"error":"this replica is shutting down","code":"unavailable"}`+"\n"
	}
	// The test need not wait for the delay: without its listener the server ends.
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-served; err == nil {
		t.Error("serve ended without an error though its listener broke")
	}
}
