package redistest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// clusterSlots is how many slots Redis Cluster has.
const clusterSlots = 16384

// again is after how long a server is asked once more for what it gives up on a machine
// that is slow; longer than it takes to give up.
const again = 10 * time.Second

// Cluster is a Redis Cluster of three primaries with one replica each. A primary
// that does not answer for two seconds is replaced by its replica.
type Cluster struct {
	t testing.TB
	// Servers are all six; roles change.
	Servers []*Server
}

// StartCluster starts the servers and waits until every one of them knows who has
// which slots. The options are for all of them.
func StartCluster(tb testing.TB, opts ...Option) *Cluster {
	tb.Helper()
	c := &Cluster{t: tb}
	path := serverPath(tb)
	for range 6 {
		s := &Server{t: tb, path: path, bus: 1}
		for _, opt := range opts {
			opt(s)
		}
		s.extra = append(s.extra, "--cluster-config-file", "nodes.conf", "--cluster-node-timeout", "2000",
			"--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1")
		s.launch()
		c.Servers = append(c.Servers, s)
	}
	c.join()
	return c
}

// join makes one cluster of six servers.
func (c *Cluster) join() {
	c.t.Helper()
	first := c.Servers[0]
	for i, s := range c.Servers {
		c.must(s.do("CLUSTER", "SET-CONFIG-EPOCH", i+1))
		if i < 3 {
			c.must(s.do("CLUSTER", "ADDSLOTSRANGE", i*clusterSlots/3, (i+1)*clusterSlots/3-1))
		}
	}
	var met time.Time
	Eventually(c.t, "the servers of the cluster know each other", func() bool {
		// Who did not shake hands within the time-out of a server is not tried again.
		if time.Since(met) > again {
			met = time.Now()
			for _, s := range c.Servers[1:] {
				c.must(first.do("CLUSTER", "MEET", "127.0.0.1", s.port, s.bus))
			}
		}
		for _, s := range c.Servers {
			known := s.text("CLUSTER", "NODES")
			if strings.Count(known, "connected") != 6 || strings.Contains(known, "handshake") {
				return false
			}
		}
		return true
	})
	for i, s := range c.Servers[3:] {
		c.must(s.do("CLUSTER", "REPLICATE", c.Servers[i].id()))
	}
	Eventually(c.t, "the cluster is whole", c.Whole)
}

// URL names the servers, as conn.Config takes it.
func (c *Cluster) URL() string {
	addrs := make([]string, 3)
	for i := range addrs {
		addrs[i] = c.Servers[i].Addr()
	}
	return c.Servers[0].scheme() + "-cluster://" + strings.Join(addrs, ",")
}

// Whole tells whether every server sees all slots served, each by a primary with
// a replica in step.
func (c *Cluster) Whole() bool {
	for _, s := range c.Servers {
		if !s.running() || !strings.Contains(s.text("CLUSTER", "INFO"), "cluster_state:ok") {
			return false
		}
		primaries, replicas := 0, 0
		for _, line := range strings.Split(strings.TrimSpace(s.text("CLUSTER", "NODES")), "\n") {
			fields := strings.Fields(line)
			switch {
			case len(fields) < 8 || strings.Contains(fields[2], "fail"):
				return false
			case strings.Contains(fields[2], "slave"):
				replicas++
			case len(fields) > 8:
				primaries++
			}
		}
		role := s.replication()
		inStep := strings.Contains(role, "master_link_status:up") || strings.Contains(role, "state=online")
		if primaries != 3 || replicas != 3 || !inStep {
			return false
		}
	}
	return true
}

// Owner is the server that has the key's slot now; in the eyes of those that run.
func (c *Cluster) Owner(key string) *Server {
	c.t.Helper()
	var owner *Server
	Eventually(c.t, "a server has the slot of "+key, func() bool {
		owner = c.owner(key)
		return owner != nil
	})
	return owner
}

func (c *Cluster) owner(key string) *Server {
	slot := c.slot(key)
	for _, s := range c.Servers {
		if !s.running() {
			continue
		}
		shards, err := s.shards()
		if err != nil {
			continue
		}
		for _, shard := range shards {
			if !slices.ContainsFunc(shard.Slots, func(r redis.SlotRange) bool { return int(r.Start) <= slot && slot <= int(r.End) }) {
				continue
			}
			for _, node := range shard.Nodes {
				// It must itself think so, too.
				owner := c.on(max(node.Port, node.TLSPort))
				if node.Role == "master" && owner != nil && owner.running() && strings.Contains(owner.replication(), "role:master") {
					return owner
				}
			}
		}
	}
	return nil
}

func (c *Cluster) on(port int64) *Server {
	for _, s := range c.Servers {
		if int64(s.port) == port {
			return s
		}
	}
	return nil
}

func (c *Cluster) slot(key string) int {
	c.t.Helper()
	client := c.running()[0].newClient()
	defer closing(c.t, client)
	slot, err := client.ClusterKeySlot(context.Background(), key).Result()
	c.must(err)
	return int(slot)
}

func (c *Cluster) running() []*Server {
	c.t.Helper()
	var out []*Server
	for _, s := range c.Servers {
		if s.running() {
			out = append(out, s)
		}
	}
	if len(out) == 0 {
		c.t.Fatal("redistest: no server of the cluster runs")
	}
	return out
}

// Replica is a running replica of the primary.
func (c *Cluster) Replica(primary *Server) *Server {
	c.t.Helper()
	var replica *Server
	Eventually(c.t, "a replica follows "+primary.Addr(), func() bool {
		for _, s := range c.running() {
			if strings.Contains(s.replication(), fmt.Sprintf("master_port:%d\r\n", primary.port)) {
				replica = s
				return true
			}
		}
		return false
	})
	return replica
}

// Failover has a replica take over from the server that has the key, in good order,
// and waits until it is done.
func (c *Cluster) Failover(key string) {
	c.t.Helper()
	old := c.Owner(key)
	replica := c.Replica(old)
	var asked time.Time
	Eventually(c.t, "the replica takes over", func() bool {
		// One that is not done within 5 s is given up.
		if time.Since(asked) > again && replica.do("CLUSTER", "FAILOVER") == nil {
			asked = time.Now()
		}
		now := c.owner(key)
		return now != nil && now != old
	})
}

// AwaitFailover waits until another server than old has the key.
func (c *Cluster) AwaitFailover(key string, old *Server) {
	c.t.Helper()
	Eventually(c.t, "another server has the slot of "+key, func() bool {
		now := c.owner(key)
		return now != nil && now != old
	})
}

// MoveSlot moves the key's slot to another primary, with all that is in it. between,
// if not nil, is called when the slot is half way: servers answer ASK.
func (c *Cluster) MoveSlot(key string, to *Server, between func()) {
	c.t.Helper()
	slot, from := c.slot(key), c.Owner(key)
	c.must(to.do("CLUSTER", "SETSLOT", slot, "IMPORTING", from.id()))
	c.must(from.do("CLUSTER", "SETSLOT", slot, "MIGRATING", to.id()))
	c.moveKeys(slot, from, to)
	if between != nil {
		between()
		c.moveKeys(slot, from, to)
	}
	id := to.id()
	for _, s := range append([]*Server{to, from}, c.Servers...) {
		if s.running() && strings.Contains(s.replication(), "role:master") {
			c.must(s.do("CLUSTER", "SETSLOT", slot, "NODE", id))
		}
	}
}

func (c *Cluster) moveKeys(slot int, from, to *Server) {
	c.t.Helper()
	client := from.newClient()
	defer closing(c.t, client)
	for {
		keys, err := client.ClusterGetKeysInSlot(context.Background(), slot, 100).Result()
		c.must(err)
		if len(keys) == 0 {
			return
		}
		args := []any{"MIGRATE", "127.0.0.1", to.port, "", 0, 5000, "KEYS"}
		for _, k := range keys {
			args = append(args, k)
		}
		c.must(client.Do(context.Background(), args...).Err())
	}
}

func (c *Cluster) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatalf("redistest: %v", err)
	}
}

// id is the server's name in the cluster.
func (s *Server) id() string { return s.text("CLUSTER", "MYID") }

// text runs a command that answers a string; "" when it fails.
func (s *Server) text(args ...any) string {
	c := s.newClient()
	defer closing(s.t, c)
	text, err := c.Do(context.Background(), args...).Text()
	if err != nil {
		return ""
	}
	return text
}

func (s *Server) shards() ([]redis.ClusterShard, error) {
	c := s.newClient()
	defer closing(s.t, c)
	return c.ClusterShards(context.Background()).Result()
}
