package snapshot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
)

// ReaderConfig bounds what is read.
type ReaderConfig struct {
	// MaxSectionBytes bounds a section's plain msgpack. 0 means 64 MiB.
	MaxSectionBytes int
	// GatherInterval is between the looks of Gather at all agents. 0 means 10 s.
	GatherInterval time.Duration
	// Logger is told of what cannot be read. nil means none.
	Logger *slog.Logger
}

// Reader reads the snapshots of all clusters. It keeps nothing: every call asks
// Redis. It is safe for concurrent use.
type Reader struct {
	clients *conn.Clients
	cfg     ReaderConfig
	unpack  *unpacker
}

// NewReader returns a Reader.
func NewReader(clients *conn.Clients, cfg ReaderConfig) *Reader {
	if cfg.MaxSectionBytes == 0 {
		cfg.MaxSectionBytes = 64 << 20
	}
	if cfg.GatherInterval == 0 {
		cfg.GatherInterval = 10 * time.Second
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Reader{clients: clients, cfg: cfg, unpack: &unpacker{max: cfg.MaxSectionBytes}}
}

// Section reads one section and what is known about it and its cluster, in one
// round trip; when
// it is not there, a second one finds out why. Errors are *fault.Error:
//
//	cluster_unknown    no such cluster was ever seen
//	not_ready          its agent has not collected this section yet
//	snapshot_expired   it was there; the message says since when it is not
//	store_unavailable  Redis cannot be reached, or holds what this build cannot read
func (r *Reader) Section(ctx context.Context, c key.Cluster, name model.Section) (Section, error) {
	if err := validate(c, name); err != nil {
		return Section{}, err
	}
	section, err := r.section(ctx, c, name)
	for range 2 {
		if errors.Is(err, errAppeared) || errors.Is(err, errTorn) {
			section, err = r.section(ctx, c, name)
		}
	}
	if errors.Is(err, errAppeared) {
		// It came and went twice. What it says now may be otherwise in a moment.
		err = (&ClusterInfo{ID: c, State: SnapshotNone}).missing()
	}
	if errors.Is(err, errTorn) {
		err = unreadable(err, "the snapshot of cluster %s changes faster than it can be read", c)
	}
	return section, err
}

// errAppeared says that a first snapshot was published between two reads, so that
// what they found together never was.
var errAppeared = errors.New("snapshot: a first snapshot was published between two reads")

// errTorn says that a publish came between the parts of one read.
var errTorn = errors.New("snapshot: a publish came between the parts of one read")

// section is one try of Section; it may fail with errAppeared or errTorn besides.
func (r *Reader) section(ctx context.Context, c key.Cluster, name model.Section) (Section, error) {
	var before *redis.StringCmd
	var data *redis.StringCmd
	var meta *redis.SliceCmd
	var beats *redis.StringSliceCmd
	fields := sectionFields(name)
	// Not a transaction: a Redis that has run out of memory refuses whatever is
	// queued in one, reads too. A publish is one step, so that between two equal seqs there
	// was none.
	_, err := r.clients.Normal.Pipelined(ctx, func(p redis.Pipeliner) error {
		before = p.HGet(ctx, c.Meta(), key.MetaSeq)
		data = p.HGet(ctx, c.Snapshot(), string(name))
		meta = p.HMGet(ctx, c.Meta(), fields...)
		beats = p.HVals(ctx, c.Agents())
		return nil
	})
	if err := errors.Join(batchError(err), conn.Unavailable(meta.Err()), batchError(beats.Err())); err != nil {
		return Section{}, fmt.Errorf("read section: %w", err)
	}
	m := metaOf(fields, meta.Val())
	if m[key.MetaSeq] != before.Val() {
		return Section{}, errTorn
	}
	parsed, err := r.parseSection(m, name, r.clients.Clock(c).Now())
	if err != nil {
		return Section{}, err
	}
	if errors.Is(data.Err(), redis.Nil) {
		return Section{}, r.whyMissing(ctx, c, name, m, parsed)
	}
	if err := conn.Unavailable(data.Err()); err != nil {
		return Section{}, fmt.Errorf("read section: %w", err)
	}
	if m[key.MetaSchema] == "" {
		return Section{}, unreadable(nil, "the snapshot of cluster %s has no meta", c)
	}
	plain, err := r.unpack.unpack([]byte(data.Val()), m[key.Field(name, key.FieldCodec)])
	if err != nil {
		return Section{}, unreadable(err, "section %s of cluster %s cannot be unpacked", name, c)
	}
	parsed.Bytes = int64(len(plain))
	interval, err := m.integer(key.MetaInterval)
	if err != nil {
		return Section{}, err
	}
	now := r.clients.Clock(c).Now()
	return Section{
		Data: plain, Meta: parsed,
		Status: statusOf(takesCommands(beats.Val(), now), parsed.PublishedAt, millis(interval), now),
	}, nil
}

func validate(c key.Cluster, name model.Section) error {
	if err := key.ValidateCluster(string(c)); err != nil {
		return fault.New(fault.BadRequest, "%s", err)
	}
	if err := validateSection(name); err != nil {
		return fault.New(fault.BadRequest, "%s", err)
	}
	return nil
}

// unreadable is about what lies in Redis and this build cannot use.
func unreadable(cause error, format string, args ...any) error {
	return fault.Wrap(cause, fault.StoreUnavailable, format, args...)
}

// whyMissing tells apart why there is no value.
func (r *Reader) whyMissing(ctx context.Context, c key.Cluster, name model.Section, m metaMap, parsed SectionMeta) error {
	if parsed.Error != "" {
		return fault.New(fault.NotReady, "section %s of cluster %s was never collected: %s", name, c, parsed.Error)
	}
	if m[key.MetaSchema] != "" {
		return fault.New(fault.NotReady, "section %s of cluster %s has not been collected yet", name, c)
	}
	info, err := r.Cluster(ctx, c)
	if err != nil {
		return err
	}
	if !info.PublishedAt.IsZero() {
		return errAppeared
	}
	return info.missing()
}
