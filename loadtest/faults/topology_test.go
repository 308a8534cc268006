package faults

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/redistest"
)

func clientsOf(t *testing.T, servers []*redistest.Server) []*redis.Client {
	t.Helper()
	var clients []*redis.Client
	for _, s := range servers {
		clients = append(clients, s.Client(t))
	}
	return clients
}

// watched is a stack on a primary that Sentinels watch over.
func watched(t *testing.T) (*stack, *redistest.Sentinels) {
	t.Helper()
	sentinels := redistest.StartSentinels(t)
	return newStack(t, plan{redisURL: sentinels.URL()}, clientsOf(t, sentinels.Servers)...), sentinels
}

// sharded is a stack on a Redis Cluster.
func sharded(t *testing.T) (*stack, *redistest.Cluster) {
	t.Helper()
	cluster := redistest.StartCluster(t)
	s := newStack(t, plan{redisURL: cluster.URL()}, clientsOf(t, cluster.Servers)...)
	s.ready = readyEach * len(cluster.Servers)
	return s, cluster
}

func topologyFaults() []experiment {
	first := key.Cluster("sim-0").Meta()
	return []experiment{
		{fault: "Sentinel: the primary killed, a replica takes over", setup: func(t *testing.T) (*stack, func()) {
			s, sentinels := watched(t)
			return s, func() {
				old := sentinels.Primary()
				old.Stop()
				sentinels.AwaitFailover(old)
				old.Restart()
			}
		}},
		{fault: "Sentinel: the primary frozen for 10 s, replaced meanwhile", setup: func(t *testing.T) (*stack, func()) {
			s, sentinels := watched(t)
			return s, func() {
				old := sentinels.Primary()
				old.Freeze()
				sentinels.AwaitFailover(old)
				s.hold(8 * time.Second)
				old.Thaw()
			}
		}},
		{fault: "Redis Cluster: a primary killed, its replica takes over", setup: func(t *testing.T) (*stack, func()) {
			s, cluster := sharded(t)
			return s, func() {
				old := cluster.Owner(first)
				old.Stop()
				cluster.AwaitFailover(first, old)
				old.Restart()
			}
		}},
		{fault: "Redis Cluster: failover in good order", setup: func(t *testing.T) (*stack, func()) {
			s, cluster := sharded(t)
			return s, func() { cluster.Failover(first) }
		}},
		{fault: "Redis Cluster: the slots of all clusters moved to other servers, each half way for 3 s", setup: func(t *testing.T) (*stack, func()) {
			s, cluster := sharded(t)
			return s, func() {
				for _, id := range s.fleet.Clusters() {
					k := key.Cluster(id).Meta()
					from := cluster.Owner(k)
					for _, to := range cluster.Servers[:3] {
						if to != from {
							cluster.MoveSlot(k, to, func() { s.hold(3 * time.Second) })
							break
						}
					}
				}
			}
		}},
	}
}
