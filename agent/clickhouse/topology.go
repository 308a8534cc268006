package clickhouse

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"golang.org/x/sync/errgroup"

	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/model"
)

const (
	// topologyMargin is how far outside the range the other half of a call is
	// looked for.
	topologyMargin = 5 * time.Minute
	// settleTime is how long a collector may take to write the callee's span
	// after the caller's.
	settleTime = 15 * time.Second
	// maxTargets bounds what is called beside services, maxCallers the pairs of a
	// service and such a target.
	maxTargets = 5_000
	maxCallers = 50_000
)

// topology returns the services of r and what they call, by two statements
// beside the one of services. A missing traces table gives empty lists.
//
// The nodes are the services of r, and what client and producer spans call that
// no server or consumer span answers: databases (db.system), messaging
// (messaging.system) and the rest, external, which is known by peer service,
// server address or host of the URL, else by the RPC service. An external target
// that bears the name of a service is that service, its spans lost or not yet
// there. The 5,000 busiest such targets are kept, and of the calls to them the
// 50,000 busiest pairs of caller and target; a warning in the log says when there
// are more.
//
// Node ids are stable:
//
//	service    <namespace>/<name>, or <name> without a namespace
//	database   database:<system>/<database, peer or address>, or database:<system>
//	messaging  messaging:<system>/<topic or queue>, or messaging:<system>
//	external   external:<peer service or host>
//
// Edges are measured on the callee's span; towards a node that is no service, on
// the client's. Rates, success and p99 of services are those of services (over
// several environments the counts add up and the worst p99 counts), of the other
// nodes those of the calls to them. Status is healthy from 99.9 % success,
// warning from 99 %, critical below, unknown without traffic.
func (s *Store) topology(ctx context.Context, r detail.Range) (model.Topology, error) {
	services, err := s.services(ctx, r)
	if err != nil {
		return model.Topology{}, err
	}
	return s.topologyOf(ctx, r, services)
}

// topologyOf is topology over the rows that services returned for r.
func (s *Store) topologyOf(ctx context.Context, r detail.Range, services []model.Service) (model.Topology, error) {
	var edges []edgeRow
	var calls []callRow
	settled := s.settledEnd(r)
	group, gctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		edges, err = query(gctx, s, "topology_edges", topologyParams(r), scanEdge)
		return err
	})
	group.Go(func() (err error) {
		p := topologyParams(r)
		p["settled"] = nanos(settled)
		p["old_systems"], p["new_systems"] = renamedDatabases()
		p["max_rows"] = maxCallers + 1
		calls, err = query(gctx, s, "topology_calls", p, scanCall)
		return err
	})
	if err := group.Wait(); err != nil && !isUnknownTable(err) {
		return model.Topology{}, err
	}
	kept := busiest(calls, maxTargets, maxCallers)
	if len(kept) < len(calls) {
		s.cfg.Logger.WarnContext(ctx, "the topology has only the busiest calls to what is no service",
			"max_targets", maxTargets, "max_callers", maxCallers)
	}
	g := newGraph(services)
	for _, e := range edges {
		source, target := g.service(e.source), g.service(e.target)
		g.call(source, target, e.calls)
	}
	g.addCalls(kept, r.Duration(), settled.Sub(r.StartTime()))
	return g.topology(), nil
}

// settledEnd is the end of what a collector has surely written of r.
func (s *Store) settledEnd(r detail.Range) time.Time {
	settled := s.cfg.Clock().Add(-settleTime)
	if end := r.EndTime(); end.Before(settled) {
		return end
	}
	if start := r.StartTime(); settled.Before(start) {
		return start
	}
	return settled
}

func topologyParams(r detail.Range) params {
	p := rangeParams(r)
	p["margin"] = topologyMargin.Nanoseconds()
	return p
}

// serviceKey tells services apart in the graph.
type serviceKey struct{ namespace, name string }

// id is the node id of the service.
func (k serviceKey) id() string {
	if k.namespace == "" {
		return k.name
	}
	return k.namespace + "/" + k.name
}

// callStats sums up calls.
type callStats struct {
	count, errors int64
	avgMs         float64
}

// plus is the sum of both, the average weighted.
func (c callStats) plus(other callStats) callStats {
	count := c.count + other.count
	if count == 0 {
		return callStats{}
	}
	return callStats{
		count:  count,
		errors: c.errors + other.errors,
		avgMs:  (c.avgMs*float64(c.count) + other.avgMs*float64(other.count)) / float64(count),
	}
}

// edgeRow is the calls between two services.
type edgeRow struct {
	source, target serviceKey
	calls          callStats
}

func scanEdge(rows driver.Rows) (edgeRow, error) {
	var e edgeRow
	err := rows.Scan(&e.source.namespace, &e.source.name, &e.target.namespace, &e.target.name,
		&e.calls.count, &e.calls.errors, &e.calls.avgMs)
	return e, err
}

// callRow is the calls of one service, or of all of them, to something that is
// no service.
type callRow struct {
	kind           model.NodeType
	system, target string
	caller         serviceKey
	total          bool // over all callers
	calls          callStats
	p99Ms          float64
}

func scanCall(rows driver.Rows) (callRow, error) {
	var c callRow
	var kind string
	var total uint8
	err := rows.Scan(&kind, &c.system, &c.target, &c.caller.namespace, &c.caller.name, &total,
		&c.calls.count, &c.calls.errors, &c.calls.avgMs, &c.p99Ms)
	c.kind, c.total = model.NodeType(kind), total == 1
	return c, err
}

// busiest keeps the first rows of targets and those of callers, at most so many of
// each: the statement gives the busiest first.
func busiest(rows []callRow, targets, callers int) []callRow {
	kept := make([]callRow, 0, len(rows))
	for _, c := range rows {
		left := &callers
		if c.total {
			left = &targets
		}
		if *left > 0 {
			*left--
			kept = append(kept, c)
		}
	}
	return kept
}

// id is the node id of the target.
func (c callRow) id() string {
	switch {
	case c.kind == model.TypeExternal:
		return fmt.Sprintf("%s:%s", c.kind, c.target)
	case c.target == "" || c.target == c.system:
		return fmt.Sprintf("%s:%s", c.kind, c.system)
	default:
		return fmt.Sprintf("%s:%s/%s", c.kind, c.system, c.target)
	}
}
