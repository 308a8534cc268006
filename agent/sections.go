package agent

import (
	"context"
	"time"

	"github.com/atlhyper/observe/agent/clickhouse"
	"github.com/atlhyper/observe/agent/collect"
	"github.com/atlhyper/observe/agent/worker"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/model"
)

// sections is the table of what the agent publishes.
func sections(w clickhouse.Windows) []collect.Section[*clickhouse.Round] {
	return []collect.Section[*clickhouse.Round]{
		section(model.SectionMetricsSummary, w.Rate, (*clickhouse.Round).MetricsSummary),
		section(model.SectionMetricsNodes, w.Rate, (*clickhouse.Round).MetricsNodes),
		section(model.SectionTracesServices, w.Trace, (*clickhouse.Round).TracesServices),
		section(model.SectionTracesTopology, w.Trace, (*clickhouse.Round).TracesTopology),
		section(model.SectionSLOSummary, w.SLO, (*clickhouse.Round).SLOSummary),
		section(model.SectionSLOIngress, w.SLO, (*clickhouse.Round).SLOIngress),
		section(model.SectionSLOServices, w.SLO, (*clickhouse.Round).SLOServices),
		section(model.SectionSLOEdges, w.SLO, (*clickhouse.Round).SLOEdges),
		// Of several windows: the longest is said.
		section(model.SectionOverview, max(w.Rate, w.Trace, w.SLO), (*clickhouse.Round).Overview),
	}
}

func section[T any](name model.Section, window time.Duration, get func(*clickhouse.Round) (T, error)) collect.Section[*clickhouse.Round] {
	return collect.Section[*clickhouse.Round]{
		Name: name, Window: window,
		Collect: func(ctx context.Context, r *clickhouse.Round) (any, error) { return get(r.In(ctx)) },
	}
}

// reads is what a section's statements read.
func reads(r *clickhouse.Round, name model.Section) snapshot.Reads {
	return snapshot.Reads(r.Reads(name))
}

// handlers adds the detail requests that the agent answers.
func handlers(r *worker.Registry, s *clickhouse.Store) {
	worker.Handle(r, s.Node)
	worker.Handle(r, s.NodeSeries)
	worker.Handle(r, s.Traces)
	worker.Handle(r, s.Trace)
	worker.Handle(r, s.Logs)
	worker.Handle(r, s.SLOSeries)
	worker.Handle(r, s.Section)
}
