package master

import (
	"context"
	"fmt"
	"net/http"

	"github.com/atlhyper/observe/redis/metric"
	"github.com/atlhyper/observe/shared/admin"
)

// besideAPI is the handler of /metrics on the API's listener; nil where it has one of
// its own.
func (m *Master) besideAPI() http.Handler {
	if m.cfg.MetricsListen != "" {
		return nil
	}
	return metric.Handler(m.metrics)
}

// beside is what the replica listens on beside the API.
func (c Config) beside() admin.Beside {
	return admin.Beside{Admin: c.Admin, MetricsListen: c.MetricsListen, OnMetricsListen: c.OnMetricsListen, Logger: c.Logger}
}

// listenBeside answers Prometheus, and who operates the replica, on listeners of their
// own until the returned function is called: its last requests are still seen. It does
// nothing without an address.
func (m *Master) listenBeside(ctx context.Context) (end func() error, err error) {
	beside := m.cfg.beside()
	beside.Metrics = metric.Handler(m.metrics)
	if end, err = beside.Start(ctx); err != nil {
		return nil, fmt.Errorf("master: %w", err)
	}
	return end, nil
}
