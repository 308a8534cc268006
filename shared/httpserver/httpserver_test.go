package httpserver_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/atlhyper/observe/shared/httpserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server serves one handler until end is called.
type server struct {
	url   string
	end   context.CancelFunc
	ended <-chan error
}

func start(t *testing.T, drain time.Duration, h http.HandlerFunc) server {
	t.Helper()
	var listen net.ListenConfig
	l, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- httpserver.Run(ctx, &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}, l, drain)
	}()
	return server{"http://" + l.Addr().String(), cancel, ended}
}

func get(t *testing.T, url string) <-chan error {
	t.Helper()
	done := make(chan error, 1)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
		if err != nil {
			done <- err
			return
		}
		_, err = io.Copy(io.Discard, resp.Body)
		done <- errors.Join(err, resp.Body.Close())
	}()
	return done
}

func TestRequestsUnderWayFinish(t *testing.T) {
	t.Parallel()
	started, release := make(chan struct{}), make(chan struct{})
	s := start(t, time.Minute, func(_ http.ResponseWriter, r *http.Request) {
		close(started)
		<-release
		if err := r.Context().Err(); err != nil {
			t.Errorf("the request's context ended with the server's: %v", err)
		}
	})
	done := get(t, s.url)
	<-started
	s.end()
	close(release)
	if err := <-done; err != nil {
		t.Errorf("the request failed: %v", err)
	}
	if err := <-s.ended; err != nil {
		t.Errorf("Run = %v", err)
	}
}

func TestRequestsThatDoNotFinishAreCut(t *testing.T) {
	t.Parallel()
	started, gone := make(chan struct{}), make(chan struct{})
	s := start(t, time.Millisecond, func(_ http.ResponseWriter, r *http.Request) {
		close(started)
		<-r.Context().Done()
		close(gone)
	})
	done := get(t, s.url)
	<-started
	s.end()
	if err := <-s.ended; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Run = %v, want that requests still ran", err)
	}
	<-gone
	if err := <-done; err == nil {
		t.Error("the cut request passed for a whole one")
	}
}
