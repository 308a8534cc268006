package fleet

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/atlhyper/observe/agent"
	"github.com/atlhyper/observe/agent/collect"
	"github.com/atlhyper/observe/agent/worker"
	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/model"
)

// Queries counts what became of detail queries.
type Queries struct {
	// Answered ran to their end; Ended were stopped before, by their deadline or
	// because nobody waited any more.
	Answered, Ended int64
	// Running is how many run now.
	Running int64
}

type queries struct{ answered, ended, running atomic.Int64 }

func (q *queries) read() Queries {
	return Queries{Answered: q.answered.Load(), Ended: q.ended.Load(), Running: q.running.Load()}
}

// source is the telemetry of one simulated cluster.
type source struct {
	world   World
	cfg     Config
	queries *queries
}

// Collector implements agent.Source. R is the number of the round.
func (s *source) Collector(cfg agent.Config, p collect.Publisher) (agent.Collector, error) {
	var sections []collect.Section[int64]
	for _, line := range table() {
		sections = append(sections, collect.Section[int64]{
			Name: line.name, Window: line.window,
			Collect: func(_ context.Context, round int64) (any, error) {
				return line.value(s.world, s.world.Version(line.name, round)), nil
			},
		})
	}
	return collect.New(collect.Config[int64]{
		Sections:  sections,
		Begin:     func(_ context.Context, at time.Time) int64 { return s.world.Round(at) },
		Publisher: p, Interval: cfg.Interval, Timeout: cfg.SectionTimeout, Clock: s.cfg.Clock, Logger: cfg.Logger,
	})
}

// Handlers implements agent.Source.
func (s *source) Handlers(r *worker.Registry) {
	handle[detail.Node, model.NodeMetrics](s, r)
	handle[detail.NodeSeries, model.NodeSeries](s, r)
	handle[detail.Traces, []model.TraceSummary](s, r)
	handle[detail.Trace, model.Trace](s, r)
	handle[detail.Logs, model.LogPage](s, r)
	handle[detail.SLOSeries, model.SLOSeries](s, r)
	handle[detail.Section, any](s, r)
}

// Close implements agent.Source.
func (s *source) Close() error { return nil }

func handle[R detail.Request, T any](s *source, r *worker.Registry) {
	worker.Handle(r, func(ctx context.Context, request R) (T, detail.Meta, error) {
		if err := s.query(ctx); err != nil {
			var none T
			return none, detail.Meta{}, err
		}
		return s.world.Answer(request).(T), detail.Meta{}, nil
	})
}

// query takes the time of a query, unless ctx ends before.
func (s *source) query(ctx context.Context) error {
	s.queries.running.Add(1)
	defer s.queries.running.Add(-1)
	if takes := s.takes(); takes > 0 {
		timer := time.NewTimer(takes)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			s.queries.ended.Add(1)
			return context.Cause(ctx)
		}
	}
	s.queries.answered.Add(1)
	return nil
}

// takes is how long the next query runs.
func (s *source) takes() time.Duration {
	longer := min(rand.ExpFloat64(), 10)
	return max(s.cfg.QueryTime, 0) + time.Duration(longer*float64(s.cfg.QuerySpread))
}
