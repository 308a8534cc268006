package httpserver

import (
	"net"
	"strings"
)

// IsLoopback tells whether only this machine reaches a host. Of names it knows localhost
// (RFC 6761, 6.3); what another one means may change.
func IsLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}

// Hostname is the host of a host or host:port, IPv6 addresses without brackets.
func Hostname(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return strings.TrimSuffix(strings.TrimPrefix(hostport, "["), "]")
}
