package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/atlhyper/observe/agent/collect"
	"github.com/atlhyper/observe/agent/kube"
	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
)

// Kubernetes is the API of the cluster that the agent is in; *kube.Cluster is one.
// Its methods may be called from several goroutines at once.
type Kubernetes interface {
	// Run follows the API until ctx is done. The agent calls it once.
	Run(ctx context.Context)
	// Sections names the sections that it has.
	Sections() []model.Section
	// Section returns a section as it is now; see kube.Cluster.
	Section(name model.Section) (kube.Section, error)
	// Changed is sent to after a change of what any section shows.
	Changed() <-chan struct{}
	// ID asks for what tells the cluster from all others.
	ID(ctx context.Context) (string, error)
	// NodeNames returns the names of nodes by what telemetry may call them. The error is
	// not_ready before they were read for the first time.
	NodeNames() (map[string]string, error)
}

// compressAbove is from where on k8s sections are compressed: those of a large cluster
// are megabytes, change often, and are read by few.
const compressAbove = 64 << 10

// follower publishes what Kubernetes shows.
func (c Config) follower(p collect.Publisher, metrics prometheus.Registerer) (*collect.Follower, error) {
	above := min(c.CompressAbove, compressAbove)
	return collect.NewFollower(collect.FollowerConfig{
		Name: "kubernetes", Sections: c.Kubernetes.Sections(), Changed: c.Kubernetes.Changed(),
		Read: func(name model.Section) (any, uint64, error) {
			s, err := c.Kubernetes.Section(name)
			return s.Value, s.Version, err
		},
		Publisher: p, Interval: c.Interval, CompressAbove: above, Metrics: metrics, Logger: c.Logger,
	})
}

// follow follows Kubernetes, if it is read, until ctx is done; then ended is closed.
func (a *Agent) follow(ctx context.Context) (ended <-chan struct{}) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		if a.cfg.Kubernetes != nil {
			a.cfg.Kubernetes.Run(ctx)
		}
	}()
	return done
}

// Bounds of the wait for the names of nodes.
const (
	namesTimeout = 5 * time.Second
	namesPause   = 20 * time.Millisecond
)

// awaitNames waits until Kubernetes has said how its nodes are called, or why it does
// not say. Before that, a collection would call them what their telemetry does, and a
// command that names one would find none. It waits no longer than namesTimeout: an API
// server that does not answer keeps no dashboard away.
func (a *Agent) awaitNames(ctx context.Context) {
	if a.cfg.Kubernetes == nil {
		return
	}
	ctx, stop := context.WithTimeout(ctx, namesTimeout)
	defer stop()
	ticker := time.NewTicker(namesPause)
	defer ticker.Stop()
	for {
		if _, err := a.cfg.Kubernetes.NodeNames(); !fault.Is(err, fault.NotReady) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// askTimeout bounds one question for the cluster's id.
const askTimeout = 10 * time.Second

// Identified returns c with a ClusterID: that which it has, or the one that Kubernetes
// tells. It asks until it has an answer or ctx is done, which is the error then; the
// log says what it waits for.
func (c Config) Identified(ctx context.Context) (Config, error) {
	if c.ClusterID != "" {
		return c, nil
	}
	if c.Kubernetes == nil {
		return c, errors.New("agent: cluster_id: is required without Kubernetes")
	}
	full := c.withDefaults()
	if err := full.validateBounds(); err != nil { // not only after a long wait
		return c, fmt.Errorf("agent: %w", err)
	}
	outage := conn.Outage{Logger: full.Logger, What: "asking Kubernetes for the cluster's id"}
	backoff := conn.Backoff{Min: time.Second, Max: 30 * time.Second}
	for {
		id, err := c.ask(ctx)
		outage.Note(ctx, err)
		if err == nil {
			full.Logger.InfoContext(ctx, "the cluster is called by its id", "cluster", id)
			c.ClusterID = id
			return c, nil
		}
		backoff.Wait(ctx)
		if ctx.Err() != nil {
			return c, fmt.Errorf("agent: %w", context.Cause(ctx))
		}
	}
}

func (c Config) ask(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	id, err := c.Kubernetes.ID(ctx)
	if err != nil {
		return "", err
	}
	return id, key.ValidateCluster(id)
}
