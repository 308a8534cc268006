package conn_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/atlhyper/observe/redis/bus"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/codec"
)

const (
	inFlight = 1000
	// maxConnections is what one replica may hold while as many wait.
	maxConnections = 32
)

// A thousand details that wait share few connections.
func TestConnectionsOfAThousandDetails(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*testing.T) (string, []*redistest.Server){
		"single": func(t *testing.T) (string, []*redistest.Server) {
			t.Helper()
			s := redistest.Start(t)
			return s.URL(), []*redistest.Server{s}
		},
		"cluster": func(t *testing.T) (string, []*redistest.Server) {
			t.Helper()
			c := redistest.StartCluster(t)
			return c.URL(), c.Servers
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, servers := start(t)
			p := place{url: url, patience: patience}
			var admins []*redis.Client
			for _, s := range servers {
				admins = append(admins, s.Client(t))
			}
			// Clusters whose keys are on all servers.
			clusters := []key.Cluster{"east", "west", "north", "south", "middle"}
			release := make(chan struct{})
			var agents []*bus.Server
			stop := run(t)
			defer stop.all()
			for _, c := range clusters {
				agents = append(agents, hold(t, stop, p, c, release))
			}
			master := p.open(t, "replica")
			client, err := bus.NewClient(master, bus.ClientConfig{Replica: "m1", MaxClusterWaiters: inFlight, MaxQueue: inFlight})
			if err != nil {
				t.Fatal(err)
			}
			reader := snapshot.NewReader(master, snapshot.ReaderConfig{GatherInterval: 100 * time.Millisecond})
			stop.start(client.Run)
			stop.start(reader.Gather)

			var asking sync.WaitGroup
			failed := make(chan error, inFlight)
			for i := range inFlight {
				asking.Go(func() {
					params, err := codec.Encode(i)
					if err == nil {
						_, err = client.Do(t.Context(), clusters[i%len(clusters)], bus.Request{Kind: "echo", Params: params, Timeout: time.Minute})
					}
					if err != nil {
						failed <- err
					}
				})
			}
			most := 0
			redistest.Eventually(t, "all run", func() bool {
				most = max(most, connections(t, admins))
				running := 0
				for _, a := range agents {
					running += a.Busy()
				}
				return running == inFlight
			})
			close(release)
			answered := make(chan struct{})
			go func() { asking.Wait(); close(answered) }()
			redistest.Eventually(t, "all are answered", func() bool {
				most = max(most, connections(t, admins))
				select {
				case <-answered:
					return true
				default:
					return false
				}
			})
			close(failed)
			for err := range failed {
				t.Error(err)
			}
			t.Logf("%d connections at most", most)
			if most == 0 || most > maxConnections {
				t.Errorf("one replica held %d connections, want 1 to %d", most, maxConnections)
			}
		})
	}
}

// connections counts those of the replica.
func connections(t *testing.T, admins []*redis.Client) int {
	t.Helper()
	n := 0
	for _, admin := range admins {
		list, err := admin.ClientList(t.Context()).Result()
		if err != nil {
			t.Fatal(err)
		}
		n += strings.Count(list, " name=replica ")
	}
	return n
}

// hold runs an agent that answers nothing until it is released.
func hold(t *testing.T, stop *runs, p place, cluster key.Cluster, release <-chan struct{}) *bus.Server {
	t.Helper()
	clients := p.open(t, "agent")
	writer, err := snapshot.NewWriter(clients, snapshot.WriterConfig{Cluster: cluster, Instance: "a1"})
	if err != nil {
		t.Fatal(err)
	}
	beat := func(ctx context.Context) error { return writer.Beat(ctx, snapshot.Beat{Slots: inFlight}) }
	if err := beat(t.Context()); err != nil {
		t.Fatal(err)
	}
	server, err := bus.NewServer(clients, bus.ServerConfig{
		Cluster: cluster, Instance: "a1", Slots: inFlight, MaxRuntime: time.Minute,
		Handle: func(_ context.Context, cmd bus.Command) bus.Reply {
			<-release
			return bus.Reply{Data: cmd.Params}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	stop.start(server.Run)
	stop.start(func(ctx context.Context) error {
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-ticker.C:
				if err := beat(ctx); err != nil && ctx.Err() == nil {
					return fmt.Errorf("beat: %w", err)
				}
			}
		}
	})
	return server
}

// runs are parts that run until all is called.
type runs struct {
	t      *testing.T
	ctx    context.Context
	cancel context.CancelFunc
	parts  sync.WaitGroup
}

func run(t *testing.T) *runs {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	return &runs{t: t, ctx: ctx, cancel: cancel}
}

func (r *runs) start(part func(context.Context) error) {
	r.parts.Go(func() {
		if err := part(r.ctx); err != nil {
			r.t.Error(err)
		}
	})
}

func (r *runs) all() {
	r.cancel()
	r.parts.Wait()
}
