package redistest

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// PrimaryName is what the Sentinels of StartSentinels call the primary.
const PrimaryName = "primary"

// Sentinels is a primary with two replicas, watched by three Sentinels of which two
// must agree. A primary that does not answer for a second is replaced.
type Sentinels struct {
	t testing.TB
	// Servers are the three that hold data; any of them may be the primary.
	Servers []*Server
	// Watchers are the Sentinels.
	Watchers []*Server
}

// StartSentinels starts all six and waits until they know each other. The options
// are for all of them.
func StartSentinels(tb testing.TB, opts ...Option) *Sentinels {
	tb.Helper()
	s := &Sentinels{t: tb}
	path := serverPath(tb)
	member := func() *Server {
		m := &Server{t: tb, path: path}
		for _, opt := range opts {
			opt(m)
		}
		return m
	}
	for i := range 3 {
		server := member()
		server.extra = append(server.extra, "--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1")
		if i > 0 {
			server.extra = append(server.extra, "--replicaof", "127.0.0.1 "+strconv.Itoa(s.Servers[0].port))
		}
		server.launch()
		s.Servers = append(s.Servers, server)
	}
	for range 3 {
		watcher := member()
		watcher.monitor = []string{
			fmt.Sprintf("sentinel monitor %s 127.0.0.1 %d 2", PrimaryName, s.Servers[0].port),
			"sentinel down-after-milliseconds " + PrimaryName + " 1000",
			"sentinel failover-timeout " + PrimaryName + " 3000",
		}
		watcher.launch()
		s.Watchers = append(s.Watchers, watcher)
	}
	Eventually(tb, "the Sentinels know each other and the replicas", s.Whole)
	return s
}

// URL names all Sentinels, as conn.Config takes it.
func (s *Sentinels) URL() string {
	addrs := make([]string, len(s.Watchers))
	for i, w := range s.Watchers {
		addrs[i] = w.Addr()
	}
	return s.Servers[0].scheme() + "-sentinel://" + strings.Join(addrs, ",") + "/" + PrimaryName
}

// Whole tells whether every Sentinel that runs sees a live primary with two
// replicas in step, and the other Sentinels.
func (s *Sentinels) Whole() bool {
	for _, w := range s.Watchers {
		if !w.running() {
			continue
		}
		state := w.ask("SENTINEL", "master", PrimaryName)
		if state["num-slaves"] != "2" || state["num-other-sentinels"] != "2" || state["flags"] != "master" {
			return false
		}
	}
	primary := s.primary()
	return primary != nil && strings.Count(primary.replication(), "state=online") == 2
}

// Primary is the server that the Sentinels call so now.
func (s *Sentinels) Primary() *Server {
	s.t.Helper()
	var found *Server
	Eventually(s.t, "the Sentinels know a primary", func() bool {
		found = s.primary()
		return found != nil
	})
	return found
}

func (s *Sentinels) primary() *Server {
	for _, w := range s.Watchers {
		if !w.running() {
			continue
		}
		state := w.ask("SENTINEL", "master", PrimaryName)
		for _, server := range s.Servers {
			if server.Addr() == net.JoinHostPort(state["ip"], state["port"]) && server.running() &&
				strings.Contains(server.replication(), "role:master") {
				return server
			}
		}
	}
	return nil
}

// Failover has a Sentinel replace the primary, which goes on as a replica, and
// waits until it is done.
func (s *Sentinels) Failover() {
	s.t.Helper()
	old := s.Primary()
	var asked time.Time
	Eventually(s.t, "a Sentinel replaces the primary", func() bool {
		now := s.primary()
		if now != nil && now != old {
			return true
		}
		// One that is not done within 3 s is given up.
		if time.Since(asked) > again && s.Watchers[0].do("SENTINEL", "failover", PrimaryName) == nil {
			asked = time.Now()
		}
		return false
	})
}

// AwaitFailover waits until another server than old is the primary.
func (s *Sentinels) AwaitFailover(old *Server) {
	s.t.Helper()
	Eventually(s.t, "another server is the primary", func() bool {
		now := s.primary()
		return now != nil && now != old
	})
}

// running tells whether the process was started and not stopped.
func (s *Server) running() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.proc != nil && !s.frozen
}

// do runs a command on a connection of its own.
func (s *Server) do(args ...any) error {
	c := s.newClient()
	defer closing(s.t, c)
	return c.Do(context.Background(), args...).Err()
}

// ask runs a command that answers names and values; nil when it fails.
func (s *Server) ask(args ...any) map[string]string {
	c := s.newClient()
	defer closing(s.t, c)
	cmd := redis.NewMapStringStringCmd(context.Background(), args...)
	if err := c.Process(context.Background(), cmd); err != nil {
		return nil
	}
	return cmd.Val()
}

// replication is what INFO says of it; "" when it cannot be had.
func (s *Server) replication() string {
	c := s.newClient()
	defer closing(s.t, c)
	text, err := c.Info(context.Background(), "replication").Result()
	if err != nil {
		return ""
	}
	return text
}

func closing(tb testing.TB, c *redis.Client) {
	tb.Helper()
	if err := c.Close(); err != nil {
		tb.Errorf("redistest: close client: %v", err)
	}
}
