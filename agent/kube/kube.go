// Package kube follows the Kubernetes API of the cluster that the agent runs in: an
// informer per kind of a table, which keeps of each object only what is shown, and
// from them the k8s sections, the names of nodes and the cluster's id.
//
// Values of secrets and config maps, annotations and managed fields never reach a
// cache: what an object is shown as takes its place on the way there. A kind that the
// agent may not read, or that the API server lacks, is an error of its own section;
// the others go on, and it is tried again.
package kube

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"

	"github.com/atlhyper/observe/shared/model"
)

// DefaultPatience is the default of Config.Patience.
const DefaultPatience = 10 * time.Second

// Config is what a Cluster needs.
type Config struct {
	// API is how the API server is reached; Connect makes it. Required.
	API *rest.Config
	// Patience is how long a kind that was read may fail to be followed, and the API
	// server may leave a question unanswered, before sections say so: API servers restart
	// and watches end. Default 10 s.
	Patience time.Duration
	// Clock tells the time, for the age of events. Default time.Now.
	Clock func() time.Time
	// Logger gets what starts to fail and what works again, and client-go's own log at
	// the level debug. Default: nothing is logged.
	Logger *slog.Logger
}

// Connect returns how to reach the API server: by the kubeconfig file, or, with "",
// by the service account of the pod that this process runs in.
func Connect(kubeconfig string) (*rest.Config, error) {
	if kubeconfig == "" {
		cfg, err := rest.InClusterConfig()
		if err != nil {
			return nil, fmt.Errorf("connect to Kubernetes from within: %w", err)
		}
		return cfg, nil
	}
	cfg, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("connect to Kubernetes by %s: %w", kubeconfig, err)
	}
	return cfg, nil
}

// Cluster is a Kubernetes cluster as its API tells it. Its methods may be called from
// several goroutines at once.
type Cluster struct {
	cfg       Config
	clients   *clients
	pulse     *pulse
	informers []*informer
	sections  map[model.Section]*section
	names     *section // of nodes, by address
	changed   chan struct{}
}

// New returns a Cluster that follows the API while Run runs.
func New(cfg Config) (*Cluster, error) {
	if cfg.API == nil {
		return nil, errors.New("kube: Config.API is required")
	}
	if cfg.Patience == 0 {
		cfg.Patience = DefaultPatience
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	clients, err := newClients(cfg.API)
	if err != nil {
		return nil, fmt.Errorf("kube: %w", err)
	}
	c := &Cluster{cfg: cfg, clients: clients, changed: make(chan struct{}, 1)}
	c.pulse = &pulse{patience: cfg.Patience, clock: cfg.Clock, logger: cfg.Logger}
	byName := make(map[string]*informer)
	for _, k := range kinds() {
		inf, err := newInformer(k, clients, cfg, c.notify)
		if err != nil {
			return nil, fmt.Errorf("kube: %w", err)
		}
		inf.pulse = c.pulse
		c.informers = append(c.informers, inf)
		byName[k.resource.Resource] = inf
	}
	c.sections = sections(byName)
	c.names = nodeNames(byName["nodes"])
	return c, nil
}

// Run follows the API until ctx is done. It is called once.
func (c *Cluster) Run(ctx context.Context) {
	defer c.clients.close()
	ctx = klog.NewContext(ctx, logr.FromSlogHandler(quiet{c.cfg.Logger.Handler()}))
	var running sync.WaitGroup
	for _, inf := range c.informers {
		running.Go(func() { inf.run(ctx) })
	}
	running.Go(func() { c.pulse.run(ctx, c.clients.alive) })
	running.Wait()
}

// Changed is sent to after a change of what any section shows. Several changes may be
// one message.
func (c *Cluster) Changed() <-chan struct{} { return c.changed }

func (c *Cluster) notify() {
	select {
	case c.changed <- struct{}{}:
	default: // it was told already
	}
}

// quiet gives records the level debug: what client-go finds worth a line is of use to
// who debugs it only, since the agent tells what fails itself.
type quiet struct{ slog.Handler }

// Enabled implements slog.Handler.
func (q quiet) Enabled(ctx context.Context, _ slog.Level) bool {
	return q.Handler.Enabled(ctx, slog.LevelDebug)
}

// Handle implements slog.Handler. Errors come without the question whether they are
// wanted.
func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	if !q.Enabled(ctx, r.Level) {
		return nil
	}
	r.Level = slog.LevelDebug
	return q.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(attrs)} }

// WithGroup implements slog.Handler.
func (q quiet) WithGroup(name string) slog.Handler { return quiet{q.Handler.WithGroup(name)} }
