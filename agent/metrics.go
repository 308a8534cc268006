package agent

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/atlhyper/observe/redis/bus"
	"github.com/atlhyper/observe/redis/metric"
	"github.com/atlhyper/observe/shared/admin"
	"github.com/atlhyper/observe/shared/httpserver"
)

// Commands counts what became of commands since the agent started.
func (a *Agent) Commands() bus.ServerStats { return a.bus.Stats() }

// listen answers Prometheus, and who operates the agent, until the returned function is
// called: its last commands are still seen. It does nothing without an address.
func (c Config) listen(ctx context.Context, registry *prometheus.Registry) (end func() error, err error) {
	handler := metric.Handler(registry)
	operating, err := admin.Start(ctx, c.Admin, handler, c.Logger)
	if err != nil {
		return nil, fmt.Errorf("agent: %w", err)
	}
	if c.MetricsListen == "" {
		return operating.End, nil
	}
	metrics, err := httpserver.StartSide(ctx, httpserver.SideConfig{
		Name: "metrics", Address: c.MetricsListen, Handler: metric.OnPath(handler), Logger: c.Logger,
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("agent: %w", err), operating.End())
	}
	c.OnMetricsListen(metrics.Addr())
	return func() error { return httpserver.EndAll(metrics, operating) }, nil
}

func validateListen(name, address string) error {
	if _, _, err := net.SplitHostPort(address); address != "" && err != nil {
		return fmt.Errorf("%s: %q is no host:port", name, address)
	}
	return nil
}
