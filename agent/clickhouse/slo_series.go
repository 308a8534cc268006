package clickhouse

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
)

// smallestSLOStep is the shortest interval that the agent chooses.
const smallestSLOStep = time.Minute

// SLOSeries returns one service over time: an ingress service by its key, or a
// mesh service by namespace/name or by a name that only one namespace has. An
// interval without requests has no point. fault.NotFound names the service that
// has no traffic in the range.
func (s *Store) SLOSeries(ctx context.Context, r detail.SLOSeries) (model.SLOSeries, detail.Meta, error) {
	meta := detail.Meta{WindowSeconds: wholeSeconds(r.Range.Duration())}
	g := newGrid(r.Range, r.IntervalSeconds, smallestSLOStep)
	q := g.query()
	q.anyOf = serviceValues(r.Service)
	tables, err := s.readTables(ctx, sloQueries(q)...)
	if err != nil {
		return model.SLOSeries{}, meta, err
	}
	steps := trafficBySteps(g, tables)
	out, pick, err := findService(steps, r.Service)
	if err != nil {
		return model.SLOSeries{}, meta, err
	}
	out.Points = []model.SLOPoint{}
	for slot := g.steps - 1; slot >= 0; slot-- {
		t := steps[slot]
		if t == nil {
			continue
		}
		if v := pick(t); v != nil && v.requests > 0 {
			quantiles := v.latency.quantiles()
			out.Points = append(out.Points, model.SLOPoint{
				Timestamp: model.NewTime(time.UnixMilli(g.at(slot).toMs)), RPS: v.rps(t.window),
				SuccessRate: v.successRate(), ErrorRate: 100 - v.successRate(),
				P50Ms: quantiles.p50, P99Ms: quantiles.p99,
			})
		}
	}
	return out, meta, nil
}

// serviceValues are attribute values one of which every series of a service has
// that goes by that name; nil where there is no such value.
func serviceValues(service string) []string {
	if service == nginxKey("", "", "").key {
		return nil
	}
	parts := strings.Split(service, "/")
	if len(parts) == 1 {
		return parts
	}
	values := []string{service}
	for _, part := range parts[1:] {
		if part != "" && part != "-" {
			values = append(values, part)
		}
	}
	return values
}

// trafficBySteps is the traffic in each step of the grid that has any.
func trafficBySteps(g grid, tables [][]series) map[int64]*sloTraffic {
	seconds := g.step.Seconds()
	lists := make(map[int64][]increment)
	for _, lines := range bySeries(tables, g.step) {
		for _, line := range lines {
			for _, slot := range line.slots(g) {
				if rate, ok := line.rate(g, slot); ok {
					lists[slot] = append(lists[slot], rate.dividedBy(1/seconds))
				}
			}
		}
	}
	out := make(map[int64]*sloTraffic, len(lists))
	for slot, list := range lists {
		out[slot] = newSLOTraffic(g.at(slot))
		out[slot].add(list)
	}
	return out
}

// findService finds the service that is meant and how to pick its traffic.
func findService(steps map[int64]*sloTraffic, name string) (model.SLOSeries, func(*sloTraffic) *traffic, error) {
	var ingress *ingressKey
	mesh := make(map[meshKey]bool)
	for _, t := range steps {
		for key := range t.ingress {
			if key.key == name {
				ingress = &key
			}
		}
		for key := range t.services {
			if key.name == name || key.namespace+"/"+key.name == name {
				mesh[key] = true
			}
		}
	}
	if ingress != nil {
		return model.SLOSeries{Name: ingress.key}, func(t *sloTraffic) *traffic { return t.ingress[*ingress] }, nil
	}
	keys := slices.SortedFunc(maps.Keys(mesh), func(a, b meshKey) int { return cmp.Compare(a.namespace, b.namespace) })
	switch len(keys) {
	case 0:
		return model.SLOSeries{}, nil, fault.New(fault.NotFound, "no service %q had traffic in the range", name)
	case 1:
		return model.SLOSeries{Namespace: keys[0].namespace, Name: keys[0].name},
			func(t *sloTraffic) *traffic { return t.services[keys[0]] }, nil
	}
	var names []string
	for _, key := range keys {
		names = append(names, key.namespace+"/"+key.name)
	}
	return model.SLOSeries{}, nil, fault.New(fault.BadRequest,
		"service: %q is in several namespaces; ask for one of %s", name, strings.Join(names, ", "))
}
