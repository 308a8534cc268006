package kube

import (
	"context"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/client-go/rest"
)

// absent is an API server that answers all requests in the same way.
type absent struct {
	status     int
	retryAfter string
	fail       func(*http.Request) error // instead of an answer

	mu    sync.Mutex
	asked map[string]int // requests by what they want
}

func (a *absent) RoundTrip(r *http.Request) (*http.Response, error) {
	what := "list"
	switch q := r.URL.Query(); {
	case r.URL.Path == "/version":
		what = "pulse"
	case q.Get("sendInitialEvents") == "true":
		what = "stream"
	case q.Get("watch") != "":
		what = "watch"
	}
	a.mu.Lock()
	a.asked[what]++
	a.mu.Unlock()
	if a.fail != nil {
		return nil, a.fail(r)
	}
	header := make(http.Header)
	if a.retryAfter != "" {
		header.Set("Retry-After", a.retryAfter)
	}
	return &http.Response{StatusCode: a.status, Header: header, Body: http.NoBody, Request: r}, nil
}

// CloseIdleConnections is what clients.close wants.
func (a *absent) CloseIdleConnections() {}

func refuse(*http.Request) error {
	return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
}

func silence(r *http.Request) error {
	<-r.Context().Done()
	return r.Context().Err()
}

// TestRunEndsAtOnce: however long the API server has been away, and whatever the wait
// until it is asked again, Run does not outlive its context. The time is the test's own.
func TestRunEndsAtOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		server *absent
		asked  []string
	}{
		// It will be as it was: a list that is not streamed would cost it far more.
		"refused":        {&absent{fail: refuse}, []string{"pulse", "stream"}},
		"too many":       {&absent{status: http.StatusTooManyRequests}, []string{"pulse", "stream"}},
		"told to wait":   {&absent{status: http.StatusTooManyRequests, retryAfter: "30"}, []string{"pulse", "stream"}},
		"broken":         {&absent{status: http.StatusInternalServerError}, []string{"list", "pulse", "stream"}},
		"may not be had": {&absent{status: http.StatusForbidden}, []string{"list", "pulse", "stream"}},
		"silent":         {&absent{fail: silence}, []string{"pulse", "stream"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server := c.server
				server.asked = make(map[string]int)
				cluster, err := New(Config{API: &rest.Config{Host: "http://kubernetes.invalid", Transport: server}})
				if err != nil {
					t.Fatal(err)
				}
				ctx, stop := context.WithCancel(t.Context())
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					cluster.Run(ctx)
				}()
				const long = 10 * time.Minute // by then the waits are the longest
				<-time.After(long)
				stop()
				since := time.Now()
				<-ended
				if took := time.Since(since); took != 0 {
					t.Errorf("it went on for %s", took)
				}
				server.mu.Lock()
				defer server.mu.Unlock()
				if got := slices.Sorted(maps.Keys(server.asked)); !slices.Equal(c.asked, got) {
					t.Errorf("it asked %v, want %v", server.asked, c.asked)
				}
				// Once when it begins; and a wait is a minute at most.
				least, most := len(kinds()), len(kinds())*(1+int(long/(800*time.Millisecond)))
				if name != "silent" && name != "told to wait" {
					least *= int(long / time.Minute)
				}
				if n := server.asked["stream"]; n < least || n > most {
					t.Errorf("it asked for %d streams, want %d to %d", n, least, most)
				}
			})
		})
	}
}
