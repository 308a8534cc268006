// Package dashboard answers from what lies in Redis: the sections of a cluster's
// snapshot as ready response bodies, and the list of clusters. It never waits
// for a cluster.
package dashboard

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/atlhyper/observe/master/compress"
	"github.com/atlhyper/observe/master/envelope"
	"github.com/atlhyper/observe/master/flight"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
)

// Reader is what Service needs of snapshot.Reader. A cache has the same shape.
type Reader interface {
	Section(context.Context, key.Cluster, model.Section) (snapshot.Section, error)
	Clusters(context.Context) ([]snapshot.ClusterInfo, error)
	Cluster(context.Context, key.Cluster) (snapshot.ClusterInfo, error)
}

// Config is what a Service needs.
type Config struct {
	// Reader reads the snapshots. Required.
	Reader Reader
	// ReadTimeout bounds one read of Redis; 0 means 3 s.
	ReadTimeout time.Duration
	// Compressor makes the compressed forms of answers; nil makes one of its own.
	Compressor *compress.Compressor
}

// DefaultReadTimeout is the ReadTimeout of a zero Config.
const DefaultReadTimeout = 3 * time.Second

// Service turns sections into answers. Concurrent readers of one section share
// one read and one transcoding.
type Service struct {
	reader     Reader
	timeout    time.Duration
	compressor *compress.Compressor
	flights    flight.Group[sectionKey, *Answer]
}

type sectionKey struct {
	cluster key.Cluster
	section model.Section
}

// New returns a Service.
func New(cfg Config) (*Service, error) {
	if cfg.Reader == nil {
		return nil, errors.New("dashboard: Reader: is required")
	}
	if cfg.ReadTimeout == 0 {
		cfg.ReadTimeout = DefaultReadTimeout
	}
	if cfg.ReadTimeout < 0 {
		return nil, fmt.Errorf("dashboard: ReadTimeout: %s is negative", cfg.ReadTimeout)
	}
	if cfg.Compressor == nil {
		var err error
		if cfg.Compressor, err = compress.New(); err != nil {
			return nil, fmt.Errorf("dashboard: %w", err)
		}
	}
	return &Service{reader: cfg.Reader, timeout: cfg.ReadTimeout, compressor: cfg.Compressor}, nil
}

// Section returns the answer for a section of a cluster. Errors are
// *fault.Error: cluster_unknown, not_ready, snapshot_expired, and store_unavailable,
// also when what lies in Redis cannot be read.
func (s *Service) Section(ctx context.Context, cluster key.Cluster, name model.Section) (*Answer, error) {
	answer, _, err := s.flights.Do(ctx, sectionKey{cluster, name}, func(ctx context.Context) (*Answer, error) {
		section, err := read(ctx, s.timeout, func(ctx context.Context) (snapshot.Section, error) {
			return s.reader.Section(ctx, cluster, name)
		})
		if err != nil {
			return nil, err
		}
		return s.build(cluster, name, section)
	})
	return answer, err
}

// read bounds one read of Redis in time. Our own bound running out means that
// Redis does not answer; the caller's context ending stays what it is.
func read[T any](ctx context.Context, timeout time.Duration, fn func(context.Context) (T, error)) (T, error) {
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	value, err := fn(bounded)
	if err != nil && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		return value, fault.Wrap(err, fault.StoreUnavailable, "Redis did not answer within %s", timeout)
	}
	return value, err
}

func (s *Service) build(cluster key.Cluster, name model.Section, section snapshot.Section) (*Answer, error) {
	meta := envelope.Meta{
		ClusterID:     string(cluster),
		CollectedAt:   model.NewTime(section.Meta.At),
		WindowSeconds: int64(section.Meta.Window / time.Second),
		Seq:           section.Meta.Seq,
		Stale:         section.Meta.Stale,
		Error:         reason(section),
		ClusterStatus: string(section.Status),
	}
	body, err := envelope.FromMsgpack(section.Data, meta)
	if err != nil {
		return nil, fault.Wrap(err, fault.StoreUnavailable, "section %s of cluster %s cannot be read", name, cluster)
	}
	tag, err := etag(section, meta)
	if err != nil {
		return nil, err
	}
	content := Content{Body: body, ETag: tag, Meta: meta, CollectedAt: section.Meta.At, Window: section.Meta.Window}
	return NewAnswer(content, s.compressor), nil
}

// reason says why a section is stale. It holds no age, so that a stale answer
// keeps its ETag; the Age header tells how old it is.
func reason(section snapshot.Section) string {
	meta := section.Meta
	switch {
	case !meta.Stale:
		return ""
	case meta.Error != "":
		return envelope.Clip(meta.Error)
	case meta.Age == 0:
		return "the last collection is from the future: Redis's clock was set back"
	case section.Status == snapshot.Offline:
		return "no agent of the cluster is online; the last collection is over 3 intervals old"
	default:
		return "the last collection is over 3 intervals old"
	}
}

// etag is made of the publish and of a digest over all that the body is made of:
// the data, by its hash, and the meta.
func etag(section snapshot.Section, meta envelope.Meta) (string, error) {
	text, err := json.Marshal(meta)
	if err != nil {
		return "", fmt.Errorf("etag: %w", err)
	}
	h := sha256.New()
	if section.Meta.Hash != "" {
		h.Write([]byte(section.Meta.Hash))
	} else {
		h.Write(section.Data)
	}
	h.Write(text)
	return fmt.Sprintf("%d-%s", meta.Seq, hex.EncodeToString(h.Sum(nil)[:8])), nil
}
