package bus

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/atlhyper/observe/redis/beat"
	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/shared/codec"
	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/fault"
)

// ClientConfig says how a master asks.
type ClientConfig struct {
	// Replica names this master among the others; replies are announced to it.
	// Required; as key.ValidateInstance wants it.
	Replica string
	// MaxWaiters bounds the requests of this replica that wait. 0 means 1,000.
	MaxWaiters int
	// MaxQueue bounds the commands of one cluster that no agent has taken yet.
	// 0 means 256.
	MaxQueue int
	// MaxReplyBytes bounds a reply. 0 means 16 MiB.
	MaxReplyBytes int
	// MaxTimeout bounds Request.Timeout. 0 means 60 s.
	MaxTimeout time.Duration
	// SweepInterval is between the looks for replies whose announcement was lost.
	// 0 means 1 s.
	SweepInterval time.Duration
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
	// Traceparent continues the caller's trace (W3C header); "" for none.
	Traceparent string
}

// Client asks the agents of all clusters and waits for their replies. It is safe
// for concurrent use: all waits share one subscription and a few connections.
type Client struct {
	clients  *conn.Clients
	cfg      ClientConfig
	push     *conn.Script
	takeBack *conn.Script
	fetcher  *fetcher
	started  atomic.Bool
	parting  sync.WaitGroup // commands being taken back
	outage   conn.Outage
}

// NewClient checks the configuration.
func NewClient(clients *conn.Clients, cfg ClientConfig) (*Client, error) {
	if err := key.ValidateInstance(cfg.Replica); err != nil {
		return nil, fmt.Errorf("bus: replica: %w", err)
	}
	for _, f := range []struct {
		name  string
		value *int
		or    int
	}{
		{"MaxWaiters", &cfg.MaxWaiters, 1000},
		{"MaxQueue", &cfg.MaxQueue, 256},
		{"MaxReplyBytes", &cfg.MaxReplyBytes, 16 << 20},
	} {
		if *f.value == 0 {
			*f.value = f.or
		}
		if *f.value < 1 {
			return nil, fmt.Errorf("bus: %s %d is less than 1", f.name, *f.value)
		}
	}
	if cfg.MaxTimeout == 0 {
		cfg.MaxTimeout = time.Minute
	}
	if cfg.SweepInterval == 0 {
		cfg.SweepInterval = time.Second
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Client{
		clients: clients, cfg: cfg,
		push: conn.NewScript(beat.Lua, pushLua), takeBack: conn.NewScript(takeBackLua),
		fetcher: newFetcher(clients, cfg),
		outage:  conn.Outage{Logger: cfg.Logger, What: "looking for replies"},
	}, nil
}

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
// returns ctx.Err(). Run must be running.
func (c *Client) Do(ctx context.Context, cluster key.Cluster, req Request) (Reply, error) {
	if err := c.check(cluster, req); err != nil {
		return Reply{}, err
	}
	if err := ctx.Err(); err != nil {
		return Reply{}, err
	}
	ask, err := c.newAsk(cluster, req)
	if err != nil {
		return Reply{}, err
	}
	if !c.fetcher.add(ask) {
		return Reply{}, fault.New(fault.QueueFull, "%d requests wait on this replica already", c.cfg.MaxWaiters).After(time.Second)
	}
	timer := time.NewTimer(req.Timeout)
	defer timer.Stop()
	if err := c.send(ctx, ask, req.Timeout); err != nil {
		// When no answer came, the command may be in the list all the same.
		switch {
		case ctx.Err() != nil:
			c.abandon(ctx, ask)
			return Reply{}, ctx.Err()
		case fault.Is(err, fault.StoreUnavailable):
			c.abandon(ctx, ask)
		default:
			c.fetcher.remove(ask)
		}
		return Reply{}, err
	}
	select {
	case got := <-ask.got:
		c.fetcher.remove(ask)
		return got.reply, got.err
	case <-ctx.Done():
		c.abandon(ctx, ask)
		return Reply{}, ctx.Err()
	case <-timer.C:
		c.abandon(ctx, ask)
		return Reply{}, fault.New(fault.Timeout, "the agents of cluster %s did not answer within %s", cluster, req.Timeout)
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
	got     chan outcome // holds one
}

type outcome struct {
	reply Reply
	err   error
}

func (c *Client) newAsk(cluster key.Cluster, req Request) (*ask, error) {
	var random [16]byte
	if _, err := rand.Read(random[:]); err != nil {
		return nil, fault.Wrap(err, fault.Internal, "internal error")
	}
	cmd := Command{
		V: Version, ID: hex.EncodeToString(random[:]), Kind: req.Kind, Params: req.Params,
		Deadline: c.clients.Clock.Now().Add(req.Timeout).UnixMilli(),
		Replica:  c.cfg.Replica, Traceparent: bounded(req.Traceparent, maxTraceparent),
	}
	raw, err := codec.Encode(cmd)
	if err != nil {
		return nil, fault.Wrap(err, fault.BadRequest, "the parameters cannot be encoded")
	}
	if len(raw) > MaxCommandBytes {
		return nil, fault.New(fault.BadRequest, "the request has %d bytes, more than %d", len(raw), MaxCommandBytes)
	}
	return &ask{cluster: cluster, id: cmd.ID, raw: raw, got: make(chan outcome, 1)}, nil
}

// What pushLua says.
const (
	pushed     = 1
	noLive     = 2 // there are agents, none of them live
	noAgents   = 3 // there never were, or long ago
	pushedFull = 4
)

// pushLua appends a command if an agent is live and there is room.
//
//	KEYS[1] commands  KEYS[2] agents
//	ARGV    command, most in the list, expiry of beats in ms, TTL in ms
//	result  {1 pushed | 2 no live agent | 3 no agents | 4 full, seconds, microseconds of TIME}
const pushLua = `
local seconds, micros = now_parts()
local now, live = now_ms(), false
local beats = redis.call('HVALS', KEYS[2])
for _, value in ipairs(beats) do
  if beat_live(value, now, tonumber(ARGV[3])) == 'r' then live = true; break end
end
if not live then return {#beats > 0 and 2 or 3, seconds, micros} end
if redis.call('LLEN', KEYS[1]) >= tonumber(ARGV[2]) then return {4, seconds, micros} end
redis.call('RPUSH', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[1], math.max(redis.call('PTTL', KEYS[1]), tonumber(ARGV[4])))
return {1, seconds, micros}
`

func (c *Client) send(ctx context.Context, a *ask, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	sent := c.clients.Clock.Here()
	result, err := c.push.Run(ctx, c.clients.Normal, []string{a.cluster.Commands(), a.cluster.Agents()},
		a.raw, c.cfg.MaxQueue, key.BeatExpiry.Milliseconds(), (timeout + key.Grace).Milliseconds())
	if err != nil {
		return fmt.Errorf("push: %w", err)
	}
	n, err := conn.Ints(result, 3)
	if err != nil {
		return fault.Wrap(err, fault.Internal, "internal error")
	}
	c.clients.Clock.Observe(sent, conn.Time(n[1], n[2]))
	switch n[0] {
	case pushed:
		return nil
	case pushedFull:
		return fault.New(fault.QueueFull, "%d commands wait for the agents of cluster %s already", c.cfg.MaxQueue, a.cluster).After(time.Second)
	case noLive:
		return offline(a.cluster)
	default:
		return c.unknownOrOffline(ctx, a.cluster)
	}
}

func offline(cluster key.Cluster) error {
	return fault.New(fault.AgentOffline, "no agent of cluster %s is online", cluster).After(key.BeatInterval)
}

func (c *Client) unknownOrOffline(ctx context.Context, cluster key.Cluster) error {
	known, err := c.clients.Normal.ZMScore(ctx, key.Clusters, string(cluster)).Result()
	if err := conn.Unavailable(err); err != nil {
		return fmt.Errorf("look up cluster: %w", err)
	}
	if len(known) == 1 {
		if _, seen := key.SeenAt(known[0], c.clients.Clock.Now()); seen {
			return offline(cluster)
		}
	}
	return fault.New(fault.ClusterUnknown, "no cluster %s was ever seen", cluster)
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
