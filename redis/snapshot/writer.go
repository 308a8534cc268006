package snapshot

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/shared/model"
)

// WriterConfig says who publishes and how.
type WriterConfig struct {
	// Cluster whose snapshot it is. Required.
	Cluster key.Cluster
	// Instance names this agent among the cluster's. Required.
	Instance string
	// Version is this agent's build; it stands in meta.
	Version string
	// Interval is between publishes; the snapshot lives key.SnapshotIntervals of
	// it. 0 means 10 s.
	Interval time.Duration
	// CompressAbove is the length in bytes over which a section is compressed
	// with zstd. 0 means 256 KiB; negative never compresses.
	CompressAbove int
	// Metrics gets what the Writer counts. nil means none.
	Metrics prometheus.Registerer
	// Logger is told when Redis lost the snapshot. nil means none.
	Logger *slog.Logger
}

// defaultInterval is between publishes of agents that are not told otherwise.
const defaultInterval = 10 * time.Second

// maxError is the longest error in meta, in bytes.
const maxError = 512

// Update is the outcome of one collection of one section.
type Update struct {
	// Name of the section.
	Name model.Section
	// Data is the msgpack of the value. nil after a failure: the last good value
	// stays, and its time too.
	Data []byte
	// At is when the value was collected: a time.Now() of this process, which the
	// Writer turns into Redis's clock when it publishes.
	At time.Time
	// Err says why the collection failed, without secrets; "" when it did not.
	// Longer than 512 bytes is cut.
	Err string
	// Took is how long the collection took.
	Took time.Duration
	// Reads is what the collection read; zero for one that reads no database.
	Reads Reads
	// Window is the length of the telemetry that the value speaks of; 0 for none.
	Window time.Duration
	// Interval is between collections of this section. 0 means the Writer's.
	Interval time.Duration
	// CompressAbove is the length in bytes over which this section is compressed with
	// zstd. 0 means the Writer's; negative never compresses. It is heeded when the value
	// is another one than before.
	CompressAbove int
}

// Published is what a publish did.
type Published struct {
	// Seq is the snapshot's sequence number; it grows with every publish.
	Seq int64
	// Written are the sections whose value was sent, by name.
	Written []model.Section
	// Bytes is the length of what was sent of them.
	Bytes int
	// Standby is true when nothing was written because another agent of the cluster
	// publishes. It takes over when that one has been silent for
	// key.LeaseIntervals, or at once when it left, yields, or its beat has run out.
	Standby bool
}

// Writer publishes the sections of one cluster. It keeps the newest value of each,
// so that it can send all of them again when Redis lost them. It is safe for
// concurrent use; publishes happen one after the other.
type Writer struct {
	clients *conn.Clients
	cfg     WriterConfig
	publish *conn.Script
	beat    *conn.Script
	leave   *conn.Script
	yield   *conn.Script
	zstd    compressor
	stats   writerStats

	// published is the last publish in ms on Redis's clock; 0 for none. Beats tell of it
	// and must not wait for a publish that hangs.
	published atomic.Int64
	// beaten is the digest of the last beat that was sent in full.
	beaten atomic.Pointer[string]

	mu       sync.Mutex
	sections map[model.Section]*section
	seq      int64 // of the last publish
	left     *left // by the last publish; nil when nobody knows what Redis holds
	standby  bool
}

// NewWriter checks the configuration.
func NewWriter(clients *conn.Clients, cfg WriterConfig) (*Writer, error) {
	if err := key.ValidateCluster(string(cfg.Cluster)); err != nil {
		return nil, err
	}
	if err := key.ValidateInstance(cfg.Instance); err != nil {
		return nil, err
	}
	if cfg.Interval == 0 {
		cfg.Interval = defaultInterval
	}
	if cfg.Interval < 10*time.Millisecond {
		return nil, fmt.Errorf("snapshot: interval %s is less than 10ms", cfg.Interval)
	}
	if cfg.CompressAbove == 0 {
		cfg.CompressAbove = 256 << 10
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	w := &Writer{
		clients: clients, cfg: cfg, sections: make(map[model.Section]*section),
		publish: publishScript(cfg.Interval), beat: beatScript(), leave: conn.NewScript(leaveLua), yield: conn.NewScript(yieldLua),
	}
	return w, w.register()
}
