package redistest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/atlhyper/observe/redis/redistest"
)

func TestMain(m *testing.M) { redistest.VerifyTestMain(m) }

func TestLifeOfAServer(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]redistest.Option{
		"tcp":  nil,
		"unix": {redistest.WithUnixSocket()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t, opts...)
			c := s.Client(t)
			if err := c.Set(t.Context(), "k", "v", 0).Err(); err != nil {
				t.Fatal(err)
			}
			addr := s.Addr()

			s.Stop()
			if err := c.Ping(t.Context()).Err(); err == nil {
				t.Error("a stopped server answers")
			}
			s.Restart()
			if s.Addr() != addr {
				t.Errorf("Addr after Restart = %s, want %s", s.Addr(), addr)
			}
			if n, err := c.DBSize(t.Context()).Result(); err != nil || n != 0 {
				t.Errorf("DBSIZE after Restart = %d, %v; want an empty server", n, err)
			}

			if err := c.Set(t.Context(), "k", "v", 0).Err(); err != nil {
				t.Fatal(err)
			}
			s.FlushAll()
			if n, err := c.DBSize(t.Context()).Result(); err != nil || n != 0 {
				t.Errorf("DBSIZE after FlushAll = %d, %v; want 0", n, err)
			}
		})
	}
}

func TestFreezeAndThaw(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c := s.Client(t)
	s.Freeze()
	answered := make(chan error, 1)
	go func() { answered <- c.Ping(context.WithoutCancel(t.Context())).Err() }()
	select {
	case err := <-answered:
		t.Fatalf("a frozen server answered: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	s.Thaw()
	if err := <-answered; err != nil {
		t.Errorf("PING after Thaw: %v", err)
	}
}

// A server's clock is set while it runs; what waits does not notice, keys expire by it.
func TestClock(t *testing.T) {
	t.Parallel()
	if !redistest.FakeClocks() {
		t.Skip("no libfaketime: loadtest/faults/setup.sh fetches it")
	}
	s := redistest.Start(t, redistest.WithClock(t))
	c := s.Client(t)
	near := func(ahead time.Duration) {
		t.Helper()
		got, err := c.Time(t.Context()).Result()
		if off := time.Until(got) - ahead; err != nil || off.Abs() > time.Minute {
			t.Errorf("the clock is off by %s, %v", off, err)
		}
	}
	near(0)
	if err := c.Set(t.Context(), "k", "v", 10*time.Minute).Err(); err != nil {
		t.Fatal(err)
	}
	s.SetClock(-time.Hour)
	near(-time.Hour)
	if ttl := c.PTTL(t.Context(), "k").Val(); ttl < time.Hour {
		t.Errorf("a key lives for %s after the clock went back", ttl)
	}
	s.SetClock(time.Hour)
	near(time.Hour)
	if n := c.Exists(t.Context(), "k").Val(); n != 0 {
		t.Error("a key outlives its time")
	}
	if err := c.BLPop(t.Context(), time.Second, "nothing").Err(); !errors.Is(err, redis.Nil) {
		t.Errorf("a wait ended with %v", err)
	}
}
