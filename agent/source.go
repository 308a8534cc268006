package agent

import (
	"context"

	"github.com/atlhyper/observe/agent/clickhouse"
	"github.com/atlhyper/observe/agent/collect"
	"github.com/atlhyper/observe/agent/worker"
)

// Source is where the telemetry of a cluster is: its ClickHouse, or what stands in
// for it where agents are simulated.
type Source interface {
	// Collector returns what hands sections to p each cfg.Interval.
	Collector(cfg Config, p collect.Publisher) (Collector, error)
	// Handlers adds the detail requests that the source answers.
	Handlers(r *worker.Registry)
	// Close is called once, when nothing of the source is used any more.
	Close() error
}

// Collector collects and publishes until ctx is done, and again when Run is called
// again; *collect.Collector is one.
type Collector interface {
	Run(ctx context.Context) error
}

// open returns Config.Source, or the ClickHouse that Config speaks of.
func (c Config) open() (Source, error) {
	if c.Source != nil {
		return c.Source, nil
	}
	store, err := clickhouse.Open(c.ClickHouse)
	if err != nil {
		return nil, err
	}
	return Telemetry(store), nil
}

// Telemetry is the Source that the store's ClickHouse is.
func Telemetry(store *clickhouse.Store) Source { return telemetry{store} }

type telemetry struct{ *clickhouse.Store }

// Collector implements Source.
func (t telemetry) Collector(cfg Config, p collect.Publisher) (Collector, error) {
	return collect.New(collect.Config[*clickhouse.Round]{
		Sections: sections(t.Windows()), Begin: t.Round, Reads: reads, Publisher: p,
		Interval: cfg.Interval, Timeout: cfg.SectionTimeout, Clock: t.Now, Metrics: cfg.metrics, Logger: cfg.Logger,
		TracerProvider: cfg.TracerProvider, Cluster: cfg.ClusterID,
	})
}

// Handlers implements Source.
func (t telemetry) Handlers(r *worker.Registry) { handlers(r, t.Store) }
