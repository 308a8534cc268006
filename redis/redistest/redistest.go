// Package redistest starts real redis-servers for a test: on free ports of
// 127.0.0.1 or on a unix socket, without persistence, gone when the test ends.
// They can be stopped, restarted (empty), frozen and emptied, for tests of faults;
// alone (Start), as a primary with replicas and Sentinels (StartSentinels) or as a
// Redis Cluster (StartCluster), with TLS (WithTLS) or without.
package redistest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/atlhyper/observe/shared/freeport"
)

// startTimeout is how long the server may take to answer its first PING.
const startTimeout = time.Minute

// clientTimeout is how long a server may take to answer a Client.
const clientTimeout = time.Minute

// Server is one redis-server process. Its methods fail the test on errors; they
// must not be called from several goroutines at once.
type Server struct {
	t      testing.TB
	path   string
	socket string   // "" for TCP
	port   int      // 0 for a socket
	bus    int      // port of the cluster's own talk; 0 for a server that is in none
	extra  []string // more arguments
	env    []string // more environment
	clock  string   // file that says what its clock shows; "" for this machine's
	certs  *Certificates
	// monitor makes it a Sentinel: the lines of its configuration.
	monitor []string
	dir     string // of its files
	// held are the ports: no other test's server gets one while this one is stopped.
	held freeport.Ports

	mu     sync.Mutex
	proc   *process
	frozen bool
	output bytes.Buffer // of the last start, for error messages
}

// Option changes how the server is started.
type Option func(*Server)

// WithUnixSocket makes the server listen on a unix socket instead of TCP.
func WithUnixSocket() Option { return func(s *Server) { s.socket = "pending" } }

// WithClusterMode makes the server one of a Redis Cluster that has no other member
// and no slots yet; see StartCluster for a whole one.
func WithClusterMode() Option { return func(s *Server) { s.bus = 1 } }

// WithArgs adds command line arguments, such as "--requirepass", "secret".
func WithArgs(args ...string) Option {
	return func(s *Server) { s.extra = append(s.extra, args...) }
}

// Start starts a server and waits until it answers. The test fails when there is
// no redis-server in PATH: what is tested here cannot be tested without one.
func Start(tb testing.TB, opts ...Option) *Server {
	tb.Helper()
	s := &Server{t: tb, path: serverPath(tb)}
	for _, opt := range opts {
		opt(s)
	}
	if s.socket != "" {
		// TempDir may be too long for the 108 bytes of a socket's path.
		dir, err := os.MkdirTemp("", "redis") //nolint:usetesting // see above
		if err != nil {
			tb.Fatalf("redistest: %v", err)
		}
		tb.Cleanup(func() {
			if err := os.RemoveAll(dir); err != nil {
				tb.Errorf("redistest: %v", err)
			}
		})
		s.socket = filepath.Join(dir, "s")
	}
	s.launch()
	return s
}

// launch starts a new server, which is gone when the test ends.
func (s *Server) launch() {
	s.t.Helper()
	s.dir = s.t.TempDir()
	s.t.Cleanup(func() {
		s.stop()
		if err := s.held.Close(); err != nil {
			s.t.Errorf("redistest: %v", err)
		}
	})
	s.start()
}

// serverPath is where redis-server is.
func serverPath(tb testing.TB) string {
	tb.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		tb.Fatal("redis-server is not in PATH; the tests need a real one: apt-get install redis-server, or brew install redis")
	}
	return path
}

// Addr is host:port, or the path of the socket.
func (s *Server) Addr() string {
	if s.socket != "" {
		return s.socket
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port))
}

// URL is the address as conn.Config takes it.
func (s *Server) URL() string {
	if s.socket != "" {
		return "unix://" + s.socket
	}
	return s.scheme() + "://" + s.Addr()
}

func (s *Server) scheme() string {
	if s.certs != nil {
		return "rediss"
	}
	return "redis"
}

// Client returns a plain client that is closed with the test.
func (s *Server) Client(tb testing.TB) *redis.Client {
	tb.Helper()
	c := s.newClient()
	tb.Cleanup(func() {
		if err := c.Close(); err != nil {
			tb.Errorf("redistest: close client: %v", err)
		}
	})
	return c
}

func (s *Server) newClient() *redis.Client {
	network := "tcp"
	if s.socket != "" {
		network = "unix"
	}
	return redis.NewClient(&redis.Options{
		TLSConfig: s.certs.client(),
		Network:   network, Addr: s.Addr(), MaxRetries: -1, DialerRetries: 1, DisableIdentity: true, PipelinePoolSize: -1,
		// What it asks is set-up: a machine that stands still for a while fails no test.
		DialTimeout: clientTimeout, ReadTimeout: clientTimeout, WriteTimeout: clientTimeout, PoolTimeout: clientTimeout,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
}

// Stop kills the server; its data is gone.
func (s *Server) Stop() {
	s.t.Helper()
	s.stop()
}

// Restart kills the server, if it runs, and starts an empty one at the same address.
func (s *Server) Restart() {
	s.t.Helper()
	s.stop()
	s.start()
}

// Freeze stops the process where it is: connections stay open and nothing answers.
func (s *Server) Freeze() {
	s.t.Helper()
	s.signal(syscall.SIGSTOP)
}

// Thaw lets a frozen server go on.
func (s *Server) Thaw() {
	s.t.Helper()
	s.signal(syscall.SIGCONT)
}

// FlushAll empties the server.
func (s *Server) FlushAll() {
	s.t.Helper()
	c := s.newClient()
	err := errors.Join(c.FlushAll(context.Background()).Err(), c.Close())
	if err != nil {
		s.t.Fatalf("redistest: FLUSHALL: %v", err)
	}
}

func (s *Server) signal(sig syscall.Signal) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == nil {
		s.t.Fatalf("redistest: %v: the server is not running", sig)
	}
	if err := s.proc.signal(sig); err != nil {
		s.t.Fatalf("redistest: %v: %v", sig, err)
	}
	s.frozen = sig == syscall.SIGSTOP
}

func (s *Server) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc != nil {
		s.proc.kill()
		s.proc, s.frozen = nil, false
	}
}

// start runs the server. On its first start another process may take the port
// between its choice and its use: then another port is tried.
func (s *Server) start() {
	s.t.Helper()
	choose := s.socket == "" && s.port == 0
	var err error
	for range 5 {
		if choose {
			if err = s.choosePorts(); err != nil {
				s.t.Fatalf("redistest: %v", err)
			}
		}
		if err = s.tryStart(); err == nil {
			return
		}
	}
	s.t.Fatalf("redistest: %v\n%s", err, s.output.String())
}

// choosePorts chooses free ones, and writes a Sentinel's configuration, which it
// rewrites itself while it runs.
func (s *Server) choosePorts() (err error) {
	if err := s.held.Close(); err != nil {
		return err
	}
	if s.port, err = s.hold(); err != nil {
		return err
	}
	if s.bus != 0 {
		if s.bus, err = s.hold(); err != nil {
			return err
		}
	}
	if s.monitor == nil {
		return nil
	}
	lines := append([]string{"bind 127.0.0.1", "dir " + s.dir}, s.monitor...)
	for name, value := range s.ports() {
		lines = append(lines, name+" "+value)
	}
	return os.WriteFile(s.sentinelConfig(), []byte(strings.Join(lines, "\n")+"\n"), 0o600)
}

func (s *Server) sentinelConfig() string { return filepath.Join(s.dir, "sentinel.conf") }

// ports are the directives for the port, with TLS or without.
func (s *Server) ports() map[string]string {
	port := strconv.Itoa(s.port)
	if s.certs == nil {
		return map[string]string{"port": port}
	}
	return map[string]string{
		"port": "0", "tls-port": port, "tls-replication": "yes", "tls-cluster": "yes",
		"tls-ca-cert-file": s.certs.CAFile, "tls-cert-file": s.certs.ServerCertFile, "tls-key-file": s.certs.ServerKeyFile,
	}
}

func (s *Server) args() []string {
	if s.monitor != nil {
		return []string{s.sentinelConfig(), "--sentinel"}
	}
	args := []string{
		"--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
		"--daemonize", "no", "--databases", "1", "--dir", s.dir,
	}
	for name, value := range s.ports() {
		args = append(args, "--"+name, value)
	}
	if s.socket != "" {
		args = append(args, "--unixsocket", s.socket)
	}
	if s.bus != 0 {
		args = append(args, "--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(s.bus))
	}
	return append(args, s.extra...)
}

func (s *Server) tryStart() error {
	s.output.Reset()
	proc, err := startProcess(s.path, s.args(), s.env, &s.output)
	if err != nil {
		return fmt.Errorf("start %s: %w", s.path, err)
	}
	if err := s.awaitPing(proc); err != nil {
		proc.kill()
		return err
	}
	s.mu.Lock()
	s.proc = proc
	s.mu.Unlock()
	return nil
}

// awaitPing waits for an answer that comes from proc and not from another server
// that took the port.
func (s *Server) awaitPing(proc *process) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	client := s.newClient()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	err := error(nil)
	for done := false; !done; {
		if err = s.listens(ctx); err == nil {
			err = client.Ping(ctx).Err()
		}
		if err == nil {
			err = proc.answers(ctx, client)
			break
		}
		if isReply(err) {
			err = nil
			break
		}
		select {
		case <-proc.exited:
			err = fmt.Errorf("redis-server exited: %w", proc.ended)
			done = true
		case <-ctx.Done():
			err = fmt.Errorf("redis-server does not answer: %w", err)
			done = true
		case <-ticker.C:
		}
	}
	return errors.Join(err, client.Close())
}

// listens tries to connect, without the library: it would log each try.
func (s *Server) listens(ctx context.Context) error {
	network := "tcp"
	if s.socket != "" {
		network = "unix"
	}
	var dialer net.Dialer
	c, err := dialer.DialContext(ctx, network, s.Addr())
	if err != nil {
		return err
	}
	return c.Close()
}

// answers checks that client talks to p.
func (p *process) answers(ctx context.Context, client *redis.Client) error {
	info, err := client.InfoMap(ctx, "server").Result()
	if err != nil {
		return err
	}
	if got, want := info["Server"]["process_id"], strconv.Itoa(p.cmd.Process.Pid); got != want {
		return fmt.Errorf("the port belongs to process %s, not to %s", got, want)
	}
	return nil
}

// isReply tells an error that the server sent (NOAUTH) from one of the network.
func isReply(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply)
}

// hold chooses a port that is the server's until the test ends, also while it does
// not run.
func (s *Server) hold() (int, error) {
	port, err := s.held.Hold()
	if err != nil {
		return 0, err
	}
	return port.Number, nil
}
