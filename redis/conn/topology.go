package conn

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

const (
	// redirects is how often a command is sent anew in Redis Cluster because a
	// server said so (MOVED, ASK, TRYAGAIN, CLUSTERDOWN, LOADING, READONLY): in all
	// of these cases it was not run.
	redirects = 5
	// reloadInterval is the age at which the map of Redis Cluster's slots is read
	// again. Servers that redirect, and commands that fail, have it read at once.
	reloadInterval = 10 * time.Second
)

// pool is in what the two clients differ.
type pool struct {
	size         int
	answer       time.Duration // how long one may take
	heedContexts bool
}

// idle is how many connections are kept ready. The library closes one that nobody
// uses only when it is taken again, so without a bound every process would keep for
// good what one bad moment made it open.
func (p pool) idle() int { return max(p.size/3, 2) }

// open prepares one client.
func (c Config) open(a address, who credentials, secure *tls.Config, p pool) redis.UniversalClient {
	dial := c.dialer(secure)
	lean := func() *maintnotifications.Config {
		return &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	}
	// In all three: no command is ever repeated; a lean handshake, which is half the
	// round trips of a new connection and no commands that an agent's ACL user would
	// have to be allowed; pipelines on the same connections as everything else.
	switch a.topology {
	case Sentinel:
		return redis.NewFailoverClient(&redis.FailoverOptions{
			MasterName: a.primary, SentinelAddrs: a.hosts, DB: a.db, Dialer: dial, ClientName: c.ClientName,
			Username: who.username, Password: who.password, CredentialsProviderContext: who.provider(),
			SentinelUsername: who.sentinelUsername, SentinelPassword: who.sentinelPassword,
			// To connect is to ask a Sentinel, then all others when it does not answer,
			// then to dial.
			DialTimeout: c.DialTimeout + 2*p.answer + time.Second, DialerRetries: 1, MaxRetries: -1,
			ReadTimeout: p.answer, WriteTimeout: c.Timeout, PoolTimeout: c.Timeout, ContextTimeoutEnabled: p.heedContexts,
			PoolSize: p.size, MaxIdleConns: p.idle(), PipelinePoolSize: -1, ConnMaxIdleTime: c.IdleTimeout, DisableIdentity: true,
		})
	case Cluster:
		client := redis.NewClusterClient(&redis.ClusterOptions{
			Addrs: a.hosts, Dialer: dial, ClientName: c.ClientName,
			Username: who.username, Password: who.password, CredentialsProviderContext: who.provider(),
			DialTimeout: c.DialTimeout, DialerRetries: 1, MaxRetries: -1, MaxRedirects: redirects,
			ReadTimeout: p.answer, WriteTimeout: c.Timeout, PoolTimeout: c.Timeout, ContextTimeoutEnabled: p.heedContexts,
			PoolSize: p.size, MaxIdleConns: p.idle(), PipelinePoolSize: -1, ConnMaxIdleTime: c.IdleTimeout, DisableIdentity: true,
			MaintNotificationsConfig: lean(), ClusterStateReloadInterval: reloadInterval,
			// They would ask for COMMAND, an answer of 200 KB and a right more; no
			// command of ours goes to several servers.
			DisableRoutingPolicies: true,
		})
		runOnce(client)
		return client
	default:
		return redis.NewClient(&redis.Options{
			Network: a.network, Addr: a.hosts[0], DB: a.db, Dialer: dial, ClientName: c.ClientName,
			Username: who.username, Password: who.password, CredentialsProviderContext: who.provider(),
			DialTimeout: c.DialTimeout, DialerRetries: 1, MaxRetries: -1,
			ReadTimeout: p.answer, WriteTimeout: c.Timeout, PoolTimeout: c.Timeout, ContextTimeoutEnabled: p.heedContexts,
			PoolSize: p.size, MaxIdleConns: p.idle(), PipelinePoolSize: -1, ConnMaxIdleTime: c.IdleTimeout, DisableIdentity: true,
			MaintNotificationsConfig: lean(),
		})
	}
}

// dialer connects within DialTimeout, the TLS handshake included.
func (c Config) dialer(secure *tls.Config) func(ctx context.Context, network, addr string) (net.Conn, error) {
	plain := &net.Dialer{
		Timeout: c.DialTimeout,
		// A peer that vanished is noticed after 30 s.
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3},
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if secure == nil {
			return plain.DialContext(ctx, network, addr)
		}
		ctx, cancel := context.WithTimeout(ctx, c.DialTimeout)
		defer cancel()
		return (&tls.Dialer{NetDialer: plain, Config: secure}).DialContext(ctx, network, addr)
	}
}
