package chdbtest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/atlhyper/observe/loadtest/chdb/engine"
)

const (
	command = "github.com/atlhyper/observe/cmd/chdb"
	// stopTimeout is how long the process may take to end when asked to, on a machine
	// that is busy with others.
	stopTimeout = 2 * time.Minute
)

// process is the engine's process. It holds the writing end of the child's
// standard input: the child stops when that is closed, which also happens
// when the test process dies in whatever way.
type process struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	stderr *bytes.Buffer
	dir    string
	killed bool
	exited chan error // buffered; gets what Wait returned, once
}

// kill ends the process without letting it clean up.
func (p *process) kill() error {
	p.killed = true
	err := p.cmd.Process.Kill()
	p.exited <- <-p.exited
	return err
}

// start builds cmd/chdb, runs it and waits until it accepts requests.
func start(ctx context.Context, opts []Option) (_ *Server, err error) {
	lib, err := engine.Ensure(ctx, engine.Config{})
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "chdbtest-*")
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	binary := filepath.Join(dir, "chdb")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, command).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build %s: %w\n%s", command, err, out)
	}
	args := []string{"serve", "--with-parent", "--listen=127.0.0.1:0", "--lib=" + lib}
	for _, opt := range opts {
		args = opt(args)
	}
	p := &process{cmd: exec.Command(binary, args...), stderr: &bytes.Buffer{}, dir: dir, exited: make(chan error, 1)} //nolint:gosec,noctx // our own binary; stop ends it
	// Its data directory is a temporary one, which it removes itself.
	p.cmd.Env = append(os.Environ(), "TMPDIR="+dir)
	p.cmd.Stderr = p.stderr
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	line, readErr := bufio.NewReader(stdout).ReadString('\n')
	go func() { p.exited <- p.cmd.Wait() }()
	addr, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	srv := &Server{Addr: addr, process: p}
	if !ok {
		return nil, errors.Join(fmt.Errorf("the engine did not start, it said %q", line), readErr, srv.stop())
	}
	return srv, nil
}

// stop ends the process and removes its directory. The error has what the
// process wrote to standard error when it ended in another way than asked.
func (s *Server) stop() error {
	p := s.process
	err := p.stdin.Close()
	if errors.Is(err, os.ErrClosed) {
		err = nil // the process had ended already
	}
	timeout := time.NewTimer(stopTimeout)
	defer timeout.Stop()
	select {
	case exit := <-p.exited:
		if exit != nil && !p.killed {
			err = errors.Join(err, fmt.Errorf("the engine's process ended with %w\n%s", exit, p.stderr))
		}
	case <-timeout.C:
		err = errors.Join(err, errors.New("the engine's process did not end in time and was killed"), p.kill())
	}
	return errors.Join(err, os.RemoveAll(p.dir))
}
