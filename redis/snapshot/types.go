// Package snapshot is what a cluster looks like in Redis: the sections that its
// agent publishes, what is known about them, and the agents' beats. Writer is
// the agent's end, Reader the masters'.
package snapshot

import (
	"time"

	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/shared/model"
)

// Section is one section as a master reads it.
type Section struct {
	// Data is plain msgpack.
	Data []byte
	Meta SectionMeta
	// Status is the cluster's.
	Status Status
}

// Reads is what the collection of a section cost the database that it was read
// from. What several sections are made of counts for each of them.
type Reads struct {
	// Statements that were sent.
	Statements int64
	// Rows that were read from tables.
	Rows int64
	// Bytes of them, uncompressed.
	Bytes int64
}

// SectionMeta is what is known about a section. Times are on Redis's clock.
type SectionMeta struct {
	// Seq is the publish that last changed the value.
	Seq int64
	// At is the last collection that succeeded; zero when none ever did.
	At time.Time
	// PublishedAt is the last publish of the whole snapshot.
	PublishedAt time.Time
	// Age is how long ago At is; 0 when it is in the future.
	Age time.Duration
	// Interval is between collections.
	Interval time.Duration
	// Window is the length of the telemetry that the value speaks of; 0 for none.
	Window time.Duration
	// Took is how long the last collection took.
	Took time.Duration
	// Reads is what the last collection read.
	Reads Reads
	// Error says why the last collection failed; "" when it did not.
	Error string
	// Stale is true when Error is set or At is over 3 intervals away.
	Stale bool
	// Bytes is the length of the value as plain msgpack.
	Bytes int64
	// Codec is how the value lies in Redis: "" as plain msgpack, "zstd" compressed.
	Codec string
	// Hash identifies the value: equal hashes, equal bytes.
	Hash string
}

// collected tells whether there is, or was, a value.
func (s SectionMeta) collected() bool { return !s.At.IsZero() || s.Hash != "" }

// Status says how a cluster is doing.
type Status string

// The states of a cluster.
const (
	// Online: an agent takes commands, and the snapshot is published.
	Online Status = "online"
	// Stale: an agent takes commands, but nothing was published for 3 intervals.
	Stale Status = "stale"
	// Offline: no agent takes commands: none is live, or the last one is leaving.
	Offline Status = "offline"
	// Unknown: the server of Redis Cluster that holds the cluster's keys cannot be
	// reached, so that nobody can tell.
	Unknown Status = "unknown"
)

// ClusterInfo is what is known about a cluster without its sections' values.
type ClusterInfo struct {
	ID     key.Cluster
	Status Status
	// LastSeen is the newest beat or publish.
	LastSeen time.Time
	// State says whether the snapshot is there, and why not.
	State State
	// PublishedAt is the last publish; zero when there is no snapshot.
	PublishedAt time.Time
	// LastPublishedAt is the last publish that anything tells of, also when the
	// snapshot is gone; zero when nothing does.
	LastPublishedAt time.Time
	// ExpiredAt is when the snapshot's time ran out; zero unless State is
	// SnapshotExpired.
	ExpiredAt time.Time
	// Seq of the last publish.
	Seq int64
	// Publisher is the instance that published last, or "" when it left; not in a View, nor
	// of Health.
	Publisher string
	// Agents, by instance; those whose beat is too old have Live false.
	Agents []AgentInfo
	// Sections by name; empty when there is no snapshot.
	Sections map[model.Section]SectionMeta
	// Queue is how many commands no agent has taken yet, -1 when Redis holds something
	// else there; only Health asks.
	Queue int64

	interval   time.Duration // between publishes
	unreadable bool          // what meta says, or the snapshot
	lost       bool          // the snapshot, and meta is left
	// heardAt is the last publish that this process heard of, and heardTTL how long it is
	// lost, and not expired, when it is not there.
	heardAt  time.Time
	heardTTL time.Duration
}

// AgentInfo is an agent's last beat.
type AgentInfo struct {
	Instance  string
	Version   string
	LastSeen  time.Time
	StartedAt time.Time
	// Live is true when the beat is younger than key.BeatExpiry.
	Live bool
	// Leaving is true when it takes no more commands.
	Leaving bool
	// Slots is how many commands it runs at a time, Busy how many it does.
	Slots, Busy int

	publishedAt time.Time     // its last publish
	interval    time.Duration // between its publishes
}
