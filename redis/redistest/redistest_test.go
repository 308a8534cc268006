package redistest_test

import (
	"context"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/atlhyper/observe/redis/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

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
