package limit_test

import (
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/atlhyper/observe/master/limit"
)

// clock is moved by hand.
type clock struct{ at atomic.Int64 }

func (c *clock) now() time.Time          { return time.Unix(1_700_000_000, c.at.Load()) }
func (c *clock) forward(d time.Duration) { c.at.Add(int64(d)) }

func buckets(t *testing.T, cfg limit.Config) (*limit.Buckets[string], *clock) {
	t.Helper()
	c := &clock{}
	cfg.Now = c.now
	b, err := limit.New[string](cfg)
	if err != nil {
		t.Fatal(err)
	}
	return b, c
}

func TestBurstThenRate(t *testing.T) {
	t.Parallel()
	b, c := buckets(t, limit.Config{Rate: 10}) // bursts of 20
	for i := range 20 {
		if wait := b.Take("a", 1); wait != 0 {
			t.Fatalf("request %d of the burst waits %s", i, wait)
		}
	}
	if wait := b.Take("a", 1); wait != 100*time.Millisecond {
		t.Errorf("after the burst: wait %s, want the time of one token", wait)
	}
	if wait := b.Take("b", 1); wait != 0 {
		t.Errorf("another key waits %s", wait)
	}
	if wait := b.Take("a", 10); wait != time.Second {
		t.Errorf("10 tokens: wait %s, want 1s", wait)
	}
	c.forward(time.Second)
	if wait := b.Take("a", 10); wait != 0 {
		t.Errorf("after the second that was asked for: wait %s", wait)
	}
	if wait := b.Take("a", 1); wait == 0 {
		t.Error("more was taken than a second brought")
	}
}

// Who is refused and comes back all the time is not further from its turn.
func TestRefusalsCostNothing(t *testing.T) {
	t.Parallel()
	b, c := buckets(t, limit.Config{Rate: 1, Burst: 1})
	b.Take("a", 1)
	for range 1000 {
		if b.Take("a", 1) == 0 {
			t.Fatal("an empty bucket gave a token")
		}
	}
	c.forward(time.Second)
	if wait := b.Take("a", 1); wait != 0 {
		t.Errorf("refusals were charged: wait %s", wait)
	}
}

func TestMoreThanTheBucketHolds(t *testing.T) {
	t.Parallel()
	b, c := buckets(t, limit.Config{Rate: 1, Burst: 5})
	if wait := b.Take("a", 10); wait != 0 {
		t.Errorf("a full bucket: wait %s", wait)
	}
	if wait := b.Take("a", 10); wait != 5*time.Second {
		t.Errorf("an empty one: wait %s, want the time to fill it", wait)
	}
	c.forward(5 * time.Second)
	if wait := b.Take("a", 10); wait != 0 {
		t.Errorf("after it: wait %s", wait)
	}
}

func TestManyKeysDoNotGrow(t *testing.T) {
	t.Parallel()
	b, _ := buckets(t, limit.Config{Rate: 1, Burst: 1, MaxKeys: 100})
	b.Take("often", 1)
	for i := range 10_000 {
		b.Take(fmt.Sprint("flood-", i), 1)
		if b.Take("often", 1) == 0 {
			t.Fatalf("a flood of %d other keys emptied the memory of one in use", i+1)
		}
	}
	if b.Len() != 100 {
		t.Errorf("%d buckets are held, want 100", b.Len())
	}
}

func TestNoneLimitNothing(t *testing.T) {
	t.Parallel()
	var none *limit.Buckets[string]
	var failures *limit.Failures
	for range 1000 {
		failures.Refused(netip.Addr{}, "x")
		if none.Take("a", 1000) != 0 || none.Wait("a") != 0 || failures.Wait(netip.Addr{}) != 0 {
			t.Fatal("nil limits")
		}
	}
	if none.Len() != 0 {
		t.Error("nil holds something")
	}
}

func TestBadConfigs(t *testing.T) {
	t.Parallel()
	for _, cfg := range []limit.Config{
		{}, {Rate: -1}, {Rate: math.NaN()}, {Rate: math.Inf(1)}, {Rate: 1, Burst: -1}, {Rate: 1, MaxKeys: -1},
	} {
		if _, err := limit.New[string](cfg); err == nil {
			t.Errorf("%+v was accepted", cfg)
		}
		if _, err := limit.NewFailures(cfg); err == nil {
			t.Errorf("failures: %+v was accepted", cfg)
		}
	}
}

// Whatever is asked when, no more is given than the burst and what the time brought,
// and a wait that is kept is long enough.
func TestNeverMoreThanTheRate(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		perSecond := rapid.Float64Range(0.5, 100).Draw(t, "rate")
		burst := rapid.IntRange(1, 50).Draw(t, "burst")
		c := &clock{}
		b, err := limit.New[string](limit.Config{Rate: perSecond, Burst: burst, Now: c.now})
		if err != nil {
			t.Fatal(err)
		}
		given := 0
		for range rapid.IntRange(1, 200).Draw(t, "requests") {
			tokens := rapid.IntRange(1, burst).Draw(t, "tokens")
			wait := b.Take("a", tokens)
			if wait == 0 {
				given += tokens
			} else if rapid.Bool().Draw(t, "wait") {
				c.forward(wait + time.Microsecond) // float64 seconds are not exact
				if again := b.Take("a", tokens); again != 0 {
					t.Fatalf("told to wait %s, did, and told to wait %s more", wait, again)
				}
				given += tokens
			}
			c.forward(time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "pause")))
			most := float64(burst) + perSecond*time.Duration(c.at.Load()).Seconds()
			if float64(given) > most+1e-6*most {
				t.Fatalf("%d tokens were given, at most %v were there", given, most)
			}
		}
	})
}

func TestConcurrentTakers(t *testing.T) {
	t.Parallel()
	b, _ := buckets(t, limit.Config{Rate: 1, Burst: 500, MaxKeys: 3})
	var given atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range 1000 {
				if b.Take("shared", 1) == 0 {
					given.Add(1)
				}
				b.Take(strconv.Itoa(i%2), 1)
				b.Wait("shared")
			}
		})
	}
	all.Wait()
	if given.Load() != 500 {
		t.Errorf("%d tokens were given, there were 500", given.Load())
	}
}

func failures(t *testing.T) (*limit.Failures, *clock) {
	t.Helper()
	c := &clock{}
	f, err := limit.NewFailures(limit.Config{Rate: 10.0 / 60, Burst: 10, Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	return f, c
}

func TestGuessersWait(t *testing.T) {
	t.Parallel()
	f, c := failures(t)
	from, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	for i := range 10 {
		if wait := f.Wait(from); wait != 0 {
			t.Fatalf("guess %d waits %s", i, wait)
		}
		f.Refused(from, fmt.Sprint("guess-", i))
	}
	if wait := f.Wait(from); wait < 5*time.Second || wait > 6*time.Second+time.Microsecond {
		t.Errorf("after 10 guesses: wait %s, want about 6s", wait)
	}
	if wait := f.Wait(netip.AddrFrom16(from.As16())); wait == 0 {
		t.Error("the same address, written as IPv6, does not wait")
	}
	if wait := f.Wait(other); wait != 0 {
		t.Errorf("another address waits %s", wait)
	}
	c.forward(7 * time.Second)
	if wait := f.Wait(from); wait != 0 {
		t.Errorf("later: wait %s", wait)
	}
}

// A page that was left open asks with the same ended session for ever.
func TestTheSameCredentialIsOneGuess(t *testing.T) {
	t.Parallel()
	f, _ := failures(t)
	from := netip.MustParseAddr("192.0.2.1")
	for range 1000 {
		f.Refused(from, "ended session")
		f.Refused(from, "withdrawn token")
	}
	if wait := f.Wait(from); wait != 0 {
		t.Errorf("those who share the address wait %s", wait)
	}
}

func TestAnIPv6PartyHasANetwork(t *testing.T) {
	t.Parallel()
	f, _ := failures(t)
	for i := range 10 {
		f.Refused(netip.MustParseAddr(fmt.Sprintf("2001:db8:0:1::%x", i+1)), strconv.Itoa(i))
	}
	if f.Wait(netip.MustParseAddr("2001:db8:0:1:ffff::")) == 0 {
		t.Error("another address of the same /64 may go on")
	}
	if wait := f.Wait(netip.MustParseAddr("2001:db8:0:2::1")); wait != 0 {
		t.Errorf("another /64 waits %s", wait)
	}
}
