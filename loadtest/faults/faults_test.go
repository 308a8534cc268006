package faults

import (
	"flag"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/atlhyper/observe/loadtest/fleet"
	"github.com/atlhyper/observe/loadtest/verify"
	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/redistest"
)

var (
	runFaults = flag.Bool("faults", false, "run the faults: takes minutes")
	binaries  = flag.String("binaries", "", "directory of the built binaries master and atlhyper; built by the test if empty")
	only      = flag.String("only", "", "run only the faults whose name holds this")
	within    = flag.Int("within", 0, "fail a fault after which the service was not whole again within this many intervals; 0 means no bound")
	document  = flag.String("document", "", "file for the table of what users saw; none if empty or if a fault was left out")
)

func TestMain(m *testing.M) {
	zerolog.SetGlobalLevel(zerolog.Disabled) // toxiproxy's
	conn.LibraryLog(slog.New(slog.DiscardHandler))
	// toxiproxy leaves goroutines of connections behind that it cut.
	const theirs = "github.com/Shopify/toxiproxy/v2"
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction(theirs+".(*ToxicLink).read"),
		goleak.IgnoreAnyFunction(theirs+".(*ToxicLink).write"), goleak.IgnoreAnyFunction(theirs+"/toxics.(*ToxicStub).Run"))
}

// TestFaults runs every fault, several side by side: most of their time they wait.
func TestFaults(t *testing.T) {
	if !*runFaults {
		t.Skip("takes minutes: make test-faults")
	}
	build(t)
	all := experiments(t)
	var mu sync.Mutex
	var rows []Row
	ok := t.Run("while", func(t *testing.T) {
		for order, e := range all {
			if !strings.Contains(e.fault, *only) {
				continue
			}
			t.Run(strings.ReplaceAll(e.fault, " ", "-"), func(t *testing.T) {
				t.Parallel()
				row := e.run(t, order)
				mu.Lock()
				defer mu.Unlock()
				rows = append(rows, row)
			})
		}
	})
	table := Table(rows)
	t.Logf("\n%s", table)
	if !ok || *document == "" || len(rows) < len(all) {
		return
	}
	if err := os.WriteFile(*document, []byte(Document(table, interval)), 0o644); err != nil {
		t.Fatal(err)
	}
}

func experiments(t *testing.T) []experiment {
	t.Helper()
	var all []experiment
	for _, part := range [][]experiment{redisFaults(), topologyFaults(), networkFaults(), processFaults(), clickhouseFaults(t), clockFaults()} {
		all = append(all, part...)
	}
	return all
}

// single is a stack on one redis-server, and that server.
func single(t *testing.T, cfg verify.Config) (*stack, *redistest.Server, *redis.Client) {
	t.Helper()
	server := redistest.Start(t)
	admin := server.Client(t)
	return newStack(t, plan{redisURL: server.URL(), verify: cfg}, admin), server, admin
}

func redisFaults() []experiment {
	return []experiment{
		{fault: "Redis killed, 5 s later back and empty", setup: func(t *testing.T) (*stack, func()) {
			s, server, _ := single(t, verify.Config{})
			return s, func() {
				server.Stop()
				s.hold(5 * time.Second)
				server.Restart()
			}
		}},
		{fault: "Redis frozen for 10 s", setup: func(t *testing.T) (*stack, func()) {
			s, server, _ := single(t, verify.Config{})
			return s, func() {
				server.Freeze()
				s.hold(10 * time.Second)
				server.Thaw()
			}
		}},
		{fault: "Redis out of memory for 15 s, noeviction", setup: func(t *testing.T) (*stack, func()) {
			s, _, admin := single(t, verify.Config{})
			return s, func() {
				s.set(admin, "maxmemory", "1mb") // less than an empty server has
				s.hold(15 * time.Second)
				s.set(admin, "maxmemory", "0")
			}
		}},
		{fault: "Redis evicts for 15 s, allkeys-lru", setup: evicting},
	}
}

// set sets a parameter of a redis-server.
func (s *stack) set(admin *redis.Client, name, value string) {
	s.t.Helper()
	if err := admin.ConfigSet(s.t.Context(), name, value).Err(); err != nil {
		s.t.Fatal(err)
	}
}

// evicting lets somebody else fill a Redis that evicts, again and again.
func evicting(t *testing.T) (*stack, func()) {
	s, _, admin := single(t, verify.Config{})
	return s, func() {
		used, err := admin.InfoMap(t.Context(), "memory").Result()
		if err != nil {
			t.Fatal(err)
		}
		bytes, err := strconv.Atoi(used["Memory"]["used_memory"])
		if err != nil {
			t.Fatal(err)
		}
		s.set(admin, "maxmemory-policy", "allkeys-lru")
		s.set(admin, "maxmemory", strconv.Itoa(bytes+1<<20))
		junk := strings.Repeat("x", 64<<10)
		for n := range 75 {
			// 8 values of 64 KB make half of the room; every fifth time, 32 of them twice
			// as much as there is.
			for i := range 8 + n%5/4*24 {
				// With nothing left to evict it is out of memory as well.
				err := admin.Set(t.Context(), "junk-"+strconv.Itoa(i), junk, 0).Err()
				if err != nil && !redis.HasErrorPrefix(err, "OOM") {
					t.Fatal(err)
				}
			}
			s.hold(200 * time.Millisecond)
		}
		s.set(admin, "maxmemory", "0")
		for i := range 32 {
			if err := admin.Del(t.Context(), "junk-"+strconv.Itoa(i)).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// wired is a stack whose agents reach Redis over a wire.
func wired(t *testing.T, cfg fleet.Config) (*stack, *wire) {
	t.Helper()
	server := redistest.Start(t)
	w := newWire(t, server.Addr())
	return newStack(t, plan{redisURL: server.URL(), agentURL: "redis://" + w.addr(), fleet: cfg}, server.Client(t)), w
}

func networkFaults() []experiment {
	both := func(kind string, attributes string) []toxic {
		return []toxic{{kind, "upstream", 1, attributes}, {kind, "downstream", 1, attributes}}
	}
	return []experiment{
		{fault: "agents cut off from Redis for 40 s", setup: func(t *testing.T) (*stack, func()) {
			s, w := wired(t, fleet.Config{})
			return s, func() {
				w.cut()
				s.hold(40 * time.Second)
				w.mend()
			}
		}},
		{fault: "200 ms delay each way between agents and Redis for 20 s", setup: func(t *testing.T) (*stack, func()) {
			s, w := wired(t, fleet.Config{})
			return s, func() {
				w.poison(both("latency", `{"latency":200}`)...)
				s.hold(20 * time.Second)
				w.clean()
			}
		}},
		{fault: "10 % of the agents' connections reset, drawn again each 250 ms, for 20 s", setup: func(t *testing.T) (*stack, func()) {
			s, w := wired(t, fleet.Config{})
			return s, func() {
				for range 80 {
					w.poison(toxic{"reset_peer", "downstream", 0.1, `{"timeout":0}`})
					s.hold(250 * time.Millisecond)
					w.clean()
				}
			}
		}},
		{fault: "64 KB/s each way on each connection of the agents for 20 s, snapshots of 100 KB", setup: func(t *testing.T) (*stack, func()) {
			s, w := wired(t, fleet.Config{Nodes: 40, Services: 60, Items: 50})
			return s, func() {
				w.poison(both("bandwidth", `{"rate":64}`)...)
				s.hold(20 * time.Second)
				w.clean()
			}
		}},
	}
}
