package clickhouse

import (
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/model"
	tracespan "github.com/atlhyper/observe/shared/span"
)

// Round is one collection cycle: what its sections share is read once, by the
// first of them that needs it, in a fixed number of statements (two for nodes,
// four for SLOs, those of traces) whatever the size of the cluster. It is safe
// for concurrent use.
//
// A section whose source has no rows, or whose tables do not exist, is empty.
// One whose query failed is an error: a *fault.Error that says why.
type Round struct {
	ctx       context.Context // of whoever asks
	at        time.Time
	onlineAge time.Duration
	nodes     *part[nodesNow]
	services  *part[[]model.Service]
	topology  *part[model.Topology]
	traffic   *part[*sloTraffic]
}

// part is what is read once in a round, in the trace of who asks first.
type part[T any] struct {
	begun sync.Once
	first context.Context // of who asked first
	of    trace.SpanContext
	once  func() (T, error)
	meter *meter
}

func newPart[T any](read func(ctx context.Context) (T, error)) *part[T] {
	p := &part[T]{meter: new(meter)}
	p.once = sync.OnceValues(func() (T, error) { return read(metered(p.first, p.meter)) })
	return p
}

func (p *part[T]) get(ctx context.Context) (T, error) {
	joined := true
	p.begun.Do(func() { p.first, p.of, joined = ctx, trace.SpanContextFromContext(ctx), false })
	value, err := p.once()
	if joined {
		tracespan.Join(ctx, p.of)
	}
	return value, err
}

// Round starts a cycle whose windows end at the given time. ctx bounds all of
// its statements. Nothing is read before the first section is asked for.
func (s *Store) Round(ctx context.Context, at time.Time) *Round {
	traces := detail.NewRange(at.Add(-s.cfg.TraceWindow), at)
	r := &Round{ctx: ctx, at: at, onlineAge: s.cfg.OnlineAge}
	r.nodes = newPart(func(ctx context.Context) (nodesNow, error) { return s.nodes(ctx, at) })
	r.services = newPart(func(ctx context.Context) ([]model.Service, error) { return s.services(ctx, traces) })
	r.topology = newPart(func(ctx context.Context) (model.Topology, error) {
		rows, err := r.services.get(ctx)
		if err != nil {
			return model.Topology{}, err
		}
		return s.topologyOf(ctx, traces, rows)
	})
	r.traffic = newPart(func(ctx context.Context) (*sloTraffic, error) {
		return s.traffic(ctx, windowBefore(at, s.cfg.SLOWindow))
	})
	return r
}

// In returns the same round for a part of a trace: what is read first by way of it is
// read in the span of ctx, which must be made of the Round's context and end with it.
func (r *Round) In(ctx context.Context) *Round {
	within := *r
	within.ctx = ctx
	return &within
}

// Reads is what the statements behind a section have read so far. What several
// sections are made of counts for each of them, whichever had it read: the
// reads of a section are what it would cost by itself. TotalReads counts it once.
func (r *Round) Reads(name model.Section) Reads {
	nodes, services, topology, traffic := r.nodes.meter, r.services.meter, r.topology.meter, r.traffic.meter
	switch name {
	case model.SectionMetricsNodes, model.SectionMetricsSummary:
		return total(nodes)
	case model.SectionTracesServices:
		return total(services)
	case model.SectionTracesTopology:
		return total(services, topology)
	case model.SectionSLOIngress, model.SectionSLOServices, model.SectionSLOEdges, model.SectionSLOSummary:
		return total(traffic)
	case model.SectionOverview:
		return total(nodes, services, traffic)
	}
	return Reads{}
}

// TotalReads is what the round has read so far.
func (r *Round) TotalReads() Reads {
	return total(r.nodes.meter, r.services.meter, r.topology.meter, r.traffic.meter)
}

// MetricsNodes is the section metrics.nodes: nodes that sent metrics within
// RateWindow, by name.
func (r *Round) MetricsNodes() ([]model.NodeMetrics, error) {
	nodes, err := r.nodes.get(r.ctx)
	return nodes.list, err
}

// MetricsSummary is the section metrics.summary. A node is online when its
// newest sample is at most OnlineAge old; TotalNodes counts those of Kubernetes or,
// where these are not known, those that sent any in the window.
func (r *Round) MetricsSummary() (model.MetricsSummary, error) {
	nodes, err := r.nodes.get(r.ctx)
	if err != nil {
		return model.MetricsSummary{}, err
	}
	return nodes.summarize(r.at, r.onlineAge)
}

// TracesServices is the section traces.services over TraceWindow.
func (r *Round) TracesServices() ([]model.Service, error) { return r.services.get(r.ctx) }

// TracesTopology is the section traces.topology over TraceWindow.
func (r *Round) TracesTopology() (model.Topology, error) { return r.topology.get(r.ctx) }

// SLOIngress is the section slo.ingress over SLOWindow.
func (r *Round) SLOIngress() ([]model.IngressSLO, error) { return rowsOf(r, (*sloTraffic).ingressRows) }

// SLOServices is the section slo.services over SLOWindow.
func (r *Round) SLOServices() ([]model.MeshService, error) {
	return rowsOf(r, (*sloTraffic).serviceRows)
}

// SLOEdges is the section slo.edges over SLOWindow.
func (r *Round) SLOEdges() ([]model.MeshEdge, error) { return rowsOf(r, (*sloTraffic).edgeRows) }

// SLOSummary is the section slo.summary of the rows of SLOIngress and SLOServices.
func (r *Round) SLOSummary() (model.SLOSummary, error) {
	traffic, err := r.traffic.get(r.ctx)
	if err != nil {
		return model.SLOSummary{}, err
	}
	return sloSummary(traffic.ingressRows(), traffic.serviceRows()), nil
}

// Overview is the section otel.overview of the rows of all other sections; it
// fails when one of them did.
func (r *Round) Overview() (model.Overview, error) {
	services, err := r.services.get(r.ctx)
	if err != nil {
		return model.Overview{}, err
	}
	traffic, err := r.traffic.get(r.ctx)
	if err != nil {
		return model.Overview{}, err
	}
	nodes, err := r.nodes.get(r.ctx)
	if err != nil {
		return model.Overview{}, err
	}
	summary, err := nodes.summarize(r.at, r.onlineAge)
	if err != nil {
		return model.Overview{}, err
	}
	o := overview(services, traffic.ingressRows(), traffic.serviceRows(), summary)
	o.MonitoredNodes = int64(len(nodes.list))
	return o, nil
}

func (r *Round) sloTraffic() (*sloTraffic, error) { return r.traffic.get(r.ctx) }

func rowsOf[T any](r *Round, rows func(*sloTraffic) []T) ([]T, error) {
	traffic, err := r.sloTraffic()
	if err != nil {
		return nil, err
	}
	return rows(traffic), nil
}
