package redistest

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// reservePort takes a free port of 127.0.0.1 until release is called: bound and not
// listened on, with SO_REUSEADDR, it is given to nobody who asks for any port, and
// refused to no server that names it and sets SO_REUSEADDR, as redis-server does.
// Without it, another test's server could take the port while this one's is stopped.
func reservePort() (port int, release func() error, err error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, nil, fmt.Errorf("reserve a port: %w", os.NewSyscallError("socket", err))
	}
	release = func() error { return os.NewSyscallError("close", syscall.Close(fd)) }
	port, err = bindAny(fd)
	if err != nil {
		return 0, nil, fmt.Errorf("reserve a port: %w", errors.Join(err, release()))
	}
	return port, release, nil
}

func bindAny(fd int) (port int, err error) {
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return 0, os.NewSyscallError("setsockopt", err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0, os.NewSyscallError("bind", err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		return 0, os.NewSyscallError("getsockname", err)
	}
	address, ok := name.(*syscall.SockaddrInet4)
	if !ok {
		return 0, fmt.Errorf("a socket of IPv4 has the name %T", name)
	}
	return address.Port, nil
}
