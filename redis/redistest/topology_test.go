package redistest_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/atlhyper/observe/redis/redistest"
)

func TestSentinels(t *testing.T) {
	t.Parallel()
	s := redistest.StartSentinels(t)
	old := s.Primary()
	client := old.Client(t)
	if err := client.Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	// Sentinels do not wait for a replica to catch up.
	if n, err := client.Wait(t.Context(), 2, 30*time.Second).Result(); err != nil || n != 2 {
		t.Fatalf("%d replicas have it, %v", n, err)
	}
	s.Failover()
	if got, err := s.Primary().Client(t).Get(t.Context(), "k").Result(); err != nil || got != "v" {
		t.Errorf("on the new primary %q, %v", got, err)
	}
	redistest.Eventually(t, "the old primary follows", s.Whole)

	old = s.Primary()
	old.Stop()
	s.AwaitFailover(old)
	old.Restart()
	redistest.Eventually(t, "the killed primary comes back as a replica", s.Whole)
}

func TestCluster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t)
	owner := c.Owner("k")
	if err := owner.Client(t).Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	to := c.Owner("b")
	if to == owner {
		t.Fatal("k and b are on one server")
	}
	c.MoveSlot("k", to, func() {
		if err := owner.Client(t).Get(t.Context(), "k").Err(); !redis.HasErrorPrefix(err, "ASK") {
			t.Errorf("half way: %v, want ASK", err)
		}
	})
	if c.Owner("k") != to {
		t.Error("the slot did not move")
	}
	if got, err := to.Client(t).Get(t.Context(), "k").Result(); err != nil || got != "v" {
		t.Errorf("after the move %q, %v", got, err)
	}
	redistest.Eventually(t, "the cluster is whole after the move", c.Whole)

	c.Failover("k")
	old := c.Owner("k")
	if old == to {
		t.Error("nobody took over")
	}
	redistest.Eventually(t, "the cluster is whole after a failover", c.Whole)
	old.Stop()
	c.AwaitFailover("k", old)
	old.Restart()
	redistest.Eventually(t, "the killed server comes back as a replica", c.Whole)
}

func TestTLS(t *testing.T) {
	t.Parallel()
	certs := redistest.NewCertificates(t)
	s := redistest.Start(t, redistest.WithTLS(certs))
	if err := s.Client(t).Ping(t.Context()).Err(); err != nil {
		t.Error(err)
	}
	plain := redis.NewClient(&redis.Options{Addr: s.Addr(), MaxRetries: -1, PipelinePoolSize: -1, DialerRetries: 1})
	defer plain.Close()
	if err := plain.Ping(t.Context()).Err(); err == nil {
		t.Error("the server talks without TLS")
	}
}
