package e2e_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
)

// link is a TCP connection to a server that a test can cut and mend, as when the
// server goes away and comes back.
type link struct {
	listener net.Listener
	target   string
	dialer   net.Dialer
	ctx      context.Context //nolint:containedctx // of the test

	mu    sync.Mutex
	down  bool
	conns map[net.Conn]bool
	done  sync.WaitGroup
}

// newLink listens on a free port and forwards to target until the test ends.
func newLink(t *testing.T, target string) *link {
	t.Helper()
	var listen net.ListenConfig
	listener, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &link{listener: listener, target: target, ctx: t.Context(), conns: map[net.Conn]bool{}}
	l.done.Go(l.accept)
	t.Cleanup(func() {
		if err := listener.Close(); err != nil {
			t.Errorf("close the link: %v", err)
		}
		l.set(true)
		l.done.Wait()
	})
	return l
}

func (l *link) addr() string { return l.listener.Addr().String() }

// cut closes all connections and every further one; mend ends that.
func (l *link) cut()  { l.set(true) }
func (l *link) mend() { l.set(false) }

func (l *link) set(down bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = down
	if down {
		for c := range l.conns {
			drop(c)
		}
	}
}

func (l *link) accept() {
	for {
		c, err := l.listener.Accept()
		if err != nil {
			return // closed by the test's end
		}
		l.done.Go(func() { l.forward(c) })
	}
}

func (l *link) forward(near net.Conn) {
	defer drop(near)
	if !l.add(near) {
		return
	}
	defer l.remove(near)
	far, err := l.dialer.DialContext(l.ctx, "tcp", l.target)
	if err != nil {
		return // the caller sees its connection closed
	}
	defer drop(far)
	if !l.add(far) {
		return
	}
	defer l.remove(far)
	var both sync.WaitGroup
	both.Go(func() { pipe(far, near) })
	both.Go(func() { pipe(near, far) })
	both.Wait()
}

// pipe copies one direction; at its end both ends see the connection closed.
func pipe(to, from net.Conn) {
	if _, err := io.Copy(to, from); err != nil && !errors.Is(err, net.ErrClosed) {
		drop(from)
	}
	drop(to)
}

func (l *link) add(c net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns[c] = true
	return !l.down
}

func (l *link) remove(c net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
}

// drop closes a connection that may already be closed.
func drop(c net.Conn) {
	if err := c.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return // nothing can be done with it either way
	}
}
