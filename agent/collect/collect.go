// Package collect publishes sections: a Collector those of a table that are collected
// side by side each tick, a Follower those that tell themselves when they change.
package collect

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/model"
	"github.com/atlhyper/observe/shared/span"
)

// tracerName is the import path, as the scope of the spans.
const tracerName = "github.com/atlhyper/observe/agent/collect"

// defaultInterval is between publishes.
const defaultInterval = 10 * time.Second

// Section is one line of the table. R is what the sections of a tick share, so
// that rows that several of them are made of are read once.
type Section[R any] struct {
	// Name in the snapshot.
	Name model.Section
	// Window is the length of the telemetry that the value speaks of; 0 for none.
	Window time.Duration
	// Collect returns the value, of the type that Name stands for. ctx is the round's, with
	// the span of this collection.
	Collect func(ctx context.Context, round R) (any, error)
}

// Publisher writes to Redis; *snapshot.Writer is one. After an error it keeps
// the updates: the next Publish sends them too.
type Publisher interface {
	Publish(ctx context.Context, updates []snapshot.Update) (snapshot.Published, error)
}

// Config is what a Collector needs.
type Config[R any] struct {
	// Sections is the table. Required.
	Sections []Section[R]
	// Begin starts a round whose windows end at the given time; ctx bounds what it
	// does. Required.
	Begin func(ctx context.Context, at time.Time) R
	// Reads tells what a section's collection read from its database so far; it is
	// asked when the section has returned or its time is over. nil says nothing.
	Reads func(round R, name model.Section) snapshot.Reads
	// Publisher gets the outcomes. Required.
	Publisher Publisher
	// Interval is between two rounds. 0 means 10 s.
	Interval time.Duration
	// Timeout bounds each section. 0 means 8 s.
	Timeout time.Duration
	// Flush is how long finished sections wait for the slower ones of their round
	// before they are published without them. 0 means 1 s.
	Flush time.Duration
	// Clock tells the end of the windows. nil means time.Now.
	Clock func() time.Time
	// Metrics gets what the Collector counts. nil means none.
	Metrics prometheus.Registerer
	// TracerProvider makes a trace of each collection. nil makes none.
	TracerProvider trace.TracerProvider
	// Cluster is the id of the cluster, for traces.
	Cluster string
	// Logger gets the causes of failures. nil means none.
	Logger *slog.Logger
}

func (c Config[R]) withDefaults() (Config[R], error) {
	if len(c.Sections) == 0 || c.Begin == nil || c.Publisher == nil {
		return c, errors.New("collect: Sections, Begin and Publisher are required")
	}
	for _, d := range []struct {
		name  string
		value *time.Duration
		or    time.Duration
	}{{"Interval", &c.Interval, defaultInterval}, {"Timeout", &c.Timeout, 8 * time.Second}, {"Flush", &c.Flush, time.Second}} {
		if *d.value == 0 {
			*d.value = d.or
		}
		if *d.value < 0 {
			return c, fmt.Errorf("collect: %s must not be negative", d.name)
		}
	}
	if c.Reads == nil {
		c.Reads = func(R, model.Section) snapshot.Reads { return snapshot.Reads{} }
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// Collector runs the table.
type Collector[R any] struct {
	cfg     Config[R]
	outcome chan outcome
	running map[model.Section]bool // touched by Run alone
	pending []snapshot.Update      // finished and not yet handed to the Publisher
	open    int                    // sections of the latest round that have no outcome yet
	round   int                    // number of the latest round
	outage  conn.Outage
	failing map[model.Section]bool // whose last collection failed: logged once
	stats   map[model.Section]*sectionStats
	tracer  trace.Tracer
}

// outcome is the end of one collection, or the end of the patience with it.
type outcome struct {
	round  int
	update snapshot.Update
	// returned is false when the section is still running after its timeout.
	returned bool
	// late is true for the return of a section whose timeout was reported before:
	// its value is too old to be published.
	late  bool
	cause error
	span  trace.SpanContext // of the collection
}

// New checks the configuration.
func New[R any](cfg Config[R]) (*Collector[R], error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &Collector[R]{
		cfg: cfg,
		// A section has at most two outcomes before it is started again.
		outcome: make(chan outcome, 2*len(cfg.Sections)),
		running: make(map[model.Section]bool),
		failing: make(map[model.Section]bool),
		outage:  conn.Outage{Logger: cfg.Logger, What: "publishing"},
		stats:   make(map[model.Section]*sectionStats, len(cfg.Sections)),
		tracer:  span.Tracer(cfg.TracerProvider, tracerName),
	}
	for _, s := range cfg.Sections {
		c.stats[s.Name] = newSectionStats(s.Name)
	}
	return c, registerSections(cfg.Metrics, c.stats)
}

// Run collects at once and then each Interval, until ctx is done; it returns when
// no section is running any more. Sections that are still running at the next
// tick are not started a second time. What cannot be published is kept and tried
// again, newer outcomes in place of older ones. After it returned, which forgets what
// was not published, it may be called again.
func (c *Collector[R]) Run(ctx context.Context) error {
	ticker := time.NewTicker(c.cfg.Interval)
	defer ticker.Stop()
	flush := stoppedTimer()
	retry := stoppedTimer()
	defer flush.Stop()
	defer retry.Stop()
	backoff := conn.Backoff{Max: c.cfg.Interval}
	publish := func() {
		flush.Stop()
		retry.Stop()
		if ctx.Err() != nil { // seen after what came later than it: that is too late
			return
		}
		if c.publish(ctx) {
			backoff.Reset()
		} else {
			retry.Reset(backoff.Next())
		}
	}

	c.start(ctx)
	for {
		select {
		case <-ctx.Done():
			c.drain()
			return nil
		case <-ticker.C:
			c.start(ctx)
		case o := <-c.outcome:
			c.take(ctx, o)
			switch {
			case len(c.pending) == 0:
			case c.open == 0:
				publish()
			case len(c.pending) == 1:
				flush.Reset(c.cfg.Flush)
			}
		case <-flush.C:
			publish()
		case <-retry.C:
			publish()
		}
	}
}

func stoppedTimer() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

// start begins a round with every section that is not still running.
func (c *Collector[R]) start(ctx context.Context) {
	c.round++
	c.open = 0
	now := time.Now()
	rctx, cancel := context.WithTimeoutCause(ctx, c.cfg.Timeout, errTimeout)
	round := c.cfg.Begin(rctx, c.cfg.Clock())
	done := make(chan struct{}, len(c.cfg.Sections))
	started := 0
	for _, s := range c.cfg.Sections {
		if c.running[s.Name] {
			continue
		}
		c.running[s.Name] = true
		c.open++
		started++
		go c.collect(rctx, s, round, now, c.round, done)
	}
	go func() { // the round's context lives as long as its last section
		defer cancel()
		for range started {
			<-done
		}
	}()
}

// take books an outcome.
func (c *Collector[R]) take(ctx context.Context, o outcome) {
	name := o.update.Name
	if o.returned {
		c.running[name] = false
	}
	if o.late {
		return
	}
	if o.round == c.round {
		c.open--
	}
	c.stats[name].count(o)
	failed := o.cause != nil
	if failed != c.failing[name] {
		c.failing[name] = failed
		ctx := trace.ContextWithSpanContext(ctx, o.span)
		if failed {
			c.cfg.Logger.WarnContext(ctx, "section fails", "section", name, "error", o.cause)
		} else {
			c.cfg.Logger.InfoContext(ctx, "section is collected again", "section", name)
		}
	}
	c.pending = append(c.pending, o.update)
}

// publish hands over what is pending; false when Redis did not take it.
func (c *Collector[R]) publish(ctx context.Context) bool {
	updates := c.pending
	c.pending = nil
	done, err := c.cfg.Publisher.Publish(ctx, updates)
	c.outage.Note(ctx, err)
	if err != nil {
		return false
	}
	c.cfg.Logger.DebugContext(ctx, "published", "seq", done.Seq, "sections", len(updates), "changed", len(done.Written), "bytes", done.Bytes)
	return true
}

// drain waits until every section has returned; what they return comes too late.
func (c *Collector[R]) drain() {
	for name, busy := range c.running {
		for busy {
			o := <-c.outcome
			if o.returned {
				c.running[o.update.Name] = false
			}
			busy = c.running[name]
		}
	}
	c.pending = nil
}
