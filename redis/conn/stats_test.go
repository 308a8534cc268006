package conn_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/redis/go-redis/v9"

	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/conn/conntest"
	"github.com/atlhyper/observe/redis/redistest"
)

// measured are connections with what they count, as "name/label values".
type measured struct {
	*conn.Clients
	registry *prometheus.Registry
}

func measure(t *testing.T, cfg conn.Config) measured {
	t.Helper()
	registry := prometheus.NewRegistry()
	cfg.Metrics = registry
	return measured{conntest.Open(t, cfg), registry}
}

func (m measured) counts(t *testing.T) map[string]float64 {
	t.Helper()
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if problems, err := promlint.NewWithMetricFamilies(families).Lint(); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
	out := make(map[string]float64)
	for _, f := range families {
		for _, series := range f.GetMetric() {
			names := []string{f.GetName()}
			for _, l := range series.GetLabel() {
				names = append(names, l.GetValue())
			}
			name := strings.Join(names, "/")
			if f.GetType() == dto.MetricType_COUNTER {
				out[name] = series.GetCounter().GetValue()
			} else {
				out[name] = series.GetGauge().GetValue()
			}
		}
	}
	return out
}

func (m measured) check(t *testing.T, want map[string]float64) {
	t.Helper()
	got := m.counts(t)
	for name, n := range want {
		if value, there := got["atlhyper_redis_"+name]; !there || value != n {
			t.Errorf("%s is %v (there: %t), want %v", name, value, there, n)
		}
	}
}

// Calls that Redis answers count as no errors, whatever they find; those that it refuses,
// does not answer or cannot be reached for count by why.
func TestCallsAreCounted(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c := measure(t, conn.Config{URL: s.URL(), PoolSize: 3, BlockingConns: 2})
	script := conn.NewScript("return redis.call('GET', KEYS[1])")
	for range 2 { // the first by its text, the second by its digest
		if _, err := script.Run(t.Context(), c.Normal, []string{"k"}); err != nil && !errors.Is(err, redis.Nil) {
			t.Fatal(err)
		}
	}
	if err := c.Normal.Get(t.Context(), "nothing").Err(); !errors.Is(err, redis.Nil) {
		t.Fatal(err)
	}
	left, leave := context.WithCancel(t.Context())
	leave()
	if err := c.Ping(left); err == nil {
		t.Error("a call that nobody waits for works")
	}
	c.check(t, map[string]float64{
		"errors_total/network": 0, "errors_total/timeout": 0, "errors_total/refused": 0, "errors_total/pool": 0,
		"pool_connections/normal/used": 0, "pool_connections/normal/idle": 1, "pool_connections_max/normal": 3, "pool_connections_max/blocking": 2,
		"pool_connections/blocking/idle": 0, "pool_misses_total/normal": 1, "pool_timeouts_total/normal": 0,
	})
	before := c.counts(t)["atlhyper_redis_commands_total"]
	if err := c.Normal.LPush(t.Context(), "list", 1).Err(); err != nil {
		t.Fatal(err)
	}
	if err := c.Normal.Get(t.Context(), "list").Err(); err == nil {
		t.Error("a list is read as a string")
	}
	_, err := c.Normal.Pipelined(t.Context(), func(p redis.Pipeliner) error {
		p.Get(t.Context(), "nothing")
		p.Get(t.Context(), "list")
		return nil
	})
	if err == nil {
		t.Error("a list is read as a string in a pipeline")
	}
	c.check(t, map[string]float64{"commands_total": before + 3, "errors_total/refused": 2, "errors_total/network": 0, "errors_total/timeout": 0})

	short, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	if err := c.Ping(short); err == nil {
		t.Error("an answer within a nanosecond")
	}
	c.check(t, map[string]float64{"errors_total/timeout": 1})
	s.Stop()
	for range 3 {
		if err := c.Ping(t.Context()); err == nil {
			t.Error("a server that is away answers")
		}
	}
	got := c.counts(t)
	if n := got["atlhyper_redis_errors_total/network"]; n != 3 {
		t.Errorf("%v errors of the network, want 3: %v", n, got)
	}
}

// In Redis Cluster a redirected command is no error, and a server that is away is one.
func TestCallsAreCountedInACluster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t)
	m := measure(t, conn.Config{URL: c.URL()})
	if err := m.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.check(t, map[string]float64{"errors_total/network": 0, "errors_total/refused": 0, "pool_connections_max/normal": 8})
	left, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	if err := m.Ping(left); err == nil {
		t.Error("an answer within a nanosecond")
	}
	m.check(t, map[string]float64{"errors_total/timeout": 1, "errors_total/network": 0})
}

func TestMetricsAreRegisteredOnce(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	cfg := conn.Config{URL: "redis://127.0.0.1:1", Metrics: registry}
	conntest.Open(t, cfg)
	if _, err := conn.Open(cfg); err == nil {
		t.Error("two sets of connections share their metrics")
	}
}
