package kubetest

import (
	"errors"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"

	"k8s.io/client-go/rest"
)

// Proxy stands between clients and the API server, and cuts what goes through it.
type Proxy struct {
	target   string
	listener net.Listener
	running  sync.WaitGroup

	mu     sync.Mutex
	closed bool
	held   chan struct{}         // closed by Release; nil: nothing is held
	cut    int                   // how many cuts there were
	budget int64                 // bytes of answers until the next cut; 0: no cut
	conns  map[net.Conn]struct{} // both ends of each
}

// Proxy returns a proxy before the API server and how it is reached through it. It
// ends with the test.
func (s *Server) Proxy(tb testing.TB, cfg *rest.Config) (*Proxy, *rest.Config) {
	tb.Helper()
	through := rest.CopyConfig(cfg)
	at, err := url.Parse(through.Host)
	if err != nil {
		tb.Fatalf("kubetest: %v", err)
	}
	listener, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatalf("kubetest: %v", err)
	}
	p := &Proxy{target: at.Host, listener: listener, conns: make(map[net.Conn]struct{})}
	at.Host = listener.Addr().String()
	through.Host = at.String()
	p.running.Go(p.accept)
	tb.Cleanup(func() {
		p.mu.Lock()
		p.closed = true
		p.mu.Unlock()
		if err := p.listener.Close(); err != nil {
			tb.Errorf("kubetest: close the proxy: %v", err)
		}
		p.Release()
		p.Cut()
		p.running.Wait()
	})
	return p, through
}

// Cut closes all connections at once.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cutLocked()
}

func (p *Proxy) cutLocked() {
	p.cut++
	p.budget = 0
	for conn := range p.conns {
		closeNow(conn)
	}
}

// CutAfter cuts when that many more bytes came from the API server, wherever in an
// answer that is.
func (p *Proxy) CutAfter(bytes int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.budget = bytes
}

// Cuts is how many cuts there were.
func (p *Proxy) Cuts() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cut
}

// Hold lets nothing through until Release: connections stay, and what is sent waits.
func (p *Proxy) Hold() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held == nil {
		p.held = make(chan struct{})
	}
}

// Release ends Hold. What was held is cut, new connections go through.
func (p *Proxy) Release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held != nil {
		p.cutLocked()
		close(p.held)
		p.held = nil
	}
}

// wait returns when nothing is held.
func (p *Proxy) wait() {
	p.mu.Lock()
	held := p.held
	p.mu.Unlock()
	if held != nil {
		<-held
	}
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return // it was closed
		}
		p.running.Go(func() { p.serve(client) })
	}
}

func (p *Proxy) serve(client net.Conn) {
	p.wait()
	server, err := net.Dial("tcp", p.target) //nolint:noctx // it is the caller's own machine
	if err != nil {
		closeNow(client)
		return
	}
	if !p.add(client, server) {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { p.copy(server, client, false) })
	both.Go(func() { p.copy(client, server, true) })
	both.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, client)
	delete(p.conns, server)
}

// add tells whether the pair may be served; otherwise it is closed.
func (p *Proxy) add(pair ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range pair {
		if p.closed {
			closeNow(conn)
		} else {
			p.conns[conn] = struct{}{}
		}
	}
	return !p.closed
}

// copy ends both connections when one ends.
func (p *Proxy) copy(to, from net.Conn, answers bool) {
	defer closeNow(to)
	defer closeNow(from)
	buffer := make([]byte, 4096)
	for {
		n, err := from.Read(buffer)
		p.wait() // also with the end of a connection
		if answers {
			n = p.spend(n)
		}
		if _, failed := to.Write(buffer[:n]); err != nil || failed != nil {
			return
		}
	}
}

// spend returns how many of n bytes of answers still pass.
func (p *Proxy) spend(n int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.budget == 0 {
		return n
	}
	if int64(n) < p.budget {
		p.budget -= int64(n)
		return n
	}
	n = int(p.budget)
	p.cutLocked()
	return n
}

// closeNow closes without waiting for what is not sent yet.
func closeNow(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		if err := tcp.SetLinger(0); err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, io.ErrClosedPipe) {
			return // it is closed by the other end
		}
	}
	if err := conn.Close(); err != nil {
		return // it was closed before
	}
}
