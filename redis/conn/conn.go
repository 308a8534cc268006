// Package conn opens the connections to Redis: one client for commands that
// answer at once and one for commands that wait, so that waiting never takes a
// connection from the others, and a clock that is Redis's.
package conn

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/atlhyper/observe/shared/fault"
)

// Config says where Redis is and how it is spoken to.
type Config struct {
	// URL is redis://user:password@host:6379/0, rediss:// for TLS, or
	// unix:///path/to/socket. Required.
	URL string
	// ClientName is shown by CLIENT LIST; it needs the right to call
	// CLIENT SETNAME. "" sets none.
	ClientName string
	// PoolSize bounds the connections for commands that answer at once.
	// 0 means 10 for each CPU.
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
	// TLS overrides what rediss:// sets up. nil keeps it.
	TLS *tls.Config
	// Now is this process's clock; nothing else may depend on what hour it shows.
	// nil means time.Now.
	Now func() time.Time
	// Logger is told when the clock jumps. nil means none.
	Logger *slog.Logger
}

// maxBlock is the longest that a command on Blocking may wait on the server.
const maxBlock = 5 * time.Second

// Clients are the connections of one process. Neither client ever repeats a
// command by itself (MaxRetries is -1): a connection may be cut after the server
// ran a command and before its answer came, and a repeated BLMOVE or LPOP
// silently takes the next element, a repeated RPUSH or script runs twice. Who
// calls knows whether a command may be repeated.
type Clients struct {
	// Normal is for commands that answer at once. It heeds context deadlines.
	Normal redis.UniversalClient
	// Blocking is for commands that wait on the server, at most 5 s each. It does
	// not heed contexts: an interrupted pop loses what it popped.
	Blocking redis.UniversalClient
	// Clock is Redis's clock.
	Clock *Clock
}

// Open prepares the clients. It does not connect: a server that is away is found
// out by the first command. Errors name the field and never hold the URL.
func Open(cfg Config) (*Clients, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	options, err := cfg.options()
	if err != nil {
		return nil, err
	}
	normal, blocking := *options, *options
	normal.PoolSize = cfg.PoolSize
	normal.ContextTimeoutEnabled = true
	blocking.PoolSize = cfg.BlockingConns
	blocking.ContextTimeoutEnabled = false
	blocking.ReadTimeout = maxBlock + cfg.Timeout

	c := &Clients{Normal: redis.NewClient(&normal), Blocking: redis.NewClient(&blocking)}
	c.Clock = newClock(c.measure, cfg.Timeout, cfg.Logger)
	c.Clock.here = cfg.Now
	return c, nil
}

func (c Config) withDefaults() (Config, error) {
	if c.URL == "" {
		return c, errors.New("redis: URL is required")
	}
	if c.PoolSize < 0 || c.BlockingConns < 0 {
		return c, errors.New("redis: PoolSize and BlockingConns must not be negative")
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

// options are what both clients have in common.
func (c Config) options() (*redis.Options, error) {
	o, err := redis.ParseURL(c.URL)
	if err != nil {
		// The library's text may quote the URL with its password.
		return nil, errors.New("redis: the URL cannot be parsed; want redis://user:password@host:6379/0, rediss://… or unix:///path/to/socket")
	}
	o.ClientName = c.ClientName
	o.MaxRetries = -1
	o.DialTimeout = c.DialTimeout
	o.DialerRetries = 1
	o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = c.Timeout, c.Timeout, c.Timeout
	o.ConnMaxIdleTime = c.IdleTimeout
	// A lean handshake: half the round trips on a new connection, and no commands
	// that an agent's ACL user would have to be allowed.
	o.DisableIdentity = true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	o.PipelinePoolSize = -1
	if c.TLS != nil {
		o.TLSConfig = c.TLS
	}
	return o, nil
}

// Ping asks the server whether it is there; the error is a *fault.Error with
// store_unavailable.
func (c *Clients) Ping(ctx context.Context) error {
	return Unavailable(c.Normal.Ping(ctx).Err())
}

// Close closes all connections.
func (c *Clients) Close() error {
	return errors.Join(c.Normal.Close(), c.Blocking.Close())
}

func (c *Clients) measure(ctx context.Context) (time.Time, error) {
	t, err := c.Normal.Time(ctx).Result()
	return t, Unavailable(err)
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
