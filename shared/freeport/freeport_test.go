package freeport_test

import (
	"net"
	"runtime"
	"testing"

	"github.com/atlhyper/observe/shared/freeport"
)

func hold(t *testing.T) *freeport.Port {
	t.Helper()
	p, err := freeport.Hold()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func listen(t *testing.T, addr string) net.Listener {
	t.Helper()
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// A server listens on a held port, again and again, also when it closed the connections
// to it first, and nobody is listening in between.
func TestWhoKnowsItListens(t *testing.T) {
	t.Parallel()
	p := hold(t)
	var dialer net.Dialer
	for range 3 {
		if c, err := dialer.DialContext(t.Context(), "tcp", p.Addr()); err == nil {
			t.Fatalf("somebody listens: %v", c.LocalAddr())
		}
		l := listen(t, p.Addr())
		near, err := dialer.DialContext(t.Context(), "tcp", p.Addr())
		if err != nil {
			t.Fatal(err)
		}
		far, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []interface{ Close() error }{far, near, l} {
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	l := listen(t, p.Addr())
	defer l.Close()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if c, err := dialer.DialContext(t.Context(), "tcp", p.Addr()); err != nil {
		t.Errorf("the server does not outlive Close: %v", err)
	} else if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// The system has 7,000 ports for those who want any: who asks as often as three times
// that gets each of them, and none of those that are held.
func TestNobodyElseGetsIt(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux holds ports")
	}
	held := make(map[int]bool)
	for range 20 {
		p := hold(t)
		if held[p.Number] {
			t.Errorf("port %d is held twice", p.Number)
		}
		held[p.Number] = true
		defer p.Close()
	}
	for range 20_000 {
		l := listen(t, "127.0.0.1:0")
		if port := l.Addr().(*net.TCPAddr).Port; held[port] {
			t.Fatalf("port %d was given away", port)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPortsOfAnOwner(t *testing.T) {
	t.Parallel()
	var ports freeport.Ports
	seen := make(map[int]bool)
	for range 20 {
		p, err := ports.Hold()
		if err != nil {
			t.Fatal(err)
		}
		if l := listen(t, p.Addr()); seen[p.Number] {
			t.Errorf("port %d is held twice", p.Number)
		} else if err := l.Close(); err != nil {
			t.Error(err)
		}
		seen[p.Number] = true
	}
	for range 2 { // the second time there are none
		if err := ports.Close(); err != nil {
			t.Error(err)
		}
	}
}
