// Package verify asks masters at a steady rate for what simulated clusters (package
// fleet) show, and checks every answer: that it is one that the cluster gave, as a
// whole, that it does not go back in time, and that it says how old it is.
package verify

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/atlhyper/observe/loadtest/fleet"
	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/model"
)

// World is a cluster of which it is known what it shows; fleet.World is one. Errors
// about answers wrap fleet.ErrWrong.
type World interface {
	// Name is the cluster's id, Period the time between two publishes.
	Name() string
	Period() time.Duration
	// CheckSection tells whether the JSON of a section is a value that the cluster
	// published as a whole, and which; later ones have higher versions.
	CheckSection(name model.Section, data []byte) (version int64, err error)
	// Detail makes the nth detail request: for a trace, a node or logs.
	Detail(n int64) detail.Request
	// CheckAnswer tells whether data is the JSON of the answer to a request.
	CheckAnswer(request detail.Request, data []byte) error
}

// Config says who is asked for what. The zero value of a field means its default.
type Config struct {
	// Masters are the base URLs of the replicas, asked in turn. Required.
	Masters []string
	// Worlds are the clusters, asked in turn. Required.
	Worlds []World
	// Dashboards and Details are requests per second. Default 20 each; negative
	// means none.
	Dashboards, Details float64
	// Timeout is that of a detail request. Default 5 s.
	Timeout time.Duration
	// HangUp is how many of a hundred detail requests the client ends itself before
	// their answer can be there. Default 0.
	HangUp int
	// ClockSteps says that clocks are set during the test, so that no age can be
	// checked.
	ClockSteps bool
	// Addresses are host:port pairs of what the masters and agents connect to: no
	// answer may hold one, nor a name of this machine.
	Addresses []string
	// Phase is the name of the first phase. Default "before".
	Phase string
}

// patience is how long the client waits for any answer. Nothing in the product may
// take as long.
const patience = time.Minute

// maxInFlight bounds the requests under way; those beyond are not sent.
const maxInFlight = 512

// Verifier is the load and its book. It is safe for concurrent use.
type Verifier struct {
	cfg       Config
	transport *http.Transport
	client    *http.Client
	slots     chan struct{}
	asked     atomic.Int64 // details so far: makes each of them one of its own
	history   history
	addresses []string // that no answer may hold

	mu     sync.Mutex
	phase  *Phase
	phases []*Phase
}

// New checks the configuration.
func New(cfg Config) (*Verifier, error) {
	if len(cfg.Masters) == 0 || len(cfg.Worlds) == 0 {
		return nil, errors.New("verify: Masters and Worlds are required")
	}
	if cfg.Dashboards == 0 {
		cfg.Dashboards = 20
	}
	if cfg.Details == 0 {
		cfg.Details = 20
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 5 * time.Second
	}
	if cfg.Phase == "" {
		cfg.Phase = "before"
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	v := &Verifier{
		cfg: cfg, transport: transport, client: &http.Client{Transport: transport, Timeout: patience},
		slots: make(chan struct{}, maxInFlight), history: newHistory(),
		addresses: append([]string{"127.0.0.1", "localhost", "[::1]"}, cfg.Addresses...),
	}
	v.Begin(cfg.Phase)
	return v, nil
}

// Run sends requests until ctx is done and returns when the last has its answer.
func (v *Verifier) Run(ctx context.Context) {
	var loads sync.WaitGroup
	for _, load := range []struct {
		rate float64
		send func(context.Context, int, *Phase)
	}{{v.cfg.Dashboards, v.dashboard}, {v.cfg.Details, v.detail}} {
		if load.rate > 0 {
			loads.Go(func() { v.steadily(ctx, load.rate, load.send) })
		}
	}
	loads.Wait()
	v.transport.CloseIdleConnections()
}

// steadily sends at a rate, however long the answers take.
func (v *Verifier) steadily(ctx context.Context, rate float64, send func(context.Context, int, *Phase)) {
	ticker := time.NewTicker(time.Duration(float64(time.Second) / rate))
	defer ticker.Stop()
	var under sync.WaitGroup
	defer under.Wait()
	// Requests under way finish: their answers are checked, too.
	lasting := context.WithoutCancel(ctx)
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		phase := v.current()
		select {
		case v.slots <- struct{}{}:
			under.Go(func() {
				defer func() { <-v.slots }()
				send(lasting, n, phase)
			})
		default:
			phase.skip()
		}
	}
}

// Begin opens a phase: requests that are sent from now on count for it.
func (v *Verifier) Begin(name string) *Phase {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.phase = newPhase(name)
	v.phases = append(v.phases, v.phase)
	return v.phase
}

func (v *Verifier) current() *Phase {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.phase
}

// Wrong lists the answers that were wrong in all phases, at most 20 of each, and
// says how many there were.
func (v *Verifier) Wrong() (count int, examples []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, p := range v.phases {
		n, some := p.Wrong()
		count += n
		examples = append(examples, some...)
	}
	return count, examples
}

// SaidUnknown is how many answers of all phases said of a cluster that was shown
// before that it is unknown.
func (v *Verifier) SaidUnknown() (count int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, p := range v.phases {
		count += p.SaidUnknown()
	}
	return count
}

// Total is the answers of all phases.
func (v *Verifier) Total() (dashboards, details Counts) {
	v.mu.Lock()
	defer v.mu.Unlock()
	dashboards.Codes, details.Codes = map[string]int{}, map[string]int{}
	for _, p := range v.phases {
		dashboards.add(p.Dashboards())
		details.add(p.Details())
	}
	return dashboards, details
}

// Whole tells what is missing for the service to be whole: from every replica, for
// every cluster, every section fresh and collected after since, and a detail
// answered. nil means that nothing is. The zero time accepts whatever is fresh.
func (v *Verifier) Whole(ctx context.Context, since time.Time) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for _, world := range v.cfg.Worlds {
		for _, master := range v.cfg.Masters {
			group.Go(func() error { return v.whole(ctx, master, world, since) })
		}
	}
	return group.Wait()
}

// atOnce is how many pairs of a replica and a cluster are looked at at a time.
const atOnce = 8

// whole looks at one cluster on one replica.
func (v *Verifier) whole(ctx context.Context, master string, world World, since time.Time) error {
	for _, s := range fleet.Sections() {
		if err := ctx.Err(); err != nil {
			return err
		}
		a := v.section(ctx, master, world, s)
		switch {
		case a.wrong != nil:
			return a.wrong
		case a.code != OK:
			return fmt.Errorf("%s of %s: %s: %s", s, world.Name(), a.code, a.sentence)
		case !since.IsZero() && a.collectedAt.Before(since):
			return fmt.Errorf("%s of %s was collected %s before the time asked for", s, world.Name(), since.Sub(a.collectedAt))
		}
	}
	a := v.ask(ctx, master, world, v.next(world), v.cfg.Timeout)
	if a.wrong != nil {
		return a.wrong
	}
	if a.code != OK {
		return fmt.Errorf("a detail of %s: %s: %s", world.Name(), a.code, a.sentence)
	}
	return nil
}
