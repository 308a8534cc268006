package proc_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/atlhyper/observe/loadtest/proc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lines returns a writer and a channel of what is written to it.
func lines(t *testing.T) (io.Writer, <-chan string) {
	t.Helper()
	r, w := io.Pipe()
	out := make(chan string, 64)
	go func() {
		defer close(out)
		s := bufio.NewScanner(r)
		for s.Scan() {
			out <- s.Text()
		}
	}()
	t.Cleanup(func() { w.Close() })
	return w, out
}

func sh(script string, out io.Writer) proc.Spec {
	return proc.Spec{Name: "child", Path: "/bin/sh", Args: []string{"-c", script}, Output: out}
}

func TestOutputIsPrefixedAndStopTerminates(t *testing.T) {
	out, got := lines(t)
	p, err := proc.Start(sh(`trap 'echo bye; exit 3' TERM; echo ready; while :; do read x || sleep 0.01; done`, out))
	if err != nil {
		t.Fatal(err)
	}
	if line := <-got; line != "child: ready" {
		t.Errorf("first line %q", line)
	}
	p.Stop()
	p.Stop() // a second stop is harmless
	if line := <-got; line != "child: bye" {
		t.Errorf("last line %q: SIGTERM did not arrive", line)
	}
	var exit *exec.ExitError
	if !errors.As(p.Err(), &exit) || exit.ExitCode() != 3 {
		t.Errorf("exit %v, want status 3", p.Err())
	}
}

func TestStopKillsTheStubborn(t *testing.T) {
	out, got := lines(t)
	spec := sh(`trap '' TERM; echo ready; while :; do sleep 0.01; done`, out)
	spec.Grace = 50 * time.Millisecond
	p, err := proc.Start(spec)
	if err != nil {
		t.Fatal(err)
	}
	<-got
	p.Stop()
	var exit *exec.ExitError
	if !errors.As(p.Err(), &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("exit %v, want killed", p.Err())
	}
}

func TestStartNamesWhatIsMissing(t *testing.T) {
	_, err := proc.Start(proc.Spec{Name: "ghost", Path: "/does/not/exist"})
	if err == nil || !strings.Contains(err.Error(), "start ghost") {
		t.Errorf("error %v", err)
	}
}

func TestKeepStartsAgain(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	pids := make(chan int, 8)
	done := make(chan error, 1)
	go func() {
		done <- proc.Keep(ctx, sh("exit 1", nil), func(p *proc.Process) { pids <- p.PID() })
	}()
	first, second := <-pids, <-pids
	if first == second {
		t.Error("it was not started again")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
