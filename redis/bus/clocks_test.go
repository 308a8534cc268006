package bus_test

import (
	"context"
	"testing"
	"time"

	"github.com/atlhyper/observe/redis/bus"
	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/conn/conntest"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/fault"
)

// openAt is open for a process whose clock is off.
func (r *rig) openAt(name string, off time.Duration) *conn.Clients {
	r.t.Helper()
	clients := conntest.Open(r.t, conn.Config{URL: r.server.URL(), ClientName: name, Now: func() time.Time { return time.Now().Add(off) }})
	// Without a measurement, which has a second where nobody waits for it, the hour would
	// be this process's.
	if err := clients.SyncClocks(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	return clients
}

// The clocks of agent, master and Redis are hours apart: deadlines and ages are what
// they are on Redis's.
func TestClocksHoursApart(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ agent, master time.Duration }{
		"the agent's is ahead":  {7 * time.Hour, -5 * time.Hour},
		"the agent's is behind": {-7 * time.Hour, 5 * time.Hour},
		"only the master's":     {0, 24 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			clients := r.openAt("agent", tt.agent)
			w, err := snapshot.NewWriter(clients, snapshot.WriterConfig{Cluster: cluster, Instance: "a1"})
			if err != nil {
				t.Fatal(err)
			}
			if err := w.Beat(t.Context(), snapshot.Beat{}); err != nil {
				t.Fatal(err)
			}
			r.run(func(ctx context.Context) error { return beatUntil(ctx, w) })
			entered := make(chan time.Duration, 100)
			agent, err := bus.NewServer(clients, bus.ServerConfig{Cluster: cluster, Instance: "a1",
				Handle: func(ctx context.Context, cmd bus.Command) bus.Reply {
					if cmd.Kind == "hang" {
						deadline, _ := ctx.Deadline()
						entered <- time.Until(deadline)
						<-ctx.Done()
						return bus.Refusal(fault.New(fault.Timeout, "it hung"))
					}
					return echo(ctx, cmd)
				}})
			if err != nil {
				t.Fatal(err)
			}
			r.run(agent.Run)
			master := r.openAt("master", tt.master)
			client, err := bus.NewClient(master, bus.ClientConfig{Replica: "m1"})
			if err != nil {
				t.Fatal(err)
			}
			r.run(client.Run)

			reply, err := client.Do(t.Context(), cluster, echoRequest(t, 1))
			if err != nil {
				t.Fatal(err)
			}
			if age := time.Since(time.UnixMilli(reply.At)).Abs(); age > time.Minute { // Redis's clock is this machine's
				t.Errorf("answered at %s, which is %s away", time.UnixMilli(reply.At), age)
			}
			// The run has about as long as the asker waits, not hours.
			hang := echoRequest(t, 1)
			hang.Kind = "hang"
			r.timesOut(client, hang, func() bool { return len(entered) > 0 })
			if left := <-entered; left > time.Minute {
				t.Errorf("the agent's run has %s", left)
			}
			// What is too late on Redis's clock, however well that was measured, is not run.
			before := agent.Stats().Expired
			r.do(r.admin.RPush(t.Context(), cluster.Commands(), r.command("late", func(c *bus.Command) {
				c.Deadline = time.Now().Add(-time.Minute).UnixMilli()
			})))
			redistest.Eventually(t, "it is dropped", func() bool {
				return agent.Stats().Expired > before && len(r.list(cluster.Commands()))+len(r.list(cluster.Claimed("a1"))) == 0
			})
			if n := len(r.list(cluster.Reply("late"))); n > 0 {
				t.Error("a command past its deadline was answered")
			}

			at := clients.Clock(cluster).Here()
			if _, err := w.Publish(t.Context(), []snapshot.Update{{Name: "a", Data: encode(t, 1), At: at}}); err != nil {
				t.Fatal(err)
			}
			s, err := snapshot.NewReader(master, snapshot.ReaderConfig{}).Section(t.Context(), cluster, "a")
			if err != nil || s.Meta.Stale || s.Meta.Age > time.Minute || s.Status != snapshot.Online {
				t.Errorf("section: %+v, %s, %v; want a fresh one", s.Meta, s.Status, err)
			}
		})
	}
}
