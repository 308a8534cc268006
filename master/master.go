// Package master wires a master replica: the HTTP API in front, Redis behind. What a
// replica holds is a copy of what lies there: nothing that another could miss.
package master

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/atlhyper/observe/master/access"
	"github.com/atlhyper/observe/master/api"
	"github.com/atlhyper/observe/master/audit"
	"github.com/atlhyper/observe/master/clustermetrics"
	"github.com/atlhyper/observe/master/compress"
	"github.com/atlhyper/observe/master/dashboard"
	"github.com/atlhyper/observe/master/dispatch"
	"github.com/atlhyper/observe/redis/bus"
	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/metric"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/httpserver"
)

// joinedPerWaiter is how many requests may wait for replies to identical ones, for
// each that may wait for its own: they cost a goroutine and a connection, no command.
const joinedPerWaiter = 8

// Master is one replica.
type Master struct {
	cfg     Config
	metrics *prometheus.Registry
	clients *conn.Clients
	reader  *snapshot.Reader
	bus     *bus.Client
	boards  *dashboard.Service
	access  access.Service
	api     *api.API
	audit   *audit.Log
}

// New wires a replica. It does not connect: that Redis is away is said by
// /readyz and by every answer, and mends itself.
func New(cfg Config) (*Master, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("master: %w", err)
	}
	registry, err := metric.NewRegistry()
	if err != nil {
		return nil, fmt.Errorf("master: %w", err)
	}
	clients, err := conn.Open(conn.Config{
		URL: cfg.Redis, Auth: cfg.RedisAuth, TLS: cfg.RedisTLS, ClientName: "atlhyper-master", Metrics: registry, Logger: cfg.Logger,
	})
	if err != nil {
		return nil, fmt.Errorf("master: %w", err)
	}
	m := &Master{cfg: cfg, clients: clients, metrics: registry}
	if err := m.wire(); err != nil {
		return nil, errors.Join(fmt.Errorf("master: %w", err), m.audit.Close(), clients.Close())
	}
	return m, nil
}

func (m *Master) wire() (err error) {
	cfg := m.cfg
	m.reader = snapshot.NewReader(m.clients, snapshot.ReaderConfig{Logger: cfg.Logger})
	err = clustermetrics.Register(clustermetrics.Config{
		Health: m.reader.Health, Sections: api.Sections(), Metrics: m.metrics, Logger: cfg.Logger,
	})
	if err != nil {
		return err
	}
	m.bus, err = bus.NewClient(m.clients, bus.ClientConfig{
		Replica:           key.Unique(cfg.Replica),
		MaxWaiters:        cfg.MaxWaiters,
		MaxClusterWaiters: cfg.MaxClusterWaiters,
		MaxQueue:          cfg.MaxQueue,
		MaxReplyBytes:     cfg.MaxReplyBytes,
		MaxTimeout:        cfg.MaxTimeout,
		Known:             m.reader.Known,
		Metrics:           m.metrics,
		TracerProvider:    cfg.TracerProvider,
		Logger:            cfg.Logger,
	})
	if err != nil {
		return err
	}
	compressor, err := compress.New()
	if err != nil {
		return err
	}
	m.boards, err = dashboard.New(dashboard.Config{
		Reader: m.reader, CacheBytes: cfg.CacheBytes, Compressor: compressor, ListNow: m.clients.Now,
		Metrics: m.metrics, Logger: cfg.Logger,
	})
	if err != nil {
		return err
	}
	details, err := dispatch.New(dispatch.Config{
		Bus: m.bus, Now: m.now, MaxJoined: joinedPerWaiter * cfg.MaxWaiters, Metrics: m.metrics,
	})
	if err != nil {
		return err
	}
	if err := m.openAccess(); err != nil {
		return err
	}
	serving := api.Config{
		Dashboards:     m.boards,
		Details:        details,
		Access:         m.access,
		Ready:          m.clients.Ping,
		Now:            m.nowHeld,
		MaxRange:       cfg.MaxRange,
		Timeout:        cfg.Timeout,
		MaxTimeout:     cfg.MaxTimeout,
		MaxStreams:     cfg.MaxStreams,
		Compressor:     compressor,
		Metrics:        m.metrics,
		ServeMetrics:   m.besideAPI(),
		TracerProvider: cfg.TracerProvider,
		Logger:         cfg.Logger,
	}
	if err := m.guard(&serving); err != nil {
		return err
	}
	m.api, err = api.New(serving)
	return err
}

// now is the clock of the server that holds the cluster, or, of "", of the one that
// holds the list of clusters.
func (m *Master) now(c key.Cluster) time.Time {
	if c == "" {
		return m.clients.Now()
	}
	return m.clients.Clock(c).Now()
}

// nowHeld is now, without asking the server when something of the cluster is held.
func (m *Master) nowHeld(c key.Cluster) time.Time {
	if now, ok := m.boards.Now(c); ok {
		return now
	}
	return m.now(c)
}

// Run serves until ctx is done, then ends in order: /readyz says so, after
// DrainDelay nothing is accepted any more, requests under way finish, the
// connections to Redis close. It must be called once.
func (m *Master) Run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, m.audit.Close(), m.clients.Close()) }()
	endBeside, err := m.listenBeside(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, endBeside()) }()
	var listen net.ListenConfig
	listener, err := listen.Listen(ctx, "tcp", m.cfg.Listen)
	if err != nil {
		return fmt.Errorf("master: listen: %w", err)
	}
	m.cfg.Logger.InfoContext(ctx, "master listens", "address", listener.Addr().String(), "replica", m.cfg.Replica)
	m.cfg.OnListen(listener.Addr())

	// What requests stand on must outlive them, so it ends after the server.
	below, endBelow := context.WithCancel(context.WithoutCancel(ctx))
	defer endBelow()
	background, below := errgroup.WithContext(below)
	background.Go(func() error { return untilDone(below, m.reader.Gather) })
	background.Go(func() error { return untilDone(below, m.boards.Run) })
	background.Go(func() error { return untilDone(below, m.bus.Run) })
	background.Go(func() error { return untilDone(below, m.access.Run) })

	serving, endServing := context.WithCancel(ctx)
	defer endServing()
	context.AfterFunc(below, endServing) // a part that breaks ends the replica
	err = m.serve(serving, listener)
	endBelow()
	err = errors.Join(err, background.Wait())
	m.cfg.Logger.InfoContext(ctx, "master ended", "replica", m.cfg.Replica)
	return err
}

// untilDone takes the end of ctx for the orderly end that it is.
func untilDone(ctx context.Context, run func(context.Context) error) error {
	err := run(ctx)
	if ctx.Err() == nil {
		return fmt.Errorf("master: a part ended on its own: %w", err)
	}
	if errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

func (m *Master) serve(ctx context.Context, listener net.Listener) error {
	server, listener := boundsOf(m.cfg).server(m.api, listener, m.cfg.Logger)
	accepting, stopAccepting := context.WithCancel(context.WithoutCancel(ctx))
	defer stopAccepting()
	defer context.AfterFunc(ctx, func() {
		m.api.Drain()
		select {
		case <-time.After(m.cfg.DrainDelay):
		case <-accepting.Done():
		}
		stopAccepting()
	})()
	if err := httpserver.Run(accepting, server, listener, m.cfg.DrainTimeout); err != nil {
		return fmt.Errorf("master: %w", err)
	}
	return nil
}
