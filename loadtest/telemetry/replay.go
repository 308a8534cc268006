package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Defaults of Config.
const (
	DefaultBackfill  = 30 * time.Minute
	DefaultTick      = time.Second
	DefaultRetryWait = time.Second
)

// maxRetryWait bounds the wait between two attempts, which doubles each time.
const maxRetryWait = 15 * time.Second

// chunk is how much time one round of inserts covers at most: some 80,000 rows.
const chunk = 10 * time.Minute

// Config says what a Replayer writes, where, and how fast.
type Config struct {
	// Conn is where the rows go; see Open. Required. The tables must be there
	// (CreateTables). The Replayer does not close it.
	Conn driver.Conn
	// Capture is what is replayed; nil loads the embedded one. Several
	// replayers may share it.
	Capture *Capture
	// Database holds the tables; empty means the connection's own.
	Database string
	// Logger gets what goes wrong and is retried; nil discards it.
	Logger *slog.Logger
	// Loop is how much of the capture repeats, from its beginning, in whole
	// seconds; zero means all of it. At least a minute.
	Loop time.Duration
	// Backfill is how much history is written at the start; zero means
	// DefaultBackfill.
	Backfill time.Duration
	// Tick is how often rows are written after that; zero means DefaultTick.
	Tick time.Duration
	// CatchUp bounds what is written after a pause, when the machine slept or
	// ClickHouse was away: what is older is left out, as if the collector had
	// been off. Zero means as much as Backfill.
	CatchUp time.Duration
	// RetryWait is the wait before the second attempt of an insert; it doubles
	// up to 15 s. Zero means DefaultRetryWait.
	RetryWait time.Duration
	// Variant tells clusters apart; the zero Variant is the capture as it is.
	Variant Variant
	// Clock tells the time; nil means time.Now.
	Clock func() time.Time
}

func (c Config) withDefaults() (Config, error) {
	if c.Conn == nil {
		return c, errors.New("telemetry: Config.Conn is required")
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"Loop", c.Loop}, {"Backfill", c.Backfill}, {"Tick", c.Tick}, {"CatchUp", c.CatchUp}, {"RetryWait", c.RetryWait}, {"Variant.Phase", c.Variant.Phase}} {
		if d.value < 0 {
			return c, fmt.Errorf("telemetry: Config.%s is negative: %s", d.name, d.value)
		}
	}
	if c.Capture == nil {
		capture, err := Load()
		if err != nil {
			return c, err
		}
		c.Capture = capture
	}
	if c.Loop == 0 {
		c.Loop = c.Capture.Length
	}
	if c.Loop < time.Minute || c.Loop > c.Capture.Length || c.Loop%time.Second != 0 {
		return c, fmt.Errorf("telemetry: Config.Loop: want whole seconds from 1m to %s, have %s", c.Capture.Length, c.Loop)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	c.Backfill = orDefault(c.Backfill, DefaultBackfill)
	c.Tick = orDefault(c.Tick, DefaultTick)
	c.CatchUp = orDefault(c.CatchUp, c.Backfill)
	c.RetryWait = orDefault(c.RetryWait, DefaultRetryWait)
	return c, nil
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

// Replayer writes a capture over and over, always up to now. A row is written
// when a collector would have had it: a sample at its scrape, a span at its end.
//
// An insert that failed is tried again until it succeeds. Before that the
// Replayer looks whether the rows arrived after all (the answer may have been
// lost, not the insert), so no row is written twice while one replayer writes
// to the tables and an insert is all or nothing, which ClickHouse grants for
// the rows of one day. It keeps no state elsewhere: started again, it begins
// with a backfill, over what an earlier run may have written.
type Replayer struct {
	cfg    Config
	prefix string
	rows   Rows
	ready  chan struct{}

	// Set by the first Advance.
	timeline *timeline
	history  time.Time // where the rows begin
	written  time.Time // everything due until then is written
}

// NewReplayer checks the configuration; it does not connect.
func NewReplayer(cfg Config) (*Replayer, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	prefix, err := databasePrefix(cfg.Database)
	if err != nil {
		return nil, fmt.Errorf("telemetry: %w", err)
	}
	return &Replayer{cfg: cfg, prefix: prefix, rows: cfg.Variant.apply(cfg.Capture), ready: make(chan struct{})}, nil
}

// Ready is closed when Run has written the backfill.
func (r *Replayer) Ready() <-chan struct{} { return r.ready }

// Run writes the backfill and then, at each tick, what has come due, until the
// context is done; then it returns nil. Any other end is an error that trying
// again would not mend, such as a missing table. Run may be called once.
func (r *Replayer) Run(ctx context.Context) error {
	tick := time.NewTicker(r.cfg.Tick)
	defer tick.Stop()
	for first := true; ; first = false {
		err := r.Advance(ctx)
		if ctx.Err() != nil {
			return nil // ended on purpose, whatever that interrupted
		}
		if err != nil {
			return err
		}
		if first {
			r.cfg.Logger.Info("telemetry: backfill written", "database", r.cfg.Database, "from", r.history, "to", r.written)
			close(r.ready)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Advance writes everything that has come due since the last call, the first
// time the backfill. Run calls it; a test with a clock of its own calls it
// instead of Run. It is not safe for concurrent use, and an error is the end of
// the Replayer: some tables may hold rows that it would write again.
func (r *Replayer) Advance(ctx context.Context) error {
	now := r.cfg.Clock().Round(0) // a pause shows on the wall clock alone
	switch {
	case r.timeline == nil:
		r.begin(now)
	case now.Sub(r.written) > r.cfg.CatchUp:
		from := now.Add(-r.cfg.CatchUp)
		r.cfg.Logger.Warn("telemetry: too far behind, rows are left out", "from", r.written, "to", from)
		r.history, r.written = from, from
	}
	for r.written.Before(now) {
		to := r.written.Add(chunk)
		if to.After(now) {
			to = now
		}
		rows := r.timeline.rows(r.history, r.written, to)
		for _, t := range tables() {
			if err := r.insert(ctx, t, &rows); err != nil {
				return fmt.Errorf("telemetry: %w", err)
			}
		}
		r.written = to
	}
	return nil
}

// begin fixes where on the wall clock the loops begin.
func (r *Replayer) begin(now time.Time) {
	phase := (r.cfg.Variant.Phase % r.cfg.Loop).Truncate(time.Second)
	r.history = now.Add(-r.cfg.Backfill)
	r.written = r.history
	anchor := r.history.Truncate(time.Second).Add(-phase)
	// The salt tells replayers and runs apart: each begins at another nanosecond,
	// and those of one process have other databases or variants.
	salt := fmt.Sprintf("%d/%s/%+v", now.UnixNano(), r.cfg.Database, r.cfg.Variant)
	r.timeline = newTimeline(&r.rows, window{start: r.cfg.Capture.Start, length: r.cfg.Loop}, anchor, salt)
}
