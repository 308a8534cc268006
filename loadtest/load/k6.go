package load

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/atlhyper/observe/loadtest/proc"
)

// exitThresholds is k6's exit status when a threshold was crossed.
const exitThresholds = 99

// result is one script's run.
type result struct {
	script script
	began  time.Time
	lasted time.Duration
	// thresholds are k6's; samples what its CSV holds.
	thresholds []threshold
	samples    samples
	// happened are the script's events and when they did.
	happened []happening
	// used is the processor time of each kind of part, and of k6.
	used map[string]time.Duration
}

// happening is an event that took place.
type happening struct {
	label string
	at    time.Time
}

// failed are the thresholds that were crossed.
func (r result) failed() (failed []threshold) {
	return slices.DeleteFunc(slices.Clone(r.thresholds), func(t threshold) bool { return t.ok })
}

// run runs a script to its end. A crossed threshold is no error.
func (s *stack) runScript(ctx context.Context, sc script) (r result, err error) {
	raw := filepath.Join(s.cfg.Raw, sc.name)
	csv, summary := raw+".csv", raw+".json"
	r = result{script: sc, began: time.Now(), used: map[string]time.Duration{}}
	before, busy := s.usage(), allBusy()
	p, err := proc.Start(proc.Spec{
		Name: sc.name, Path: s.cfg.K6, Env: s.environment(), Output: s.cfg.Output, Grace: 20 * time.Second,
		Args: []string{
			"run", "--quiet", "--no-color", "--no-usage-report", "--address", "",
			"--out", "csv=" + csv, "--summary-export", summary, filepath.Join(s.cfg.Scripts, sc.name+".js"),
		},
	})
	if err != nil {
		return r, fmt.Errorf("load: %w", err)
	}
	defer p.Stop()
	if err := s.follow(ctx, p, &r); err != nil {
		return r, err
	}
	r.lasted = time.Since(r.began)
	ours := r.used["k6"]
	for kind, used := range s.usage() {
		r.used[kind] = used - before[kind]
		ours += r.used[kind]
	}
	r.used["others"] = max(allBusy()-busy-ours, 0)
	if err := exitError(p.Err()); err != nil {
		return r, fmt.Errorf("load: %s: k6: %w", sc.name, err)
	}
	return r, r.read(csv, summary)
}

// follow lets the script's events happen until k6 ends.
func (s *stack) follow(ctx context.Context, p *proc.Process, r *result) error {
	ticker := time.NewTicker(min(time.Second, s.cfg.Duration/100))
	defer ticker.Stop()
	ahead := r.script.events
	for {
		select {
		case <-p.Done():
			return nil
		case err := <-s.broken:
			return err
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		r.used["k6"] = max(r.used["k6"], processorTime(p.PID())) // gone when it has ended
		if len(ahead) == 0 || time.Since(r.began) < ahead[0].moment(s.cfg.Duration) {
			continue
		}
		e := ahead[0]
		ahead = ahead[1:]
		r.happened = append(r.happened, happening{e.label, time.Now()})
		s.say("%s: %s", r.script.name, e.label)
		if err := e.do(s, e.master); err != nil {
			return err
		}
	}
}

// exitError is nil for a run that went to its end, whatever its thresholds say.
func exitError(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == exitThresholds {
		return nil
	}
	return err
}

func (r *result) read(csv, summary string) (err error) {
	text, err := os.ReadFile(summary)
	if err != nil {
		return fmt.Errorf("load: %w", err)
	}
	if r.thresholds, err = parseSummary(text); err != nil {
		return fmt.Errorf("load: %s: %w", summary, err)
	}
	f, err := os.Open(csv)
	if err != nil {
		return fmt.Errorf("load: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if r.samples, err = readSamples(f); err != nil {
		return fmt.Errorf("load: %s: %w", csv, err)
	}
	return nil
}

// environment is ours without what would change k6, and the scripts' settings.
func (s *stack) environment() []string {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "K6_") })
	return append(env,
		"BASE="+s.base(), "SECONDS="+strconv.Itoa(int(s.cfg.Duration.Seconds())), "LOAD="+strconv.FormatFloat(s.cfg.Load, 'g', -1, 64),
		"K6_CSV_TIME_FORMAT=unix_milli",
		"K6_AUTO_EXTENSION_RESOLUTION=false", // what it needs is built in; nothing is fetched
	)
}
