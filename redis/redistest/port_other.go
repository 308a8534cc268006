//go:build !linux

package redistest

import (
	"context"
	"net"
)

// reservePort finds a free port of 127.0.0.1: only Linux can keep it for a server that
// is yet to come.
func reservePort() (port int, release func() error, err error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, nil, err
	}
	return l.Addr().(*net.TCPAddr).Port, func() error { return nil }, l.Close()
}
