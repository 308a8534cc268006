package faults

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/atlhyper/observe/loadtest/fleet"
	"github.com/atlhyper/observe/loadtest/proc"
	"github.com/atlhyper/observe/loadtest/verify"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/shared/freeport"
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

// freeAddress is one that nobody else gets until the test ends, also while nobody
// listens on it.
func freeAddress(tb testing.TB) string {
	tb.Helper()
	port, err := freeport.Hold()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := port.Close(); err != nil {
			tb.Error(err)
		}
	})
	return port.Addr()
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
	p := startAgent(t, server, "lone")
	s := newStack(t, plan{redisURL: server.URL(), world: worldOf(t, "lone")}, server.Client(t))
	s.processes++
	return s, p
}

// startAgent is an agent of the cluster <prefix>-0 in a process of its own.
func startAgent(t *testing.T, server *redistest.Server, prefix string) *program {
	t.Helper()
	return start(t, "atlhyper", "fleet", "--redis", server.URL(), "--prefix", prefix, "--clusters", "1", "--interval", interval.String())
}

// worldOf is what that cluster shows.
func worldOf(t *testing.T, prefix string) fleet.World {
	t.Helper()
	f, err := fleet.New(fleet.Config{Redis: "redis://127.0.0.1:1", Prefix: prefix, Clusters: 1, Interval: interval}) // never run
	if err != nil {
		t.Fatal(err)
	}
	return f.World(f.Clusters()[0])
}

// pair is a stack with one more cluster, whose two agents are processes of their own;
// replace ends one of them by a signal and waits until it is there again.
func pair(t *testing.T) (s *stack, replace func(n int, by syscall.Signal)) {
	t.Helper()
	server := redistest.Start(t)
	admin := server.Client(t)
	agents := []*program{startAgent(t, server, "pair"), startAgent(t, server, "pair")}
	s = newStack(t, plan{redisURL: server.URL(), world: worldOf(t, "pair"), verify: verify.Config{Timeout: 30 * time.Second, Details: 20, Dashboards: 10}}, admin)
	s.processes += 2
	beats := key.Cluster("pair-0").Agents()
	return s, func(n int, by syscall.Signal) {
		agents[n].signal(by)
		<-agents[n].proc.Done()
		before := admin.HGetAll(t.Context(), beats).Val()
		agents[n].start()
		redistest.Eventually(t, "the agent is there again, under another name", func() bool {
			for instance := range admin.HGetAll(t.Context(), beats).Val() {
				if _, known := before[instance]; !known {
					return true
				}
			}
			return false
		})
	}
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
			p := start(t, "master", "--listen", addr, "--redis", server.URL(), "--replica", "killed", "--admin-listen", "off")
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
		{
			fault: "the two agents of a cluster killed or ended (SIGTERM) in turn, every 3 s for 40 s, and started again",
			note:  "One cluster of four has it. Details had 30 s here", check: allAnswered,
			setup: func(t *testing.T) (*stack, func()) {
				s, replace := pair(t)
				return s, func() {
					end := time.Now().Add(40 * time.Second)
					for n := 0; time.Now().Before(end); n++ {
						// Each of them is killed, and each is ended, in every four.
						replace(n%2, []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM, syscall.SIGTERM, syscall.SIGKILL}[n%4])
						s.hold(3 * time.Second)
					}
				}
			},
		},
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
