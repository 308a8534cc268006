package faults

import (
	"context"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/atlhyper/observe/loadtest/fleet"
	"github.com/atlhyper/observe/loadtest/proc"
	"github.com/atlhyper/observe/loadtest/verify"
	"github.com/atlhyper/observe/redis/redistest"
)

// program is a binary of the product in a process of its own, for tests that kill or
// freeze it.
type program struct {
	t    *testing.T
	spec proc.Spec
	proc *proc.Process
}

func start(t *testing.T, name string, args ...string) *program {
	t.Helper()
	p := &program{t: t, spec: proc.Spec{Name: name, Path: filepath.Join(*binaries, name), Args: args, Output: logs{t}}}
	p.start()
	t.Cleanup(func() { p.proc.Stop() })
	return p
}

func (p *program) start() {
	p.t.Helper()
	var err error
	if p.proc, err = proc.Start(p.spec); err != nil {
		p.t.Fatal(err)
	}
}

func (p *program) signal(sig syscall.Signal) {
	p.t.Helper()
	if err := syscall.Kill(p.proc.PID(), sig); err != nil {
		p.t.Fatal(err)
	}
}

// kill ends the process as if its machine were gone.
func (p *program) kill() {
	p.t.Helper()
	p.signal(syscall.SIGKILL)
	<-p.proc.Done()
}

// logs keeps what programs say for the test's own log.
type logs struct{ t *testing.T }

func (l logs) Write(text []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(text)))
	return len(text), nil
}

// freeAddress is one that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// build makes the binaries once for all tests, unless they are there.
func build(t *testing.T) {
	t.Helper()
	if *binaries != "" {
		return
	}
	*binaries = t.TempDir()
	cmd := exec.CommandContext(context.Background(), "go", "build", "-o", *binaries, "../../cmd/master", "../../cmd/atlhyper")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
}

// twin is a stack with a second agent for each cluster, in a process of its own that
// can be killed. Of two agents, the first to publish goes on publishing: it is the
// one that is killed.
func twin(t *testing.T, timeout time.Duration) (*stack, *program) {
	t.Helper()
	server := redistest.Start(t)
	p := start(t, "atlhyper", "fleet", "--redis", server.URL(), "--clusters", "3", "--query-time", "300ms", "--interval", interval.String())
	admin := server.Client(t)
	redistest.Eventually(t, "the agents of the other process publish", func() bool {
		return admin.Exists(t.Context(), "atlhyper:{sim-0}:meta", "atlhyper:{sim-1}:meta", "atlhyper:{sim-2}:meta").Val() == 3
	})
	s := newStack(t, plan{
		redisURL: server.URL(), fleet: fleet.Config{QueryTime: 300 * time.Millisecond}, verify: verify.Config{Timeout: timeout, Dashboards: 5, Details: 20},
	}, admin)
	s.processes += 3
	return s, p
}

// lone is a stack with one more cluster, whose only agent is a process of its own.
func lone(t *testing.T) (*stack, *program) {
	t.Helper()
	server := redistest.Start(t)
	p := start(t, "atlhyper", "fleet", "--redis", server.URL(), "--prefix", "lone", "--clusters", "1", "--interval", interval.String())
	world := fleet.World{Cluster: "lone-0", Nodes: 6, Services: 12, ChangeEvery: 3, Items: 20, Interval: interval} // atlhyper fleet's
	s := newStack(t, plan{redisURL: server.URL(), world: world}, server.Client(t))
	s.processes++
	return s, p
}

func processFaults() []experiment {
	allAnswered := func(t *testing.T, row Row) {
		t.Helper()
		if row.Details.Codes[verify.OK] != row.Details.Total() {
			t.Errorf("details while it lasted: %v, want all of them answered", row.Details.Codes)
		}
	}
	return []experiment{
		{fault: "a master killed while it waits, started again 10 s later; another one goes on", setup: func(t *testing.T) (*stack, func()) {
			server := redistest.Start(t)
			addr := freeAddress(t)
			p := start(t, "master", "--listen", addr, "--redis", server.URL(), "--replica", "killed")
			s := newStack(t, plan{
				redisURL: server.URL(), masters: 1, extra: []string{"http://" + addr}, fleet: fleet.Config{QueryTime: time.Second},
			}, server.Client(t))
			return s, func() {
				s.hold(2 * time.Second)
				p.kill()
				s.hold(10 * time.Second)
				p.start()
			}
		}},
		{
			fault: "an agent killed while it runs queries and publishes; another one of its cluster is there",
			note:  "Details had 30 s here", momentary: true, check: allAnswered,
			setup: func(t *testing.T) (*stack, func()) {
				s, p := twin(t, 30*time.Second)
				return s, func() {
					p.kill()
					s.hold(45 * time.Second)
				}
			},
		},
		{fault: "an agent killed, the only one of its cluster; started again 10 s later", note: "One cluster of four has it", setup: func(t *testing.T) (*stack, func()) {
			s, p := lone(t)
			return s, func() {
				s.hold(2 * time.Second)
				p.kill()
				s.hold(10 * time.Second)
				p.start()
			}
		}},
		{fault: "an agent frozen for 30 s while it runs queries and publishes; another one of its cluster is there", setup: func(t *testing.T) (*stack, func()) {
			s, p := twin(t, 30*time.Second)
			return s, func() {
				p.signal(syscall.SIGSTOP)
				s.hold(30 * time.Second)
				p.signal(syscall.SIGCONT)
			}
		}, note: "Details had 30 s here"},
	}
}
