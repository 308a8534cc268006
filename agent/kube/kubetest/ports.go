package kubetest

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
)

// host is where all of it listens.
const host = "127.0.0.1"

// ports are those of one Server, which must find them free again after a stop: they are
// below those that systems give away on their own, and no other Server has them while
// this one has guard.
type ports struct {
	guard     net.Listener // on the port before them
	etcd, api string
}

// holdPorts finds three ports in a row that nobody listens on.
func holdPorts() (ports, error) {
	const first, rows, row = 20000, 2500, 4
	for range 100 {
		guard := first + row*rand.IntN(rows) //nolint:gosec // any will do
		listener, err := listen(guard)
		if err != nil {
			continue // it is taken
		}
		if err := errors.Join(free(guard+1), free(guard+2)); err != nil {
			if err := listener.Close(); err != nil {
				return ports{}, err
			}
			continue
		}
		return ports{guard: listener, etcd: strconv.Itoa(guard + 1), api: strconv.Itoa(guard + 2)}, nil
	}
	return ports{}, errors.New("no ports of a hundred are free")
}

func (p ports) release() error {
	if p.guard == nil {
		return nil
	}
	return p.guard.Close()
}

// free tells why the port is not free.
func free(port int) error {
	listener, err := listen(port)
	if err != nil {
		return err
	}
	return listener.Close()
}

func listen(port int) (net.Listener, error) {
	return net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port))) //nolint:noctx // at once
}
