//go:build !linux

package freeport

import (
	"fmt"
	"net"
)

// Hold finds a free port.
func Hold() (*Port, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0")) //nolint:noctx // local and immediate
	if err != nil {
		return nil, fmt.Errorf("find a port: %w", err)
	}
	number := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		return nil, fmt.Errorf("find a port: %w", err)
	}
	return &Port{Number: number, release: func() error { return nil }}, nil
}
