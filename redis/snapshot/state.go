package snapshot

import (
	"time"

	"github.com/atlhyper/observe/redis/beat"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/shared/fault"
)

// State says whether a cluster's snapshot is there, and if not, why.
type State string

// The states of a snapshot.
const (
	// SnapshotLive: it is there.
	SnapshotLive State = "live"
	// SnapshotNone: nothing says that the cluster ever published one.
	SnapshotNone State = "none"
	// SnapshotExpired: nothing was published for as long as it lives.
	SnapshotExpired State = "expired"
	// SnapshotLost: it should be there; Redis was emptied or has evicted it. The
	// next publish brings it back.
	SnapshotLost State = "lost"
	// SnapshotUnreachable: the server of Redis Cluster that holds it is away.
	SnapshotUnreachable State = "unreachable"
	// SnapshotUnreadable: something is there that this build cannot read.
	SnapshotUnreadable State = "unreadable"
)

// judge sets LastSeen, Status, State, LastPublishedAt and ExpiredAt.
func (c *ClusterInfo) judge(now time.Time) {
	c.sawAt(c.PublishedAt, now)
	live := false
	for _, a := range c.Agents {
		c.sawAt(a.LastSeen, now)
		live = live || a.Live && !a.Leaving
	}
	published := c.PublishedAt
	if c.lost || c.unreadable {
		published = time.Time{}
	}
	c.Status = statusOf(live, published, c.interval, now)
	c.judgeSnapshot(now)
}

// sawAt takes over a later time; one in the future is none at which anything was seen.
func (c *ClusterInfo) sawAt(t, now time.Time) {
	if _, newest := key.SeenBetween(now); t.After(c.LastSeen) && !t.After(newest) {
		c.LastSeen = t
	}
}

// statusOf is the status of a cluster; live says that an agent of it takes commands.
func statusOf(live bool, published time.Time, interval time.Duration, now time.Time) Status {
	switch {
	case !live:
		return Offline
	case published.IsZero() || now.Sub(published).Abs() > staleIntervals*interval:
		return Stale
	default:
		return Online
	}
}

// judgeSnapshot finds out what became of the snapshot from what the beats say of
// the last publish, or, when Redis lost those too, from what this process heard.
func (c *ClusterInfo) judgeSnapshot(now time.Time) {
	c.LastPublishedAt, c.ExpiredAt, c.State = c.PublishedAt, time.Time{}, SnapshotLive
	if !c.PublishedAt.IsZero() && !c.unreadable && !c.lost {
		return
	}
	var ttl time.Duration
	for _, a := range c.Agents {
		if a.publishedAt.After(c.LastPublishedAt) {
			c.LastPublishedAt, ttl = a.publishedAt, a.interval*key.SnapshotIntervals
		}
	}
	if c.heardAt.After(c.LastPublishedAt.Add(expirySlack)) {
		c.LastPublishedAt, ttl = c.heardAt, c.heardTTL
	}
	switch {
	case c.unreadable:
		c.State = SnapshotUnreadable
	case c.lost:
		c.State = SnapshotLost
	case !c.LastPublishedAt.IsZero() && now.Sub(c.LastPublishedAt).Abs() > ttl:
		// A publish in the future was stamped before Redis's clock was set back.
		c.State, c.ExpiredAt = SnapshotExpired, earlier(c.LastPublishedAt.Add(ttl), now)
	case !c.LastPublishedAt.IsZero():
		c.State = SnapshotLost
	case len(c.Agents) == 0 && !c.LastSeen.IsZero():
		// Its beats are gone too; what is left is when it was last seen.
		c.State, c.ExpiredAt = SnapshotExpired, c.LastSeen
	default:
		c.State = SnapshotNone
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// missing says to users why there is no snapshot.
func (c *ClusterInfo) missing() *fault.Error {
	switch {
	case c.State == SnapshotExpired && c.LastPublishedAt.IsZero():
		return fault.New(fault.SnapshotExpired, "the snapshot of cluster %s has expired; the cluster was last seen at %s",
			c.ID, stamp(c.ExpiredAt))
	case c.State == SnapshotExpired:
		return fault.New(fault.SnapshotExpired, "the snapshot of cluster %s expired at %s; its agent last wrote at %s",
			c.ID, stamp(c.ExpiredAt), stamp(c.LastPublishedAt))
	case c.State == SnapshotUnreadable:
		return fault.New(fault.StoreUnavailable, "the snapshot of cluster %s cannot be read by this build", c.ID)
	case c.State == SnapshotLost:
		return fault.New(fault.NotReady, "Redis lost the snapshot of cluster %s; the next publish of its agent brings it back", c.ID)
	default:
		return fault.New(fault.NotReady, "cluster %s has not published its first snapshot yet", c.ID)
	}
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// takesCommands tells whether one of the beats is of an agent that does. What is
// no beat is reported by who reads the cluster.
func takesCommands(beats map[string]string, now time.Time) bool {
	for _, value := range beats {
		b, at, err := beat.Decode(value)
		if err == nil && !b.Leaving && isLive(at, now) {
			return true
		}
	}
	return false
}

// isLive tells whether a beat counts. One from the future is as dead as one from
// the past.
func isLive(at, now time.Time) bool { return now.Sub(at).Abs() <= key.BeatExpiry }
