//go:build linux || darwin

package libchdb

import (
	"fmt"
	"syscall"

	"github.com/ebitengine/purego"
)

// sigactionSize is at least the size of the C struct sigaction on every
// platform (152 bytes with glibc, 16 on macOS).
const sigactionSize = 256

// signalHandlers is a copy of the process's signal handlers. Starting the
// engine installs some of its own over those of the Go runtime, which cannot
// work without them: it preempts goroutines with SIGURG and turns SIGSEGV
// into a panic.
type signalHandlers struct {
	sigaction func(signal int32, act, old *[sigactionSize]byte) int32
	saved     map[syscall.Signal]*[sigactionSize]byte
}

func saveSignalHandlers() (*signalHandlers, error) {
	symbol, err := purego.Dlsym(purego.RTLD_DEFAULT, "sigaction")
	if err != nil {
		return nil, fmt.Errorf("find the C function sigaction: %w", err)
	}
	h := &signalHandlers{saved: make(map[syscall.Signal]*[sigactionSize]byte)}
	purego.RegisterFunc(&h.sigaction, symbol)
	for _, signal := range []syscall.Signal{
		syscall.SIGSEGV, syscall.SIGBUS, syscall.SIGFPE, syscall.SIGILL, syscall.SIGABRT, syscall.SIGTRAP,
		syscall.SIGURG, syscall.SIGPIPE, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT,
	} {
		old := new([sigactionSize]byte)
		if h.sigaction(int32(signal), nil, old) != 0 { //nolint:gosec // signal numbers are small
			return nil, fmt.Errorf("read the handler of %v", signal)
		}
		h.saved[signal] = old
	}
	return h, nil
}

func (h *signalHandlers) restore() error {
	for signal, old := range h.saved {
		if h.sigaction(int32(signal), old, nil) != 0 { //nolint:gosec // signal numbers are small
			return fmt.Errorf("restore the handler of %v", signal)
		}
	}
	return nil
}
