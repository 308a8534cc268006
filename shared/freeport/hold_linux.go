package freeport

import (
	"errors"
	"fmt"
	"syscall"
)

// Hold finds a free port and holds it until Close.
//
// It is bound and does not listen. Linux lets another socket be bound beside such a one
// when both have SO_REUSEADDR, which servers set, but does not choose its port for one
// that wants any (port 0). Nor for one that connects: those get even ports, the others
// odd ones, as long as there are any.
func Hold() (*Port, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("hold a port: socket: %w", err)
	}
	release := func() error { return syscall.Close(fd) }
	number, err := bind(fd)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("hold a port: %w", err), release())
	}
	return &Port{Number: number, release: release}, nil
}

// bind binds a socket to any free port and returns its number.
func bind(fd int) (int, error) {
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return 0, fmt.Errorf("SO_REUSEADDR: %w", err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0, fmt.Errorf("bind: %w", err)
	}
	address, err := syscall.Getsockname(fd)
	if err != nil {
		return 0, fmt.Errorf("getsockname: %w", err)
	}
	bound, ok := address.(*syscall.SockaddrInet4)
	if !ok {
		return 0, fmt.Errorf("getsockname: %T", address)
	}
	return bound.Port, nil
}
