package bus

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
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
	"github.com/atlhyper/observe/shared/codec"
	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/span"
)

// ClientConfig says how a master asks.
type ClientConfig struct {
	// Replica names this master among the others; replies are announced to it.
	// Required; as key.ValidateInstance wants it.
	Replica string
	// MaxWaiters bounds the requests of this replica that wait. 0 means 1,000.
	MaxWaiters int
	// MaxClusterWaiters bounds those that wait for one cluster, so that one that is slow
	// takes nothing from the others. 0 means a quarter of MaxWaiters.
	MaxClusterWaiters int
	// MaxQueue bounds the commands of one cluster that no agent has taken yet.
	// 0 means 256.
	MaxQueue int
	// MaxReplyBytes bounds a reply. 0 means 16 MiB.
	MaxReplyBytes int
	// MaxFetchBytes bounds the replies that are on their way from Redis at a time.
	// 0 means 64 MiB; at least MaxReplyBytes.
	MaxFetchBytes int
	// MaxTimeout bounds Request.Timeout. 0 means 60 s.
	MaxTimeout time.Duration
	// SweepInterval is between the looks for replies whose announcement was lost.
	// 0 means 1 s.
	SweepInterval time.Duration
	// Known tells whether this process has seen a cluster of which Redis knows nothing:
	// then Redis lost it. nil means that it has seen none.
	Known func(key.Cluster) bool
	// Metrics gets what the client counts. nil means none.
	Metrics prometheus.Registerer
	// TracerProvider makes a span of each request, which its command carries on. nil makes none;
	// the caller's then goes on.
	TracerProvider trace.TracerProvider
	// Logger is told of lost and found subscriptions and bad replies. nil means none.
	Logger *slog.Logger
}

// Request is what is asked of a cluster.
type Request struct {
	// Kind names the request.
	Kind detail.Kind
	// Params is the msgpack of the detail request.
	Params codec.Raw
	// Timeout is how long to wait. Required.
	Timeout time.Duration
}

// Client asks the agents of all clusters and waits for their replies. It is safe
// for concurrent use: all waits share one subscription and a few connections.
type Client struct {
	clients  *conn.Clients
	cfg      ClientConfig
	push     *conn.Batch
	takeBack *conn.Script
	fetcher  *fetcher
	started  atomic.Bool
	parting  sync.WaitGroup // commands being taken back
	outage   conn.Outage
	stats    *clientStats
	waited   prometheus.Histogram
	tracer   trace.Tracer
}

// NewClient checks the configuration.
func NewClient(clients *conn.Clients, cfg ClientConfig) (*Client, error) {
	if err := key.ValidateInstance(cfg.Replica); err != nil {
		return nil, fmt.Errorf("bus: replica: %w", err)
	}
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	stats := new(clientStats)
	c := &Client{
		clients: clients, cfg: cfg,
		push: clients.NewBatch(conn.NewScript(beat.Lua, pushLua)), takeBack: conn.NewScript(takeBackLua),
		fetcher: newFetcher(clients, cfg, stats),
		outage:  conn.Outage{Logger: cfg.Logger, What: "looking for replies"},
		stats:   stats,
		tracer:  span.Tracer(cfg.TracerProvider, tracerName),
		waited:  metric.Seconds("master_request_wait_seconds", "How long detail requests waited, whatever came of them."),
	}
	return c, c.register()
}

// withDefaults fills in what is not set and checks the numbers.
func (cfg ClientConfig) withDefaults() (ClientConfig, error) {
	for _, f := range []struct {
		name  string
		value *int
		or    int
	}{
		{"MaxWaiters", &cfg.MaxWaiters, defaultWaiters},
		{"MaxClusterWaiters", &cfg.MaxClusterWaiters, max(1, cmp.Or(cfg.MaxWaiters, defaultWaiters)/4)},
		{"MaxQueue", &cfg.MaxQueue, 256},
		{"MaxReplyBytes", &cfg.MaxReplyBytes, 16 << 20},
		{"MaxFetchBytes", &cfg.MaxFetchBytes, max(64<<20, cfg.MaxReplyBytes)},
	} {
		if *f.value == 0 {
			*f.value = f.or
		}
		if *f.value < 1 {
			return cfg, fmt.Errorf("bus: %s %d is less than 1", f.name, *f.value)
		}
	}
	if cfg.MaxTimeout == 0 {
		cfg.MaxTimeout = time.Minute
	}
	if cfg.Known == nil {
		cfg.Known = func(key.Cluster) bool { return false }
	}
	if cfg.SweepInterval == 0 {
		cfg.SweepInterval = time.Second
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.MaxFetchBytes < cfg.MaxReplyBytes {
		return cfg, fmt.Errorf("bus: MaxFetchBytes %d is less than MaxReplyBytes %d", cfg.MaxFetchBytes, cfg.MaxReplyBytes)
	}
	return cfg, nil
}

const defaultWaiters = 1000

// Do asks the agents of a cluster and waits for the reply. Errors are *fault.Error:
//
//	bad_request        the request is malformed, or its command too long
//	cluster_unknown    no such cluster was ever seen
//	agent_offline      no live agent: at once
//	queue_full         the cluster's list or this replica's waiters are at their bound
//	timeout            no reply in time
//	store_unavailable  Redis cannot be reached, or the reply cannot be read
//	result_too_large   the reply is over its bound
//	any other          what the agent answered; Agent and TookMs of the Reply are set
//
// When ctx ends first, the command is taken back, or its run cancelled, and Do
// returns ctx.Err(). The command carries the trace of ctx, and the request that
// span.WithRequest named. Run must be running.
func (c *Client) Do(ctx context.Context, cluster key.Cluster, req Request) (Reply, error) {
	ctx, s := c.traceAsk(ctx, cluster, req)
	reply, err := c.do(ctx, s, cluster, req)
	endAsk(s, reply, err)
	return reply, err
}

func (c *Client) do(ctx context.Context, s trace.Span, cluster key.Cluster, req Request) (Reply, error) {
	if err := c.check(cluster, req); err != nil {
		return Reply{}, err
	}
	if err := ctx.Err(); err != nil {
		return Reply{}, err
	}
	began := time.Now()
	defer func() { c.waited.Observe(time.Since(began).Seconds()) }()
	ask, err := c.newAsk(ctx, cluster, req)
	if err != nil {
		return Reply{}, err
	}
	traceMessage(s, ask.id, len(ask.raw))
	if err := c.fetcher.add(ask); err != nil {
		return Reply{}, err
	}
	timer := time.NewTimer(req.Timeout)
	defer timer.Stop()
	shared, err := c.send(ctx, ask, req.Timeout)
	switch {
	case err == nil && shared == nil:
		return c.await(ctx, ask, timer.C, req.Timeout)
	case err == nil:
		c.fetcher.remove(ask)
		return *shared, nil
	case ctx.Err() != nil:
		// No answer came: the command may be in the list all the same.
		c.abandon(ctx, ask)
		return Reply{}, ctx.Err()
	case fault.Is(err, fault.StoreUnavailable):
		c.abandon(ctx, ask)
	default:
		c.fetcher.remove(ask)
	}
	return Reply{}, err
}

// await waits for the reply to a command that was pushed.
func (c *Client) await(ctx context.Context, a *ask, timeout <-chan time.Time, after time.Duration) (Reply, error) {
	select {
	case got := <-a.got:
		c.fetcher.remove(a)
		c.stats.ended(got)
		return got.reply, got.err
	case <-ctx.Done():
		c.stats.canceled.Add(1)
		c.abandon(ctx, a)
		return Reply{}, ctx.Err()
	case <-timeout:
		c.stats.timedOut.Add(1)
		c.abandon(ctx, a)
		return Reply{}, fault.New(fault.Timeout, "the agents of cluster %s did not answer within %s", a.cluster, after)
	}
}

func (c *Client) check(cluster key.Cluster, req Request) error {
	if err := key.ValidateCluster(string(cluster)); err != nil {
		return fault.New(fault.BadRequest, "%s", err)
	}
	if req.Timeout <= 0 || req.Timeout > c.cfg.MaxTimeout {
		return fault.New(fault.BadRequest, "timeout: %s is not between 0 and %s", req.Timeout, c.cfg.MaxTimeout)
	}
	return nil
}

// ask is one command on its way.
type ask struct {
	cluster key.Cluster
	id      string
	raw     []byte
	result  string        // key of a shared reply; "" for a kind that has none
	ttl     time.Duration // of it
	got     chan outcome  // holds one
	// fetching is true while the reply is read: a sweep does not read a large one
	// again that is still on its way.
	fetching atomic.Bool
	// announced is true when the reply was announced after the last read of it began,
	// which may have been too early: done has it read again.
	announced atomic.Bool
}

type outcome struct {
	reply Reply
	err   error
}

func (c *Client) newAsk(ctx context.Context, cluster key.Cluster, req Request) (*ask, error) {
	var random [16]byte
	if _, err := rand.Read(random[:]); err != nil {
		return nil, fault.Wrap(err, fault.Internal, "internal error")
	}
	now := c.clients.Clock(cluster).Now()
	cmd := Command{
		V: Version, ID: hex.EncodeToString(random[:]), Kind: req.Kind, Params: req.Params,
		Deadline: now.Add(req.Timeout).UnixMilli(), SentAt: now.UnixMilli(),
		Replica: c.cfg.Replica, Traceparent: span.Traceparent(ctx), RequestID: bounded(span.Request(ctx), maxRequestID),
		Carry: min(maxCarried, c.cfg.MaxReplyBytes),
	}
	raw, err := codec.Encode(cmd)
	if err != nil {
		return nil, fault.Wrap(err, fault.BadRequest, "the parameters cannot be encoded")
	}
	if len(raw) > MaxCommandBytes {
		c.stats.tooLong.Add(1)
		return nil, fault.New(fault.BadRequest, "the request has %d bytes, more than %d", len(raw), MaxCommandBytes)
	}
	a := &ask{cluster: cluster, id: cmd.ID, raw: raw, got: make(chan outcome, 1)}
	a.result, a.ttl, _ = resultKey(cluster, req.Kind, req.Params)
	return a, nil
}

// takeBackLua takes a command off the list, or tells the agents that nobody waits
// for it any more.
//
//	KEYS[1] commands
//	ARGV    command, channel of cancels, id
//	result  how many were taken off
const takeBackLua = `
local taken = redis.call('LREM', KEYS[1], 1, ARGV[1])
if taken == 0 then redis.call('PUBLISH', ARGV[2], ARGV[3]) end
return taken
`

// abandon takes the command back in the background: the caller has gone. Until it
// is done the command counts as waiting, which bounds how many there are.
func (c *Client) abandon(ctx context.Context, a *ask) {
	c.parting.Go(func() {
		defer c.fetcher.remove(a)
		// The clients' own time-outs bound it.
		_, err := c.takeBack.Run(context.WithoutCancel(ctx), c.clients.Normal,
			[]string{a.cluster.Commands()}, a.raw, a.cluster.Cancels(), a.id)
		if err != nil {
			c.cfg.Logger.DebugContext(ctx, "a command could not be taken back", "cluster", a.cluster, "id", a.id, "error", err)
		}
	})
}

// Waiting is how many requests wait now.
func (c *Client) Waiting() int { return c.fetcher.len() }

var errRunTwice = errors.New("bus: the client was run already")
