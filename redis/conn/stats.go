package conn

import (
	"context"
	"errors"
	"net"
	"os"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/atlhyper/observe/redis/metric"
)

// callStats count calls, commands or pipelines as a whole, and those that did not work.
type callStats struct {
	all, network, timeout, refused, pool atomic.Int64
}

// register is the table of what connections tell. PoolSize and BlockingConns are those
// of cfg, with their defaults.
func (c *Clients) register(cfg Config) error {
	const failed, failedHelp = "redis_errors_total", "Calls to Redis that failed, by why: the connection broke or was refused (network), no answer in time (timeout), an error as the answer (refused), all connections taken (pool). A pipeline is one call."
	s := &c.stats
	return metric.Register(cfg.Metrics, []metric.Row{
		{Name: "redis_commands_total", Help: "Calls to Redis, those that failed included. A pipeline is one call.", Counter: &s.all},
		{Name: failed, Help: failedHelp, Label: "kind", Value: "network", Counter: &s.network},
		{Name: failed, Help: failedHelp, Label: "kind", Value: "timeout", Counter: &s.timeout},
		{Name: failed, Help: failedHelp, Label: "kind", Value: "refused", Counter: &s.refused},
		{Name: failed, Help: failedHelp, Label: "kind", Value: "pool", Counter: &s.pool},
	}, newPools(
		namedPool{"normal", cfg.PoolSize, c.Normal.PoolStats},
		namedPool{"blocking", cfg.BlockingConns, c.blocking.PoolStats},
	))
}

// note counts what came of a call. That the caller left is nobody's failure, and neither
// is a script that is sent by its digest first.
func (s *callStats) note(err error) {
	var reply redis.Error
	var slow net.Error
	switch {
	case err == nil, errors.Is(err, redis.Nil), errors.Is(err, context.Canceled), errors.Is(err, redis.ErrClosed):
	case redis.HasErrorPrefix(err, "NOSCRIPT"):
	case errors.Is(err, redis.ErrPoolTimeout), errors.Is(err, redis.ErrPoolExhausted):
		s.pool.Add(1)
	case errors.As(err, &reply):
		s.refused.Add(1)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &slow) && slow.Timeout():
		s.timeout.Add(1)
	default:
		s.network.Add(1)
	}
}

// statsHook counts the calls of a client, whatever the hooks after it make of them.
type statsHook struct{ stats *callStats }

func (statsHook) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h statsHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		h.stats.all.Add(1)
		err := next(ctx, cmd)
		if err != nil {
			h.stats.note(reveal(err))
		}
		return err
	}
}

func (h statsHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		h.stats.all.Add(1)
		err := next(ctx, cmds)
		if err == nil {
			return nil
		}
		cause := reveal(err)
		for _, cmd := range cmds { // the first one's may be of the harmless kind
			if failed := cmd.Err(); failed != nil && !errors.Is(failed, redis.Nil) && !redis.HasErrorPrefix(failed, "NOSCRIPT") {
				cause = reveal(failed)
				break
			}
		}
		h.stats.note(cause)
		return err
	}
}

// namedPool is one pool of connections.
type namedPool struct {
	name  string
	size  int // to each server
	stats func() *redis.PoolStats
}

// pools tell of the connections at each scrape, of each pool what belongs together.
type pools struct {
	all                                           []namedPool
	connections, most, hits, misses, waits, fails *prometheus.Desc
}

func newPools(all ...namedPool) *pools {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(metric.Namespace+"redis_pool_"+name, help, append([]string{"pool"}, labels...), nil)
	}
	return &pools{
		all:         all,
		connections: desc("connections", "Connections to Redis, in Redis Cluster to all its servers, by what they do: used by a call, or idle.", "state"),
		most:        desc("connections_max", "Connections that there may be, in Redis Cluster to each server."),
		hits:        desc("hits_total", "Calls that found a free connection."),
		misses:      desc("misses_total", "Calls that found none, and made one or waited."),
		waits:       desc("waits_total", "Calls that waited for a connection."),
		fails:       desc("timeouts_total", "Calls that waited for a connection in vain."),
	}
}

// Describe implements prometheus.Collector.
func (p *pools) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{p.connections, p.most, p.hits, p.misses, p.waits, p.fails} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (p *pools) Collect(to chan<- prometheus.Metric) {
	for _, pool := range p.all {
		s := pool.stats()
		idle := min(s.IdleConns, s.TotalConns) // they are read one after the other
		for _, m := range []struct {
			desc   *prometheus.Desc
			kind   prometheus.ValueType
			value  float64
			labels []string
		}{
			{p.connections, prometheus.GaugeValue, float64(s.TotalConns - idle), []string{pool.name, "used"}},
			{p.connections, prometheus.GaugeValue, float64(idle), []string{pool.name, "idle"}},
			{p.most, prometheus.GaugeValue, float64(pool.size), []string{pool.name}},
			{p.hits, prometheus.CounterValue, float64(s.Hits), []string{pool.name}},
			{p.misses, prometheus.CounterValue, float64(s.Misses), []string{pool.name}},
			{p.waits, prometheus.CounterValue, float64(s.WaitCount), []string{pool.name}},
			{p.fails, prometheus.CounterValue, float64(s.Timeouts), []string{pool.name}},
		} {
			to <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value, m.labels...)
		}
	}
}
