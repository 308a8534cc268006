package agent

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/atlhyper/observe/redis/bus"
	"github.com/atlhyper/observe/shared/httpserver"
)

// Commands counts what became of commands since the agent started.
func (a *Agent) Commands() bus.ServerStats { return a.bus.Stats() }

// Bounds of a connection to /metrics.
const (
	metricsTimeout = 10 * time.Second
	metricsHeader  = 8 << 10
)

// serveMetrics answers Prometheus until the returned function is called: the agent's
// last commands are still seen. It does nothing without an address to listen on.
func (a *Agent) serveMetrics(ctx context.Context) (end func() error, err error) {
	if a.cfg.MetricsListen == "" {
		return func() error { return nil }, nil
	}
	var listen net.ListenConfig
	listener, err := listen.Listen(ctx, "tcp", a.cfg.MetricsListen)
	if err != nil {
		return nil, fmt.Errorf("agent: metrics: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.metrics, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	server := &http.Server{
		Handler: mux, ReadTimeout: metricsTimeout, WriteTimeout: metricsTimeout, MaxHeaderBytes: metricsHeader,
		ErrorLog: slog.NewLogLogger(a.cfg.Logger.Handler(), slog.LevelDebug),
	}
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- httpserver.Run(serving, server, listener, metricsTimeout) }()
	a.cfg.OnMetricsListen(listener.Addr())
	return func() error {
		stop()
		return <-ended
	}, nil
}
