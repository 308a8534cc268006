package conn_test

import (
	"testing"
	"time"

	"github.com/atlhyper/observe/redis/internal/flow"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/redistest"
)

// serve starts agents and masters of two clusters with light traffic.
func serve(t *testing.T, p place) []*flow.Service {
	t.Helper()
	services := make([]*flow.Service, 0, 2)
	for _, cluster := range []key.Cluster{"east", "west"} {
		s, err := flow.Serve(t.Context(), flow.Config{
			Cluster: cluster, Agent: p.open(t, "agent"), Master: p.open(t, "master"), Logger: logger(t),
			// So that replies come by their announcements: subscriptions must come back too.
			SweepInterval: time.Hour,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Stop(); err != nil {
				t.Error(err)
			}
			if s.Wrong.Load() > 0 {
				t.Errorf("%s: %d wrong answers", cluster, s.Wrong.Load())
			}
			t.Logf("%s: %d checks were good, %d were not", cluster, s.Good.Load(), s.Bad.Load())
		})
		services = append(services, s)
	}
	works(t, services, "at the start")
	return services
}

// works waits until every service does all it should, without a restart.
func works(t *testing.T, services []*flow.Service, when string) {
	t.Helper()
	since := time.Now()
	defer func() { t.Logf("%s: %v", when, time.Since(since).Round(100*time.Millisecond)) }()
	for _, s := range services {
		redistest.Eventually(t, "all works "+when, func() bool { return s.Check(t.Context()) == nil })
		before := s.Good.Load()
		redistest.Eventually(t, "the traffic goes on "+when, func() bool { return s.Good.Load() > before })
	}
}

func TestSentinelFailover(t *testing.T) {
	t.Parallel()
	s := redistest.StartSentinels(t)
	services := serve(t, place{url: s.URL()})

	s.Failover()
	works(t, services, "after an orderly failover")
	redistest.Eventually(t, "the old primary is a replica", s.Whole)

	old := s.Primary()
	old.Stop()
	s.AwaitFailover(old)
	works(t, services, "after the primary was killed")
	old.Restart()
	redistest.Eventually(t, "the killed primary is a replica", s.Whole)

	old = s.Primary()
	old.Freeze()
	s.AwaitFailover(old)
	works(t, services, "while the old primary is frozen")
	old.Thaw()
	redistest.Eventually(t, "the thawed primary is a replica", s.Whole)
	works(t, services, "after all that")
}

// A Sentinel that is frozen does not keep anybody from finding the primary.
func TestFrozenSentinel(t *testing.T) {
	t.Parallel()
	s := redistest.StartSentinels(t)
	services := serve(t, place{url: s.URL()})
	s.Watchers[0].Freeze()
	old := s.Primary()
	old.Stop()
	s.AwaitFailover(old)
	works(t, services, "with two Sentinels")
	s.Watchers[0].Thaw()
}

func TestClusterFailover(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t)
	services := serve(t, place{url: c.URL()})
	name := services[0].Key()

	c.Failover(name)
	works(t, services, "after an orderly failover")
	redistest.Eventually(t, "the cluster is whole", c.Whole)

	old := c.Owner(name)
	old.Stop()
	c.AwaitFailover(name, old)
	works(t, services, "after a primary was killed")
	old.Restart()
	redistest.Eventually(t, "the killed primary is a replica", c.Whole)

	old = c.Owner(name)
	old.Freeze()
	c.AwaitFailover(name, old)
	works(t, services, "while the old primary is frozen")
	old.Thaw()
	redistest.Eventually(t, "the thawed primary is a replica", c.Whole)

	from := c.Owner(name)
	to := c.Owner(services[1].Key())
	if to == from {
		t.Fatal("both clusters' keys are on one server")
	}
	c.MoveSlot(name, to, func() {
		// Commands on several keys have to wait (TRYAGAIN) until all of them are there;
		// the cluster in the other slot does not.
		works(t, services[1:], "beside a slot that moves")
	})
	works(t, services, "after a slot moved")
}
