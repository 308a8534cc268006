package peer_test

import (
	"crypto/tls"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/atlhyper/observe/master/peer"
)

func proxies(tb testing.TB, texts ...string) peer.Proxies {
	tb.Helper()
	p, err := peer.ParseProxies(texts)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func request(remote string, forwarded ...string) *http.Request {
	return &http.Request{RemoteAddr: remote, Header: http.Header{"X-Forwarded-For": forwarded}}
}

func TestAddr(t *testing.T) {
	t.Parallel()
	trusted := proxies(t, "10.0.0.0/8", "2001:db8::/32", "192.0.2.7")
	for _, c := range []struct {
		name      string
		remote    string
		forwarded []string
		want      string
	}{
		{"no proxy", "203.0.113.5:1234", nil, "203.0.113.5"},
		{"a stranger that claims to be a proxy", "203.0.113.5:1234", []string{"198.51.100.1"}, "203.0.113.5"},
		{"a proxy", "10.1.2.3:80", []string{"198.51.100.1"}, "198.51.100.1"},
		{"a single address as a proxy", "192.0.2.7:80", []string{"198.51.100.1"}, "198.51.100.1"},
		{"a proxy behind a proxy", "10.1.2.3:80", []string{"198.51.100.1, 10.9.9.9"}, "198.51.100.1"},
		{"what the sender claims is left of it", "10.1.2.3:80", []string{"127.0.0.1, 10.0.0.1, 198.51.100.1"}, "198.51.100.1"},
		{"several lines", "10.1.2.3:80", []string{"127.0.0.1", "198.51.100.1", "10.9.9.9"}, "198.51.100.1"},
		{"all are proxies", "10.1.2.3:80", []string{"10.0.0.1, 10.0.0.2"}, "10.0.0.1"},
		{"a proxy that says nothing", "10.1.2.3:80", nil, "10.1.2.3"},
		{"an empty line", "10.1.2.3:80", []string{""}, "10.1.2.3"},
		{"nonsense", "10.1.2.3:80", []string{"198.51.100.1, unknown"}, "10.1.2.3"},
		{"nonsense behind a proxy", "10.1.2.3:80", []string{"unknown, 10.0.0.1"}, "10.0.0.1"},
		{"an empty hop", "10.1.2.3:80", []string{"198.51.100.1,"}, "10.1.2.3"},
		{"a port", "10.1.2.3:80", []string{"198.51.100.1:4711"}, "198.51.100.1"},
		{"IPv6", "[2001:db8::1]:80", []string{"2001:dead::5"}, "2001:dead::5"},
		{"IPv6 in brackets", "10.1.2.3:80", []string{"[2001:dead::5]"}, "2001:dead::5"},
		{"IPv6 with a port", "10.1.2.3:80", []string{"[2001:dead::5]:99"}, "2001:dead::5"},
		{"IPv4 in IPv6", "[::ffff:10.1.2.3]:80", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},
		{"IPv6 with a zone", "10.1.2.3:80", []string{"fe80::1%eth0"}, "fe80::1"},
		{"tabs", "10.1.2.3:80", []string{"\t198.51.100.1\t"}, "198.51.100.1"},
		{"no TCP", "@", []string{"198.51.100.1"}, ""},
	} {
		want := netip.Addr{}
		if c.want != "" {
			want = netip.MustParseAddr(c.want)
		}
		if got := trusted.Addr(request(c.remote, c.forwarded...)); got != want {
			t.Errorf("%s: %v, want %v", c.name, got, want)
		}
	}
	var none peer.Proxies
	if got := none.Addr(request("10.1.2.3:80", "198.51.100.1")); got != netip.MustParseAddr("10.1.2.3") {
		t.Errorf("nobody is trusted: %v", got)
	}
}

func TestIsTLS(t *testing.T) {
	t.Parallel()
	trusted := proxies(t, "10.0.0.0/8")
	for _, c := range []struct {
		remote string
		proto  []string
		tls    *tls.ConnectionState
		want   bool
	}{
		{"10.0.0.1:80", []string{"https"}, nil, true},
		{"10.0.0.1:80", []string{"HTTPS"}, nil, true},
		{"10.0.0.1:80", []string{"http, https"}, nil, true},
		{"10.0.0.1:80", []string{"https, http"}, nil, false},
		{"10.0.0.1:80", []string{"https", "http"}, nil, false},
		{"10.0.0.1:80", []string{"http"}, nil, false},
		{"10.0.0.1:80", nil, nil, false},
		{"203.0.113.5:80", []string{"https"}, nil, false},
		{"@", []string{"https"}, nil, false},
		{"203.0.113.5:80", nil, &tls.ConnectionState{Version: tls.VersionTLS13}, true},
	} {
		r := &http.Request{RemoteAddr: c.remote, TLS: c.tls, Header: http.Header{"X-Forwarded-Proto": c.proto}}
		if got := trusted.IsTLS(r); got != c.want {
			t.Errorf("%s %q: %v, want %v", c.remote, c.proto, got, c.want)
		}
	}
}

func TestNetworksThatAreNone(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "proxy.example.org", "10.0.0.0/33", "10.0.0", "fe80::1%eth0", "::ffff:10.0.0.0/104", "10.0.0.0/8 "} {
		if _, err := peer.ParseProxies([]string{"10.0.0.0/8", text}); err == nil || !strings.Contains(err.Error(), "\""+text) {
			t.Errorf("%q: %v, want an error that names it", text, err)
		}
	}
}

// What a stranger sends never changes whose request it is, and what it sends through a
// proxy is never left of what the proxy says.
func FuzzForwarded(f *testing.F) {
	f.Add("198.51.100.1, 10.0.0.1")
	f.Add("[::1]:80,,")
	f.Add("unknown")
	trusted := proxies(f, "10.0.0.0/8")
	f.Fuzz(func(t *testing.T, header string) {
		if got := trusted.Addr(request("203.0.113.5:1", header)); got != netip.MustParseAddr("203.0.113.5") {
			t.Errorf("%q makes a stranger %v", header, got)
		}
		if got := trusted.Addr(request("10.0.0.1:1", header+", 198.51.100.9")); got != netip.MustParseAddr("198.51.100.9") {
			t.Errorf("%q before what the proxy says makes %v", header, got)
		}
		if got := trusted.Addr(request("10.0.0.1:1", header)); !got.IsValid() || got.Zone() != "" || got.Is4In6() {
			t.Errorf("%q makes the address %#v", header, got)
		}
	})
}
