// Package freeport finds ports of 127.0.0.1 for servers that are told where to listen,
// and holds them: tests and benches start such servers, and start them again.
package freeport

import (
	"errors"
	"net"
	"strconv"
)

// host is where all of it listens.
const host = "127.0.0.1"

// Port is a port that the system gives to nobody else who asks it for a free one,
// neither before the server listens nor while it is down. Whoever knows its number can
// listen on it. Only Linux can hold a port like that; elsewhere it is one that was free
// a moment ago.
type Port struct {
	// Number of the port.
	Number int

	release func() error
}

// Addr is host:port.
func (p *Port) Addr() string { return net.JoinHostPort(host, strconv.Itoa(p.Number)) }

// Close gives the port back. A server that listens on it goes on.
func (p *Port) Close() error { return p.release() }

// Ports are those of one owner. The zero value has none; it is not safe for concurrent use.
type Ports struct{ held []*Port }

// Hold is Hold for the owner.
func (p *Ports) Hold() (*Port, error) {
	port, err := Hold()
	if err != nil {
		return nil, err
	}
	p.held = append(p.held, port)
	return port, nil
}

// Close gives all of them back.
func (p *Ports) Close() error {
	var errs []error
	for _, port := range p.held {
		errs = append(errs, port.Close())
	}
	p.held = nil
	return errors.Join(errs...)
}
