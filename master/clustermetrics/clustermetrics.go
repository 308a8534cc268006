// Package clustermetrics tells Prometheus how each cluster does: a few series for each of
// a bounded number of them, read from Redis when they are asked for.
package clustermetrics

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/metric"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/model"
)

// Defaults of Config.
const (
	DefaultMaxClusters = 1000
	DefaultInterval    = 5 * time.Second
	DefaultTimeout     = 4 * time.Second
)

// Health reads the first most clusters by id, and says how many there are besides;
// snapshot.Reader.Health is one.
type Health func(ctx context.Context, most int) (infos []snapshot.ClusterInfo, left int, err error)

// Config is what a Collector needs.
type Config struct {
	// Health asks Redis. Required.
	Health Health
	// Sections may be a label; agents may publish others, which have no series.
	Sections []model.Section
	// MaxClusters bounds the clusters that have series. 0 means 1,000.
	MaxClusters int
	// Interval is the least time between two looks: scrapes in between show the last one.
	// 0 means 5 s.
	Interval time.Duration
	// Timeout bounds a look, all that it asks in sum: less than a scrape may take, for
	// which some allow 5 s. 0 means 4 s.
	Timeout time.Duration
	// Metrics gets the series. nil means that nobody asks.
	Metrics prometheus.Registerer
	// Logger is told when Redis cannot be asked. Required.
	Logger *slog.Logger
}

// Collector shows the clusters. It implements prometheus.Collector.
type Collector struct {
	cfg    Config
	known  map[model.Section]bool
	descs  descs
	outage conn.Outage

	mu       sync.Mutex // held during a look: other scrapes wait for it
	failures float64
	last     look
}

// look is what Redis said, or why it did not.
type look struct {
	at    time.Time // when it ended; zero for none yet
	infos []snapshot.ClusterInfo
	left  int
	away  bool // infos are of an earlier one
}

// Register adds a Collector to cfg.Metrics.
func Register(cfg Config) error {
	if cfg.Health == nil || cfg.Logger == nil {
		return errors.New("clustermetrics: Health and Logger are required")
	}
	if cfg.MaxClusters < 0 || cfg.Interval < 0 || cfg.Timeout < 0 {
		return errors.New("clustermetrics: MaxClusters, Interval and Timeout must not be negative")
	}
	if cfg.MaxClusters == 0 {
		cfg.MaxClusters = DefaultMaxClusters
	}
	if cfg.Interval == 0 {
		cfg.Interval = DefaultInterval
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = DefaultTimeout
	}
	c := &Collector{
		cfg: cfg, known: make(map[model.Section]bool, len(cfg.Sections)), descs: newDescs(),
		outage: conn.Outage{Logger: cfg.Logger, What: "asking how the clusters do, for Prometheus"},
	}
	for _, name := range cfg.Sections {
		c.known[name] = true
	}
	if err := metric.Register(cfg.Metrics, nil, c); err != nil {
		return fmt.Errorf("clustermetrics: %w", err)
	}
	return nil
}

// look asks Redis, unless it was asked a moment ago, and says what holds now. One that
// fails leaves what was known of which clusters there are.
func (c *Collector) look() (look, float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.last.at.IsZero() && time.Since(c.last.at) < c.cfg.Interval {
		return c.last, c.failures
	}
	// A scrape has no context; this bounds it.
	scrape := context.Background()
	ctx, cancel := context.WithTimeout(scrape, c.cfg.Timeout)
	defer cancel()
	infos, left, err := c.cfg.Health(ctx, c.cfg.MaxClusters)
	c.outage.Note(scrape, err) // a look that took too long is a failure, too
	if err != nil {
		c.failures++
		c.last.away = true
	} else {
		c.last.infos, c.last.left, c.last.away = infos, left, false
	}
	c.last.at = time.Now()
	return c.last, c.failures
}
