package snapshot_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/fault"
)

// never is an interval that does not come round in a test.
const never = time.Hour

// followed holds the seq of clusters, as a cache does.
type followed struct {
	mu       sync.Mutex
	seqs     map[key.Cluster]int64
	sections []snapshot.Held
	takes    int // calls of Take
	inTake   map[key.Cluster]bool
	clash    bool  // two calls of Take for one cluster at once
	failed   error // of the last View
	got      map[string]bool
}

func follow(clusters ...key.Cluster) *followed {
	f := &followed{seqs: map[key.Cluster]int64{}, inTake: map[key.Cluster]bool{}, got: map[string]bool{}}
	for _, c := range clusters {
		f.seqs[c] = 0
	}
	return f
}

func (f *followed) Followed() []key.Cluster {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Sorted(maps.Keys(f.seqs))
}

func (f *followed) Follows(c key.Cluster) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, ok := f.seqs[c]
	return ok
}

func (f *followed) Ask(c key.Cluster) snapshot.Ask {
	f.mu.Lock()
	defer f.mu.Unlock()
	ask := snapshot.Ask{Cluster: c, Seq: f.seqs[c]}
	for _, s := range f.sections {
		if !f.got[string(s.Name)] {
			ask.Seq = 0
			ask.Sections = append(ask.Sections, s)
		}
	}
	return ask
}

func (f *followed) Take(_ context.Context, v snapshot.View) {
	f.mu.Lock()
	f.clash = f.clash || f.inTake[v.Info.ID]
	f.inTake[v.Info.ID] = true
	f.mu.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.inTake[v.Info.ID] = false
	f.takes++
	f.failed = v.Err
	if v.Err == nil {
		f.seqs[v.Info.ID] = v.Info.Seq
	}
	for name, found := range v.Sections {
		f.got[string(name)] = found.Value != nil
	}
}

func (f *followed) seq(c key.Cluster) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seqs[c]
}

func (f *followed) lastError() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failed
}

// source is a Reader whose questions and events a test can hold up.
type source struct {
	snapshot.Source

	deaf       bool // events are lost
	subscribed chan struct{}
	gate       chan struct{} // if set, a question waits for an element of it
	mu         sync.Mutex
	under      map[key.Cluster]int // questions under way
	asked      map[key.Cluster]int
	most       int
}

func newSource(r *rig) *source {
	return &source{Source: r.reader, subscribed: make(chan struct{}, 100), under: map[key.Cluster]int{}, asked: map[key.Cluster]int{}}
}

func (s *source) Refresh(ctx context.Context, asks []snapshot.Ask) []snapshot.View {
	s.mu.Lock()
	for _, a := range asks {
		s.under[a.Cluster]++
		s.asked[a.Cluster]++
		s.most = max(s.most, s.under[a.Cluster])
	}
	s.mu.Unlock()
	if s.gate != nil {
		select {
		case <-s.gate:
		case <-ctx.Done():
		}
	}
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, a := range asks {
			s.under[a.Cluster]--
		}
	}()
	return s.Source.Refresh(ctx, asks)
}

func (s *source) Events(ctx context.Context, published func(key.Cluster), subscribed func()) {
	if s.deaf {
		<-ctx.Done()
		return
	}
	s.Source.Events(ctx, published, func() {
		subscribed()
		s.subscribed <- struct{}{}
	})
}

func (s *source) questions(c key.Cluster) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[c]
}

// worst is the most questions about one cluster that were under way at once.
func (s *source) worst() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.most
}

// watch runs a watcher until the test ends.
func watch(t *testing.T, src *source, f *followed, interval time.Duration) *snapshot.Watcher {
	t.Helper()
	w, err := snapshot.NewWatcher(snapshot.WatcherConfig{Source: src, Follower: f, Interval: interval})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return w
}

// A publish is heard at once, also one on a connection that was cut in between, and
// also when its event is lost.
func TestWatcherHearsOfPublishes(t *testing.T) {
	t.Parallel()
	t.Run("events", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		f, src := follow(cluster), newSource(r)
		watch(t, src, f, never)
		<-src.subscribed
		w := r.writer(nil)
		for n := range 3 {
			p := r.publish(w, good(t, "a", n))
			redistest.Eventually(t, "the publish is heard", func() bool { return f.seq(cluster) == p.Seq })
		}
		r.publish(r.writer(func(c *snapshot.WriterConfig) { c.Cluster = "west" }), good(t, "a", 1))
		p := r.publish(w, good(t, "a", 9))
		redistest.Eventually(t, "the publish is heard", func() bool { return f.seq(cluster) == p.Seq })
		if n := src.questions("west"); n != 0 {
			t.Errorf("%d questions about a cluster that nobody follows", n)
		}
	})
	t.Run("events while the connection is cut", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		f, src := follow(cluster, "west"), newSource(r)
		watch(t, src, f, never)
		<-src.subscribed
		redistest.Eventually(t, "the first questions are answered", func() bool {
			return src.questions(cluster) > 0 && src.questions("west") > 0
		})
		p := r.publish(r.writer(nil), good(t, "a", 1))
		redistest.Eventually(t, "the publish is heard", func() bool { return f.seq(cluster) == p.Seq })
		before := src.questions("west")
		r.do(r.admin.ClientKillByFilter(t.Context(), "TYPE", "pubsub"))
		<-src.subscribed
		redistest.Eventually(t, "all are asked about after the cut", func() bool { return src.questions("west") > before })
	})
	t.Run("no events", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		f, src := follow(cluster), newSource(r)
		src.deaf = true
		watch(t, src, f, 5*time.Millisecond)
		p := r.publish(r.writer(nil), good(t, "a", 1))
		redistest.Eventually(t, "the publish is found", func() bool { return f.seq(cluster) == p.Seq })
	})
}

// However many events come, one question is under way, and the next one covers all
// that came meanwhile.
func TestWatcherAsksOnceAtATime(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	f, src := follow(cluster), newSource(r)
	src.gate = make(chan struct{})
	w, err := snapshot.NewWatcher(snapshot.WatcherConfig{Source: src, Follower: f, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	var first, rest sync.WaitGroup
	first.Go(func() { check(t, w, cluster) })
	redistest.Eventually(t, "a question is under way", func() bool { return src.questions(cluster) == 1 })
	p := r.publish(r.writer(nil), good(t, "a", 1))
	started := make(chan struct{}, 100)
	for range cap(started) {
		rest.Go(func() {
			// Done is asked for once the call waits.
			ctx := &waiting{t.Context(), sync.OnceFunc(func() { started <- struct{}{} })}
			if err := w.Check(ctx, cluster); err != nil {
				t.Errorf("Check: %v", err)
			}
			if f.seq(cluster) != p.Seq {
				t.Error("it was not told of a publish before the call")
			}
		})
	}
	for range cap(started) {
		<-started
	}
	src.gate <- struct{}{}
	first.Wait()
	src.gate <- struct{}{}
	rest.Wait()
	if n := src.questions(cluster); n != 2 || src.worst() != 1 {
		t.Errorf("%d questions, at most %d at once, want 2 and 1", n, src.worst())
	}
}

// waiting tells when its Done is asked for.
type waiting struct {
	context.Context
	on func()
}

func (w *waiting) Done() <-chan struct{} {
	w.on()
	return w.Context.Done()
}

func check(t *testing.T, w *snapshot.Watcher, c key.Cluster) {
	t.Helper()
	if err := w.Check(t.Context(), c); err != nil {
		t.Errorf("Check: %v", err)
	}
}

// Answers about one cluster come in order, whoever asks.
func TestWatcherNeverGoesBack(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	f, src := follow(cluster), newSource(r)
	w := watch(t, src, f, time.Millisecond)
	writer := r.writer(nil)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			last := int64(0)
			for range 100 {
				check(t, w, cluster)
				seq := f.seq(cluster)
				if seq < last {
					t.Errorf("seq %d after %d", seq, last)
				}
				last = seq
			}
		})
	}
	for n := range 100 {
		r.publish(writer, good(t, "a", n))
	}
	all.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.clash || src.worst() != 1 {
		t.Errorf("%d questions at once, told at once: %t", src.worst(), f.clash)
	}
}

// What has no room beside other clusters' values comes before those go on who wait.
func TestWatcherGetsAll(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.reader = snapshot.NewReader(r.clients, snapshot.ReaderConfig{MaxSectionBytes: 1 << 20})
	f := follow(cluster)
	var updates []snapshot.Update
	for _, name := range names("a", "b", "c") {
		updates = append(updates, good(t, name, strings.Repeat(string(name), 700<<10)))
		f.sections = append(f.sections, snapshot.Held{Name: name})
	}
	r.publish(r.writer(func(c *snapshot.WriterConfig) { c.CompressAbove = -1 }), updates...)
	w, err := snapshot.NewWatcher(snapshot.WatcherConfig{Source: r.reader, Follower: f, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	check(t, w, cluster)
	if !f.got["a"] || !f.got["b"] || !f.got["c"] || f.takes != 3 {
		t.Errorf("got %v in %d answers, want all three, one in each", f.got, f.takes)
	}
}

// A Redis that is killed, frozen or empty is said, and followed when it is back.
func TestWatcherOutlivesRedis(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	f, src := follow(cluster, "west"), newSource(r)
	watch(t, src, f, 20*time.Millisecond)
	here := func(what string) {
		w := r.writer(nil)
		var p snapshot.Published
		// The library's pool, when it could not dial often, does so once a second.
		redistest.Eventually(t, "it is published: "+what, func() (ok bool) {
			var err error
			p, err = w.Publish(t.Context(), []snapshot.Update{good(t, "a", what)})
			return err == nil
		})
		redistest.Eventually(t, "the publish is found: "+what, func() bool { return f.seq(cluster) == p.Seq && f.lastError() == nil })
	}
	away := func(what string) {
		redistest.Eventually(t, what, func() bool { return fault.Is(f.lastError(), fault.StoreUnavailable) })
	}
	here("at first")
	r.server.Stop()
	away("it is killed")
	r.server.Restart()
	here("it was restarted")
	r.server.Freeze()
	away("it is frozen")
	r.server.Thaw()
	here("it goes on")
	r.server.FlushAll()
	redistest.Eventually(t, "it is empty", func() bool { return f.seq(cluster) == 0 })
	here("it was emptied")
}
