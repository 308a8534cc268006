package clickhouse

import (
	"context"
	"fmt"
	"strings"

	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/model"
)

func unusedSLO(what, remedy string) Verdict {
	return Verdict{State: Unused, Text: what + " in the last " + spoken(doctorWindow), Remedy: "to use it, " + remedy}
}

func unusedIngress() Verdict {
	return unusedSLO("no metrics of Traefik or ingress-nginx", "scrape the ingress controller with the collector's prometheus receiver")
}

func unusedMesh() Verdict {
	return unusedSLO("no metrics of Linkerd or Istio", "scrape the mesh's proxies, or federate them from its Prometheus")
}

// trySLO tries the four SLO sections, in the API's order, and their detail.
func (d *doctor) trySLO(ctx context.Context) {
	round, cancel := d.round(ctx)
	defer cancel()
	traffic, err := round.sloTraffic()
	if err != nil {
		ingress, mesh := failedVerdict(err, unusedIngress()), failedVerdict(err, unusedMesh())
		d.section(model.SectionSLOSummary, ingress)
		d.section(model.SectionSLOIngress, ingress)
		d.section(model.SectionSLOServices, mesh)
		d.section(model.SectionSLOEdges, mesh)
		d.detail(detailSLOSeries, ingress)
		return
	}
	ingress, services, edges := traffic.ingressRows(), traffic.serviceRows(), traffic.edgeRows()
	ingressVerdict := d.judgeTraffic(areaIngress, len(ingress), len(traffic.ingress), "service", unusedIngress())
	if n := count(ingress, func(s model.IngressSLO) bool { return s.P99Ms == 0 }); n > 0 {
		ingressVerdict.Missing = append(ingressVerdict.Missing, withoutLatency(n, len(ingress)))
	}
	serviceVerdict := d.judgeTraffic(areaMesh, len(services), len(traffic.services), "service", unusedMesh())
	edgeVerdict := d.judgeTraffic(areaMesh, len(edges), len(traffic.edges), "edge", unusedMesh())
	if n := count(services, func(s model.MeshService) bool { return s.P99Ms == 0 }); n > 0 {
		serviceVerdict.Missing = append(serviceVerdict.Missing, withoutLatency(n, len(services)))
	}
	if serviceVerdict.State == Unreadable && len(traffic.edges) > 0 {
		serviceVerdict.Text = "only callers report: the callees' side (Linkerd inbound, Istio reporter=destination) is not there"
		serviceVerdict.Remedy = "scrape the callees' proxies too"
	}
	if edgeVerdict.State == Unreadable && len(traffic.services) > 0 {
		edgeVerdict = Verdict{State: Idle, Text: "no proxy reports calls to another workload", Remedy: "if there are any, mesh the callers and scrape their proxies"}
	}
	d.section(model.SectionSLOSummary, d.both(ingressVerdict, serviceVerdict))
	d.section(model.SectionSLOIngress, ingressVerdict)
	d.section(model.SectionSLOServices, serviceVerdict)
	d.section(model.SectionSLOEdges, edgeVerdict)
	d.trySLOSeries(ctx, ingress, services, d.both(ingressVerdict, serviceVerdict))
}

func count[T any](list []T, is func(T) bool) int {
	n := 0
	for _, v := range list {
		if is(v) {
			n++
		}
	}
	return n
}

// withoutLatency says that n services have no latency.
func withoutLatency(n, of int) string {
	return fmt.Sprintf("latency of %d of %s: needs the source's histogram of durations", n, number(of, "service"))
}

// judgeTraffic is the verdict over a list of rows that requests make; recognized
// counts also those without requests.
func (d *doctor) judgeTraffic(a area, rows, recognized int, noun string, unused Verdict) Verdict {
	switch {
	case rows > 0:
		return Verdict{State: Filled, Text: number(rows, noun) + " of " + d.senders(a)}
	case recognized > 0:
		return Verdict{State: Idle, Text: "no request in the last " + spoken(d.cfg.SLOWindow)}
	}
	return d.empty([]area{a}, d.cfg.SLOWindow, []signal{signalSum, signalGauge}, unused)
}

// both is the verdict over what is made of ingress and mesh: it is as good as
// the better one, and as bad where one cannot be read.
func (d *doctor) both(ingress, mesh Verdict) Verdict {
	ingress.Missing = nil
	mesh.Missing = nil
	switch {
	case !ingress.State.fine():
		return ingress
	case !mesh.State.fine():
		return mesh
	case ingress.State == Filled && mesh.State == Filled:
		return Verdict{State: Filled, Text: "ingress: " + ingress.Text + "; mesh: " + mesh.Text}
	case ingress.State == Unused && mesh.State == Unused:
		return Verdict{State: Unused, Text: ingress.Text + "; " + mesh.Text}
	case ingress.State == Filled:
		return ingress
	case mesh.State == Filled || ingress.State == Unused:
		return mesh
	}
	return ingress
}

func (d *doctor) trySLOSeries(ctx context.Context, ingress []model.IngressSLO, services []model.MeshService, otherwise Verdict) {
	var service string
	switch {
	case len(ingress) > 0:
		service = ingress[0].ServiceKey
	case len(services) > 0:
		service = strings.TrimPrefix(services[0].Namespace+"/"+services[0].Name, "/")
	default:
		d.detail(detailSLOSeries, otherwise)
		return
	}
	d.detail(detailSLOSeries, d.try(ctx, unusedIngress(), func(ctx context.Context) (string, error) {
		s, _, err := d.SLOSeries(ctx, detail.SLOSeries{Service: service, Range: d.lately()})
		return overTime(service, len(s.Points)), err
	}))
}

// overTime names what a series is of.
func overTime(what string, points int) string {
	if points == 0 {
		return what + " has too few samples for a point in " + spoken(doctorWindow)
	}
	return what + " over " + spoken(doctorWindow)
}

func unusedTraces() Verdict {
	return Verdict{State: Unused, Text: "no spans", Remedy: "to use it, send traces through the collector's clickhouse exporter"}
}

// tryTraces tries the two sections of traces, the search and a trace.
func (d *doctor) tryTraces(ctx context.Context) {
	round, cancel := d.round(ctx)
	defer cancel()
	services, err := round.TracesServices()
	var verdict Verdict
	switch {
	case err != nil:
		verdict = failedVerdict(err, unusedTraces())
	case len(services) == 0:
		verdict = d.empty(nil, doctorWindow, []signal{signalTraces}, unusedTraces())
	default:
		verdict = Verdict{State: Filled, Text: number(len(services), "service"), Missing: missingOfServices(services)}
	}
	d.section(model.SectionTracesServices, verdict)
	d.section(model.SectionTracesTopology, d.tryTopology(round, services, verdict))
	verdict.Missing = nil
	d.trySearch(ctx, verdict)
}

func (d *doctor) tryTopology(round *Round, services []model.Service, otherwise Verdict) Verdict {
	if len(services) == 0 {
		return otherwise
	}
	topology, err := round.TracesTopology()
	if err != nil {
		return failedVerdict(err, unusedTraces())
	}
	v := Verdict{State: Filled, Text: number(len(topology.Nodes), "node") + ", " + number(len(topology.Edges), "edge")}
	if len(services) > 1 && len(topology.Edges) == 0 {
		v.Missing = append(v.Missing, "edges: no span has its parent in another service; let the services propagate their context (W3C traceparent)")
	}
	return v
}

func missingOfServices(services []model.Service) []string {
	var out []string
	for _, part := range []struct {
		what, needs string
		lacks       func(model.Service) bool
	}{
		{"the name", "service.name", func(s model.Service) bool { return s.Name == unknownService }},
		{"the namespace", "service.namespace or k8s.namespace.name", func(s model.Service) bool { return s.Namespace == "" }},
		{"the environment", "deployment.environment.name or deployment.environment", func(s model.Service) bool { return s.Environment == "" }},
	} {
		if n := count(services, part.lacks); n > 0 {
			out = append(out, fmt.Sprintf("%s of %d of %s: needs the resource attribute %s", part.what, n, number(len(services), "service"), part.needs))
		}
	}
	return out
}

func (d *doctor) trySearch(ctx context.Context, otherwise Verdict) {
	var found []model.TraceSummary
	search := d.try(ctx, unusedTraces(), func(ctx context.Context) (_ string, err error) {
		found, _, err = d.Traces(ctx, detail.Traces{Range: d.lately(), Sort: detail.SortTime, Limit: 1})
		return "the newest trace is there", err
	})
	if len(found) == 0 {
		if search.State == Filled {
			search = otherwise
		}
		d.detail(detailTraces, search)
		d.detail(detailTrace, search)
		return
	}
	d.detail(detailTraces, search)
	d.detail(detailTrace, d.try(ctx, unusedTraces(), func(ctx context.Context) (string, error) {
		t, _, err := d.Trace(ctx, detail.Trace{TraceID: found[0].TraceID})
		return number(len(t.Spans), "span") + " of it", err
	}))
}

func (d *doctor) tryLogs(ctx context.Context) {
	unused := Verdict{State: Unused, Text: "no logs", Remedy: "to use it, send logs through the collector's clickhouse exporter"}
	total := int64(0)
	v := d.try(ctx, unused, func(ctx context.Context) (string, error) {
		page, _, err := d.Logs(ctx, detail.Logs{Range: d.lately(), Limit: 1})
		total = page.Total
		return fmt.Sprintf("%d logs in %s", total, spoken(doctorWindow)), err
	})
	if v.State == Filled && total == 0 {
		v = d.empty(nil, doctorWindow, []signal{signalLogs}, unused)
	}
	d.detail(detailLogs, v)
}
