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
		verify: verify.Config{Dashboards: 60, Details: 40, HangUp: 2, Timeout: 30 * time.Second, Phase: "warming up"},
	}, admin)
	s.until("the service is whole at first", func(ctx context.Context) error { return s.verifier.Whole(ctx, time.Time{}) })
	stop := s.load()
	s.hold(min(30*time.Second, *soakFor/4))
	stop()
	s.settled()
	before := s.footprint()

	stop = s.load()
	calm, gone := s.soak(w, server, admin)
	stop()
	var after footprint
	s.until("goroutines, connections and keys are what they were", func(context.Context) error {
		if after = s.footprint(); !s.ended(after.usage, before.usage) {
			return fmt.Errorf("before %+v, now %+v", before, after)
		}
		return nil
	})
	s.judge(calm, gone, before, after)
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
// phases in which nothing was wrong any more, and how many requests waited when Redis
// lost what it had.
func (s *stack) soak(w *wire, server *redistest.Server, admin *redis.Client) (calm []*verify.Phase, gone int) {
	s.t.Helper()
	kinds := []struct {
		name string
		run  func()
	}{
		{"Redis restarted empty", func() {
			server.Stop()
			gone += s.commands()["waiting"] // nothing can be pushed any more
			s.hold(3 * time.Second)
			server.Restart()
		}},
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
	return calm, gone
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

// book is what masters and agents say of all commands.
type book struct {
	masters map[string]int // by outcome, and those pushed and waiting
	agents  fleet.Commands
	// gone is how many requests waited when Redis lost what it had.
	gone int
}

// got is how many commands came back to their master.
func (b book) got() int {
	return b.masters["answered"] + b.masters["refused"] + b.masters["too_large"] + b.masters["unreadable"]
}

// lost is how many commands nothing explains: that an agent claimed and never ended;
// or whose master waited in vain although no agent dropped them as expired or had no
// Redis to answer to, and which were in no Redis that lost what it had.
func (b book) lost() int {
	a := b.agents
	unended := a.Claimed - a.Answered - a.AnsweredBefore - a.Unanswered
	inVain := int64(b.masters["expired"]) - a.Expired - a.Unanswered - int64(b.gone)
	return int(max(unended, 0) + max(inVain, 0))
}

// maxRefused is how many of the requests with no fault under way may be refused:
// one of a thousand.
const maxRefused = 1000

// judge prints the counts and fails the test when they do not add up.
func (s *stack) judge(calm []*verify.Phase, gone int, before, after footprint) {
	s.t.Helper()
	dashboards, details := s.verifier.Total()
	b := book{s.commands(), s.fleet.Commands(), gone}
	stranded := s.stranded()
	inCalm, unanswered, refused := 0, 0, 0
	for _, phase := range calm {
		for _, counts := range []verify.Counts{phase.Dashboards(), phase.Details()} {
			inCalm += counts.Total()
			unanswered += counts.Codes["timeout"] + counts.Codes[verify.NoAnswer]
			refused += counts.Total() - counts.Codes[verify.OK] - counts.Codes[verify.HungUp]
		}
	}
	c, a := b.masters, b.agents
	wrong, examples := s.verifier.Wrong()
	s.t.Logf("\nsoak of %s: %d clusters, 3 masters, %d faults\n"+
		"dashboards  %d: %v, longest %s\ndetails     %d: %v, longest %s\nwrong       %d\n"+
		"calm        %d requests with no fault under way, %d of them refused, %d without a reply\n"+
		"masters     %d pushed = %d answered + %d refused by agents + %d too large + %d unreadable + %d expired + %d cancelled\n"+
		"agents      %d claimed = %d answered + %d answered before + %d without a Redis to answer to; %d dropped as expired\n"+
		"commands    %d lost, %d left in Redis; %d requests waited when Redis lost what it had\n"+
		"goroutines  %d before, %d after\nconnections %d subscribed and %d pooled before, %d and %d after\nkeys        %d before, %d after\nheap        %d MB before, %d MB after",
		*soakFor, len(s.fleet.Clusters()), len(calm),
		dashboards.Total(), dashboards.Codes, dashboards.Worst.Round(time.Millisecond), details.Total(), details.Codes, details.Worst.Round(time.Millisecond), wrong,
		inCalm, refused-unanswered, unanswered,
		c["pushed"], c["answered"], c["refused"], c["too_large"], c["unreadable"], c["expired"], c["canceled"],
		a.Claimed, a.Answered, a.AnsweredBefore, a.Unanswered, a.Expired, b.lost(), stranded, gone,
		before.goroutines, after.goroutines, before.subscribed, before.pooled, after.subscribed, after.pooled, before.keys, after.keys, before.heap>>20, after.heap>>20)
	if c["pushed"] == 0 || b.lost() != 0 || stranded != 0 || unanswered != 0 || wrong != 0 || inCalm == 0 {
		s.t.Errorf("lost %d, left %d, unanswered in calm %d of %d, wrong %d of %d pushed: %q", b.lost(), stranded, unanswered, inCalm, wrong, c["pushed"], examples)
	}
	if c["too_large"]+c["unreadable"] != 0 || int64(b.got()) > a.Claimed {
		s.t.Errorf("%d replies, %d of them too large and %d unreadable, to %d commands that agents claimed", b.got(), c["too_large"], c["unreadable"], a.Claimed)
	}
	if (refused-unanswered)*maxRefused > inCalm {
		s.t.Errorf("%d of %d requests were refused or got old data with no fault under way: more than one of %d", refused-unanswered, inCalm, maxRefused)
	}
	if after.heap > before.heap+before.heap/2+32<<20 {
		s.t.Errorf("the heap grew from %d to %d bytes", before.heap, after.heap)
	}
}

// commands sums what the masters count of their commands, by outcome; "pushed" ones; and the
// requests that are "waiting".
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
			outcome := strings.TrimPrefix(name, `atlhyper_master_commands_ended_total{outcome="`)
			switch {
			case outcome != name:
				outcome = strings.TrimSuffix(outcome, `"}`)
			case name == "atlhyper_master_commands_pushed_total":
				outcome = "pushed"
			case name == "atlhyper_master_requests_waiting":
				outcome = "waiting"
			default:
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
			if barred(s.t.Context(), s.admins[0], k) {
				continue
			}
			n, err := s.admins[0].LLen(s.t.Context(), k).Result()
			if err != nil {
				s.t.Fatal(err)
			}
			count += int(n)
		}
	}
	return count
}
