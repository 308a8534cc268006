package load

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/atlhyper/observe/loadtest/proc"
)

// host is where everything listens.
const host = "127.0.0.1"

// drainDelay is over two checks of the balancer.
const drainDelay = 1500 * time.Millisecond

// stack is what is under test.
type stack struct {
	cfg      Config
	dir      string // of what lasts as long as the stack
	ports    ports
	broken   chan error // of a part that ended by itself
	mu       sync.Mutex // guards what is below
	parts    []*part    // in the order of their start
	masters  []*part
	stopping bool
}

// ports are those of everything.
type ports struct {
	redis, balancer int
	masters         []int
}

// part is a process of the stack.
type part struct {
	kind    string // as the report calls it
	process *proc.Process
	ended   bool // on purpose
	// used is its processor time when it was told to end.
	used time.Duration
}

func newStack(cfg Config, dir string) (*stack, error) {
	free, err := freePorts(cfg.Masters + 2)
	if err != nil {
		return nil, err
	}
	return &stack{
		cfg: cfg, dir: dir, ports: ports{redis: free[0], balancer: free[1], masters: free[2:]},
		broken: make(chan error, 1), masters: make([]*part, cfg.Masters),
	}, nil
}

// freePorts finds ports that nobody listens on.
func freePorts(n int) (free []int, err error) {
	for range n {
		l, err := net.Listen("tcp", host+":0") //nolint:noctx // local and immediate
		if err != nil {
			return nil, fmt.Errorf("load: a free port: %w", err)
		}
		// All stay open until all are found, so that they differ.
		defer func() { err = errors.Join(err, l.Close()) }()
		free = append(free, l.Addr().(*net.TCPAddr).Port)
	}
	return free, nil
}

func address(port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }

func (s *stack) base() string { return "http://" + address(s.ports.balancer) }

// run starts a part; when it ends by itself the whole is broken.
func (s *stack) run(kind string, spec proc.Spec) (*part, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return nil, fmt.Errorf("load: %s: not started, all is ending", spec.Name)
	}
	process, err := proc.Start(spec)
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	p := &part{kind: kind, process: process}
	s.parts = append(s.parts, p)
	go func() {
		<-process.Done()
		s.mu.Lock()
		defer s.mu.Unlock()
		if p.ended || s.stopping {
			return
		}
		select {
		case s.broken <- fmt.Errorf("load: %s ended by itself: %w", spec.Name, errors.Join(process.Err(), errEnded)):
		default: // one is enough
		}
	}()
	return p, nil
}

var errEnded = errors.New("it should have gone on")

// stop ends all parts, the newest first.
func (s *stack) stop() {
	s.mu.Lock()
	s.stopping = true
	parts := s.parts
	s.mu.Unlock()
	for i := len(parts) - 1; i >= 0; i-- {
		parts[i].process.Stop()
	}
}
