// Package inspect says for people what lies in Redis: clusters, their sections, agents
// and commands, as masters and agents read it. It changes nothing: of Redis's commands
// it calls only those that read, which are all that a user of acl.Inspect may call.
//
// Texts are as agents and masters wrote them, of bounded length: who shows them on a
// terminal makes them harmless.
package inspect

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/codec"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
)

// Config bounds what is read.
type Config struct {
	// MaxSectionBytes bounds the value of a section, as it is stored and as plain
	// msgpack. 0 means 64 MiB.
	MaxSectionBytes int
	// Logger is told of what cannot be read beside what is asked for. nil means none.
	Logger *slog.Logger
}

// Inspector reads. It is safe for concurrent use. Errors are *fault.Error where users
// may read them: cluster_unknown, not_ready, snapshot_expired, bad_request,
// store_unavailable.
type Inspector struct {
	clients *conn.Clients
	reader  *snapshot.Reader
	logger  *slog.Logger

	readLists, readAnswer *conn.Script
}

// New returns an Inspector.
func New(clients *conn.Clients, cfg Config) *Inspector {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Inspector{
		clients: clients, logger: cfg.Logger, readLists: conn.NewScript(listsLua), readAnswer: conn.NewScript(answerLua),
		reader: snapshot.NewReader(clients, snapshot.ReaderConfig{MaxSectionBytes: cfg.MaxSectionBytes, Logger: cfg.Logger}),
	}
}

// Snapshot says whether the sections of a cluster are there, and if not, why.
type Snapshot struct {
	State string `json:"state"` // live, none, expired, lost, unreadable or unreachable
	Seq   int64  `json:"seq"`   // of the last publish; 0 when there is none
	// PublishedAt is the last publish; "" when nothing tells of one.
	PublishedAt model.Time `json:"publishedAt"`
	ExpiredAt   model.Time `json:"expiredAt,omitempty"` // when expired
}

// Sections are all sections of a cluster that were ever tried.
type Sections struct {
	ClusterID string    `json:"clusterId"`
	Status    string    `json:"status"` // online, stale, offline
	Snapshot  Snapshot  `json:"snapshot"`
	Sections  []Section `json:"sections"` // by name
}

// Section is what is known about one section. Times are on Redis's clock.
type Section struct {
	Name            string     `json:"name"`
	At              model.Time `json:"at"`         // last collection that succeeded; "" for none
	AgeSeconds      float64    `json:"ageSeconds"` // since then
	IntervalSeconds float64    `json:"intervalSeconds"`
	WindowSeconds   int64      `json:"windowSeconds"` // of telemetry that it speaks of; 0 for none
	Seq             int64      `json:"seq"`           // publish that last changed the value
	Bytes           int64      `json:"bytes"`         // of the value as plain msgpack
	StoredBytes     int64      `json:"storedBytes"`   // of it in Redis; 0 when it is not there
	Codec           string     `json:"codec"`         // "" for plain msgpack, zstd
	TookMs          int64      `json:"tookMs"`        // of the last collection
	Statements      int64      `json:"statements"`    // that it sent to ClickHouse, and what they read
	RowsRead        int64      `json:"rowsRead"`
	BytesRead       int64      `json:"bytesRead"`
	Stale           bool       `json:"stale"`           // Error is set, or it is over 3 intervals old
	Error           string     `json:"error,omitempty"` // why the last collection failed
}

// Sections reads what is known about the sections of a cluster.
func (i *Inspector) Sections(ctx context.Context, c key.Cluster) (Sections, error) {
	info, err := i.reader.Cluster(ctx, c)
	if err != nil {
		return Sections{}, err
	}
	out := Sections{
		ClusterID: string(c), Status: string(info.Status), Snapshot: snapshotOf(&info),
		Sections: make([]Section, 0, len(info.Sections)),
	}
	names := slices.Sorted(maps.Keys(info.Sections))
	stored, err := i.stored(ctx, c, names)
	if err != nil {
		return Sections{}, err
	}
	for n, name := range names {
		s := sectionOf(name, info.Sections[name])
		s.StoredBytes = stored[n]
		out.Sections = append(out.Sections, s)
	}
	return out, nil
}

// stored are the lengths of values as they lie in Redis, 0 for one that does not.
func (i *Inspector) stored(ctx context.Context, c key.Cluster, names []model.Section) ([]int64, error) {
	lengths := make([]*redis.IntCmd, len(names))
	_, err := i.clients.Normal.Pipelined(ctx, func(p redis.Pipeliner) error {
		for n, name := range names {
			lengths[n] = p.HStrLen(ctx, c.Snapshot(), string(name))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the lengths of sections: %w", conn.Unavailable(err))
	}
	out := make([]int64, len(names))
	for n, length := range lengths {
		out[n] = length.Val()
	}
	return out, nil
}

// Value is one section with its value.
type Value struct {
	Section

	// JSON is the value, as the API's data.
	JSON []byte
}

// Section reads one section.
func (i *Inspector) Section(ctx context.Context, c key.Cluster, name model.Section) (Value, error) {
	s, err := i.reader.Section(ctx, c, name)
	if err != nil {
		return Value{}, err
	}
	text, err := codec.ToJSON(nil, s.Data)
	if err != nil {
		return Value{}, fault.Wrap(err, fault.StoreUnavailable, "section %s of cluster %s is not the msgpack that is expected", name, c)
	}
	stored, err := i.stored(ctx, c, []model.Section{name})
	if err != nil {
		return Value{}, err
	}
	v := Value{Section: sectionOf(name, s.Meta), JSON: text}
	v.StoredBytes = stored[0]
	return v, nil
}

func snapshotOf(info *snapshot.ClusterInfo) Snapshot {
	return Snapshot{
		State: string(info.State), Seq: info.Seq,
		PublishedAt: model.NewTime(info.LastPublishedAt), ExpiredAt: model.NewTime(info.ExpiredAt),
	}
}

func sectionOf(name model.Section, m snapshot.SectionMeta) Section {
	return Section{
		Name: string(name), At: model.NewTime(m.At), AgeSeconds: seconds(m.Age), IntervalSeconds: seconds(m.Interval),
		WindowSeconds: int64(m.Window / time.Second), Seq: m.Seq, Bytes: m.Bytes, Codec: m.Codec,
		TookMs: m.Took.Milliseconds(), Statements: m.Reads.Statements, RowsRead: m.Reads.Rows, BytesRead: m.Reads.Bytes,
		Stale: m.Stale, Error: m.Error,
	}
}

// seconds rounds to milliseconds: Redis's clock is not known better.
func seconds(d time.Duration) float64 {
	return float64(d.Round(time.Millisecond).Milliseconds()) / 1000
}
