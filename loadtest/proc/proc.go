// Package proc runs child processes that must not outlive their parent: the
// demo's servers and those that tests start.
package proc

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// Spec describes a child.
type Spec struct {
	// Name is for messages and for the prefix of the child's lines. Required.
	Name string
	// Path and Args are what runs. Path is required.
	Path string
	Args []string
	// Env is the child's environment; nil means the parent's.
	Env []string
	// Output gets the child's standard output and error, each line after
	// "Name: ". nil discards them.
	Output io.Writer
	// Grace is how long Stop waits between SIGTERM and SIGKILL. 0 means 10 s.
	Grace time.Duration
}

// Process is a running child.
type Process struct {
	spec Spec
	cmd  *exec.Cmd
	done chan struct{}
	err  error // of the exit; read after done
	stop sync.Once
}

// Start starts the child in a process group of its own, so that a Ctrl-C in the
// terminal reaches the parent alone, which then stops its children in order. On
// Linux the kernel sends it SIGTERM if the parent dies without doing so.
func Start(spec Spec) (*Process, error) {
	if spec.Grace == 0 {
		spec.Grace = 10 * time.Second
	}
	p := &Process{spec: spec, done: make(chan struct{})}
	p.cmd = exec.Command(spec.Path, spec.Args...) //nolint:noctx // Stop ends it gently; a context would kill it
	p.cmd.Env = spec.Env
	p.cmd.SysProcAttr = attributes()
	out, in, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("%s: pipe: %w", spec.Name, err)
	}
	p.cmd.Stdout, p.cmd.Stderr = in, in
	started := make(chan error, 1)
	go p.run(started, out, in)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.Name, err)
	}
	return p, nil
}

// run starts the child and waits for it on one locked thread: the kernel ties
// the death signal to the thread that started the child.
func (p *Process) run(started chan<- error, out, in *os.File) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(p.done)
	err := p.cmd.Start()
	closeErr := in.Close()
	if err != nil {
		p.err = errors.Join(err, closeErr, out.Close())
		started <- err
		return
	}
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		p.copyLines(out)
	}()
	started <- nil
	p.err = p.cmd.Wait()
	<-copied
}

// copyLines ends when every holder of the pipe's other end is gone.
func (p *Process) copyLines(out *os.File) {
	defer func() {
		if err := out.Close(); err != nil {
			p.say(err.Error())
		}
	}()
	lines := bufio.NewScanner(out)
	lines.Buffer(make([]byte, 0, 64<<10), 1<<20)
	for lines.Scan() {
		p.say(lines.Text())
	}
	if err := lines.Err(); err != nil {
		p.say("output: " + err.Error())
	}
}

func (p *Process) say(line string) {
	if p.spec.Output == nil {
		return
	}
	if _, err := fmt.Fprintf(p.spec.Output, "%s: %s\n", p.spec.Name, line); err != nil {
		p.spec.Output = nil // nobody listens any more
	}
}

// PID returns the child's process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the child has exited.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err says how the child exited: nil for status 0. Valid after Done.
func (p *Process) Err() error { return p.err }

// Stop asks the child to end with SIGTERM, waits for Grace, then kills it. It
// returns when the child is gone and may be called often.
func (p *Process) Stop() {
	p.stop.Do(func() {
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
			p.say("terminate: " + err.Error())
		}
		select {
		case <-p.done:
			return
		case <-time.After(p.spec.Grace):
		}
		p.say("did not stop in time: killed")
		if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			p.say("kill: " + err.Error())
		}
	})
	<-p.done
}

// Keep runs the child and starts it again whenever it exits, after a pause that
// grows from a second to ten, until ctx is done; then it stops it. onStart is
// told of each start and may be nil.
func Keep(ctx context.Context, spec Spec, onStart func(*Process)) error {
	pause := time.Second
	for ctx.Err() == nil {
		p, err := Start(spec)
		if err != nil {
			return err
		}
		if onStart != nil {
			onStart(p)
		}
		began := time.Now()
		select {
		case <-ctx.Done():
			p.Stop()
			return nil
		case <-p.Done():
		}
		if time.Since(began) > time.Minute {
			pause = time.Second
		}
		p.say(fmt.Sprintf("exited (%v); starts again in %s", p.Err(), pause))
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, 10*time.Second)
	}
	return nil
}
