// Package conn opens the connections to Redis, be it one server, a primary that
// Sentinels watch over or Redis Cluster: one client for commands that answer at
// once and one for commands that wait, so that waiting never takes a connection
// from the others, and clocks that are Redis's.
package conn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/shared/fault"
)

// Config says where Redis is and how it is spoken to.
type Config struct {
	// URL is one of URLForms. '@', '/', '?', '#' and '%' in a user name or password
	// are written %40, %2F, %3F, %23 and %25. Required.
	URL string
	// Auth is the user and password, when they are not in the URL.
	Auth Auth
	// TLS is for URLs with rediss.
	TLS TLS
	// ClientName is shown by CLIENT LIST; it needs the right to call
	// CLIENT SETNAME. "" sets none.
	ClientName string
	// PoolSize bounds the connections for commands that answer at once; in Redis
	// Cluster those to each server. 0 means 24, in Redis Cluster 8.
	PoolSize int
	// BlockingConns bounds the connections for commands that wait. 0 means 4.
	BlockingConns int
	// DialTimeout bounds connecting. 0 means 3 s.
	DialTimeout time.Duration
	// Timeout bounds one answer, and one write. 0 means 3 s.
	Timeout time.Duration
	// IdleTimeout closes connections that are not used; keep it below the idle
	// time-outs of proxies in between. 0 means 4 min.
	IdleTimeout time.Duration
	// Now is this process's clock; nothing else may depend on what hour it shows.
	// nil means time.Now.
	Now func() time.Time
	// Metrics gets what the connections count. nil means none.
	Metrics prometheus.Registerer
	// Logger is told when the clock jumps. nil means none.
	Logger *slog.Logger
}

// Clients are the connections of one process. Neither client ever repeats a
// command by itself: a connection may be cut after the server ran a command and
// before its answer came, and a repeated BLMOVE or LPOP silently takes the next
// element, a repeated RPUSH or script runs twice. Who calls knows whether a command
// may be repeated. What a server of Redis Cluster refused unrun, because another
// one has the key, is sent there.
type Clients struct {
	// Normal is for commands that answer at once. It heeds context deadlines. In
	// Redis Cluster its pipelines may hold keys of any cluster of ours, its
	// transactions and scripts those of one.
	Normal redis.UniversalClient
	// blocking is for commands that wait on the server. It does not heed contexts: an
	// interrupted pop loses what it popped.
	blocking redis.UniversalClient

	stats    callStats
	logger   *slog.Logger
	here     func() time.Time
	topology Topology
	clock    *Clock       // of the one primary
	shards   *shardClocks // in Redis Cluster
}

// Open prepares the clients. It does not connect: a server that is away is found
// out by the first command. Errors name the field, or the part of the URL, and
// never hold the URL or a password.
func Open(cfg Config) (*Clients, error) {
	a, err := parseURL(cfg.URL)
	if err != nil {
		return nil, err
	}
	cfg, err = cfg.withDefaults(a.topology)
	if err != nil {
		return nil, err
	}
	who, err := cfg.login(a)
	if err != nil {
		return nil, err
	}
	secure, err := cfg.tlsConfig(a)
	if err != nil {
		return nil, err
	}
	c := &Clients{
		Normal:   cfg.open(a, who, secure, pool{size: cfg.PoolSize, answer: cfg.Timeout, heedContexts: true}),
		blocking: cfg.open(a, who, secure, pool{size: cfg.BlockingConns, answer: Block + cfg.Timeout}),
		logger:   cfg.Logger,
		here:     cfg.Now,
		topology: a.topology,
	}
	for _, client := range []redis.UniversalClient{c.Normal, c.blocking} {
		client.AddHook(statsHook{&c.stats})
	}
	if err := c.register(cfg); err != nil {
		return nil, errors.Join(fmt.Errorf("redis: %w", err), c.Close())
	}
	if cluster, ok := c.Normal.(*redis.ClusterClient); ok {
		c.shards = newShardClocks(cluster, cfg)
	} else {
		c.clock = cfg.newClock(func(ctx context.Context) (time.Time, error) { return timeOf(ctx, c.Normal) })
	}
	return c, nil
}

func (c Config) withDefaults(topology Topology) (Config, error) {
	if c.PoolSize < 0 || c.BlockingConns < 0 {
		return c, errors.New("redis: PoolSize and BlockingConns must not be negative")
	}
	if c.PoolSize == 0 {
		c.PoolSize = 24
		if topology == Cluster {
			c.PoolSize = 8
		}
	}
	if c.BlockingConns == 0 {
		c.BlockingConns = 4
	}
	for _, d := range []struct {
		name  string
		value *time.Duration
		or    time.Duration
	}{
		{"DialTimeout", &c.DialTimeout, 3 * time.Second},
		{"Timeout", &c.Timeout, 3 * time.Second},
		{"IdleTimeout", &c.IdleTimeout, 4 * time.Minute},
	} {
		if *d.value < 0 {
			return c, fmt.Errorf("redis: %s must not be negative", d.name)
		}
		if *d.value == 0 {
			*d.value = d.or
		}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// Block is how long BlockingMove waits on the server.
const Block = time.Second

// Moved is what came of a BlockingMove.
type Moved struct {
	// Element was moved, if OK.
	Element string
	OK      bool
	// Left is how many more there were after it.
	Left int64
}

// BlockingMove moves the first element of a list to the end of another one, which
// lives for ttl from then, waiting up to Block for one to come, on connections of its
// own. The error is redis.Nil when none came; with another one an element may have
// been moved and be returned all the same. It does not heed ctx: an interrupted move
// may have moved something.
func (c *Clients) BlockingMove(ctx context.Context, from, to string, ttl time.Duration) (Moved, error) {
	ctx = context.WithoutCancel(ctx)
	// The library's BLMove would wait 10 s more for the answer of a frozen server. What
	// follows it in the pipeline is run when it has come back, and answered with it.
	move := redis.NewStringCmd(ctx, "blmove", from, to, "left", "right", Block.Seconds())
	var left *redis.IntCmd
	_, err := c.blocking.Pipelined(ctx, func(p redis.Pipeliner) error {
		err := p.Process(ctx, move)
		p.PExpire(ctx, to, ttl)
		left = p.LLen(ctx, from)
		return err
	})
	moved := Moved{Element: move.Val(), Left: left.Val()}
	// One that was not sent has neither an error nor an element.
	moved.OK = move.Err() == nil && (err == nil || moved.Element != "")
	return moved, err
}

// Topology is what the URL says.
func (c *Clients) Topology() Topology { return c.topology }

// Clock is the clock that scripts on the cluster's keys go by: Redis's, and in
// Redis Cluster that of the server which owns the keys now. Ask for it each time.
func (c *Clients) Clock(cluster key.Cluster) *Clock {
	if c.shards == nil {
		return c.clock
	}
	return c.shards.of(cluster.Meta())
}

// Here is the time on this process's clock, as that of every Clock of these clients.
func (c *Clients) Here() time.Time { return c.here() }

// Server tells apart which server holds a cluster's keys, as far as this process
// knows: it is the same for those on one. It is "" where there is one for all.
func (c *Clients) Server(cluster key.Cluster) string {
	if c.shards == nil {
		return ""
	}
	node := c.shards.node(cluster.Meta())
	if node == nil {
		return ""
	}
	return node.Options().Addr
}

// Now is the time of Redis where no cluster of ours is in question: on the clock
// of the list of clusters, which in Redis Cluster is that of the server which owns
// the list.
func (c *Clients) Now() time.Time { return c.listClock().Now() }

func (c *Clients) listClock() *Clock {
	if c.shards == nil {
		return c.clock
	}
	return c.shards.of(key.Clusters)
}

// ToList reads a time of the cluster's clock on that of the list of clusters.
func (c *Clients) ToList(cluster key.Cluster, at time.Time) time.Time {
	return toOther(at, c.Clock(cluster), c.listClock())
}

// FromList is the inverse of ToList.
func (c *Clients) FromList(cluster key.Cluster, at time.Time) time.Time {
	return toOther(at, c.listClock(), c.Clock(cluster))
}

// SyncClocks measures the clocks of all primaries, so that nobody who asks for the
// time has to wait for a measurement.
func (c *Clients) SyncClocks(ctx context.Context) error {
	if c.shards == nil {
		return c.clock.Sync(ctx)
	}
	return c.shards.sync(ctx)
}

// Ping asks the server whether it is there; the error is a *fault.Error with
// store_unavailable.
func (c *Clients) Ping(ctx context.Context) error {
	return Unavailable(c.Normal.Ping(ctx).Err())
}

// Close closes all connections.
func (c *Clients) Close() error {
	return errors.Join(c.Normal.Close(), c.blocking.Close())
}

// Unavailable turns an error of the client into a *fault.Error that users may
// read; the cause is kept for logs. nil stays nil, and so does redis.Nil, which
// says that nothing is wrong. A cancelled context comes back as it is.
func Unavailable(err error) error {
	switch {
	case err == nil, errors.Is(err, redis.Nil):
		return nil
	case errors.Is(err, context.Canceled):
		return err
	}
	return fault.Wrap(err, fault.StoreUnavailable, "%s", sentence(err)).After(time.Second)
}

// sentence says what users may know: not the address, which stands in the
// errors of the network.
func sentence(err error) string {
	var reply redis.Error
	if !errors.As(err, &reply) {
		return "Redis cannot be reached"
	}
	word, _, _ := strings.Cut(reply.Error(), " ")
	if word == "" || strings.ToUpper(word) != word || len(word) > 20 {
		return "Redis refused the command"
	}
	return "Redis refused the command: " + word
}
