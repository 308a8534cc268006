package faults

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/atlhyper/observe/loadtest/fleet"
	"github.com/atlhyper/observe/loadtest/verify"
	"github.com/atlhyper/observe/master"
)

// interval is the product's default: what an operator would see.
const interval = 10 * time.Second

// plan is what a stack is made of.
type plan struct {
	redisURL string // of the masters
	agentURL string // of the agents; "" for the same
	masters  int    // in this process; 0 means 2
	fleet    fleet.Config
	verify   verify.Config
	// extra are masters in processes of their own.
	extra []string
	// world, if set, is a cluster beside those of the fleet.
	world verify.World
}

// stack is masters and simulated agents around a Redis, and the load on them.
type stack struct {
	t        *testing.T
	fleet    *fleet.Fleet
	masters  []string // base URLs of all replicas
	verifier *verify.Verifier
	// processes of the product that this process runs, or what would be some.
	processes int
	// ready is how many pooled connections each of them may keep.
	ready int
	// spare is how many goroutines more there may be: those of pooled connections to
	// something else than Redis.
	spare int
	// setBack says that Redis's clock is set back an hour: what expires lives as much
	// longer.
	setBack bool
	// admins look at each redis-server.
	admins []*redis.Client
}

func newStack(t *testing.T, p plan, admins ...*redis.Client) *stack {
	t.Helper()
	s := &stack{t: t, admins: admins, ready: ready}
	if p.agentURL == "" {
		p.agentURL = p.redisURL
	}
	if p.masters == 0 {
		p.masters = 2
	}
	p.fleet.Redis, p.fleet.Interval = p.agentURL, interval
	if p.verify.Dashboards == 0 {
		p.verify.Dashboards, p.verify.Details = 10, 10
	}
	if p.fleet.Clusters == 0 {
		p.fleet.Clusters = 3
	}
	var err error
	if s.fleet, err = fleet.New(p.fleet); err != nil {
		t.Fatal(err)
	}
	s.background("the fleet", s.fleet.Run)
	s.processes = p.masters + len(p.extra) + p.fleet.Clusters*max(p.fleet.Agents, 1)
	for i := range p.masters {
		p.verify.Masters = append(p.verify.Masters, s.master("m"+strconv.Itoa(i), p.redisURL))
	}
	p.verify.Masters = append(p.verify.Masters, p.extra...)
	s.masters = p.verify.Masters
	p.verify.Addresses = append(p.verify.Addresses, p.addresses()...)
	for _, id := range s.fleet.Clusters() {
		p.verify.Worlds = append(p.verify.Worlds, s.fleet.World(id))
	}
	if p.world != nil {
		p.verify.Worlds = append(p.verify.Worlds, p.world)
	}
	if s.verifier, err = verify.New(p.verify); err != nil {
		t.Fatal(err)
	}
	return s
}

// addresses are those of the stack that no answer may tell.
func (p plan) addresses() []string {
	var all []string
	for _, text := range append([]string{p.redisURL, p.agentURL}, p.verify.Masters...) {
		_, rest, _ := strings.Cut(text, "://")
		hosts, _, _ := strings.Cut(rest, "/")
		all = append(all, strings.Split(hosts, ",")...)
	}
	return all
}

// master runs a replica until the test ends and returns its base URL.
func (s *stack) master(name, redisURL string) string {
	s.t.Helper()
	listening := make(chan net.Addr, 1)
	m, err := master.New(master.Config{
		Listen: "127.0.0.1:0", Redis: redisURL, Replica: name, OnListen: func(a net.Addr) { listening <- a },
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.background(name, m.Run)
	return "http://" + (<-listening).String()
}

// background runs a part of the product until the test ends. Its goroutines, and
// those that they start, carry the test's name as a label, so that they can be told
// from those of tests beside it.
func (s *stack) background(name string, run func(context.Context) error) {
	s.t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(s.t.Context()))
	ended := make(chan error, 1)
	pprof.Do(ctx, pprof.Labels(label, s.t.Name()), func(ctx context.Context) {
		go func() { ended <- run(ctx) }()
	})
	s.t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			s.t.Errorf("%s ended with: %v", name, err)
		}
	})
}

const label = "fault"

// goroutines counts those of the stack.
func (s *stack) goroutines() int {
	var profile bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&profile, 1); err != nil {
		s.t.Fatal(err)
	}
	count, total := regexp.MustCompile(`^(\d+) @`), 0
	for record := range strings.SplitSeq(profile.String(), "\n\n") {
		if m := count.FindStringSubmatch(strings.TrimSpace(record)); m != nil && strings.Contains(record, `"`+label+`":"`+s.t.Name()+`"`) {
			n, err := strconv.Atoi(m[1])
			if err != nil {
				s.t.Fatal(err)
			}
			total += n
		}
	}
	return total
}

// usage is what must not grow.
type usage struct {
	goroutines int
	// subscribed connections are told of messages; the pooled ones are all others.
	// Those that wait for a command are not told apart: between two waits they look
	// like idle ones.
	subscribed, pooled int
	// open is how many keys there are that belong to commands, all of which must end;
	// keys are the others.
	open, keys int
}

// ofCommands are the keys that commands leave behind for a while.
var ofCommands = regexp.MustCompile(`^atlhyper:\{[^}]*\}:(answered|result|reply|claimed|commands)(:|$)`)

// barred tells whether a key holds no commands but bars the claimed list of an agent
// that left.
func barred(ctx context.Context, admin *redis.Client, name string) bool {
	return strings.Contains(name, ":claimed:") && admin.Type(ctx, name).Val() == "string"
}

// listens is in the line of CLIENT LIST of a subscribed connection.
var listens = regexp.MustCompile(` flags=\w*P`)

func (s *stack) usage(ctx context.Context) (u usage, err error) {
	u.goroutines = s.goroutines()
	for _, admin := range s.admins {
		list, lerr := admin.ClientList(ctx).Result()
		keys, kerr := admin.Keys(ctx, "*").Result()
		if err := errors.Join(lerr, kerr); err != nil {
			return u, err
		}
		for line := range strings.Lines(list) {
			switch {
			case !strings.Contains(line, "name=atlhyper-"):
			case listens.MatchString(line):
				u.subscribed++
			default:
				u.pooled++
			}
		}
		for _, name := range keys {
			switch {
			case !ofCommands.MatchString(name):
				u.keys++
			case barred(ctx, admin, name):
			case !s.setBack || admin.PTTL(ctx, name).Val() < time.Hour/2:
				u.open++
			}
		}
	}
	return u, nil
}

// settled waits until the load has ended and two readings a few seconds apart are
// equal. Rounds and beats go on meanwhile, so that goroutines are compared as within
// does.
func (s *stack) settled() usage {
	s.t.Helper()
	var read, base usage
	var at time.Time
	s.until("usage is the same for "+apart.String(), func(ctx context.Context) error {
		if !at.IsZero() && time.Since(at) < apart {
			return errors.New("not looked at twice")
		}
		before := read
		var err error
		if read, err = s.usage(ctx); err != nil {
			return err
		}
		first := at.IsZero()
		at = time.Now()
		if first || read.subscribed != before.subscribed || read.pooled != before.pooled || read.keys != before.keys || !s.within(read, before) {
			return fmt.Errorf("was %+v, is %+v", before, read)
		}
		base = read
		return nil
	})
	return base
}

// apart is between two readings.
const apart = 2 * time.Second

// ready is how many connections the pools of a process's two clients keep: a third of
// those for commands that answer at once, and all for those that wait. In Redis
// Cluster they have as many to each server as readyEach says.
const (
	ready     = 8 + 4
	readyEach = 2 + 4
)

// within tells whether nothing is more than it was, but for what pools keep ready;
// not whether the keys of commands are gone.
func (s *stack) within(now, base usage) bool {
	return now.subscribed <= base.subscribed && now.pooled <= s.ready*s.processes &&
		now.goroutines <= base.goroutines+base.goroutines/10+10+s.spare && now.keys <= base.keys
}

// ended tells whether now is within base and all commands have left Redis.
func (s *stack) ended(now, base usage) bool { return now.open == 0 && s.within(now, base) }

// load runs the verified load until the returned function is called.
func (s *stack) load() (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.t.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.verifier.Run(ctx)
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		<-done
	})
	s.t.Cleanup(stop)
	return stop
}

// patience ends waiting for what a machine under load may take long for.
const patience = 2 * time.Minute

// until polls until the condition returns nil.
func (s *stack) until(what string, condition func(context.Context) error) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	ticker := time.NewTicker(250 * time.Millisecond)
	defer ticker.Stop()
	var last error
	for {
		err := condition(ctx)
		if err == nil {
			return
		}
		if ctx.Err() == nil {
			last = err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			s.t.Errorf("waited %s in vain: %s: %v", patience, what, last)
			return
		}
	}
}

// hold lets a state last.
func (s *stack) hold(d time.Duration) {
	s.t.Helper()
	select {
	case <-time.After(d):
	case <-s.t.Context().Done():
		s.t.Fatal("the test ended while a fault lasted")
	}
}

// experiment is one fault.
type experiment struct {
	fault string
	note  string
	// momentary says that the fault is over as soon as it began, and what is done
	// after it is only to wait for what comes of it.
	momentary bool
	// setup makes the stack and returns what breaks something, lets it last and
	// mends it.
	setup func(t *testing.T) (s *stack, breaks func())
	// check, if set, looks at what came out.
	check func(t *testing.T, row Row)
}

// run is the course of every experiment: a whole service under load; the fault; the
// service must become whole by itself; nothing is left behind.
func (e experiment) run(t *testing.T, order int) Row {
	t.Helper()
	s, breaks := e.setup(t)
	s.until("the service is whole at first", func(ctx context.Context) error { return s.verifier.Whole(ctx, time.Time{}) })
	stop := s.load()
	s.hold(3 * time.Second)
	stop()
	base := s.settled()

	stop = s.load()
	during, began := s.verifier.Begin("during"), time.Now()
	breaks()
	healed := time.Now()
	after := s.verifier.Begin("after")
	s.until("the service is whole again", func(ctx context.Context) error {
		if e.momentary {
			return s.verifier.Whole(ctx, time.Time{})
		}
		return s.verifier.Whole(ctx, healed)
	})
	whole := time.Since(healed)
	s.hold(3 * time.Second)
	stop()
	if e.momentary {
		whole, healed = 0, began
	}
	for _, phase := range []*verify.Phase{during, after} {
		if bad := phase.LastBad(); !bad.IsZero() {
			whole = max(whole, bad.Sub(healed))
		}
	}
	var now usage
	s.until("goroutines, connections and keys are what they were", func(ctx context.Context) (err error) {
		if now, err = s.usage(ctx); err == nil && !s.ended(now, base) {
			err = fmt.Errorf("before %+v, now %+v", base, now)
		}
		return err
	})
	wrong, examples := s.verifier.Wrong()
	for _, text := range examples {
		t.Errorf("wrong answer: %s", text)
	}
	row := Row{
		Order: order, Fault: e.fault, Note: e.note, Dashboards: during.Dashboards(), Details: during.Details(), Wrong: wrong,
		SaidUnknown: s.verifier.SaidUnknown(),
		Recovery:    whole, Interval: interval, Within: *within,
	}
	if late := row.Late(); late > 0 {
		t.Errorf("whole again after %s: %s more than %d intervals", whole.Round(time.Millisecond), late.Round(time.Millisecond), row.Within)
	}
	t.Logf("dashboards %v, details %v; whole after %s, afterwards %v %v; %+v before, %+v after; %d not sent", row.Dashboards, row.Details, whole.Round(time.Millisecond),
		after.Dashboards(), after.Details(), base, now, during.Skipped()+after.Skipped())
	if e.check != nil {
		e.check(t, row)
	}
	return row
}
