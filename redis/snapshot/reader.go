package snapshot

import (
	"context"
	"errors"
	"log/slog"

	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/shared/model"
)

// ReaderConfig bounds what is read.
type ReaderConfig struct {
	// MaxSectionBytes bounds a section's plain msgpack. 0 means 64 MiB.
	MaxSectionBytes int
	// Logger is told of entries that cannot be read. nil means none.
	Logger *slog.Logger
}

// Reader reads the snapshots of all clusters.
type Reader struct{ cfg ReaderConfig }

// NewReader returns a Reader.
func NewReader(_ *conn.Clients, cfg ReaderConfig) *Reader { return &Reader{cfg: cfg} }

var errConstruction = errors.New("snapshot: under construction")

// Section reads one section.
func (r *Reader) Section(context.Context, key.Cluster, model.Section) (Section, error) {
	return Section{}, errConstruction
}

// Clusters lists every known cluster, by id.
func (r *Reader) Clusters(context.Context) ([]ClusterInfo, error) { return nil, errConstruction }

// Cluster reads one cluster.
func (r *Reader) Cluster(context.Context, key.Cluster) (ClusterInfo, error) {
	return ClusterInfo{}, errConstruction
}

// Gather keeps the list of clusters until ctx is done.
func (r *Reader) Gather(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}
