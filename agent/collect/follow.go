package collect

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
)

// DefaultPause is the default of FollowerConfig.Pause.
const DefaultPause = 2 * time.Second

// FollowerConfig is what a Follower needs.
type FollowerConfig struct {
	// Name says in metrics and in the log what is followed: "kubernetes". Required.
	Name string
	// Sections names the sections. Required.
	Sections []model.Section
	// Read returns a section as it is now. Equal versions of one section are equal
	// values; that of a value is not 0. It is called by one goroutine. Required.
	Read func(name model.Section) (value any, version uint64, err error)
	// Changed is sent to after a change of what Read returns. Several changes may be
	// one message. nil means that nothing tells of changes.
	Changed <-chan struct{}
	// Publisher gets the outcomes. Required.
	Publisher Publisher
	// Interval is between two publishes of all sections. 0 means 10 s.
	Interval time.Duration
	// Pause is the least time between two publishes. 0 means 2 s; longer than Interval
	// is Interval.
	Pause time.Duration
	// CompressAbove is that of snapshot.Update.
	CompressAbove int
	// Metrics gets what the Follower counts. nil means none.
	Metrics prometheus.Registerer
	// Logger gets the causes of failures. nil means none.
	Logger *slog.Logger
}

func (c FollowerConfig) withDefaults() (FollowerConfig, error) {
	if c.Name == "" || len(c.Sections) == 0 || c.Read == nil || c.Publisher == nil {
		return c, errors.New("collect: Name, Sections, Read and Publisher are required")
	}
	if c.Interval < 0 || c.Pause < 0 {
		return c, errors.New("collect: Interval and Pause must not be negative")
	}
	c.Interval = cmp.Or(c.Interval, defaultInterval)
	c.Pause = min(cmp.Or(c.Pause, DefaultPause), c.Interval)
	c.Logger = cmp.Or(c.Logger, slog.New(slog.DiscardHandler))
	return c, nil
}

// Follower publishes sections that tell themselves when they change: soon after a
// change those that changed, and each interval all, so that masters see that they
// still hold. A value is encoded once for each version.
type Follower struct {
	cfg      FollowerConfig
	sections []*followed
	outage   conn.Outage
	stats    followerStats
}

// NewFollower checks the configuration.
func NewFollower(cfg FollowerConfig) (*Follower, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	f := &Follower{cfg: cfg, outage: conn.Outage{Logger: cfg.Logger, What: "publishing " + cfg.Name}}
	for _, name := range cfg.Sections {
		f.sections = append(f.sections, &followed{name: name})
	}
	return f, f.stats.register(cfg.Metrics, cfg.Name)
}

// look is which sections a publish is about.
type look int

const (
	none    look = iota
	changed      // those that are not as they were handed over last
	ready        // all but those that were never read: there was hardly time to
	all
)

// Run publishes at once, after changes and each Interval, until ctx is done. While
// the Publisher fails it tries less and less often, at least each Interval. After it
// returned it may be called again, also with what was published meanwhile by others.
func (f *Follower) Run(ctx context.Context) error {
	ticker := time.NewTicker(f.cfg.Interval)
	defer ticker.Stop()
	rest := stoppedTimer()
	defer rest.Stop()
	backoff := conn.Backoff{Min: f.cfg.Pause, Max: f.cfg.Interval}
	resting, failed, due := false, false, ready
	for ctx.Err() == nil {
		if !resting && (due != none || failed) {
			failed = !f.publish(ctx, due, failed)
			due, resting = none, true
			if failed {
				rest.Reset(backoff.Next())
			} else {
				backoff.Reset()
				rest.Reset(f.cfg.Pause)
			}
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
			due = all
		case <-f.cfg.Changed:
			due = max(due, changed)
		case <-rest.C:
			resting = false
		}
	}
	return nil
}

// publish hands over the sections that due says. After a failure it publishes also
// when there are none, since the Publisher keeps what it could not write. false when
// it failed.
func (f *Follower) publish(ctx context.Context, due look, again bool) bool {
	updates := f.look(ctx, max(due, changed))
	if len(updates) == 0 && !again {
		return true
	}
	done, err := f.cfg.Publisher.Publish(ctx, updates)
	f.outage.Note(ctx, err)
	if err != nil {
		return false
	}
	f.cfg.Logger.DebugContext(ctx, "published", "source", f.cfg.Name, "seq", done.Seq, "sections", len(updates), "changed", len(done.Written), "bytes", done.Bytes)
	return true
}

// look reads all sections and returns what is due of them.
func (f *Follower) look(ctx context.Context, due look) []snapshot.Update {
	at, failing := time.Now(), int64(0)
	var updates []snapshot.Update
	for _, s := range f.sections {
		anew, err := s.read(f.cfg.Read)
		if anew {
			f.stats.encoded.Add(1)
			f.stats.bytes.Add(int64(len(s.data)))
		}
		if err != nil {
			failing++
		}
		if u, ok := s.update(err, anew, due); ok {
			f.log(ctx, s, err)
			u.At, u.Interval, u.CompressAbove = at, f.cfg.Interval, f.cfg.CompressAbove
			updates = append(updates, u)
		}
	}
	f.stats.looks.Add(1)
	f.stats.failing.Store(failing)
	return updates
}

// log tells of failures that nobody else told of.
func (f *Follower) log(ctx context.Context, s *followed, err error) {
	var known *fault.Error
	foreign := err != nil && !errors.As(err, &known)
	switch {
	case foreign && !s.logged:
		f.cfg.Logger.WarnContext(ctx, "section fails", "section", s.name, "error", err)
	case !foreign && s.logged:
		f.cfg.Logger.InfoContext(ctx, "section is read again", "section", s.name)
	}
	s.logged = foreign
}

// followed is one section of a Follower.
type followed struct {
	name    model.Section
	version uint64 // of data; 0 for none
	data    []byte // msgpack
	took    time.Duration
	said    string // the failure that was handed over last; "" for a value, or nothing yet
	logged  bool   // the failure is in the log
}

// read encodes the section if it is another one than before.
func (s *followed) read(from func(model.Section) (any, uint64, error)) (anew bool, err error) {
	start, version := time.Now(), uint64(0)
	data, err := encoded(s.name, func() (value any, err error) {
		value, version, err = from(s.name)
		switch {
		case err != nil:
			return nil, err
		case version == 0:
			return nil, errors.New("a value without a version")
		case version == s.version:
			return nil, errSame
		}
		return value, nil
	})
	switch {
	case errors.Is(err, errSame):
		return false, nil
	case err != nil:
		return false, err
	}
	s.data, s.version, s.took = data, version, time.Since(start)
	return true, nil
}

// errSame says that there is nothing to encode.
var errSame = errors.New("the version is the one before")

// update is what to hand over of the section; false when it is not due.
func (s *followed) update(err error, anew bool, due look) (snapshot.Update, bool) {
	u := snapshot.Update{Name: s.name, Took: s.took}
	if err != nil {
		if due < all && fault.Is(err, fault.NotReady) {
			return u, false
		}
		u.Err = public(err)
	} else {
		u.Data = s.data
	}
	if due == changed && !anew && u.Err == s.said {
		return u, false
	}
	s.said = u.Err
	return u, true
}
