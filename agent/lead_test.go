package agent_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/atlhyper/observe/agent"
	"github.com/atlhyper/observe/agent/collect"
	"github.com/atlhyper/observe/agent/kube"
	"github.com/atlhyper/observe/agent/worker"
	"github.com/atlhyper/observe/loadtest/kubesim"
	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/conn/conntest"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/codec"
	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/model"
)

// office is an Election that the test decides.
type office struct {
	mu      sync.Mutex
	leads   bool
	changed chan struct{}
	running chan bool // true when Run begins, false when it ends
}

func newOffice(leads bool) *office {
	return &office{leads: leads, changed: make(chan struct{}), running: make(chan bool, 2)}
}

func (o *office) Run(ctx context.Context) {
	o.running <- true
	<-ctx.Done()
	o.running <- false
}

func (o *office) Leads() (bool, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.leads, o.changed
}

func (o *office) set(leads bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.leads = leads
	close(o.changed)
	o.changed = make(chan struct{})
}

// named is a Source whose only section holds its name.
type named struct {
	name string
	// collecting gets a message when a collection begins; it holds those that nobody reads.
	collecting chan struct{}
	running    chan bool // as that of office, of the collector
}

func (n *named) Collector(cfg agent.Config, p collect.Publisher) (agent.Collector, error) {
	c, err := collect.New(collect.Config[struct{}]{
		Sections: []collect.Section[struct{}]{{Name: "name", Collect: func(context.Context, struct{}) (any, error) { return n.name, nil }}},
		Begin:    func(context.Context, time.Time) struct{} { n.collecting <- struct{}{}; return struct{}{} },
		Interval: cfg.Interval, Publisher: p,
	})
	return noted{c, n.running}, err
}

type noted struct {
	agent.Collector
	running chan bool
}

func (c noted) Run(ctx context.Context) error {
	c.running <- true
	defer func() { c.running <- false }()
	return c.Collector.Run(ctx)
}

func (n *named) Handlers(r *worker.Registry) {
	worker.Handle(r, func(_ context.Context, q detail.Node) (model.NodeMetrics, detail.Meta, error) {
		return model.NodeMetrics{NodeName: q.Name}, detail.Meta{}, nil
	})
}

func (n *named) Close() error { return nil }

// member is an agent of a cluster that runs.
type member struct {
	*named
	office *office
	end    func()
}

func join(t *testing.T, url, name string, leads bool) *member {
	t.Helper()
	office := newOffice(leads)
	m := joinBy(t, url, name, func(of, instance string) (agent.Election, error) {
		if of != string(cluster) || len(instance) <= len(name) {
			t.Errorf("an election of %q, %q; want the cluster and the full name", of, instance)
		}
		return office, nil
	})
	m.office = office
	if !<-office.running {
		t.Fatal("the election ended before it began")
	}
	return m
}

func joinBy(t *testing.T, url, name string, elect func(string, string) (agent.Election, error)) *member {
	t.Helper()
	m := &member{named: &named{name: name, collecting: make(chan struct{}, 10_000), running: make(chan bool, 10_000)}}
	cfg := config(url)
	cfg.Instance, cfg.Source, cfg.Interval, cfg.Elect = name, m.named, 3*time.Second, elect
	m.end = start(t, cfg)
	return m
}

// watcher reads what two agents do.
type watcher struct {
	*testing.T
	*snapshot.Reader
}

func watch(t *testing.T, server *redistest.Server) watcher {
	t.Helper()
	return watcher{t, snapshot.NewReader(conntest.Open(t, conn.Config{URL: server.URL()}), snapshot.ReaderConfig{})}
}

// publishes waits until the section is that of the named agent.
func (w watcher) publishes(name string) {
	w.Helper()
	want, err := codec.Encode(name)
	if err != nil {
		w.Fatal(err)
	}
	redistest.Eventually(w, name+" publishes", func() bool {
		s, err := w.Section(w.Context(), cluster, "name")
		return err == nil && string(s.Data) == string(want)
	})
}

// beat waits until so many agents beat.
func (w watcher) beat(n int) {
	w.Helper()
	redistest.Eventually(w, "all beat", func() bool {
		info, err := w.Cluster(w.Context(), cluster)
		return err == nil && len(info.Agents) == n
	})
}

// held waits until somebody publishes, or nobody.
func (w watcher) held(by bool) {
	w.Helper()
	redistest.Eventually(w, "the publisher's name is there, or not", func() bool {
		info, err := w.Cluster(w.Context(), cluster)
		return err == nil && (info.Publisher != "") == by
	})
}

// ran waits until the collector began or ended.
func (m *member) ran(t *testing.T, want ...bool) {
	t.Helper()
	for _, want := range want {
		if got := <-m.running; got != want {
			t.Fatalf("the collector of %s runs: %v", m.name, got)
		}
	}
}

// Of two agents the one that leads collects and publishes; the other beats and works
// commands, and goes on when the first one leads no more.
func TestTheLeaderPublishes(t *testing.T) {
	server := redistest.Start(t)
	w := watch(t, server)
	first := join(t, server.URL(), "first", true)
	w.publishes("first")
	w.beat(1)
	second := join(t, server.URL(), "second", false)
	w.beat(2)
	if err := ask(t, conntest.Open(t, conn.Config{URL: server.URL()})); err != nil {
		t.Errorf("a command while one stands by: %v", err)
	}
	if len(second.collecting) > 0 {
		t.Error("one that is led collects")
	}

	// The Lease goes over to the second one. The first cannot renew it, and nobody tells
	// it who leads now, but the beat of the other.
	first.office.set(false)
	second.office.set(true)
	first.ran(t, true, false)
	w.publishes("second")

	// The second one leaves, and nobody leads.
	second.end()
	w.publishes("first")
	first.ran(t, true)
	if got := <-second.office.running; got {
		t.Error("the second one's election goes on without it")
	}
}

// A leader that renews its Lease and is refused by Redis leads nobody: the other one
// publishes until it is let in again.
func TestALeaderThatIsCutOffFromRedis(t *testing.T) {
	server := redistest.Start(t)
	admin, w := server.Client(t), watch(t, server)
	do := func(args ...any) {
		t.Helper()
		if err := admin.Do(t.Context(), args...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	do("acl", "setuser", "first", "on", ">secret", "~*", "&*", "+@all")
	first := join(t, "redis://first:secret@"+server.Addr()+"/0", "first", true)
	w.publishes("first")
	second := join(t, server.URL(), "second", false)
	w.beat(2)
	do("acl", "setuser", "first", "off")
	do("client", "kill", "user", "first")
	w.publishes("second")
	if leads, _ := first.office.Leads(); !leads {
		t.Error("the first one does not lead any more")
	}
	do("acl", "setuser", "first", "on")
	second.ran(t, true, false)
	w.publishes("first")
}

// An agent that is to make way while Redis is away does so when it is back.
func TestMakingWayWithoutRedis(t *testing.T) {
	server := redistest.Start(t)
	w := watch(t, server)
	first := join(t, server.URL(), "first", false)
	w.held(true)
	second := join(t, server.URL(), "second", true)
	server.Freeze()
	server.Thaw()
	first.ran(t, true, false)
	w.publishes("second")
	second.end()
	w.publishes("first")
}

// The same with Leases of an API server, of two agents that differ in nothing: both
// begin, then one makes way, and goes on when the other one leaves.
func TestAgentsShareALease(t *testing.T) {
	listens := make(chan net.Addr, 1)
	api, err := kubesim.New(kubesim.Config{Listen: "127.0.0.1:0", OnListen: func(a net.Addr) { listens <- a }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- api.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(kubeconfig, kubesim.Kubeconfig((<-listens).String()), 0o600); err != nil {
		t.Fatal(err)
	}
	connection, err := kube.Connect(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	server := redistest.Start(t)
	var elections [2]agent.Election
	var members [2]*member
	for i := range members {
		members[i] = joinBy(t, server.URL(), fmt.Sprintf("a%d", i), func(of, instance string) (agent.Election, error) {
			election, err := kube.NewElection(kube.ElectionConfig{
				API: connection, Cluster: of, Instance: instance,
				Term: time.Hour, Renew: time.Minute, Retry: 20 * time.Millisecond,
			})
			elections[i] = election
			return election, err
		})
	}
	reader := snapshot.NewReader(conntest.Open(t, conn.Config{URL: server.URL()}), snapshot.ReaderConfig{})
	publishes := func(name string) func() bool {
		return func() bool {
			info, err := reader.Cluster(t.Context(), cluster)
			return err == nil && strings.HasPrefix(info.Publisher, name+"-")
		}
	}
	leader := 0
	redistest.Eventually(t, "one leads", func() bool {
		first, _ := elections[0].Leads()
		second, _ := elections[1].Leads()
		if second {
			leader = 1
		}
		return first != second
	})
	other := members[1-leader]
	redistest.Eventually(t, "its collector rests", func() bool { return len(other.running)%2 == 0 })
	members[leader].end()
	redistest.Eventually(t, "it goes on", publishes(other.name))
}
