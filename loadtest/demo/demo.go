package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/atlhyper/observe/loadtest/proc"
	"github.com/atlhyper/observe/loadtest/telemetry"
)

// demo is a run in progress.
type demo struct {
	cfg   Config
	dir   string     // for the engines' and Redis's data
	stops []func()   // how to undo what was started, oldest first
	mu    sync.Mutex // guards stops
	// capture is loaded once for all replayers; nil when nothing is filled.
	capture *telemetry.Capture
	// embeddedRedis is true when the stand-in runs.
	embeddedRedis bool
	// broken gets the first failure of a part that cannot be started again.
	broken chan error
}

// Run starts everything, says where it is, and runs until ctx is done or a part
// fails that cannot be started again. It stops what it started in reverse order
// and removes its files; nil means that ctx ended it.
func Run(ctx context.Context, cfg Config) (err error) {
	if cfg.Interval == 0 {
		cfg.Interval = 10 * time.Second
	}
	if err := cfg.Validate(); err != nil {
		return err
	}
	if err := cfg.checkPorts(); err != nil {
		return err
	}
	d := &demo{cfg: cfg, broken: make(chan error, 8)}
	if d.dir, err = os.MkdirTemp("", "atlhyper-demo-"); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer func() {
		d.say("stopping")
		d.stopAll()
		err = errors.Join(err, os.RemoveAll(d.dir))
	}()
	if err := d.start(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // stopped while it was starting
		}
		return err
	}
	d.welcome(ctx)
	select {
	case <-ctx.Done():
		return nil
	case err := <-d.broken:
		return err
	}
}

// start brings the parts up in the order of who needs whom. Clusters come up
// side by side: an engine takes seconds.
func (d *demo) start(ctx context.Context) error {
	began := time.Now()
	if err := d.startRedis(ctx); err != nil {
		return err
	}
	if err := d.startMasters(ctx); err != nil {
		return err
	}
	if err := d.startBalancer(ctx); err != nil {
		return err
	}
	if err := d.loadCapture(); err != nil {
		return err
	}
	group, gctx := errgroup.WithContext(ctx)
	for _, c := range d.cfg.clusters() {
		group.Go(func() error { return d.startCluster(gctx, c) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, c := range d.cfg.clusters() {
		if err := d.awaitAnswers(ctx, c); err != nil {
			return err
		}
	}
	d.say("ready %.1f s after the first process started", time.Since(began).Seconds())
	return nil
}

func (d *demo) loadCapture() (err error) {
	if !slices.ContainsFunc(d.cfg.clusters(), func(c cluster) bool { return c.fill }) {
		return nil
	}
	d.capture, err = telemetry.Load()
	return err
}

// onStop remembers how to undo something.
func (d *demo) onStop(stop func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stops = append(d.stops, stop)
}

func (d *demo) stopAll() {
	d.mu.Lock()
	stops := slices.Clone(d.stops)
	d.mu.Unlock()
	for _, stop := range slices.Backward(stops) {
		stop()
	}
}

// background runs f until the demo stops; an error of f ends the demo.
func (d *demo) background(name string, f func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := f(ctx); err != nil && ctx.Err() == nil {
			d.breaks(fmt.Errorf("%s: %w", name, err))
		}
	}()
	d.onStop(func() {
		cancel()
		<-done
	})
}

func (d *demo) breaks(err error) {
	select {
	case d.broken <- err:
	default: // one is enough
	}
}

// server starts a child that the demo cannot go on without; log is the file of
// its last words, "" for none.
func (d *demo) server(spec proc.Spec, log string) error {
	spec.Output, spec.Env = d.cfg.Output, environment()
	p, err := proc.Start(spec)
	if err != nil {
		return err
	}
	stopping := make(chan struct{})
	go func() {
		select {
		case <-stopping:
		case <-p.Done():
			d.breaks(fmt.Errorf("%s ended and the demo cannot go on without it: %w%s", spec.Name, exitOf(p), lastWords(log)))
		}
	}()
	d.onStop(func() {
		close(stopping)
		p.Stop()
	})
	return nil
}

// exitOf says how a child ended, also when it ended well.
func exitOf(p *proc.Process) error {
	if err := p.Err(); err != nil {
		return err
	}
	return errors.New("exit status 0")
}

// lastWords is the end of a log file.
func lastWords(file string) string {
	if file == "" {
		return ""
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	const most = 1000
	return "; its log ends with:\n" + string(text[max(0, len(text)-most):])
}

// replica starts a child that is started again when it dies, as Kubernetes does:
// masters and agents hold nothing, engines keep their tables on disk.
func (d *demo) replica(spec proc.Spec) {
	spec.Output, spec.Env = d.cfg.Output, environment()
	d.background(spec.Name, func(ctx context.Context) error {
		return proc.Keep(ctx, spec, func(p *proc.Process) { d.say("%s runs as process %d", spec.Name, p.PID()) })
	})
}

// environment is ours without the settings of agents and masters: those of the
// demo are flags. Where the engine is cached stays.
func environment() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "ATLHYPER_") && !strings.HasPrefix(v, "ATLHYPER_CACHE=")
	})
}

func (d *demo) binary(name string) string { return filepath.Join(d.cfg.BinDir, name) }

func (d *demo) logLevel() string {
	if d.cfg.Verbose {
		return "info"
	}
	return "warn"
}

// say prints a line for the person at the terminal.
func (d *demo) say(format string, args ...any) {
	if _, err := fmt.Fprintf(d.cfg.Output, "demo: "+format+"\n", args...); err != nil {
		d.breaks(fmt.Errorf("output: %w", err))
	}
}
