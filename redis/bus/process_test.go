package bus_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/atlhyper/observe/redis/bus"
	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/detail"
)

// What the test binary is when it runs as an agent of its own.
const (
	envURL      = "BUS_TEST_AGENT_URL"
	envInstance = "BUS_TEST_AGENT_INSTANCE"
	// gateKey holds back all answers of such agents while it exists.
	gateKey = "gate"
)

func TestMain(m *testing.M) {
	if url := os.Getenv(envURL); url != "" {
		if err := agentProcess(url, os.Getenv(envInstance)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	redistest.VerifyTestMain(m)
}

// agentProcess is an agent that beats and echoes, until SIGTERM.
func agentProcess(url, instance string) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	go func() {
		if _, err := io.Copy(io.Discard, os.Stdin); err == nil {
			os.Exit(1) // the test has ended without an end to this process
		}
	}()
	clients, err := conn.Open(conn.Config{URL: url, ClientName: "process"})
	if err != nil {
		return err
	}
	w, err := snapshot.NewWriter(clients, snapshot.WriterConfig{Cluster: cluster, Instance: instance})
	if err != nil {
		return err
	}
	s, err := bus.NewServer(clients, bus.ServerConfig{Cluster: cluster, Instance: instance, Slots: 4,
		Handle: func(ctx context.Context, cmd bus.Command) bus.Reply {
			ticker := time.NewTicker(10 * time.Millisecond)
			defer ticker.Stop()
			for range ticker.C {
				if n, err := clients.Normal.Exists(context.WithoutCancel(ctx), gateKey).Result(); err == nil && n == 0 {
					break
				}
			}
			return echo(ctx, cmd)
		}})
	if err != nil {
		return err
	}
	if err := w.Beat(ctx, snapshot.Beat{Slots: 4}); err != nil {
		return err
	}
	var beating sync.WaitGroup
	beats, end := context.WithCancel(context.Background())
	beating.Go(func() { err = beatUntil(beats, w) })
	runErr := s.Run(ctx)
	end()
	beating.Wait()
	if err == nil {
		err = runErr
	}
	return err
}

// process starts an agent process that is killed, frozen or not, when the test ends.
func (r *rig) process(instance string) *os.Process {
	r.t.Helper()
	cmd := exec.CommandContext(context.Background(), os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), envURL+"="+r.server.URL(), envInstance+"="+instance)
	cmd.Stderr = os.Stderr
	// It ends with the test binary, however that ends: it would see its input close.
	if _, err := cmd.StdinPipe(); err != nil {
		r.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		r.signal(cmd.Process, syscall.SIGKILL)
		if err := cmd.Wait(); err != nil && !strings.Contains(err.Error(), "killed") {
			r.t.Errorf("agent process %s: %v", instance, err)
		}
	})
	return cmd.Process
}

func (r *rig) signal(p *os.Process, s syscall.Signal) {
	r.t.Helper()
	if err := p.Signal(s); err != nil && err != os.ErrProcessDone { //nolint:errorlint // as it is returned
		r.t.Fatalf("%v: %v", s, err)
	}
}

// later polls for as long as a dead agent's beat may take to run out, and more.
func later(t *testing.T, what string, cond func() bool) {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for !cond() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatalf("gave up waiting: %s", what)
		}
	}
}

// others are keys that are no matter of the cluster's agents, with their contents.
func (r *rig) others() map[string]string {
	r.t.Helper()
	west := key.Cluster("west")
	out := map[string]string{}
	for _, k := range []string{west.Commands(), west.Claimed("dead"), west.Agents(), cluster.Claimed("live")} {
		dump, err := r.admin.Dump(r.t.Context(), k).Result()
		if err != nil {
			r.t.Fatal(err)
		}
		out[k] = dump
	}
	return out
}

// An agent that is killed held commands. Another agent of the cluster answers them,
// or the next one to come when there is none; nothing else is touched. The commands
// have a minute: their default of 10 s is enough for BeatExpiry and a look, but not
// on a machine that is busy enough.
func TestKilledAgent(t *testing.T) {
	t.Parallel()
	for _, alone := range []bool{false, true} {
		t.Run(fmt.Sprintf("alone=%v", alone), func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			count := r.tally()
			west := key.Cluster("west")
			r.do(r.admin.Set(t.Context(), gateKey, "closed", 0))
			for _, k := range []string{west.Commands(), west.Claimed("dead"), cluster.Claimed("live")} {
				r.do(r.admin.RPush(t.Context(), k, r.command("theirs", nil)))
			}
			r.do(r.admin.HSet(t.Context(), west.Agents(), "dead", "no beat"))
			r.beats("live")
			others := r.others()

			first := r.process("a1")
			ids := []string{"c1", "c2", "c3", "c4"}
			redistest.Eventually(t, "the agent process beats", func() bool {
				return r.admin.HExists(t.Context(), cluster.Agents(), "a1").Val()
			})
			for _, id := range ids {
				r.do(r.admin.RPush(t.Context(), cluster.Commands(), r.command(id, nil)))
			}
			redistest.Eventually(t, "the agent process holds all commands", func() bool {
				return len(r.list(cluster.Claimed("a1"))) == len(ids)
			})
			if !alone {
				_, _ = r.agent(bus.ServerConfig{Instance: "a2", Handle: count.echo})
			}
			r.signal(first, syscall.SIGKILL)
			r.do(r.admin.Del(t.Context(), gateKey))
			heir := "a2"
			if alone {
				heir = "a1-again" // an agent's name has a part that is another in each life
				r.process(heir)
			}
			for _, id := range ids {
				later(t, "reply to "+id, func() bool { return len(r.list(cluster.Reply(id))) > 0 })
				if reply := r.reply(id); reply.Agent != heir || reply.Code != "" {
					t.Errorf("%s: %+v, want an answer of %s", id, reply, heir)
				}
			}
			redistest.Eventually(t, "nothing is left", func() bool {
				return len(r.list(cluster.Commands()))+len(r.list(cluster.Claimed("a1")))+len(r.list(cluster.Claimed(heir))) == 0
			})
			if diff := cmp.Diff(others, r.others()); diff != "" {
				t.Errorf("what is not theirs was touched\n%s", diff)
			}
		})
	}
}

// An agent that is frozen for longer than its beat lives, and then goes on, does not
// answer what another one answered meanwhile.
func TestFrozenAgent(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	count := r.tally()
	r.do(r.admin.Set(t.Context(), gateKey, "closed", 0))
	frozen := r.process("a1")
	redistest.Eventually(t, "the agent process beats", func() bool {
		return r.admin.HExists(t.Context(), cluster.Agents(), "a1").Val()
	})
	r.do(r.admin.RPush(t.Context(), cluster.Commands(), r.command("c1", nil)))
	redistest.Eventually(t, "the agent process holds the command", func() bool { return len(r.list(cluster.Claimed("a1"))) == 1 })
	r.signal(frozen, syscall.SIGSTOP)
	_, _ = r.agent(bus.ServerConfig{Instance: "a2", Handle: count.echo})
	later(t, "another agent answers", func() bool { return len(r.list(cluster.Reply("c1"))) > 0 })

	r.do(r.admin.Del(t.Context(), gateKey))
	before := r.admin.HGet(t.Context(), cluster.Agents(), "a1").Val()
	r.signal(frozen, syscall.SIGCONT)
	later(t, "the agent goes on", func() bool { return r.admin.HGet(t.Context(), cluster.Agents(), "a1").Val() != before })
	// What it is given now it answers, after what it held.
	r.do(r.admin.RPush(t.Context(), cluster.Claimed("a1"), r.command("c2", nil)))
	later(t, "the agent answers again", func() bool { return len(r.list(cluster.Reply("c2"))) > 0 })
	if reply := r.reply("c2"); reply.Agent != "a1" {
		t.Errorf("c2: %+v", reply)
	}
	if reply := r.reply("c1"); reply.Agent != "a2" {
		t.Errorf("c1: %+v, want the one answer of a2", reply)
	}
	redistest.Eventually(t, "its reply is announced", func() bool {
		count.mu.Lock()
		defer count.mu.Unlock()
		return count.replies["c1"] > 0
	})
	count.mu.Lock()
	defer count.mu.Unlock()
	if n := count.replies["c1"]; n != 1 {
		t.Errorf("c1 was answered %d times", n)
	}
}

// A reply that comes when nobody can wait for it any more is dropped: the mark of
// another agent's answer may have run out, and it is too old to be shared.
func TestFrozenBeyondTheDeadline(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.do(r.admin.Set(t.Context(), gateKey, "closed", 0))
	frozen := r.process("a1")
	redistest.Eventually(t, "the agent process beats", func() bool {
		return r.admin.HExists(t.Context(), cluster.Agents(), "a1").Val()
	})
	deadline := time.Now().Add(8 * time.Second) // Redis's clock is this machine's
	r.do(r.admin.RPush(t.Context(), cluster.Commands(), r.command("c1", func(c *bus.Command) {
		c.Kind, c.Deadline = detail.KindTrace, deadline.UnixMilli()
	})))
	redistest.Eventually(t, "the agent process holds the command", func() bool { return len(r.list(cluster.Claimed("a1"))) == 1 })
	r.signal(frozen, syscall.SIGSTOP)
	later(t, "its time is over", func() bool { return time.Now().After(deadline.Add(key.Grace)) })
	r.do(r.admin.Del(t.Context(), gateKey))
	r.signal(frozen, syscall.SIGCONT)
	later(t, "the agent drops it", func() bool { return len(r.list(cluster.Claimed("a1"))) == 0 })
	left, err := r.admin.Keys(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{cluster.Agents()}, left); diff != "" {
		t.Errorf("what is left (-want +got)\n%s", diff)
	}
}

// An agent process is told to end while it works: it answers what it has, leaves the
// rest to another one, and ends without an error.
func TestTerminatedAgent(t *testing.T) {
	t.Parallel()
	const first, commands = 150, 1500
	r := newRig(t)
	count := r.tally()
	process := r.process("a1")
	redistest.Eventually(t, "the agent process beats", func() bool {
		return r.admin.HExists(t.Context(), cluster.Agents(), "a1").Val()
	})
	client := r.client(bus.ClientConfig{})
	for _, err := range flood(t, client, first, 32) {
		t.Errorf("a request failed: %v", err)
	}
	// It does not answer the rest before the other one is there.
	r.do(r.admin.Set(t.Context(), gateKey, "closed", 0))
	failed := make(chan []error, 1)
	go func() { failed <- flood(t, client, commands-first, 32) }()
	_, _ = r.agent(bus.ServerConfig{Instance: "a2", Slots: 4, Handle: count.echo})
	redistest.Eventually(t, "the second agent works", func() bool {
		count.mu.Lock()
		defer count.mu.Unlock()
		return len(count.runs) > 0
	})
	r.do(r.admin.Del(t.Context(), gateKey))
	r.signal(process, syscall.SIGTERM)
	for _, err := range <-failed {
		t.Errorf("a request failed: %v", err)
	}
	redistest.Eventually(t, "all replies are announced", func() bool {
		count.mu.Lock()
		defer count.mu.Unlock()
		return len(count.replies) == commands
	})
	count.mu.Lock()
	defer count.mu.Unlock()
	for id, times := range count.replies {
		if times != 1 {
			t.Errorf("%s was answered %d times", id, times)
		}
	}
	if len(count.runs) == 0 || len(count.runs) == commands {
		t.Errorf("the second agent ran %d of %d, want a part", len(count.runs), commands)
	}
	if left := r.list(cluster.Claimed("a1")); len(left) > 0 {
		t.Errorf("it left with %d commands", len(left))
	}
}
