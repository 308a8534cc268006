package clickhouse

import (
	"context"
	"sync"
	"time"

	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/model"
)

// Round is one collection cycle: what its sections share is read once, by the
// first of them that needs it, in a fixed number of statements (two for nodes,
// three for SLOs, those of traces) whatever the size of the cluster. It is safe
// for concurrent use.
//
// A section whose source has no rows, or whose tables do not exist, is empty.
// One whose query failed is an error: a *fault.Error that says why.
type Round struct {
	at        time.Time
	onlineAge time.Duration
	nodes     func() ([]model.NodeMetrics, error)
	services  func() ([]model.Service, error)
	topology  func() (model.Topology, error)
	traffic   func() (*sloTraffic, error)
}

// Round starts a cycle whose windows end at the given time. ctx bounds all of
// its statements. Nothing is read before the first section is asked for.
func (s *Store) Round(ctx context.Context, at time.Time) *Round {
	traces := detail.NewRange(at.Add(-s.cfg.TraceWindow), at)
	services := sync.OnceValues(func() ([]model.Service, error) { return s.services(ctx, traces) })
	return &Round{
		at:        at,
		onlineAge: s.cfg.OnlineAge,
		nodes:     sync.OnceValues(func() ([]model.NodeMetrics, error) { return s.nodes(ctx, at) }),
		services:  services,
		topology: sync.OnceValues(func() (model.Topology, error) {
			rows, err := services()
			if err != nil {
				return model.Topology{}, err
			}
			return s.topologyOf(ctx, traces, rows)
		}),
		traffic: sync.OnceValues(func() (*sloTraffic, error) {
			return s.traffic(ctx, windowBefore(at, s.cfg.SLOWindow))
		}),
	}
}

// MetricsNodes is the section metrics.nodes: nodes that sent metrics within
// RateWindow, by name.
func (r *Round) MetricsNodes() ([]model.NodeMetrics, error) { return r.nodes() }

// MetricsSummary is the section metrics.summary. A node is online when its
// newest sample is at most OnlineAge old; TotalNodes counts those that sent any
// in the window.
func (r *Round) MetricsSummary() (model.MetricsSummary, error) {
	nodes, err := r.nodes()
	if err != nil {
		return model.MetricsSummary{}, err
	}
	return summarize(nodes, r.at, r.onlineAge)
}

// TracesServices is the section traces.services over TraceWindow.
func (r *Round) TracesServices() ([]model.Service, error) { return r.services() }

// TracesTopology is the section traces.topology over TraceWindow.
func (r *Round) TracesTopology() (model.Topology, error) { return r.topology() }

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
	traffic, err := r.traffic()
	if err != nil {
		return model.SLOSummary{}, err
	}
	return sloSummary(traffic.ingressRows(), traffic.serviceRows()), nil
}

// Overview is the section otel.overview of the rows of all other sections; it
// fails when one of them did.
func (r *Round) Overview() (model.Overview, error) {
	services, err := r.services()
	if err != nil {
		return model.Overview{}, err
	}
	traffic, err := r.traffic()
	if err != nil {
		return model.Overview{}, err
	}
	nodes, err := r.MetricsSummary()
	if err != nil {
		return model.Overview{}, err
	}
	return overview(services, traffic.ingressRows(), traffic.serviceRows(), nodes), nil
}

func rowsOf[T any](r *Round, rows func(*sloTraffic) []T) ([]T, error) {
	traffic, err := r.traffic()
	if err != nil {
		return nil, err
	}
	return rows(traffic), nil
}
