package dashboard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/atlhyper/observe/master/compress"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/model"
)

// Reader is what Service needs of snapshot.Reader.
type Reader interface {
	snapshot.Source
	Section(context.Context, key.Cluster, model.Section) (snapshot.Section, error)
	Clusters(context.Context) ([]snapshot.ClusterInfo, error)
	Cluster(context.Context, key.Cluster) (snapshot.ClusterInfo, error)
	Listed(context.Context) (map[key.Cluster]time.Time, error)
	Judge(info snapshot.ClusterInfo, listed time.Time) (snapshot.ClusterInfo, bool)
}

// Defaults of Config.
const (
	DefaultReadTimeout = 3 * time.Second
	DefaultOverdueWait = time.Second
	DefaultCacheBytes  = 256 << 20
	DefaultIdle        = 10 * time.Minute
)

// Config is what a Service needs.
type Config struct {
	// Reader reads the snapshots. Required.
	Reader Reader
	// ReadTimeout bounds one read of Redis; 0 means 3 s.
	ReadTimeout time.Duration
	// OverdueWait is how long a request waits for the check of what is held and overdue,
	// before it is answered with that and a word that Redis does not answer; it is at most
	// ReadTimeout. 0 means 1 s.
	OverdueWait time.Duration
	// CheckInterval is between two checks of what is held, apart from those after an
	// event; 0 means 1 s. Answers older than 2 s are checked on demand.
	CheckInterval time.Duration
	// CacheBytes bounds the bodies that are held, in all encodings and with what was
	// derived from them: the least recently used ones go first. What the fleet shows of each cluster, some KB, stays. 0 means
	// 256 MiB.
	CacheBytes int64
	// Idle is how long a section is held that nobody asks for; 0 means 10 minutes.
	Idle time.Duration
	// Compressor makes the compressed forms of answers; nil makes one of its own.
	Compressor *compress.Compressor
	// Now is this process's clock, with its monotonic reading, as that of conn.Config.
	// nil means time.Now.
	Now func() time.Time
	// ListNow is the clock of the Redis server that holds the list of clusters. nil means
	// Now.
	ListNow func() time.Time
	// Metrics gets what the Service counts. nil means none.
	Metrics prometheus.Registerer
	// Logger is told when Redis ceases to answer. nil means none.
	Logger *slog.Logger
}

func (c Config) withDefaults() (Config, error) {
	if c.Reader == nil {
		return c, errors.New("Reader: is required")
	}
	for _, d := range []struct {
		name  string
		field *time.Duration
		value time.Duration
	}{
		{"ReadTimeout", &c.ReadTimeout, DefaultReadTimeout},
		{"OverdueWait", &c.OverdueWait, DefaultOverdueWait},
		{"CheckInterval", &c.CheckInterval, time.Second},
		{"Idle", &c.Idle, DefaultIdle},
	} {
		if *d.field < 0 {
			return c, fmt.Errorf("%s: %s is negative", d.name, *d.field)
		}
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if c.CacheBytes < 0 {
		return c, fmt.Errorf("CacheBytes: %d is negative", c.CacheBytes)
	}
	if c.CacheBytes == 0 {
		c.CacheBytes = DefaultCacheBytes
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.ListNow == nil {
		c.ListNow = c.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Compressor == nil {
		var err error
		if c.Compressor, err = compress.New(); err != nil {
			return c, err
		}
	}
	return c, nil
}
