// Package cut is, for tests, a TCP link to a server that breaks as networks do: in
// the middle of what it carries.
package cut

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
)

// Link forwards connections to a server until the test ends.
type Link struct {
	listener net.Listener
	target   string
	dialer   net.Dialer
	ctx      context.Context //nolint:containedctx // of the test
	done     sync.WaitGroup

	mu     sync.Mutex
	random *rand.Rand
	oneIn  int // of the server's answers is cut; 0: none
	left   int // bytes of requests that still pass; negative: all
	cuts   int
	ends   map[net.Conn]bool
}

// New listens on a free port of 127.0.0.1.
func New(tb testing.TB, target string) *Link {
	tb.Helper()
	var listen net.ListenConfig
	listener, err := listen.Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	l := &Link{
		listener: listener, target: target, ctx: context.WithoutCancel(tb.Context()),
		random: rand.New(rand.NewPCG(1, 2)), left: -1, ends: make(map[net.Conn]bool), //nolint:gosec // the same cuts each time
	}
	l.done.Go(l.accept)
	tb.Cleanup(func() {
		closeQuietly(listener)
		l.All()
		l.done.Wait()
	})
	return l
}

// Addr is where the link listens.
func (l *Link) Addr() string { return l.listener.Addr().String() }

// Answers has one in n of the server's answers cut: nothing or half of it arrives,
// and the connection ends. 0 cuts none.
func (l *Link) Answers(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.oneIn = n
}

// After lets n more bytes of requests pass, then cuts all connections and every
// further one, until Mend.
func (l *Link) After(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left = n
}

// Mend ends After.
func (l *Link) Mend() { l.After(-1) }

// Cuts is how many answers were cut.
func (l *Link) Cuts() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cuts
}

// All cuts all connections that are there now.
func (l *Link) All() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.ends {
		closeQuietly(c)
	}
}

func (l *Link) accept() {
	for {
		near, err := l.listener.Accept()
		if err != nil {
			return // the test has ended
		}
		l.done.Go(func() { l.forward(near) })
	}
}

func (l *Link) forward(near net.Conn) {
	defer closeQuietly(near)
	far, err := l.dialer.DialContext(l.ctx, "tcp", l.target)
	if err != nil {
		return // the client sees its connection closed
	}
	defer closeQuietly(far)
	l.mu.Lock()
	l.ends[near], l.ends[far] = true, true
	down := l.left == 0
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.ends, near)
		delete(l.ends, far)
	}()
	if down {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { l.pipe(far, near, l.request) })
	both.Go(func() { l.pipe(near, far, l.answer) })
	both.Wait()
}

// pipe copies one direction; pass says how much of a part goes through and whether
// the connection is cut then.
func (l *Link) pipe(to, from net.Conn, pass func(n int) (int, bool)) {
	defer closeQuietly(to)
	defer closeQuietly(from)
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		through, broken := pass(n)
		if _, werr := to.Write(buffer[:through]); werr != nil || err != nil {
			return
		}
		if broken {
			return
		}
	}
}

func (l *Link) request(n int) (int, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.left < 0 {
		return n, false
	}
	through := min(n, l.left)
	l.left -= through
	return through, l.left == 0
}

func (l *Link) answer(n int) (int, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.oneIn == 0 || n == 0 || l.random.IntN(l.oneIn) != 0 {
		return n, false
	}
	l.cuts++
	return l.random.IntN(2) * (n / 2), true
}

// closeQuietly closes what may be closed already.
func closeQuietly(c io.Closer) {
	if err := c.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return // nothing can be done with it either way
	}
}
