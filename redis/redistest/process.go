package redistest

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// process is a child that does not outlive the test process.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{} // closed when the child is gone
	ended  error         // how; to be read after exited
}

// startProcess starts the child from a thread of its own that stays until the
// child is gone: Linux sends the parent-death signal when the thread that
// started the child ends, not when the process does.
func startProcess(path string, args, env []string, output io.Writer) (*process, error) {
	cmd := exec.CommandContext(context.Background(), path, args...)
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = dieWithParent()
	cmd.Env = append(os.Environ(), env...)
	p := &process{cmd: cmd, exited: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		p.ended = cmd.Wait()
		close(p.exited)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

func (p *process) signal(sig syscall.Signal) error { return p.cmd.Process.Signal(sig) }

// kill ends the child, frozen or not, and waits until it is gone.
func (p *process) kill() {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		panic("redistest: cannot kill redis-server: " + err.Error())
	}
	<-p.exited
}
