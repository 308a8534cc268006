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
	standby bool
	changed chan struct{}
	running chan bool // true when Run begins, false when it ends
}

func newOffice(standby bool) *office {
	return &office{standby: standby, changed: make(chan struct{}), running: make(chan bool, 2)}
}

func (o *office) Run(ctx context.Context) {
	o.running <- true
	<-ctx.Done()
	o.running <- false
}

func (o *office) Standby() (bool, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.standby, o.changed
}

func (o *office) set(standby bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.standby = standby
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
		Sections: []collect.Section[struct{}]{{Name: "name", Collect: func(struct{}) (any, error) { return n.name, nil }}},
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

func join(t *testing.T, server *redistest.Server, name string, standby bool) *member {
	t.Helper()
	office := newOffice(standby)
	m := joinBy(t, server, name, func(of, instance string) (agent.Election, error) {
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

func joinBy(t *testing.T, server *redistest.Server, name string, elect func(string, string) (agent.Election, error)) *member {
	t.Helper()
	m := &member{named: &named{name: name, collecting: make(chan struct{}, 10_000), running: make(chan bool, 10_000)}}
	cfg := config(server.URL())
	// Far longer than the test: nobody takes over because the other one is silent.
	cfg.Instance, cfg.Source, cfg.Interval, cfg.Elect = name, m.named, 30*time.Minute, elect
	m.end = start(t, cfg)
	return m
}

// Of two agents the one that leads collects and publishes; the other beats and works
// commands, and goes on at once when the first one stands by or leaves.
func TestTheLeaderPublishes(t *testing.T) {
	server := redistest.Start(t)
	clients := conntest.Open(t, conn.Config{URL: server.URL()})
	reader := snapshot.NewReader(clients, snapshot.ReaderConfig{})
	publishes := func(name string) {
		t.Helper()
		want, err := codec.Encode(name)
		if err != nil {
			t.Fatal(err)
		}
		redistest.Eventually(t, name+" publishes", func() bool {
			s, err := reader.Section(t.Context(), cluster, "name")
			return err == nil && string(s.Data) == string(want)
		})
	}
	beat := func(n int) {
		t.Helper()
		redistest.Eventually(t, "all beat", func() bool {
			info, err := reader.Cluster(t.Context(), cluster)
			return err == nil && len(info.Agents) == n
		})
	}

	first := join(t, server, "first", false)
	publishes("first")
	second := join(t, server, "second", true)
	beat(2)
	if len(second.collecting) > 0 {
		t.Error("one that stands by collects")
	}

	// The Lease says that the first one makes way, before the second one hears of it.
	first.office.set(true)
	for _, want := range []bool{true, false} {
		if got := <-first.running; got != want {
			t.Fatalf("the collector of the first runs: %v", got)
		}
	}
	redistest.Eventually(t, "it has made way", func() bool {
		info, err := reader.Cluster(t.Context(), cluster)
		return err == nil && info.Publisher == ""
	})
	publishes("first") // what it left stays
	beat(2)
	if err := ask(t, clients); err != nil {
		t.Errorf("a command while both stand by: %v", err)
	}
	second.office.set(false)
	publishes("second")

	// The second one leaves: the first may publish before the Lease is free.
	second.end()
	first.office.set(false)
	publishes("first")
	if !<-first.running {
		t.Error("the first one's collector does not run again")
	}
	if got := <-second.office.running; got {
		t.Error("the second one's election goes on without it")
	}
}

// An agent that is to make way while Redis is away does so when it is back.
func TestMakingWayWithoutRedis(t *testing.T) {
	server := redistest.Start(t)
	reader := snapshot.NewReader(conntest.Open(t, conn.Config{URL: server.URL()}), snapshot.ReaderConfig{})
	held := func(by bool) func() bool {
		return func() bool {
			info, err := reader.Cluster(t.Context(), cluster)
			return err == nil && (info.Publisher != "") == by
		}
	}
	m := join(t, server, "first", false)
	redistest.Eventually(t, "it publishes", held(true))
	server.Freeze()
	m.office.set(true)
	<-m.running
	<-m.running
	server.Thaw()
	redistest.Eventually(t, "it has made way", held(false))
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
		members[i] = joinBy(t, server, fmt.Sprintf("a%d", i), func(of, instance string) (agent.Election, error) {
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
	redistest.Eventually(t, "one stands by", func() bool {
		first, _ := elections[0].Standby()
		second, _ := elections[1].Standby()
		if first {
			leader = 1
		}
		return first != second
	})
	other := members[1-leader]
	redistest.Eventually(t, "its collector rests", func() bool { return len(other.running)%2 == 0 })
	members[leader].end()
	redistest.Eventually(t, "it goes on", publishes(other.name))
}
