package snapshot

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/key"
)

// watchWorkers bounds the questions of a Watcher that are under way.
const watchWorkers = 4

// Source is where a Watcher asks: Reader.
type Source interface {
	// Refresh tells what is new; see Reader.
	Refresh(context.Context, []Ask) []View
	// Events tells of publishes until the context is done; see Reader.
	Events(ctx context.Context, published func(key.Cluster), subscribed func())
}

// Follower holds what a Watcher keeps up to date. Its methods may be called from
// several goroutines, Take for one cluster by one at a time.
type Follower interface {
	// Followed are the clusters that are followed, Follows tells whether one is.
	Followed() []key.Cluster
	Follows(key.Cluster) bool
	// Ask is what is held and wanted of a cluster now.
	Ask(key.Cluster) Ask
	// Take is told what Redis said, or that it did not.
	Take(context.Context, View)
}

// WatcherConfig says what is watched.
type WatcherConfig struct {
	// Source and Follower are required.
	Source   Source
	Follower Follower
	// Interval is between two questions about a cluster of which no event is heard. 0
	// means 1 s.
	Interval time.Duration
	// Timeout bounds one question. 0 means 3 s.
	Timeout time.Duration
	// Logger is told when Redis ceases to answer, and when it does again. nil means none.
	Logger *slog.Logger
}

// Watcher keeps a Follower up to date: it asks about a cluster when a publish of it
// is announced, at each Interval since announcements can be lost, about all after
// the connection on which they are heard was cut, and when somebody calls Check. About one
// cluster there is never more than one question under way, so that answers come in
// order; those who call meanwhile share the next one.
type Watcher struct {
	cfg    WatcherConfig
	outage conn.Outage

	mu      sync.Mutex
	idle    sync.Cond // no worker is left
	workers int
	lines   map[key.Cluster]*line
	// The clusters that are to be asked about, those that somebody waits for first. Some
	// may have been asked about since.
	urgent, routine []key.Cluster
}

// line is one cluster: the question that is under way, and the next one.
type line struct {
	asking bool
	urgent bool          // it stands in that queue
	next   chan struct{} // closed when the next question is answered; nil: nobody wants one
}

// NewWatcher returns a Watcher. Check works at once, the rest while Run runs.
func NewWatcher(cfg WatcherConfig) (*Watcher, error) {
	if cfg.Source == nil || cfg.Follower == nil {
		return nil, errors.New("snapshot: a watcher's Source and Follower are required")
	}
	if cfg.Interval == 0 {
		cfg.Interval = time.Second
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 3 * time.Second
	}
	if cfg.Interval < 0 || cfg.Timeout < 0 {
		return nil, errors.New("snapshot: a watcher's Interval and Timeout must not be negative")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	w := &Watcher{
		cfg: cfg, lines: make(map[key.Cluster]*line),
		outage: conn.Outage{Logger: cfg.Logger, What: "following the snapshots"},
	}
	w.idle.L = &w.mu
	return w, nil
}

// Run follows until ctx is done. It returns nil.
func (w *Watcher) Run(ctx context.Context) error {
	var listening sync.WaitGroup
	defer listening.Wait()
	listening.Go(func() {
		w.cfg.Source.Events(ctx,
			func(c key.Cluster) {
				if w.cfg.Follower.Follows(c) {
					w.ask(ctx, true, c)
				}
			},
			func() { w.ask(ctx, false, w.cfg.Follower.Followed()...) })
	})
	ticker := time.NewTicker(w.cfg.Interval)
	defer ticker.Stop()
	for ctx.Err() == nil {
		w.ask(ctx, false, w.cfg.Follower.Followed()...)
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.workers > 0 {
		w.idle.Wait()
	}
	return nil
}

// Check asks about clusters and waits until the Follower was told what Redis said:
// each question begins after the call. The error is ctx's.
func (w *Watcher) Check(ctx context.Context, clusters ...key.Cluster) error {
	// Others may wait for the same answer.
	for _, done := range w.ask(context.WithoutCancel(ctx), true, clusters...) {
		select {
		case <-done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// ask has the clusters asked about, by workers that heed ctx. The channels are
// closed when the Follower was told.
func (w *Watcher) ask(ctx context.Context, urgent bool, clusters ...key.Cluster) []<-chan struct{} {
	done := make([]<-chan struct{}, len(clusters))
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, c := range clusters {
		l := w.lines[c]
		if l == nil {
			l = &line{}
			w.lines[c] = l
		}
		fresh := l.next == nil
		if fresh {
			l.next = make(chan struct{})
		}
		done[i] = l.next
		switch {
		case l.asking: // it is queued when it was answered
		case urgent && !l.urgent:
			l.urgent = true
			w.urgent = append(w.urgent, c)
		case fresh && !urgent:
			w.routine = append(w.routine, c)
		}
	}
	for range (len(w.urgent) + len(w.routine) + clustersBatch - 1) / clustersBatch {
		if w.workers == watchWorkers {
			break
		}
		w.workers++
		go w.work(ctx)
	}
	return done
}

// work asks as long as there is something to ask.
func (w *Watcher) work(ctx context.Context) {
	for {
		w.mu.Lock()
		batch := w.pick(clustersBatch)
		if len(batch) == 0 {
			w.workers--
			w.idle.Broadcast()
			w.mu.Unlock()
			return
		}
		w.mu.Unlock()
		w.question(ctx, batch)
	}
}

// job is a cluster that is asked about and the channel of those who wait for it.
type job struct {
	cluster key.Cluster
	done    chan struct{}
}

// pick takes up to n clusters off the queues. It is called with the lock held.
func (w *Watcher) pick(n int) []job {
	var batch []job
	for _, queue := range []*[]key.Cluster{&w.urgent, &w.routine} {
		for len(*queue) > 0 && len(batch) < n {
			c := (*queue)[0]
			*queue = (*queue)[1:]
			l := w.lines[c]
			if l == nil || l.asking || l.next == nil {
				continue
			}
			batch = append(batch, job{c, l.next})
			l.asking, l.urgent, l.next = true, false, nil
		}
		if len(*queue) == 0 {
			*queue = nil // and the room of what was taken off
		}
	}
	return batch
}

// question asks about some clusters and tells the Follower.
func (w *Watcher) question(ctx context.Context, batch []job) {
	asks := make([]Ask, len(batch))
	for i, j := range batch {
		asks[i] = w.cfg.Follower.Ask(j.cluster)
	}
	views := w.refresh(ctx, asks)
	var away error
	answered := false
	for i, j := range batch {
		w.take(ctx, views[i])
		answered = answered || views[i].Err == nil
		away = views[i].Err
		for n := 0; views[i].More && n < len(asks[i].Sections); n++ {
			views[i] = w.refresh(ctx, []Ask{w.cfg.Follower.Ask(j.cluster)})[0]
			w.take(ctx, views[i])
		}
		w.answered(j)
	}
	w.outage.Note(ctx, away)
	if answered || ctx.Err() != nil || len(batch) < clustersBatch {
		return
	}
	// As many clusters have keys on every server: those who wait for their turn would
	// wait as long, for the same answer.
	w.mu.Lock()
	rest := w.pick(len(w.lines))
	w.mu.Unlock()
	for _, j := range rest {
		w.take(ctx, View{Info: ClusterInfo{ID: j.cluster}, Err: away, Asked: views[0].Asked})
		w.answered(j)
	}
}

func (w *Watcher) refresh(ctx context.Context, asks []Ask) []View {
	ctx, cancel := context.WithTimeout(ctx, w.cfg.Timeout)
	defer cancel()
	return w.cfg.Source.Refresh(ctx, asks)
}

// take tells the Follower, unless this process is what ended the question.
func (w *Watcher) take(ctx context.Context, v View) {
	if ctx.Err() == nil {
		w.cfg.Follower.Take(ctx, v)
	}
}

// answered lets those go on who wait, and queues the cluster if it was asked for
// meanwhile.
func (w *Watcher) answered(j job) {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(j.done)
	l := w.lines[j.cluster]
	l.asking = false
	if l.next == nil {
		delete(w.lines, j.cluster)
	} else {
		l.urgent = true
		w.urgent = append(w.urgent, j.cluster)
	}
}

// Events tells of every publish that is heard, until ctx is done, and when they
// begin to be heard, also after a cut: those of meanwhile were not.
func (r *Reader) Events(ctx context.Context, published func(key.Cluster), subscribed func()) {
	r.clients.Listen(ctx, conn.Subscription{
		Patterns: []string{key.EventsPattern},
		OnMessage: func(channel, _ string) {
			if c, ok := key.ClusterOf(channel); ok {
				published(c)
			}
		},
		OnSubscribe: subscribed,
	})
}
