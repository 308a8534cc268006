package faults

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/atlhyper/observe/loadtest/fleet"
	"github.com/atlhyper/observe/loadtest/verify"
	"github.com/atlhyper/observe/redis/redistest"
)

var (
	soakFor      = flag.Duration("soak", 0, "run the soak for this long")
	soakClusters = flag.Int("soak-clusters", 200, "simulated clusters of the soak")
)

// soakPeriod is from one fault to the next; in its second half everything must have
// recovered: twice the interval and some.
const soakPeriod = 75 * time.Second

// TestSoak runs many clusters and three masters for long, with a fault each 75 s,
// and then counts: nothing may be lost, nothing may grow.
func TestSoak(t *testing.T) {
	if *soakFor == 0 {
		t.Skip("takes long: make soak DURATION=10m")
	}
	server := redistest.Start(t)
	w := newWire(t, server.Addr())
	admin := server.Client(t)
	s := newStack(t, plan{
		redisURL: server.URL(), agentURL: "redis://" + w.addr(), masters: 3, fleet: fleet.Config{Clusters: *soakClusters},
		verify: verify.Config{Dashboards: 60, Details: 40, HangUp: 2, Timeout: 30 * time.Second, Forgets: true, Phase: "warming up"},
	}, admin)
	s.until("the service is whole at first", func(ctx context.Context) error { return s.verifier.Whole(ctx, time.Time{}) })
	stop := s.load()
	s.hold(min(30*time.Second, *soakFor/4))
	stop()
	s.settled()
	before := s.footprint()

	stop = s.load()
	calm := s.soak(w, server, admin)
	stop()
	var after footprint
	s.until("goroutines, connections and keys are what they were", func(context.Context) error {
		if after = s.footprint(); !s.ended(after.usage, before.usage) {
			return fmt.Errorf("before %+v, now %+v", before, after)
		}
		return nil
	})
	s.judge(calm, before, after)
}

// footprint is what the process holds when no load is on it.
type footprint struct {
	usage

	heap uint64 // bytes
}

func (s *stack) footprint() footprint {
	s.t.Helper()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	u, err := s.usage(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return footprint{usage: u, heap: m.HeapAlloc}
}

// soak injects one fault after the other until the time is over; it returns the
// phases in which nothing was wrong any more.
func (s *stack) soak(w *wire, server *redistest.Server, admin *redis.Client) (calm []*verify.Phase) {
	s.t.Helper()
	kinds := []struct {
		name string
		run  func()
	}{
		{"Redis restarted empty", func() { server.Stop(); s.hold(3 * time.Second); server.Restart() }},
		{"Redis frozen 8 s", func() { server.Freeze(); s.hold(8 * time.Second); server.Thaw() }},
		{"agents cut off 15 s", func() { w.cut(); s.hold(15 * time.Second); w.mend() }},
		{"200 ms delay 15 s", func() {
			w.poison(toxic{"latency", "upstream", 1, `{"latency":100}`}, toxic{"latency", "downstream", 1, `{"latency":100}`})
			s.hold(15 * time.Second)
			w.clean()
		}},
		{"10 % of connections killed each 500 ms for 10 s", func() {
			for range 20 {
				s.killClients(admin, 10)
				s.hold(500 * time.Millisecond)
			}
		}},
		{"Redis out of memory 10 s", func() { s.set(admin, "maxmemory", "1mb"); s.hold(10 * time.Second); s.set(admin, "maxmemory", "0") }},
	}
	end := time.Now().Add(*soakFor)
	for n := 0; time.Now().Before(end); n++ {
		kind, began := kinds[n%len(kinds)], time.Now()
		s.verifier.Begin(kind.name)
		kind.run()
		s.verifier.Begin("after " + kind.name)
		s.until("the service is whole again", func(ctx context.Context) error { return s.verifier.Whole(ctx, time.Time{}) })
		s.hold(max(5*time.Second, min(soakPeriod/2, *soakFor/4)-time.Since(began)))
		calm = append(calm, s.verifier.Begin("calm after "+kind.name))
		s.hold(max(5*time.Second, min(soakPeriod, *soakFor/2)-time.Since(began)))
	}
	s.verifier.Begin("end")
	return calm
}

// killClients has the server close every nth connection of agents and masters: at
// this number of them a proxy could not keep up.
func (s *stack) killClients(admin *redis.Client, nth int) {
	s.t.Helper()
	list, err := admin.ClientList(s.t.Context()).Result()
	if err != nil {
		s.t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(list) {
		id, _, found := strings.Cut(strings.TrimPrefix(line, "id="), " ")
		if !found || !strings.Contains(line, "name=atlhyper-") {
			continue
		}
		if n++; n%nth != 0 {
			continue
		}
		if err := admin.ClientKillByFilter(s.t.Context(), "ID", id).Err(); err != nil {
			s.t.Fatal(err)
		}
	}
}

// judge prints the counts and fails the test when they do not add up.
func (s *stack) judge(calm []*verify.Phase, before, after footprint) {
	s.t.Helper()
	dashboards, details := s.verifier.Total()
	c := s.commands()
	stranded := s.stranded()
	// With no fault under way and 30 s to wait, a request without a reply is a command
	// that was lost; refusals are those of a machine that is too slow for this load.
	inCalm, unanswered, refused := 0, 0, 0
	for _, phase := range calm {
		for _, counts := range []verify.Counts{phase.Dashboards(), phase.Details()} {
			inCalm += counts.Total()
			unanswered += counts.Codes["timeout"] + counts.Codes[verify.NoAnswer]
			refused += counts.Total() - counts.Codes[verify.OK] - counts.Codes[verify.HungUp]
		}
	}
	lost := c["pushed"] - c["answered"] - c["refused"] - c["unusable"] - c["expired"] - c["canceled"]
	wrong, examples := s.verifier.Wrong()
	s.t.Logf("\nsoak of %s: %d clusters, 3 masters, %d faults\n"+
		"dashboards  %d: %v, longest %s\ndetails     %d: %v, longest %s\nwrong       %d\n"+
		"calm        %d requests with no fault under way, %d of them refused, %d without a reply\n"+
		"commands    %d pushed = %d answered + %d refused by agents + %d expired + %d cancelled; %d lost, %d left in Redis\n"+
		"goroutines  %d before, %d after\nconnections %d at work and %d idle before, %d and %d after\nkeys        %d before, %d after\nheap        %d MB before, %d MB after",
		*soakFor, len(s.fleet.Clusters()), len(calm),
		dashboards.Total(), dashboards.Codes, dashboards.Worst.Round(time.Millisecond), details.Total(), details.Codes, details.Worst.Round(time.Millisecond), wrong,
		inCalm, refused-unanswered, unanswered,
		c["pushed"], c["answered"], c["refused"]+c["unusable"], c["expired"], c["canceled"], lost, stranded,
		before.goroutines, after.goroutines, before.working, before.idle, after.working, after.idle, before.keys, after.keys, before.heap>>20, after.heap>>20)
	if c["pushed"] == 0 || lost != 0 || stranded != 0 || unanswered != 0 || wrong != 0 || inCalm == 0 {
		s.t.Errorf("lost %d, left %d, unanswered in calm %d of %d, wrong %d of %d pushed: %q", lost, stranded, unanswered, inCalm, wrong, c["pushed"], examples)
	}
	if after.heap > before.heap+before.heap/2+32<<20 {
		s.t.Errorf("the heap grew from %d to %d bytes", before.heap, after.heap)
	}
}

// commands sums what the masters count of their commands, by outcome.
func (s *stack) commands() map[string]int {
	s.t.Helper()
	sums := map[string]int{}
	for _, base := range s.masters {
		res, err := http.Get(base + "/metrics")
		if err != nil {
			s.t.Fatal(err)
		}
		text, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			s.t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
			outcome := "pushed"
			if rest, ok := strings.CutPrefix(name, `atlhyper_master_commands_ended_total{outcome="`); ok {
				outcome = strings.TrimSuffix(rest, `"}`)
			} else if name != "atlhyper_master_commands_pushed_total" {
				continue
			}
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				s.t.Fatalf("%s: %v", line, err)
			}
			sums[outcome] += int(n)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	return sums
}

// stranded counts the commands and replies that are still in Redis.
func (s *stack) stranded() int {
	s.t.Helper()
	count := 0
	for _, pattern := range []string{"atlhyper:{*}:commands", "atlhyper:{*}:claimed:*", "atlhyper:{*}:reply:*"} {
		keys, err := s.admins[0].Keys(s.t.Context(), pattern).Result()
		if err != nil {
			s.t.Fatal(err)
		}
		for _, k := range keys {
			n, err := s.admins[0].LLen(s.t.Context(), k).Result()
			if err != nil {
				s.t.Fatal(err)
			}
			count += int(n)
		}
	}
	return count
}
