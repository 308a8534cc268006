package httpserver

import (
	"net/netip"
	"strings"
)

// IsLoopback tells whether only this machine reaches a host. Of names it knows localhost
// (RFC 6761, 6.3); what another one means may change.
func IsLoopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// Hostname is the host of a host or host:port, IPv6 addresses without brackets.
func Hostname(hostport string) string {
	if colon := strings.LastIndexByte(hostport, ':'); colon > strings.LastIndexByte(hostport, ']') {
		hostport = hostport[:colon]
	}
	return strings.TrimSuffix(strings.TrimPrefix(hostport, "["), "]")
}
