package load

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
)

// ErrThresholds is wrapped by Run's error when all ran and a threshold was crossed.
var ErrThresholds = errors.New("thresholds were crossed")

// Run starts everything, runs the scripts one after the other and writes the report,
// also when a threshold was crossed, which is an error. When ctx ends it stops what
// runs and returns ctx's error. No process it started is left when it returns.
func Run(ctx context.Context, cfg Config) (err error) {
	if cfg, err = cfg.withDefaults(); err != nil {
		return err
	}
	if err := os.MkdirAll(cfg.Raw, 0o755); err != nil {
		return fmt.Errorf("load: %w", err)
	}
	dir, err := os.MkdirTemp("", "atlhyper-load-")
	if err != nil {
		return fmt.Errorf("load: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s, err := newStack(cfg, dir)
	if err != nil {
		return err
	}
	defer s.stop()
	m, err := machineOf(ctx, cfg)
	if err != nil {
		return err
	}
	s.say("starting Redis, %d masters behind HAProxy and the agents of %d clusters", cfg.Masters, cfg.Clusters)
	if err := s.start(ctx); err != nil {
		return err
	}
	results, err := s.runAll(ctx)
	if err != nil {
		return err
	}
	if cfg.Report != "" {
		if err := writeReport(cfg, m, results); err != nil {
			return err
		}
		s.say("wrote %s", cfg.Report)
	}
	return verdict(results)
}

func (s *stack) runAll(ctx context.Context) ([]result, error) {
	var results []result
	for _, sc := range s.cfg.scripts() {
		for i, port := range s.ports.masters { // also those that the script before ended
			url := "http://" + address(port) + "/readyz"
			if err := s.poll(ctx, fmt.Sprintf("master %d", i), s.get(url, nil)); err != nil {
				return nil, err
			}
		}
		s.say("running %s.js for %s", sc.name, s.cfg.Duration)
		r, err := s.runScript(ctx, sc)
		if err != nil {
			return nil, err
		}
		if len(r.happened) != len(sc.events) {
			return nil, fmt.Errorf("load: %s: k6 ended after %s, before all happened that should have", sc.name, r.lasted)
		}
		results = append(results, r)
	}
	return results, nil
}

// verdict is nil when all thresholds held.
func verdict(results []result) error {
	var crossed []string
	for _, r := range results {
		for _, t := range r.failed() {
			what := fmt.Sprintf("%s.js: %s: %s, measured %s", r.script.name, t.metric, t.bound, number(t.value))
			if t.empty {
				what = fmt.Sprintf("%s.js: %s: %s, but nothing was measured", r.script.name, t.metric, t.bound)
			}
			crossed = append(crossed, what)
		}
	}
	if len(crossed) == 0 {
		return nil
	}
	return fmt.Errorf("load: %w:\n  %s", ErrThresholds, strings.Join(crossed, "\n  "))
}

// say prints a line for the person at the terminal.
func (s *stack) say(format string, args ...any) {
	if _, err := fmt.Fprintf(s.cfg.Output, "load: "+format+"\n", args...); err != nil {
		select {
		case s.broken <- fmt.Errorf("load: output: %w", err):
		default: // one is enough
		}
	}
}
