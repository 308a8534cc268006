// Package world makes up two Kubernetes clusters that fit the replayed telemetry
// (loadtest/telemetry): nodes with the addresses that send metrics, workloads for the
// services that traces, meshes, ingresses and logs speak of, and what else a cluster
// has. Things happen in them: a container crashes again and again, a deployment is
// rolled out, cron jobs run, a node loses its kubelet for a while.
//
// What a cluster is made of is a function of its Config and the time, and of nothing
// else: two worlds of the same Config are the same at the same moment, whenever each
// was looked at before.
package world

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/atlhyper/observe/loadtest/kubesim"
)

// Marker is in every value that no agent may pass on: those of secrets and config maps,
// and annotations. A test looks for it where it must not be.
const Marker = "not-for-any-dashboard"

// Config says which cluster it is.
type Config struct {
	// Name is the cluster's; those of nodes begin with it. Required.
	Name string
	// Number is that of the telemetry's variant (telemetry.ClusterVariant): addresses
	// are 10.Number.x.x, and the namespace shop is shop<Number> from 1 on.
	Number uint8
	// Seed makes up what is random in names and UIDs.
	Seed uint64
	// Start is when things begin to happen. It is 37 days after the cluster was made.
	// Required.
	Start time.Time
}

// World is a cluster as it is at any moment from Config.Start on. Its methods may be
// called from several goroutines.
type World struct {
	cfg  Config
	apps []app
}

// New returns the cluster.
func New(cfg Config) (*World, error) {
	if cfg.Name == "" || cfg.Start.IsZero() {
		return nil, errors.New("world: Config.Name and Config.Start are required")
	}
	cfg.Start = cfg.Start.UTC().Truncate(time.Second) // as precise as Kubernetes
	return &World{cfg: cfg, apps: apps(cfg)}, nil
}

// age is how old the cluster is at the start.
const age = 37 * 24 * time.Hour

// At returns all objects as they are at a moment, each time new ones.
func (w *World) At(now time.Time) []runtime.Object {
	m := &moment{World: w, now: now.UTC().Truncate(time.Second)}
	m.plan()
	m.nodes()
	m.pods()
	m.workloads()
	m.jobs()
	m.network()
	m.configuration()
	m.storage()
	m.events()
	return m.out
}

// moment is the cluster while it is being written down.
type moment struct {
	*World
	now  time.Time
	all  []pod  // of workloads, by what they belong to
	log  []note // what becomes events
	out  []runtime.Object
	runs []run // of cron jobs
}

func (m *moment) add(objects ...runtime.Object) { m.out = append(m.out, objects...) }

// since is how long ago t was.
func (m *moment) since(t time.Time) time.Duration { return m.now.Sub(t) }

// Server is where the objects are applied: a kubesim.Server.
type Server interface {
	Apply(object runtime.Object) error
	Delete(object runtime.Object) error
}

var _ Server = (*kubesim.Server)(nil)

// every is how often Run looks at the time: things last seconds.
const every = time.Second

// Run brings what is in the server up to date each second until ctx is done. ready,
// if not nil, is closed once all objects are there.
func (w *World) Run(ctx context.Context, server Server, clock func() time.Time, ready chan<- struct{}) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	applied := make(map[string]runtime.Object)
	for {
		if err := w.Step(server, clock(), applied); err != nil {
			return err
		}
		if ready != nil {
			close(ready)
			ready = nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// Step brings the server from what was applied, by Step before, to a moment. It applies
// only what differs, and notes it in applied.
func (w *World) Step(server Server, now time.Time, applied map[string]runtime.Object) error {
	there := make(map[string]bool)
	for _, object := range w.At(now) {
		key, err := keyOf(object)
		if err != nil {
			return err
		}
		if there[key] {
			return fmt.Errorf("world: there are two of %s", key) // a bug in the plan
		}
		there[key] = true
		if before, ok := applied[key]; ok && equality.Semantic.DeepEqual(before, object) {
			continue
		}
		if err := server.Apply(object); err != nil {
			return err
		}
		applied[key] = object
	}
	for key, object := range applied {
		if there[key] {
			continue
		}
		if err := server.Delete(object); err != nil {
			return err
		}
		delete(applied, key)
	}
	return nil
}
