package master

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/atlhyper/observe/redis/metric"
	"github.com/atlhyper/observe/shared/admin"
	"github.com/atlhyper/observe/shared/httpserver"
)

// besideAPI is the handler of /metrics on the API's listener; nil where it has one of
// its own.
func (m *Master) besideAPI() http.Handler {
	if m.cfg.MetricsListen != "" {
		return nil
	}
	return metric.Handler(m.metrics)
}

// listenBeside answers Prometheus, and who operates the replica, on listeners of their
// own until the returned function is called: its last requests are still seen. It does
// nothing without an address.
func (m *Master) listenBeside(ctx context.Context) (end func() error, err error) {
	handler := metric.Handler(m.metrics)
	operating, err := admin.Start(ctx, m.cfg.Admin, handler, m.cfg.Logger)
	if err != nil {
		return nil, fmt.Errorf("master: %w", err)
	}
	if m.cfg.MetricsListen == "" {
		return operating.End, nil
	}
	metrics, err := httpserver.StartSide(ctx, httpserver.SideConfig{
		Name: "metrics", Address: m.cfg.MetricsListen, Handler: metric.OnPath(handler), Logger: m.cfg.Logger,
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("master: %w", err), operating.End())
	}
	m.cfg.OnMetricsListen(metrics.Addr())
	return func() error { return httpserver.EndAll(metrics, operating) }, nil
}
