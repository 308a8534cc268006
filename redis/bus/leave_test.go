package bus_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/atlhyper/observe/redis/bus"
	"github.com/atlhyper/observe/redis/internal/cut"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/redis/snapshot"
)

// moves is how many BLMOVEs the server has run, or begun to wait for.
func (r *rig) moves() int { return r.calls("blmove") }

// calls is how often the server has run a command, scripts' own calls counted.
func (r *rig) calls(command string) (calls int) {
	r.t.Helper()
	text, err := r.admin.Info(r.t.Context(), "commandstats").Result()
	if err != nil {
		r.t.Fatal(err)
	}
	for line := range strings.Lines(text) {
		if rest, found := strings.CutPrefix(line, "cmdstat_"+command+":calls="); found {
			if _, err := fmt.Sscanf(rest, "%d,", &calls); err != nil {
				r.t.Fatalf("%s: %v", line, err)
			}
		}
	}
	return calls
}

func (r *rig) leave(instance string) {
	r.t.Helper()
	w, err := snapshot.NewWriter(r.open("leaves"), snapshot.WriterConfig{Cluster: cluster, Instance: instance})
	if err != nil {
		r.t.Fatal(err)
	}
	if err := w.Leave(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
}

// The only agent of a cluster leaves while the network, or Redis, still holds a
// request of its takers, whose connections were cut. When that request is run at last,
// nobody would look at what it claims: a command that waits for the next agent must
// go on waiting.
func TestLateClaimsOfOneThatLeft(t *testing.T) {
	t.Parallel()
	for name, late := range map[string]func(r *rig, link *cut.Link) (happens func()){
		"the request comes late": func(r *rig, link *cut.Link) func() {
			link.Keep("blmove")
			redistest.Eventually(r.t, "a taker's request is held up", func() bool { return link.Kept() > 0 })
			return func() {
				before, kept := r.moves(), link.Kept()
				link.Deliver()
				redistest.Eventually(r.t, "all of them are run", func() bool { return r.moves() >= before+kept })
			}
		},
		"the request waits in Redis": func(r *rig, _ *cut.Link) func() {
			// A taker's waits a second; this one is as patient as a busy machine is slow.
			waiter := r.server.Client(r.t).Conn()
			ended := make(chan error, 1)
			before := r.moves()
			go func() {
				ended <- waiter.BLMove(r.t.Context(), cluster.Commands(), cluster.Claimed("a1"), "LEFT", "RIGHT", 0).Err()
			}()
			redistest.Eventually(r.t, "it waits", func() bool { return r.moves() > before })
			return func() {
				if err := <-ended; err == nil || !strings.Contains(err.Error(), "WRONGTYPE") {
					r.t.Errorf("the late request ended with %v, want it refused", err)
				}
				if err := waiter.Close(); err != nil {
					r.t.Error(err)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.beatOnce = true
			r.beat("a1")
			link := cut.New(t, r.server.Addr())
			agent, err := bus.NewServer(r.through(link, "agent"), bus.ServerConfig{Cluster: cluster, Instance: "a1", Handle: echo})
			if err != nil {
				t.Fatal(err)
			}
			stop := r.run(agent.Run)
			redistest.Eventually(t, "it takes commands", func() bool { return r.moves() > 0 })
			happens := late(r, link)
			if err := stop(); err != nil {
				t.Fatal(err)
			}
			r.leave("a1")
			command := r.command("c1", nil)
			r.do(r.admin.RPush(t.Context(), cluster.Commands(), command))
			happens()
			if diff := cmp.Diff([]string{command}, r.list(cluster.Commands())); diff != "" {
				t.Errorf("the command does not wait any more (-want +got)\n%s", diff)
			}
			if ttl := r.admin.PTTL(t.Context(), cluster.Claimed("a1")).Val(); ttl <= 0 {
				t.Errorf("what bars the list lives for %s", ttl)
			}
			// The next agent takes it, and nothing back of the one that left.
			r.oldBeat("a1", time.Minute)
			_, _ = r.agent(bus.ServerConfig{Instance: "a2", Handle: echo})
			redistest.Eventually(t, "the next agent answers", func() bool { return len(r.list(cluster.Reply("c1"))) == 1 })
			if kind := r.admin.Type(t.Context(), cluster.Claimed("a1")).Val(); kind != "string" {
				t.Errorf("the claimed list of one that left is now a %s", kind)
			}
		})
	}
}
