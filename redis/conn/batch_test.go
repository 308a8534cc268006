package conn_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/conn/conntest"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/shared/fault"
)

const countLua = "return redis.call('INCRBY', KEYS[1], ARGV[1])"

// TestBatchRunsEachCallOnce lets many goroutines count: each sees a number of its own.
func TestBatchRunsEachCallOnce(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	clients := conntest.Open(t, conn.Config{URL: s.URL()})
	batch := clients.NewBatch(conn.NewScript(countLua))
	const many, each = 100, 20
	seen := make([][]int64, many)
	var running sync.WaitGroup
	for i := range many {
		running.Go(func() {
			for range each {
				value, err := batch.Run(t.Context(), []string{"n"}, 1)
				n, ok := value.(int64)
				if err != nil || !ok {
					t.Errorf("run: %v, %v", value, err)
					return
				}
				seen[i] = append(seen[i], n)
			}
		})
	}
	running.Wait()
	all := slices.Concat(seen...)
	slices.Sort(all)
	for i, n := range all {
		if n != int64(i+1) {
			t.Fatalf("number %d is %d", i+1, n)
		}
	}
	if len(all) != many*each {
		t.Errorf("%d answers of %d", len(all), many*each)
	}
}

// TestBatchDropsWhatNobodyWaitsFor: a call that is given up while it is queued is not
// run, and takes nothing from those beside it.
func TestBatchDropsWhatNobodyWaitsFor(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	clients, other := conntest.Open(t, conn.Config{URL: s.URL(), Timeout: time.Minute}), conntest.Open(t, conn.Config{URL: s.URL()})
	batch := clients.NewBatch(conn.NewScript(countLua))
	if err := other.Normal.Do(t.Context(), "client", "pause", 60_000, "write").Err(); err != nil {
		t.Fatal(err)
	}
	ctx, giveUp := context.WithCancel(t.Context())
	var running sync.WaitGroup
	run := func(ctx context.Context, by int, check func(error)) {
		running.Go(func() {
			_, err := batch.Run(ctx, []string{"n"}, by)
			check(err)
		})
	}
	served := func(err error) {
		if err != nil {
			t.Errorf("run: %v", err)
		}
	}
	// Four take the lanes, and four wait.
	for range 8 {
		run(t.Context(), 1, served)
	}
	redistest.Eventually(t, "four are queued", func() bool { return batch.Queued() == 4 })
	for range 5 {
		run(ctx, 1000, func(err error) {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("given up: %v", err)
			}
		})
	}
	redistest.Eventually(t, "nine are queued", func() bool { return batch.Queued() == 9 })
	giveUp()
	if err := other.Normal.Do(t.Context(), "client", "unpause").Err(); err != nil {
		t.Fatal(err)
	}
	running.Wait()
	if n, err := other.Normal.Get(t.Context(), "n").Int(); err != nil || n != 8 {
		t.Errorf("counted to %d: %v", n, err)
	}
}

// TestBatchFailsEachCall: without a server every call has the error, and the lanes are
// free again.
func TestBatchFailsEachCall(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	clients := conntest.Open(t, conn.Config{URL: s.URL()})
	batch := clients.NewBatch(conn.NewScript(countLua))
	s.Stop()
	var running sync.WaitGroup
	for range 50 {
		running.Go(func() {
			if _, err := batch.Run(t.Context(), []string{"n"}, 1); !fault.Is(err, fault.StoreUnavailable) {
				t.Errorf("without a server: %v", err)
			}
		})
	}
	running.Wait()
	s.Restart()
	// A pool that could not dial often enough tries again once a second, and fails calls
	// until then.
	redistest.Eventually(t, "calls work with the server back", func() bool {
		_, err := batch.Run(t.Context(), []string{"n"}, 1)
		return err == nil
	})
}
