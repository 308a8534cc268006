package agent

import (
	"context"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/atlhyper/observe/redis/bus"
	"github.com/atlhyper/observe/redis/metric"
	"github.com/atlhyper/observe/shared/admin"
)

// Commands counts what became of commands since the agent started.
func (a *Agent) Commands() bus.ServerStats { return a.bus.Stats() }

// beside is what the agent listens on.
func (c Config) beside() admin.Beside {
	return admin.Beside{Admin: c.Admin, MetricsListen: c.MetricsListen, OnMetricsListen: c.OnMetricsListen, Logger: c.Logger}
}

// listen answers Prometheus, and who operates the agent, until the returned function is
// called: its last commands are still seen. It does nothing without an address.
func (c Config) listen(ctx context.Context, registry *prometheus.Registry) (end func() error, err error) {
	beside := c.beside()
	beside.Metrics = metric.Handler(registry)
	if end, err = beside.Start(ctx); err != nil {
		return nil, fmt.Errorf("agent: %w", err)
	}
	return end, nil
}
