package snapshot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
)

// ReaderConfig bounds what is read.
type ReaderConfig struct {
	// MaxSectionBytes bounds a section, as it is stored and as plain msgpack. 0 means
	// 64 MiB.
	MaxSectionBytes int
	// GatherInterval is between the looks of Gather at all agents. 0 means 10 s.
	GatherInterval time.Duration
	// Logger is told of what cannot be read. nil means none.
	Logger *slog.Logger
}

// Reader reads the snapshots of all clusters. Every call asks Redis; all that it
// keeps, while Gather runs, is which clusters there are, should Redis lose that. It is
// safe for concurrent use.
type Reader struct {
	clients    *conn.Clients
	cfg        ReaderConfig
	unpack     *unpacker
	readOne    *conn.Script
	refreshAll *conn.Script
	readHashes *conn.Script
	healthOf   *conn.Script
	keepList   *conn.Script
	memory     memory
	public     *lru.Cache[string, string] // what is shown of an error, by its text
}

// maxPublic is how many errors a Reader remembers, each of maxError bytes at most.
const maxPublic = 1000

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
	public, err := lru.New[string, string](maxPublic)
	if err != nil { // for a size that is not positive
		panic(err)
	}
	return &Reader{
		public: public, clients: clients, cfg: cfg, unpack: &unpacker{max: cfg.MaxSectionBytes},
		readOne: conn.NewScript(sectionLua), refreshAll: refreshScript(cfg.MaxSectionBytes),
		readHashes: conn.NewScript(hashesLua), healthOf: conn.NewScript(healthLua), keepList: conn.NewScript(keepLua),
	}
}

// Section reads one section and what is known about it and its cluster, in one
// round trip; when it is not there, more find out why. Errors are *fault.Error:
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
	if errors.Is(err, errAppeared) {
		section, err = r.section(ctx, c, name)
	}
	if errors.Is(err, errAppeared) {
		// It came and went twice. What it says now may be otherwise in a moment.
		err = (&ClusterInfo{ID: c, State: SnapshotNone}).missing()
	}
	return section, err
}

// errAppeared says that a first snapshot was published between two reads, so that
// what they found together never was.
var errAppeared = errors.New("snapshot: a first snapshot was published between two reads")

// section is one try of Section; it may fail with errAppeared besides.
func (r *Reader) section(ctx context.Context, c key.Cluster, name model.Section) (Section, error) {
	got, err := r.readSection(ctx, c, name)
	if err != nil {
		return Section{}, err
	}
	m := got.meta
	parsed, err := r.parseSection(m, name, r.clients.Clock(c).Now())
	if err != nil {
		return Section{}, err
	}
	if got.bytes > int64(r.cfg.MaxSectionBytes) {
		return Section{}, unreadable(nil, "section %s of cluster %s is too large to be read: %d bytes are more than %d",
			name, c, got.bytes, r.cfg.MaxSectionBytes)
	}
	if !got.there {
		return Section{}, r.whyMissing(ctx, c, name, m, parsed)
	}
	if m[key.MetaSchema] == "" {
		return Section{}, unreadable(nil, "the snapshot of cluster %s has no meta", c)
	}
	plain, err := r.unpack.unpack([]byte(got.data), m[key.Field(name, key.FieldCodec)])
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
		Status: statusOf(takesCommands(got.beats, now), parsed.PublishedAt, millis(interval), now),
	}, nil
}

// sectionAnswer is the result of sectionLua.
type sectionAnswer struct {
	bytes int64  // of the value
	data  string // the value, when it is there
	there bool
	meta  metaMap
	beats map[string]string
}

// readSection asks Redis. One script, so that no publish comes in between; it is
// no transaction, which a Redis that has run out of memory refuses.
func (r *Reader) readSection(ctx context.Context, c key.Cluster, name model.Section) (sectionAnswer, error) {
	fields := sectionFields(name)
	args := []any{string(name), r.cfg.MaxSectionBytes, maxHashFields, maxHashBytes}
	for _, f := range fields {
		args = append(args, f)
	}
	result, err := r.readOne.Run(ctx, r.clients.Normal, []string{c.Snapshot(), c.Meta(), c.Agents()}, args...)
	if err != nil {
		return sectionAnswer{}, fmt.Errorf("read section: %w", err)
	}
	n, err := conn.Ints(result, 1)
	list, _ := result.([]any)
	if err != nil || len(list) != 4 {
		return sectionAnswer{}, unreadable(err, "Redis answered with %d elements instead of a section", len(list))
	}
	got := sectionAnswer{bytes: n[0]}
	got.data, got.there = list[1].(string)
	values, ok := list[2].([]any)
	if !ok {
		return sectionAnswer{}, unreadable(refusal(list[2]), "the snapshot's meta of cluster %s is too large to be read", c)
	}
	got.meta = metaOf(fields, values)
	// Agents that cannot be read hide the status, not the section; who lists the
	// clusters reports them.
	if got.beats, err = entriesOf(list[3]); err != nil && !errors.Is(err, errUnbounded) {
		return sectionAnswer{}, fmt.Errorf("read section: %w", err)
	}
	return got, nil
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
	if m[key.MetaSchema] != "" || parsed.Error != "" {
		return notThere(c, name, parsed)
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

// notThere says why a snapshot has no value of a section.
func notThere(c key.Cluster, name model.Section, meta SectionMeta) error {
	switch {
	case meta.collected():
		// Evicted: meta outlives the values, which are larger.
		return fault.New(fault.NotReady, "Redis lost section %s of cluster %s; the next publish of its agent brings it back", name, c)
	case meta.Error != "":
		return fault.New(fault.NotReady, "section %s of cluster %s was never collected: %s", name, c, meta.Error)
	default:
		return fault.New(fault.NotReady, "section %s of cluster %s has not been collected yet", name, c)
	}
}
