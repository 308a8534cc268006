package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/atlhyper/observe/redis/beat"
	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/metric"
	"github.com/atlhyper/observe/shared/span"
)

// ServerConfig says how an agent takes and answers commands.
type ServerConfig struct {
	// Cluster whose commands are taken. Required.
	Cluster key.Cluster
	// Instance names this agent among the cluster's; no other that lives may have
	// the same name. Required.
	Instance string
	// Slots is how many commands run at a time. 0 means 16.
	Slots int
	// Takers is how many connections wait for commands: a second one hides the
	// round trip of the first. 0 means 2.
	Takers int
	// MaxReplyBytes bounds a reply; a larger one is answered with
	// result_too_large. 0 means 16 MiB.
	MaxReplyBytes int
	// MaxRuntime bounds a run whatever its deadline says. 0 means 60 s.
	MaxRuntime time.Duration
	// TidyInterval is between the looks at what agents left behind. 0 means 1 s.
	TidyInterval time.Duration
	// Handle runs one command; its ctx ends at the deadline or when nobody waits
	// any more. Of the Reply it sets Code and Message, or Data and Meta. Required.
	Handle func(ctx context.Context, cmd Command) Reply
	// Metrics gets what the server counts. nil means none.
	Metrics prometheus.Registerer
	// TracerProvider makes a span of each run, in the trace that its command carries. nil makes
	// none; that of the command then goes on.
	TracerProvider trace.TracerProvider
	// Logger is told of what goes wrong. nil means none.
	Logger *slog.Logger
}

// Server takes commands off the list of its cluster, runs them side by side and
// answers them.
type Server struct {
	clients *conn.Clients
	cfg     ServerConfig
	scripts serverScripts
	slots   chan struct{} // holds one element for each slot in use
	ledger  *ledger
	stats   serverStats
	took    prometheus.Histogram // of runs
	tracer  trace.Tracer
	taking  conn.Outage
	tidying conn.Outage

	started   atomic.Bool
	answers   sync.WaitGroup // one for each command that is not answered yet
	recovery  sync.Mutex     // one reads the claimed list at a time
	claimedBy string         // key of the own claimed list
}

type serverScripts struct {
	drain, answer, handBack, reclaim *conn.Script
	answers                          *conn.Batch // of answer: short replies
}

// NewServer checks the configuration.
func NewServer(clients *conn.Clients, cfg ServerConfig) (*Server, error) {
	if err := errors.Join(key.ValidateCluster(string(cfg.Cluster)), key.ValidateInstance(cfg.Instance)); err != nil {
		return nil, err
	}
	if cfg.Handle == nil {
		return nil, errors.New("bus: Handle is required")
	}
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	answer := conn.NewScript(beat.Lua, answerLua)
	s := &Server{
		clients: clients, cfg: cfg,
		scripts: serverScripts{
			drain: conn.NewScript(drainLua), answer: answer, answers: clients.NewBatch(answer),
			handBack: conn.NewScript(handBackLua), reclaim: conn.NewScript(beat.Lua, reclaimLua),
		},
		slots:     make(chan struct{}, cfg.Slots),
		ledger:    newLedger(),
		taking:    conn.Outage{Logger: cfg.Logger, What: "taking commands"},
		tidying:   conn.Outage{Logger: cfg.Logger, What: "taking back commands of lost agents"},
		claimedBy: cfg.Cluster.Claimed(cfg.Instance),
		tracer:    span.Tracer(cfg.TracerProvider, tracerName),
		took:      metric.Seconds("agent_command_run_seconds", "How long commands ran."),
	}
	return s, s.register()
}

// withDefaults fills in what is not set and checks the numbers.
func (cfg ServerConfig) withDefaults() (ServerConfig, error) {
	for _, f := range []struct {
		name  string
		value *int
		or    int
		most  int
	}{
		{"Slots", &cfg.Slots, 16, 1024},
		{"Takers", &cfg.Takers, 2, 4},
		{"MaxReplyBytes", &cfg.MaxReplyBytes, 16 << 20, 256 << 20},
	} {
		if *f.value == 0 {
			*f.value = f.or
		}
		if *f.value < 1 || *f.value > f.most {
			return cfg, fmt.Errorf("bus: %s %d is not between 1 and %d", f.name, *f.value, f.most)
		}
	}
	if cfg.MaxRuntime == 0 {
		cfg.MaxRuntime = time.Minute
	}
	if cfg.TidyInterval == 0 {
		cfg.TidyInterval = time.Second
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return cfg, nil
}

// Run serves until ctx is done. Then it stops claiming, hands what it claimed and
// did not start back to the head of the list, answers what runs (at the latest at
// its deadline) and returns. The error is about commands that could not be handed
// back; another agent takes them back when this one's beat has run out. It can be
// called once.
func (s *Server) Run(ctx context.Context) error {
	if s.started.Swap(true) {
		return errors.New("bus: the server was run already")
	}
	// What runs outlives ctx, and so do the messages that cancel it.
	lasting, stop := context.WithCancel(context.WithoutCancel(ctx))
	var listening sync.WaitGroup
	listening.Go(func() { s.listenForCancels(lasting) })
	defer listening.Wait()
	defer stop()

	var claiming sync.WaitGroup
	for range s.cfg.Takers {
		claiming.Go(func() { s.take(ctx) })
	}
	claiming.Go(func() { s.tidy(ctx) })
	claiming.Wait()

	err := s.handBack(lasting)
	s.answers.Wait()
	if err != nil {
		// Redis was away; it may have come back meanwhile.
		err = s.handBack(lasting)
	}
	return err
}

// Busy is how many slots are in use by commands (and by takers that wait for one).
func (s *Server) Busy() int { return int(s.stats.running.Load()) }

// acquire waits for a free slot; false when ctx is done.
func (s *Server) acquire(ctx context.Context) bool {
	select {
	case s.slots <- struct{}{}:
		if ctx.Err() == nil {
			return true
		}
		s.release(1)
		return false
	case <-ctx.Done():
		return false
	}
}

// tryAcquire takes all slots that are free.
func (s *Server) tryAcquire() int {
	for n := 0; ; n++ {
		select {
		case s.slots <- struct{}{}:
		default:
			return n
		}
	}
}

func (s *Server) release(n int) {
	for range n {
		<-s.slots
	}
}
