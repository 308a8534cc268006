package scale

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/atlhyper/observe/master/dashboard"
)

// Assumed is what the figures are multiplied with, none of which was measured.
type Assumed struct {
	// Masters is how many there are, each of which follows every cluster.
	Masters int
	// Viewers look at all Sections of each cluster each Refresh.
	Viewers, Sections int
	Refresh           time.Duration
	// Whole is the share of their answers that have a body; the others are 304.
	Whole float64
	// DetailEvery is how often a cluster is asked for a detail.
	DetailEvery time.Duration
	// Utilisation is the share of a core that may be used.
	Utilisation float64
	// MaxClients is how many connections a redis-server accepts, Memory its bytes,
	// Network the bytes a second that go in, and as many out.
	MaxClients, Memory, Network float64
	// CacheBytes is what a master holds.
	CacheBytes float64
}

func assumed() Assumed {
	return Assumed{
		Masters: 3, Viewers: 5, Sections: 9, Refresh: 10 * time.Second, Whole: 1.0 / 3, DetailEvery: 20 * time.Second,
		Utilisation: 0.6, MaxClients: 10_000, Memory: 16e9, Network: 125e6, CacheBytes: dashboard.DefaultCacheBytes,
	}
}

// Requests is how many dashboards of a cluster are asked for each second.
func (a Assumed) Requests() float64 {
	return float64(a.Viewers*a.Sections) / a.Refresh.Seconds()
}

// Details is how many details a cluster is asked for each second.
func (a Assumed) Details() float64 { return 1 / a.DetailEvery.Seconds() }

// Cluster is what one takes.
type Cluster struct {
	// Snapshot is its memory in Redis, ConnectionMemory that of its agent's Connections.
	Snapshot, ConnectionMemory, Connections float64
	// In and Out are bytes a second into and out of Redis.
	In, Out float64
	// Redis is the share of a core that it takes of Redis, of which FollowingRedis is for
	// each master that follows it; Answering is that of all masters together, Following
	// that of each.
	Redis, FollowingRedis, Answering, Following float64
	// Held are bytes in the memory of each master.
	Held float64
	// Requests, Publishes and Details are how many of them there are each second, Keys
	// those that last.
	Requests, Publishes, Details, Keys float64
}

// Memory is all that it takes of Redis's.
func (c Cluster) Memory() float64 { return c.Snapshot + c.ConnectionMemory }

// times is what so many take.
func (c Cluster) times(n float64) Cluster {
	for _, figure := range []*float64{
		&c.Snapshot, &c.ConnectionMemory, &c.Connections, &c.In, &c.Out, &c.Redis, &c.FollowingRedis, &c.Answering, &c.Following,
		&c.Held, &c.Requests, &c.Publishes, &c.Details, &c.Keys,
	} {
		*figure *= n
	}
	return c
}

// keysOfCluster are the snapshot, meta and agents.
const keysOfCluster = 3

// cluster is what one of that size takes. Agents and following were measured at the
// small size: a larger one's publishes, and the sections that every master reads, add
// what they have more; a master holds more as the sections are longer. What following
// takes of processors is not larger here.
func (m Measured) cluster(a Assumed, size Size) Cluster {
	masters, interval := float64(a.Masters), m.Interval.Seconds()
	moreWritten := (size.Changed.Bytes - m.Small.Changed.Bytes) / interval
	moreRead := (size.Values - m.Small.Values) / interval
	moreRedis := (size.Changed.Processor - m.Small.Changed.Processor) / interval
	request := a.Whole*size.Whole + (1-a.Whole)*size.NotModified
	return Cluster{
		Snapshot:         size.Memory,
		ConnectionMemory: m.Agent.Memory,
		Connections:      m.Agent.Connections,
		In:               m.Agent.In + masters*m.Follow.In + moreWritten,
		Out:              m.Agent.Out + masters*(m.Follow.Out+moreRead),
		Redis:            m.redis(a, masters) + moreRedis,
		Answering:        a.Requests()*request + a.Details()*m.Detail.Master,
		FollowingRedis:   m.Follow.Redis,
		Following:        m.Follow.Master,
		Held:             m.Follow.Memory * size.Values / m.Small.Values,
		Requests:         a.Requests(),
		Publishes:        1 / interval,
		Details:          a.Details(),
		Keys:             keysOfCluster,
	}
}

// redis is the share of a core that a small cluster takes of Redis when so many
// masters follow it.
func (m Measured) redis(a Assumed, masters float64) float64 {
	return m.Agent.Redis + masters*m.Follow.Redis + a.Details()*m.Detail.Redis
}

// beatsCounted is how many beats d/6/plain/beats are.
const beatsCounted = 10

// Beat is one of them.
func (m Measured) Beat() Cost {
	return Cost{Bytes: m.Beats.Bytes / beatsCounted, Processor: m.Beats.Processor / beatsCounted}
}

// Writing is what an agent's publishes and beats take of Redis's processor each second
// when they come back to back; an agent beats each second.
func (m Measured) Writing() float64 {
	return m.Small.Changed.Processor/m.Interval.Seconds() + m.Beat().Processor
}

// Need is what a number of clusters takes.
type Need struct {
	Clusters int
	// Large tells that they are of the larger size, of which what following takes of
	// processors was not measured.
	Large bool
	Cluster
	// Messages are the events that Redis delivers each second, DetailsRedis the cores
	// of Redis that details take.
	Messages, DetailsRedis float64
	// Shards are those of Redis Cluster, of whose cores no more than Utilisation is used.
	Shards int
	// MasterCores are those of each master, of which no more than that is used.
	MasterCores int
}

func (m Measured) need(a Assumed, clusters int, large bool) Need {
	size := m.Small
	if large {
		size = m.Large
	}
	masters := float64(a.Masters)
	c := m.cluster(a, size).times(float64(clusters))
	return Need{
		Clusters: clusters, Large: large, Cluster: c,
		Messages: c.Publishes * masters, DetailsRedis: c.Details * m.Detail.Redis,
		Shards:      wholes(c.Redis / a.Utilisation),
		MasterCores: wholes((c.Following + c.Answering/masters) / a.Utilisation),
	}
}

// wholes is how many whole ones it takes, at least one.
func wholes(v float64) int { return max(1, int(math.Ceil(v))) }

// Limit is what ends at a number of clusters.
type Limit struct {
	Name string
	// Has is what there is, Takes what a cluster takes of it.
	Has, Takes float64
	// Clusters is how many there may be.
	Clusters int
}

// The limits.
const (
	limitThread      = "thread"      // of one redis-server
	limitConnections = "connections" // to one redis-server
	limitCache       = "cache"       // of a master
	limitMaster      = "master"      // a core of each
	limitNetwork     = "network"     // in or out of one redis-server
	limitMemory      = "memory"      // of one redis-server
)

// limits are in the order in which a growing number of small clusters meets them.
func (m Measured) limits(a Assumed) ([]Limit, error) {
	c := m.cluster(a, m.Small)
	list := []Limit{
		{Name: limitThread, Has: a.Utilisation, Takes: c.Redis},
		{Name: limitConnections, Has: a.MaxClients, Takes: c.Connections},
		{Name: limitCache, Has: a.CacheBytes, Takes: c.Held},
		{Name: limitMaster, Has: a.Utilisation, Takes: c.Following + c.Answering/float64(a.Masters)},
		{Name: limitNetwork, Has: a.Network, Takes: max(c.In, c.Out)},
		{Name: limitMemory, Has: a.Memory, Takes: c.Memory()},
	}
	for i := range list {
		l := &list[i]
		if !(l.Takes > 0) { // also refuses NaN
			return nil, fmt.Errorf("scale: a cluster takes nothing of %s: the bench was too short to tell", l.Name)
		}
		l.Clusters = int(l.Has / l.Takes)
	}
	slices.SortStableFunc(list, func(x, y Limit) int { return cmp.Compare(x.Has/x.Takes, y.Has/y.Takes) })
	return list, nil
}

// Apart is many masters, each cluster's requests going to the same few of them.
type Apart struct {
	Clusters, Masters, Each int
	// Followed is how many clusters a master follows; Core and Held what they take of it.
	Followed   int
	Core, Held float64
	// Redis is the cores of all shards, RedisOtherwise when every master follows all.
	Redis, RedisOtherwise float64
}

func (m Measured) apart(a Assumed, clusters, masters, each int) Apart {
	followed := clusters * each / masters
	return Apart{
		Clusters: clusters, Masters: masters, Each: each, Followed: followed,
		Core: float64(followed) * m.Follow.Master, Held: float64(followed) * m.Follow.Memory,
		Redis:          float64(clusters) * m.redis(a, float64(each)),
		RedisOtherwise: float64(clusters) * m.redis(a, float64(masters)),
	}
}
