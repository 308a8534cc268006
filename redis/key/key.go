// Package key spells every Redis key, hash field, channel and TTL; nobody else
// does. The cluster id stands in braces, the hash tag, so that all keys of a
// cluster share a slot of Redis Cluster and one ACL pattern covers them.
//
//	key or channel                     type    written by  read by         lifetime
//	atlhyper:{C}:snapshot              hash    agent       masters, people SnapshotTTL
//	atlhyper:{C}:meta                  hash    agent       masters, people SnapshotTTL
//	atlhyper:{C}:agents                hash    agent       masters, agents AgentsTTL
//	atlhyper:{C}:commands              list    masters     agents          longest deadline in it + Grace
//	atlhyper:{C}:claimed:<instance>    list    agent       agents          ClaimedTTL; of one that left a string
//	atlhyper:{C}:reply:<id>            list    agent       asking master   deadline + Grace
//	atlhyper:{C}:answered:<id>         string  agent       agents          as the reply
//	atlhyper:{C}:result:<hash>         string  agent       masters         ResultTTL of the kind
//	atlhyper:clusters                  zset    masters     masters         pruned after ClustersAge
//	atlhyper:{C}:events                channel agent       masters         -
//	atlhyper:{C}:replies:<replica>     channel agent       asking master   -
//	atlhyper:{C}:cancels               channel masters     agents          -
//
// An announcement on replies:<replica> is the id of a command, or that, a space and the
// reply.
package key

import (
	"fmt"
	"strings"
	"time"

	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/model"
)

// Namespace starts every key.
const Namespace = "atlhyper:"

// Clusters is the sorted set of cluster ids by last seen, Redis clock in ms; below
// zero for one that is to be forgotten, since then.
const Clusters = Namespace + "clusters"

// EventsPattern matches the events channel of every cluster (braces are literal
// in Redis patterns).
const EventsPattern = Namespace + "{*}:events"

// RepliesPattern matches the channel of one replica in every cluster: one
// subscription serves all.
func RepliesPattern(replica string) string { return Namespace + "{*}:replies:" + replica }

// AgentsPattern matches the agents key of every cluster, for SCAN.
const AgentsPattern = Namespace + "{*}:agents"

// Lifetimes.
const (
	// SnapshotIntervals is how many publish intervals a snapshot outlives its
	// agent: 6 of 10 s by default.
	SnapshotIntervals = 6
	// LeaseIntervals is how many publish intervals an agent of a cluster that does
	// not publish waits for the one that does: less than it takes to look stale.
	LeaseIntervals = 2
	// BeatInterval is how often an agent says that it lives.
	BeatInterval = time.Second
	// BeatTimeout bounds the writing of one beat: the next one, on a connection of
	// its own, still comes before BeatExpiry.
	BeatTimeout = 2 * time.Second
	// BeatExpiry is the age at which an agent's beat no longer counts: it is
	// offline and what it claimed may be taken back. It is four beats, so that a
	// pause of one or two makes nobody offline, and less than half of the default
	// deadline of a command, so that another agent has the time to answer it.
	BeatExpiry = 4 * time.Second
	// AgentsTTL outlives the last beat so that "offline" can be told from "never seen".
	AgentsTTL = 10 * time.Minute
	// ClaimedTTL is renewed with every claim.
	ClaimedTTL = 10 * time.Minute
	// Grace is added to a deadline for keys that must outlive it a little.
	Grace = 5 * time.Second
	// ClustersAge is when a silent cluster is forgotten.
	ClustersAge = 7 * 24 * time.Hour
)

// SeenBetween bounds the scores of Clusters that say anything: ClustersAge back, and
// as far ahead as two measurements of Redis's clock may differ.
func SeenBetween(now time.Time) (oldest, newest time.Time) {
	return now.Add(-ClustersAge), now.Add(BeatExpiry)
}

// SeenAt reads a score of Clusters: when the cluster was last seen. One that is no
// time, or in the future, says nothing: it was forged, or Redis's clock was set back.
func SeenAt(score float64, now time.Time) (time.Time, bool) {
	_, newest := SeenBetween(now)
	if !(score >= 1 && score <= float64(newest.UnixMilli())) { // also refuses NaN
		return time.Time{}, false
	}
	return time.UnixMilli(int64(score)).UTC(), true
}

// ForgottenAt reads a score of Clusters that is the negative of a time: since when
// masters are to forget the cluster, unless it is seen again later.
func ForgottenAt(score float64, now time.Time) (time.Time, bool) {
	return SeenAt(-score, now)
}

// ResultTTL is how long a finished reply answers equal requests of all masters; 0
// means not at all. Masters end relative time ranges on a grid of as many seconds,
// so that those who ask for the last hour ask the same.
func ResultTTL(kind detail.Kind) time.Duration {
	switch kind {
	case detail.KindTrace:
		return 30 * time.Second
	case detail.KindNode, detail.KindNodeSeries:
		return 10 * time.Second
	case detail.KindTraces, detail.KindSLOSeries, detail.KindSection:
		return 5 * time.Second
	case detail.KindLogs: // who follows logs wants the last line
		return 0
	default:
		return 0
	}
}

// MaxClusterID is the longest cluster id.
const MaxClusterID = 63

// ValidateCluster checks a cluster id: 1 to 63 of a-z, 0-9 and '-', which keeps
// braces and glob characters out of keys, channels and ACL patterns.
func ValidateCluster(id string) error {
	return validate("cluster_id", id, "")
}

// ValidateInstance checks the name of an agent or a replica, which may hold dots
// and underscores besides (host names).
func ValidateInstance(id string) error {
	return validate("instance", id, "._")
}

func validate(name, id, extra string) error {
	if id == "" {
		return fmt.Errorf("%s: is required", name)
	}
	if len(id) > MaxClusterID {
		return fmt.Errorf("%s: is longer than %d characters", name, MaxClusterID)
	}
	for _, c := range []byte(id) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && !strings.ContainsRune(extra, rune(c)) {
			return fmt.Errorf("%s: may hold only a-z, 0-9, %q, not %q", name, "-"+extra, c)
		}
	}
	return nil
}

// Cluster spells the keys of one cluster.
type Cluster string

func (c Cluster) key(rest string) string { return Namespace + "{" + string(c) + "}:" + rest }

// Pattern matches all keys of the cluster, for SCAN.
func (c Cluster) Pattern() string { return c.key("*") }

// Snapshot is the hash of sections: name -> msgpack of the data.
func (c Cluster) Snapshot() string { return c.key("snapshot") }

// Meta is the hash of plain strings about the snapshot: the Meta* fields.
func (c Cluster) Meta() string { return c.key("meta") }

// Agents is the hash instance -> msgpack of the agent's last beat; see
// snapshot.Beat.
func (c Cluster) Agents() string { return c.key("agents") }

// Commands is the list that masters push to and agents take from.
func (c Cluster) Commands() string { return c.key("commands") }

// Claimed is the list of what one agent took and has not answered.
func (c Cluster) Claimed(instance string) string { return c.key("claimed:" + instance) }

// Reply is the list that holds the one reply to a command.
func (c Cluster) Reply(id string) string { return c.key("reply:" + id) }

// Answered is there when an agent, whose instance it holds, has answered the
// command: a second reply to it is dropped.
func (c Cluster) Answered(id string) string { return c.key("answered:" + id) }

// Result is a finished reply, shared by identical requests.
func (c Cluster) Result(hash string) string { return c.key("result:" + hash) }

// Events is the channel on which publishes are announced.
func (c Cluster) Events() string { return c.key("events") }

// EventsLua defines for a script: events_of(key), Events of the cluster that one of its
// keys belongs to.
const EventsLua = `
local function events_of(key) return string.match(key, '^[^}]*}:') .. 'events' end
`

// Replies is the channel on which replies for one master replica are announced.
func (c Cluster) Replies(replica string) string { return c.key("replies:" + replica) }

// Cancels is the channel on which masters name commands that nobody waits for
// any more.
func (c Cluster) Cancels() string { return c.key("cancels") }

// ClusterOf returns the cluster id in the braces of a key or channel.
func ClusterOf(key string) (Cluster, bool) {
	rest, ok := strings.CutPrefix(key, Namespace+"{")
	if !ok {
		return "", false
	}
	id, _, ok := strings.Cut(rest, "}")
	if !ok || ValidateCluster(id) != nil {
		return "", false
	}
	return Cluster(id), true
}

// Fields of the meta hash. All values are plain strings: integers in decimal,
// times in ms of Redis's clock.
const (
	MetaSchema   = "schema"   // version of the layout; SchemaVersion
	MetaSeq      = "seq"      // of the last publish; grows, never repeats
	MetaAt       = "at"       // of the last publish
	MetaAgent    = "agent"    // instance that published last
	MetaVersion  = "version"  // build of that agent
	MetaInterval = "interval" // ms between publishes
	MetaSections = "sections" // names of what that agent publishes, apart by spaces
)

// SchemaVersion is the layout of what lies in Redis. Readers refuse another one.
const SchemaVersion = "1"

// SectionField is what meta knows of one section.
type SectionField string

// The fields of a section in the meta hash, after "<name>.".
const (
	FieldAt     SectionField = "at"      // last successful collection
	FieldSeq    SectionField = "seq"     // publish that last changed the bytes
	FieldError  SectionField = "error"   // why the last collection failed; absent when it did not
	FieldTook   SectionField = "took_ms" // of the last collection
	FieldBytes  SectionField = "bytes"   // of the value
	FieldHash   SectionField = "hash"    // of the value, hex
	FieldWindow SectionField = "window"  // seconds of telemetry it speaks of
	FieldCodec  SectionField = "codec"   // absent: plain msgpack; "zstd": compressed
	// FieldInterval is the ms between collections; absent: MetaInterval.
	FieldInterval SectionField = "interval_ms"
	// What the last collection read of ClickHouse; absent when it said nothing.
	FieldStatements SectionField = "statements"
	FieldRowsRead   SectionField = "rows_read"
	FieldBytesRead  SectionField = "bytes_read" // uncompressed
)

// SectionFields lists all of them.
func SectionFields() []SectionField {
	return []SectionField{
		FieldAt, FieldSeq, FieldError, FieldTook, FieldBytes, FieldHash, FieldWindow, FieldCodec, FieldInterval,
		FieldStatements, FieldRowsRead, FieldBytesRead,
	}
}

// Field spells a section's field of the meta hash.
func Field(name model.Section, f SectionField) string { return string(name) + "." + string(f) }
