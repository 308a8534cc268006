package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/atlhyper/observe/loadtest/proc"
	"github.com/atlhyper/observe/shared/freeport"
)

// stage is the processes of one part of the bench.
type stage struct {
	plan     Plan
	children []*child
	ports    freeport.Ports // that they listen on
}

// child is one of them.
type child struct {
	process *proc.Process
	output  *tail
	url     string // of those that serve HTTP
	pid     int
}

// start runs a job in a process of its own. One that serves HTTP answers when start
// returns.
func (s *stage) start(ctx context.Context, j job) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(j)
	if err != nil {
		return nil, err
	}
	return s.run(ctx, j.Listen, proc.Spec{
		Name: string(j.Role), Path: self, Env: append(os.Environ(), jobVariable+"="+string(text)),
	})
}

func (s *stage) run(ctx context.Context, listen string, spec proc.Spec) (*child, error) {
	c := &child{output: new(tail)}
	spec.Output = c.output
	var err error
	if c.process, err = proc.Start(spec); err != nil {
		return nil, err
	}
	c.pid = c.process.PID()
	s.children = append(s.children, c)
	if listen == "" {
		return c, nil
	}
	c.url = "http://" + listen
	err = until(ctx, spec.Name+" listens", func() error {
		if err := c.ended(); err != nil {
			return fatal{fmt.Errorf("%s ended: %w", spec.Name, err)}
		}
		return dial(ctx, listen)
	})
	return c, err
}

func dial(ctx context.Context, address string) error {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return c.Close()
}

// ended says that the process is gone, and what it said last.
func (c *child) ended() error {
	select {
	case <-c.process.Done():
		return fmt.Errorf("%w: %s", errors.Join(errors.New("exited"), c.process.Err()), c.output)
	default:
		return nil
	}
}

// end stops all processes, the last one first. The error is about one that had not
// lasted as long, or did not end well.
func (s *stage) end() error {
	var errs []error
	for i := len(s.children) - 1; i >= 0; i-- {
		errs = append(errs, s.children[i].stop())
	}
	s.children = nil
	return errors.Join(append(errs, s.ports.Close())...)
}

func (c *child) stop() error {
	if err := c.ended(); err != nil {
		return err
	}
	c.process.Stop()
	err := c.process.Err()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signal() == syscall.SIGTERM {
			return nil // HAProxy does not take it for a question
		}
	}
	if err != nil {
		return fmt.Errorf("%w: %s", err, c.output)
	}
	return nil
}

// master starts a replica: the product's binary, or the same wiring in a process of
// ours if there is none or a profile is wanted.
func (s *stage) master(ctx context.Context, name string) (*child, error) {
	listen, err := s.freeAddress()
	if err != nil {
		return nil, err
	}
	if s.plan.Profile != "" || s.plan.Master == "" {
		return s.start(ctx, job{Role: roleMaster, Listen: listen, Redis: s.plan.Redis, Profile: s.plan.profile(name)})
	}
	return s.run(ctx, listen, proc.Spec{
		Name: name, Path: s.plan.Master, Args: []string{"--listen", listen, "--redis", s.plan.Redis, "--log-level", "error", "--admin-listen", "off", "--audit-log", "off"},
	})
}

// profile begins the names of a process's profiles; "" for none.
func (p Plan) profile(name string) string {
	if p.Profile == "" {
		return ""
	}
	return filepath.Join(p.Profile, name)
}

// serving starts a job that serves HTTP on a free port.
func (s *stage) serving(ctx context.Context, j job) (_ *child, err error) {
	if j.Listen, err = s.freeAddress(); err != nil {
		return nil, err
	}
	return s.start(ctx, j)
}

// balancer is HAProxy if it is installed, else the demo's; kind says which. It
// listens once for each list of backends.
func (s *stage) balancers(ctx context.Context, backends ...[]*child) (kind string, all []*child, err error) {
	path, missing := exec.LookPath("haproxy")
	kind = "HAProxy"
	if missing != nil {
		kind = "the demo's balancer"
	}
	for _, list := range backends {
		var urls []string
		for _, b := range list {
			urls = append(urls, b.url)
		}
		var c *child
		if missing == nil {
			c, err = s.haproxy(ctx, path, urls)
		} else {
			c, err = s.serving(ctx, job{Role: roleBalance, Backends: urls})
		}
		if err != nil {
			return kind, nil, err
		}
		all = append(all, c)
	}
	return kind, all, nil
}

// haproxy runs it in the foreground, without checks: nothing fails here.
func (s *stage) haproxy(ctx context.Context, path string, urls []string) (*child, error) {
	listen, err := s.freeAddress()
	if err != nil {
		return nil, err
	}
	var config strings.Builder
	fmt.Fprintf(&config, "global\n maxconn 4096\ndefaults\n mode http\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n"+
		"listen bench\n bind %s\n balance roundrobin\n", listen)
	for i, u := range urls {
		fmt.Fprintf(&config, " server m%d %s\n", i, strings.TrimPrefix(u, "http://"))
	}
	file := filepath.Join(s.plan.Dir, strings.ReplaceAll(listen, ":", "-")+".haproxy.cfg")
	if err := os.WriteFile(file, []byte(config.String()), 0o600); err != nil {
		return nil, err
	}
	return s.run(ctx, listen, proc.Spec{Name: "haproxy", Path: path, Args: []string{"-db", "-q", "-f", file}})
}

// freeAddress is one that nobody else gets until the stage ends.
func (s *stage) freeAddress() (string, error) {
	port, err := s.ports.Hold()
	if err != nil {
		return "", err
	}
	return port.Addr(), nil
}

// patience bounds waiting for what the bench starts.
const patience = 2 * time.Minute

// fatal is an error after which there is no use in waiting.
type fatal struct{ error }

func (f fatal) Unwrap() error { return f.error }

// until polls until the condition returns nil.
func until(ctx context.Context, what string, condition func() error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := condition()
		if err == nil || errors.As(err, new(fatal)) {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("waited for %s in vain: %w", what, err)
		}
	}
}

// tail keeps the last of what a process says.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailBytes = 4 << 10

func (t *tail) Write(text []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, text...)
	if over := len(t.text) - tailBytes; over > 0 {
		t.text = bytes.Clone(t.text[over:])
	}
	return len(text), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
