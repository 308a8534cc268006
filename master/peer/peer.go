// Package peer says who is at the other end of a request when proxies stand between:
// its address, and whether it speaks TLS. What a proxy says counts only if it is one of
// those that are trusted, since anyone can send its headers.
package peer

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
)

// Proxies are the networks of trusted proxies. The zero value trusts none.
type Proxies struct{ networks []netip.Prefix }

// ParseProxies reads networks (10.0.0.0/8, 2001:db8::/32) and single addresses. The
// error names what is none.
func ParseProxies(texts []string) (Proxies, error) {
	var p Proxies
	for _, text := range texts {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			var addr netip.Addr
			if addr, err = netip.ParseAddr(text); err == nil && addr.Zone() == "" {
				network = netip.PrefixFrom(addr, addr.BitLen())
			}
		}
		if err != nil || !network.IsValid() {
			return Proxies{}, fmt.Errorf("%.60q is no network such as 10.0.0.0/8", text)
		}
		if network.Addr().Is4In6() {
			return Proxies{}, fmt.Errorf("%.60q: write IPv4 networks as IPv4", text)
		}
		p.networks = append(p.networks, network.Masked())
	}
	return p, nil
}

// Addr returns the address of who sent the request: that of the connection, or, when
// that is a trusted proxy's, the rightmost hop of X-Forwarded-For that is none. Each
// proxy adds on the right the address that it was asked from, so what is left of that
// hop was said by whoever sent it. A proxy that names nobody, or nothing that is an
// address, is the sender itself. The zero Addr is of no TCP connection.
func (p Proxies) Addr(r *http.Request) netip.Addr {
	remote, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	addr := plain(remote.Addr())
	if !p.trusts(addr) {
		return addr
	}
	lines := r.Header["X-Forwarded-For"]
	for i := len(lines) - 1; i >= 0; i-- {
		for rest, more := lines[i], true; more; {
			var hop string
			rest, hop, more = lastHop(rest)
			named, ok := parseHop(hop)
			if !ok {
				return addr
			}
			if addr = named; !p.trusts(addr) {
				return addr
			}
		}
	}
	return addr
}

// Any tells whether any is trusted.
func (p Proxies) Any() bool { return len(p.networks) > 0 }

// IsTLS tells whether who sent the request speaks TLS: with us, or, as a trusted proxy
// says in X-Forwarded-Proto, with it.
func (p Proxies) IsTLS(r *http.Request) bool {
	if r.TLS != nil && r.TLS.Version >= tls.VersionTLS12 {
		return true
	}
	values := r.Header["X-Forwarded-Proto"]
	if len(values) == 0 || len(p.networks) == 0 {
		return false
	}
	remote, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !p.trusts(plain(remote.Addr())) {
		return false
	}
	_, scheme, _ := lastHop(values[len(values)-1])
	return strings.EqualFold(scheme, "https")
}

func (p Proxies) trusts(addr netip.Addr) bool {
	for _, network := range p.networks {
		if network.Contains(addr) {
			return true
		}
	}
	return false
}

// lastHop splits "a, b, c" into "a, b" and "c".
func lastHop(list string) (rest, hop string, more bool) {
	i := strings.LastIndexByte(list, ',')
	if i < 0 {
		return "", strings.Trim(list, " \t"), false
	}
	return list[:i], strings.Trim(list[i+1:], " \t"), true
}

// parseHop reads an address, with a port as some proxies add it.
func parseHop(hop string) (netip.Addr, bool) {
	if addr, err := netip.ParseAddr(hop); err == nil {
		return plain(addr), true
	}
	if withPort, err := netip.ParseAddrPort(hop); err == nil {
		return plain(withPort.Addr()), true
	}
	inside, ok := strings.CutPrefix(hop, "[")
	if inside, ok2 := strings.CutSuffix(inside, "]"); ok && ok2 {
		addr, err := netip.ParseAddr(inside)
		return plain(addr), err == nil && addr.Is6()
	}
	return netip.Addr{}, false
}

// plain makes addresses that are equal look equal.
func plain(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }
