// Package cut is, for tests, a TCP link to a server that breaks as networks do: in
// the middle of what it carries.
package cut

import (
	"bytes"
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
	keep   string        // requests that hold it are kept; "": none
	kept   int           // how many were
	late   chan struct{} // closed when they are delivered
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
		late: make(chan struct{}),
	}
	l.done.Go(l.accept)
	tb.Cleanup(func() {
		l.Deliver()
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

// Keep has each further request that holds text kept, and its connection cut on the
// client's side alone, as a network does that delivers late: the server gets the
// request when Deliver is called, and does not know that nobody waits for the answer.
func (l *Link) Keep(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keep = text
}

// Kept is how many requests were kept.
func (l *Link) Kept() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.kept
}

// Deliver ends Keep and lets the server have what was kept.
func (l *Link) Deliver() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keep = ""
	select {
	case <-l.late:
	default:
		close(l.late)
	}
}

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
func (l *Link) pipe(to, from net.Conn, pass func(part []byte) (int, bool)) {
	defer closeQuietly(from)
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if l.keeps(buffer[:n]) {
			closeQuietly(from)
			<-l.late
			// Its other direction ends the connection, when the server has answered.
			if _, err := to.Write(buffer[:n]); err != nil {
				closeQuietly(to)
			}
			return
		}
		through, broken := pass(buffer[:n])
		if _, werr := to.Write(buffer[:through]); werr != nil || err != nil || broken {
			closeQuietly(to)
			return
		}
	}
}

// keeps tells whether a part is kept.
func (l *Link) keeps(part []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.keep == "" || !bytes.Contains(part, []byte(l.keep)) {
		return false
	}
	l.kept++
	return true
}

func (l *Link) request(part []byte) (int, bool) {
	n := len(part)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.left < 0 {
		return n, false
	}
	through := min(n, l.left)
	l.left -= through
	return through, l.left == 0
}

func (l *Link) answer(part []byte) (int, bool) {
	n := len(part)
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
