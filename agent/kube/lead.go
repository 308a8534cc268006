package kube

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	coordinationv1 "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/klog/v2"
)

// Defaults of ElectionConfig; the durations are those of Kubernetes's own components.
const (
	DefaultLease = "atlhyper-agent"
	DefaultTerm  = 15 * time.Second
	DefaultRenew = 10 * time.Second
	DefaultRetry = 2 * time.Second
)

// ElectionConfig is what an Election needs.
type ElectionConfig struct {
	// API is how the API server is reached; Connect makes it. Required.
	API *rest.Config
	// Namespace is where the Lease is. Default "default"; see Namespace.
	Namespace string
	// Lease is its name. Default atlhyper-agent.
	Lease string
	// Cluster is what the agents publish. Those of another one that share the Lease,
	// because two clusters are published from one namespace, are nobody to stand by
	// for. Required.
	Cluster string
	// Instance tells this agent from all others. Required.
	Instance string
	// Term is how long a leader that is not heard of stays one: whole seconds.
	// Default 15 s.
	Term time.Duration
	// Renew is how long a leader tries to renew the Lease before it gives up; less
	// than Term. Default 10 s.
	Renew time.Duration
	// Retry is between two looks at the Lease, which may be up to 2.2 times as much;
	// 1.2 times of it are less than Renew. Default 2 s.
	Retry time.Duration
	// Logger gets why the Lease is of no use, and client-go's own log at the level
	// debug. Default: nothing is logged.
	Logger *slog.Logger
}

func (c ElectionConfig) withDefaults() (ElectionConfig, error) {
	if c.API == nil || c.Cluster == "" || c.Instance == "" {
		return c, errors.New("API, Cluster and Instance are required")
	}
	c.Namespace = cmp.Or(c.Namespace, metav1.NamespaceDefault)
	c.Lease = cmp.Or(c.Lease, DefaultLease)
	c.Term, c.Renew, c.Retry = cmp.Or(c.Term, DefaultTerm), cmp.Or(c.Renew, DefaultRenew), cmp.Or(c.Retry, DefaultRetry)
	if c.Term%time.Second != 0 {
		return c, fmt.Errorf("a term of %s: a Lease has whole seconds", c.Term)
	}
	c.Logger = cmp.Or(c.Logger, slog.New(slog.DiscardHandler))
	return c, nil
}

// Election is one agent's part in choosing the one that collects and publishes, among
// those that run for a cluster: the holder of a Lease. It only tells who leads. Where
// the Lease is of no use, forbidden or out of reach, nobody does, and Redis alone
// decides whose publishes it takes.
type Election struct {
	cfg      ElectionConfig
	http     *http.Client
	identity string
	elector  *leaderelection.LeaderElector

	mu      sync.Mutex
	until   time.Time // end of this agent's term; zero when it holds no Lease
	leads   bool
	changed chan struct{} // closed when leads changes
	expiry  *time.Timer   // of the term
	failing bool          // the Lease is of no use
}

// NewElection returns an Election in which this agent takes part while Run runs.
func NewElection(cfg ElectionConfig) (*Election, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("kube: election: %w", err)
	}
	api := rest.CopyConfig(cfg.API)
	api.QPS = -1 // the elector's pace is bound enough
	api.UserAgent = cmp.Or(api.UserAgent, userAgent)
	httpClient, err := rest.HTTPClientFor(api)
	if err != nil {
		return nil, fmt.Errorf("kube: election: %w", err)
	}
	client, err := coordinationv1.NewForConfigAndClient(api, httpClient)
	if err != nil {
		return nil, fmt.Errorf("kube: election: %w", err)
	}
	e := &Election{cfg: cfg, http: httpClient, identity: cfg.Cluster + "/" + cfg.Instance, changed: make(chan struct{})}
	e.expiry = time.AfterFunc(cfg.Term, e.expire)
	e.expiry.Stop()
	e.elector, err = leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: &watchedLock{election: e, Interface: &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Namespace: cfg.Namespace, Name: cfg.Lease},
			Client:     client,
			LockConfig: resourcelock.ResourceLockConfig{Identity: e.identity},
		}},
		LeaseDuration: cfg.Term, RenewDeadline: cfg.Renew, RetryPeriod: cfg.Retry,
		ReleaseOnCancel: true, Name: cfg.Lease,
		Callbacks: leaderelection.LeaderCallbacks{OnStartedLeading: func(context.Context) {}, OnStoppedLeading: func() {}},
	})
	if err != nil {
		return nil, fmt.Errorf("kube: election: %w", err)
	}
	return e, nil
}

// Run takes part until ctx is done; who leads then says so to the others, which may
// take as long as Renew. It is called once.
func (e *Election) Run(ctx context.Context) {
	defer utilnet.CloseIdleConnectionsFor(e.http.Transport)
	defer e.expiry.Stop()
	ctx = klog.NewContext(ctx, logr.FromSlogHandler(quiet{e.cfg.Logger.Handler()}))
	for ctx.Err() == nil { // the elector ends when it loses the Lease
		e.elector.Run(ctx)
	}
}

// Leads tells whether this agent leads: it holds the Lease, and began to renew it less
// than a term ago, so that no other agent can have taken it. The channel is closed when
// that changes.
func (e *Election) Leads() (bool, <-chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.judgeLocked() // the process may have stood still
	return e.leads, e.changed
}

// holds notes that this agent took or renewed the Lease, by a request made then.
func (e *Election) holds(since time.Time) { e.judge(since.Add(e.cfg.Term)) }

// lost notes that it does not hold the Lease.
func (e *Election) lost() { e.judge(time.Time{}) }

func (e *Election) judge(until time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.until = until
	e.judgeLocked()
}

// expire ends the term, unless it was prolonged meanwhile.
func (e *Election) expire() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.judgeLocked()
}

func (e *Election) judgeLocked() {
	left := time.Until(e.until)
	if left > 0 {
		e.expiry.Reset(left)
	} else {
		e.expiry.Stop()
	}
	if leads := left > 0; leads != e.leads {
		e.leads = leads
		close(e.changed)
		e.changed = make(chan struct{})
	}
}

// ours tells whether the holder is an agent of the same cluster.
func (e *Election) ours(holder string) bool { return strings.HasPrefix(holder, e.cfg.Cluster+"/") }

// note logs when the Lease ceases to be of use, and when it is again.
func (e *Election) note(ctx context.Context, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	failed := err != nil
	if ctx.Err() != nil || failed == e.failing {
		return
	}
	e.failing = failed
	if failed {
		e.cfg.Logger.WarnContext(ctx, "the agents' Lease is of no use; Redis alone decides which of them publishes", "lease", e.cfg.Namespace+"/"+e.cfg.Lease, "error", err)
	} else {
		e.cfg.Logger.InfoContext(ctx, "the agents' Lease is of use", "lease", e.cfg.Namespace+"/"+e.cfg.Lease)
	}
}
