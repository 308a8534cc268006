package snapshot_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/codec"
)

// envURL makes the test binary a publisher of its own.
const envURL = "SNAPSHOT_TEST_PUBLISHER_URL"

// leaseInterval is between publishes: an agent takes over after two of them.
const leaseInterval = 2 * time.Second

func TestMain(m *testing.M) {
	if url := os.Getenv(envURL); url != "" {
		if err := publisherProcess(url, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	redistest.VerifyTestMain(m)
}

// publisherProcess publishes each line it reads as section a, and answers with what
// came of it.
func publisherProcess(url string, in io.Reader, out io.Writer) error {
	clients, err := conn.Open(conn.Config{URL: url})
	if err != nil {
		return err
	}
	w, err := snapshot.NewWriter(clients, snapshot.WriterConfig{Cluster: cluster, Instance: "process", Interval: leaseInterval})
	if err != nil {
		return err
	}
	for lines := bufio.NewScanner(in); lines.Scan(); {
		data, err := codec.Encode(lines.Text())
		if err != nil {
			return err
		}
		done, err := w.Publish(context.Background(), []snapshot.Update{{Name: "a", Data: data, At: time.Now()}})
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(out, "standby=%v\n", done.Standby); err != nil {
			return err
		}
	}
	return nil
}

// publisher is a process that publishes.
type publisher struct {
	t       *testing.T
	process *os.Process
	in      io.Writer
	out     *bufio.Scanner
}

func (r *rig) publisher() *publisher {
	r.t.Helper()
	cmd := exec.CommandContext(context.Background(), os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), envURL+"="+r.server.URL())
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	p := &publisher{t: r.t, process: cmd.Process, in: in, out: bufio.NewScanner(out)}
	r.t.Cleanup(func() {
		p.signal(syscall.SIGKILL)
		if err := cmd.Wait(); err != nil && !strings.Contains(err.Error(), "killed") {
			r.t.Errorf("publisher: %v", err)
		}
	})
	return p
}

func (p *publisher) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.process.Signal(s); err != nil && err != os.ErrProcessDone { //nolint:errorlint // as it is returned
		p.t.Fatalf("%v: %v", s, err)
	}
}

func (p *publisher) send(text string) {
	p.t.Helper()
	if _, err := fmt.Fprintln(p.in, text); err != nil {
		p.t.Fatal(err)
	}
}

func (p *publisher) answer() string {
	p.t.Helper()
	if !p.out.Scan() {
		p.t.Fatalf("the publisher ended: %v", p.out.Err())
	}
	return p.out.Text()
}

// The agent that publishes is killed, or frozen: another one takes over before the
// snapshot's time is over, and the frozen one's late publish changes nothing.
func TestTakeover(t *testing.T) {
	t.Parallel()
	for name, signal := range map[string]syscall.Signal{"killed": syscall.SIGKILL, "frozen": syscall.SIGSTOP} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			holder := r.publisher()
			holder.send("old")
			if got := holder.answer(); got != "standby=false" {
				t.Fatalf("the first agent says %s", got)
			}
			second := r.writer(func(c *snapshot.WriterConfig) { c.Instance, c.Interval = "a2", leaseInterval })
			if p := r.publish(second, good(t, "a", "new")); !p.Standby {
				t.Fatal("both publish")
			}
			holder.signal(signal)
			seq := r.section("a").Meta.Seq
			published := r.section("a").Meta.PublishedAt
			later(t, "the second agent takes over", func() bool {
				s := r.section("a") // it is there all the time
				if s.Meta.Seq < seq {
					t.Errorf("seq went from %d back to %d", seq, s.Meta.Seq)
				}
				seq = s.Meta.Seq
				return !r.publish(second).Standby
			})
			s := r.section("a")
			if string(s.Data) != string(encode(t, "new")) || s.Meta.Seq <= seq {
				t.Errorf("a = %x with seq %d after %d", s.Data, s.Meta.Seq, seq)
			}
			if silent := s.Meta.PublishedAt.Sub(published); silent < 2*leaseInterval-time.Millisecond {
				t.Errorf("it took over after %s, while the lease lasts %s", silent, 2*leaseInterval)
			}
			if signal != syscall.SIGSTOP {
				return
			}
			holder.send("late")
			r.publish(second) // the lease is fresh
			holder.signal(syscall.SIGCONT)
			answered := make(chan string, 1)
			go func() {
				holder.out.Scan() // "" when it has ended
				answered <- holder.out.Text()
			}()
			var got string
			redistest.Eventually(t, "the agent that was frozen answers", func() bool {
				r.publish(second) // and stays so
				select {
				case got = <-answered:
					return true
				default:
					return false
				}
			})
			if got != "standby=true" {
				t.Errorf("the agent that was frozen says %q", got)
			}
			if s := r.section("a"); string(s.Data) != string(encode(t, "new")) {
				t.Errorf("a = %x after the late publish", s.Data)
			}
		})
	}
}

// later polls for as long as a takeover may take, and more.
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
