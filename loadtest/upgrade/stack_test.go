package upgrade

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/atlhyper/observe/loadtest/chdb/chdbtest"
	"github.com/atlhyper/observe/loadtest/kubesim"
	"github.com/atlhyper/observe/loadtest/kubesim/world"
	"github.com/atlhyper/observe/loadtest/proc"
	"github.com/atlhyper/observe/loadtest/telemetry"
	"github.com/atlhyper/observe/redis/acl"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/redistest"
)

const (
	cluster = key.Cluster("prod-eu")
	// interval is short, so that many publishes come from each pair of releases.
	interval = 2 * time.Second
)

// stack is a cluster with its ClickHouse and Kubernetes API, a Redis whose users have
// the rights of today's acl command, and what runs of the product.
type stack struct {
	t      *testing.T
	admin  *redis.Client
	redis  *redistest.Server
	engine *chdbtest.Server
	db     string
	kube   string // kubeconfig file

	agents []*process

	mu      sync.RWMutex
	masters []*process // behind what a balancer would be
}

// process is one agent or master.
type process struct {
	*proc.Process
	of  release
	url string // of a master
}

func newStack(t *testing.T) *stack {
	t.Helper()
	s := &stack{t: t, redis: redistest.Start(t), engine: chdbtest.Start(t)}
	s.admin = s.redis.Client(t)
	for _, cfg := range []acl.Config{
		{Role: acl.Agent, Cluster: cluster, User: "agent", Password: acl.Hash("agent")},
		{Role: acl.Master, User: "master", Password: acl.Hash("master")},
	} {
		rules, err := acl.SetUser(cfg)
		if err != nil {
			t.Fatal(err)
		}
		args := []any{"ACL", "SETUSER"}
		for _, rule := range rules {
			args = append(args, rule)
		}
		if err := s.admin.Do(t.Context(), args...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	s.fill()
	s.kubernetes()
	return s
}

// fill has telemetry flow as long as the test runs.
func (s *stack) fill() {
	s.t.Helper()
	s.db = s.engine.Database(s.t)
	conn := s.engine.Open(s.t, s.db)
	if err := telemetry.CreateTables(s.t.Context(), conn, s.db); err != nil {
		s.t.Fatal(err)
	}
	replayer, err := telemetry.NewReplayer(telemetry.Config{Conn: conn, Database: s.db, Backfill: 20 * time.Minute})
	if err != nil {
		s.t.Fatal(err)
	}
	s.background("telemetry", replayer.Run)
	s.await("the telemetry", replayer.Ready())
}

// kubernetes simulates the cluster's API server.
func (s *stack) kubernetes() {
	s.t.Helper()
	address := s.freeAddress()
	objects, err := world.New(world.Config{Name: string(cluster), Start: time.Now()})
	if err != nil {
		s.t.Fatal(err)
	}
	server, err := kubesim.New(kubesim.Config{Listen: address})
	if err != nil {
		s.t.Fatal(err)
	}
	ready := make(chan struct{})
	s.background("objects", func(ctx context.Context) error { return objects.Run(ctx, server, time.Now, ready) })
	s.background("the Kubernetes API", server.Run)
	s.await("the Kubernetes API", ready)
	s.kube = filepath.Join(s.t.TempDir(), "kubeconfig")
	if err := os.WriteFile(s.kube, kubesim.Kubeconfig(address), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stack) await(what string, ready <-chan struct{}) {
	s.t.Helper()
	select {
	case <-ready:
	case <-s.t.Context().Done():
		s.t.Fatalf("%s: not before the test ended", what)
	}
}

// background runs something until the test ends.
func (s *stack) background(what string, run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	s.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil && ctx.Err() == nil {
			s.t.Errorf("%s: %v", what, err)
		}
	})
}

func (s *stack) freeAddress() string {
	s.t.Helper()
	l, err := new(net.ListenConfig).Listen(s.t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// start runs a program of a release until it is stopped or the test ends.
func (s *stack) start(of release, program string, args ...string) *process {
	s.t.Helper()
	u := url.URL{Scheme: "redis", Host: s.redis.Addr(), Path: "/0", User: url.UserPassword(program, program)}
	args = append(args, "--redis", u.String(), "--log-level", "warn")
	if of.knows(s.t, program, "--admin-listen") {
		args = append(args, "--admin-listen", "off") // several run on this machine
	}
	env := []string{"HOME=" + os.Getenv("HOME"), "PATH=" + os.Getenv("PATH")}
	p, err := proc.Start(proc.Spec{
		Name: of.name + " " + program, Path: filepath.Join(of.dir, program), Args: args, Env: env,
		Output: logs{s.t}, Grace: time.Minute,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(p.Stop)
	return &process{Process: p, of: of}
}

// logs keeps what programs say for the test's own log.
type logs struct{ t *testing.T }

func (l logs) Write(text []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(text)))
	return len(text), nil
}

// end stops a process, which must end well.
func (s *stack) end(p *process) {
	s.t.Helper()
	p.Stop()
	if err := p.Err(); err != nil {
		s.t.Errorf("the %s process %d ended with: %v", p.of.name, p.PID(), err)
	}
}

// newMaster is a master that is ready.
func (s *stack) newMaster(of release) *process {
	s.t.Helper()
	address := s.freeAddress()
	p := s.start(of, "master", "--listen", address, "--drain-delay", "2s")
	p.url = "http://" + address
	s.until("a master of the "+of.name+" release is ready", func() bool {
		select {
		case <-p.Done():
			s.t.Fatalf("the %s master ended: %v", of.name, p.Err())
		default:
		}
		res, err := get(s.t.Context(), p.url+"/readyz")
		return err == nil && res.status == http.StatusOK
	})
	return p
}

// replaceMasters replaces all, one after the other, as a rolling update does: a new one
// is ready before the one that it replaces gets no more requests, and that one ends what
// it began.
func (s *stack) replaceMasters(by release) {
	s.t.Helper()
	for i, old := range s.masters {
		p := s.newMaster(by)
		s.mu.Lock()
		s.masters[i] = p
		s.mu.Unlock()
		s.end(old)
	}
}

// newAgent is an agent that beats.
func (s *stack) newAgent(of release) *process {
	s.t.Helper()
	before := s.instances()
	p := s.start(of, "agent", "--cluster-id", string(cluster), "--instance", of.name,
		"--clickhouse", s.engine.DSN(s.db), "--kubernetes", "on", "--kubeconfig", s.kube, "--interval", interval.String())
	s.until("an agent of the "+of.name+" release beats", func() bool {
		select {
		case <-p.Done():
			s.t.Fatalf("the %s agent ended: %v", of.name, p.Err())
		default:
		}
		for instance := range s.instances() {
			if _, known := before[instance]; !known {
				return true
			}
		}
		return false
	})
	return p
}

func (s *stack) instances() map[string]string {
	s.t.Helper()
	all, err := s.admin.HGetAll(s.t.Context(), cluster.Agents()).Result()
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}

// replaceAgents replaces all, one after the other, and waits until one of them publishes.
func (s *stack) replaceAgents(by release) {
	s.t.Helper()
	for i, old := range s.agents {
		p := s.newAgent(by)
		s.agents[i] = p
		s.end(old)
	}
	s.publishes(by)
}

// publishes waits until an agent of the release has published twice.
func (s *stack) publishes(of release) {
	s.t.Helper()
	seqs := make(map[string]bool)
	s.until("an agent of the "+of.name+" release publishes", func() bool {
		meta, err := s.admin.HMGet(s.t.Context(), cluster.Meta(), key.MetaAgent, key.MetaSeq).Result()
		if err != nil {
			s.t.Fatal(err)
		}
		if instance, _ := meta[0].(string); strings.HasPrefix(instance, of.name) {
			seqs[fmt.Sprint(meta[1])] = true
		}
		return len(seqs) >= 3
	})
}

// patience ends waiting for what a machine under load may take long for.
const patience = 3 * time.Minute

func (s *stack) until(what string, cond func() bool) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for !cond() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			s.t.Fatalf("waited in vain: %s", what)
		}
	}
}
