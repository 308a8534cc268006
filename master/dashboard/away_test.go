package dashboard_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
)

// stale tells an answer that says why it is.
func stale(value, why string) func(body) bool {
	return func(b body) bool {
		return string(b.Data) == value && *b.Meta.Stale && strings.Contains(b.Meta.Error, why)
	}
}

// While Redis is away what is held goes on, and says so, until its TTL would have
// ended; once it is back, so is what is fresh.
func TestWarmSectionsOutliveRedis(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(*redistest.Server){
		"killed": (*redistest.Server).Stop,
		"frozen": (*redistest.Server).Freeze,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			r := startReplica(t, server)
			const ttl = 10 * time.Minute // ample for a slow machine
			a := newAgent(t, server, cluster, ttl/6)
			a.publish(1, edges, nodes)
			_, before := r.until(t, edges, "it is shown", shows("1"))
			fail(server)
			first, b := r.until(t, edges, "it says that Redis is away", stale("1", " since "))
			if !b.Meta.CollectedAt.Equal(before.Meta.CollectedAt) || b.Meta.Seq != before.Meta.Seq {
				t.Errorf("%+v, and before %+v", b.Meta, before.Meta)
			}
			// As long as that lasts, nothing changes: who has it is told that it is the same.
			sent := r.commands.Load()
			for range 1000 {
				if again, _, err := r.get(t, edges); err != nil || again.ETag() != first.ETag() {
					t.Fatalf("another answer, %v", err)
				}
			}
			if sent = r.commands.Load() - sent; sent > 500 {
				t.Errorf("1000 requests sent %d commands to a Redis that is away", sent)
			}
			sent = r.commands.Load()
			for range 200 {
				if _, _, err := r.get(t, nodes); !fault.Is(err, fault.StoreUnavailable) {
					t.Errorf("a section that is not held: %v", err)
				}
			}
			if sent = r.commands.Load() - sent; sent > 100 {
				t.Errorf("200 requests for a section that is not held sent %d commands", sent)
			}
			r.pass(ttl / 2)
			if _, b, err := r.get(t, edges); err != nil || !stale("1", " since ")(b) {
				t.Errorf("before its TTL ends: %+v, %v", b, err)
			}
			r.pass(ttl / 2)
			_, _, err := r.get(t, edges)
			if !fault.Is(err, fault.StoreUnavailable) || fault.From(err).RetryAfter == 0 {
				t.Errorf("after its TTL ended: %v", err)
			}
			server.Restart()
			a.publish(2, edges)
			r.until(t, edges, "Redis is back", shows("2"))
		})
	}
}

// A Redis that is there and has lost the snapshot: what is held goes on until its
// TTL would have ended, or something newer is there.
func TestWarmSectionsOutliveLosses(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]struct {
		do  func(context.Context, *redistest.Server) error
		why string
	}{
		"emptied": {func(_ context.Context, s *redistest.Server) error {
			s.FlushAll()
			return nil
		}, "Redis lost the snapshot"},
		"evicted": {func(ctx context.Context, s *redistest.Server) error {
			return s.Client(t).Del(ctx, cluster.Snapshot()).Err()
		}, "Redis lost the snapshot"},
		"one section evicted": {func(ctx context.Context, s *redistest.Server) error {
			c := s.Client(t)
			// The next publish tells, of whatever.
			return errors.Join(c.HDel(ctx, cluster.Snapshot(), string(edges)).Err(), c.HIncrBy(ctx, cluster.Meta(), key.MetaSeq, 1).Err())
		}, "Redis lost section"},
		"another layout": {func(ctx context.Context, s *redistest.Server) error {
			return s.Client(t).HSet(ctx, cluster.Meta(), key.MetaSchema, "99").Err()
		}, "layout"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			r := startReplica(t, server)
			a := newAgent(t, server, cluster, 10*time.Second)
			a.publish(1, edges, nodes)
			_, b := r.until(t, edges, "it is shown", shows("1"))
			if err := lose.do(t.Context(), server); err != nil {
				t.Fatal(err)
			}
			_, lost := r.until(t, edges, "it says what Redis lost", stale("1", lose.why))
			if lost.Meta.Seq != b.Meta.Seq || !lost.Meta.CollectedAt.Equal(b.Meta.CollectedAt) {
				t.Errorf("%+v, and before %+v", lost.Meta, b.Meta)
			}
			a.publish(2, edges, nodes)
			_, b = r.until(t, edges, "the next publish is shown", shows("2"))
			if b.Meta.Seq <= lost.Meta.Seq {
				t.Errorf("seq %d after %d", b.Meta.Seq, lost.Meta.Seq)
			}

			if err := lose.do(t.Context(), server); err != nil {
				t.Fatal(err)
			}
			r.until(t, edges, "it says what Redis lost", stale("2", lose.why))
			r.pass(61 * time.Second)
			redistest.Eventually(t, "its TTL has ended", func() bool {
				_, _, err := r.get(t, edges)
				if name == "another layout" {
					return fault.Is(err, fault.StoreUnavailable)
				}
				return fault.Is(err, fault.SnapshotExpired) || fault.Is(err, fault.NotReady)
			})
		})
	}
}

// A Redis that fell back to an older snapshot, as a replica that took over may: it
// is not shown after the newer one.
func TestARedisThatIsBehind(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	r := startReplica(t, server)
	a := newAgent(t, server, cluster, 10*time.Second)
	a.publish(1, edges, nodes)
	admin := server.Client(t)
	old := map[string]string{}
	for _, k := range []string{cluster.Snapshot(), cluster.Meta()} {
		dump, err := admin.Dump(t.Context(), k).Result()
		if err != nil {
			t.Fatal(err)
		}
		old[k] = dump
	}
	fallBack := func() {
		for k, dump := range old {
			if err := admin.RestoreReplace(t.Context(), k, time.Hour, dump).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
	a.publish(2, edges, nodes)
	_, newer := r.until(t, edges, "it is shown", shows("2"))
	fallBack()
	_, b := r.until(t, edges, "it says that Redis is behind", stale("2", "older snapshot"))
	if b.Meta.Seq != newer.Meta.Seq {
		t.Errorf("seq %d, want %d", b.Meta.Seq, newer.Meta.Seq)
	}
	// A section that was not shown yet is of the older snapshot, too.
	if _, _, err := r.get(t, nodes); !fault.Is(err, fault.StoreUnavailable) || !strings.Contains(err.Error(), "older snapshot") {
		t.Errorf("another section: %v", err)
	}
	a.publish(3, edges, nodes)
	r.until(t, edges, "the next publish is shown", shows("3"))
	r.until(t, nodes, "the next publish is shown", shows("3"))

	// The older one outlives the newer one's TTL: now it is all there is.
	fallBack()
	r.until(t, edges, "it says that Redis is behind", stale("3", "older snapshot"))
	r.pass(61 * time.Second)
	r.until(t, edges, "the older one is shown", func(b body) bool { return string(b.Data) == "1" })
}

// Sections become stale, and snapshots expire, without anybody saying so.
func TestSectionsAgeAndExpire(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	r := startReplica(t, server)
	a := newAgent(t, server, cluster, 10*time.Second)
	a.beat()
	a.publishAt(time.Now().Add(-29*time.Second), 1, edges)
	r.until(t, edges, "it is shown", func(b body) bool { return string(b.Data) == "1" })
	r.until(t, edges, "it is over 30 s old", stale("1", "over 3 intervals old"))

	short := newAgent(t, server, "short", 50*time.Millisecond)
	expired := func() bool {
		_, err := r.Section(t.Context(), "short", edges)
		return fault.Is(err, fault.SnapshotExpired)
	}
	short.publish(1, edges)
	redistest.Eventually(t, "it has expired", func() bool {
		short.beat()
		return expired()
	})
	short.publish(2, edges)
	redistest.Eventually(t, "it is there again or has expired again", func() bool {
		answer, err := r.Section(t.Context(), "short", edges)
		return err == nil && string(parse(t, answer).Data) == "2" || fault.Is(err, fault.SnapshotExpired)
	})
}

// Whoever subscribes is told of publishes, of Redis going away and coming back, and
// of what was lost and expired.
func TestSubscribersAreTold(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	r := startReplica(t, server)
	a := newAgent(t, server, cluster, 10*time.Second)
	changed, stop := r.Subscribe(cluster, []model.Section{edges})
	defer stop()
	told := func(what string, holds func(body, error) bool) {
		t.Helper()
		for {
			_, b, err := r.get(t, edges)
			if holds(b, err) {
				return
			}
			select {
			case <-changed:
			case <-t.Context().Done():
				t.Fatalf("was not told: %s", what)
			}
		}
	}
	ok := func(holds func(body) bool) func(body, error) bool {
		return func(b body, err error) bool { return err == nil && holds(b) }
	}
	for n := range 3 {
		a.publish(n, edges)
		told("a publish", ok(shows(strconv.Itoa(n))))
	}
	a.publishAt(time.Now().Add(-29*time.Second), 4, edges)
	told("it became old", ok(stale("4", "over 3 intervals")))
	a.publish(5, edges)
	told("a publish", ok(shows("5")))
	if err := a.writer.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	told("the agent left", ok(func(b body) bool { return b.Meta.ClusterStatus == "offline" }))
	server.FlushAll()
	told("Redis was emptied", ok(stale("5", "lost")))
	a.publish(6, edges)
	told("a publish", ok(shows("6")))
	server.Stop()
	told("Redis is away", ok(stale("6", " since ")))
	r.pass(61 * time.Second)
	told("its TTL ended", func(_ body, err error) bool { return fault.Is(err, fault.StoreUnavailable) })
	server.Restart()
	a.publish(7, edges)
	told("Redis is back", ok(shows("7")))
}
