package clickhouse

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
)

// State says whether a section or detail can be filled.
type State string

// The states. Filled, Idle and Unused are fine.
const (
	Filled     State = "filled"
	Idle       State = "idle"       // its source is there and has nothing to count
	Unused     State = "unused"     // nothing sends what it is made of
	Quiet      State = "quiet"      // its source was there and sends nothing now
	Unreadable State = "unreadable" // its source is there and cannot be read
	Unknown    State = "unknown"    // nobody could look
)

func (s State) fine() bool { return s == Filled || s == Idle || s == Unused }

// Verdict is whether a section or detail can be filled, with what, and what to
// do about the rest.
type Verdict struct {
	Name    string   `json:"name"`
	State   State    `json:"state"`
	Text    string   `json:"text"`
	Missing []string `json:"missing"` // what of it stays empty
	Remedy  string   `json:"remedy"`  // "" when there is nothing to do
}

// The details, by the names of the API.
const (
	detailNode       = "metrics/nodes/{name}"
	detailNodeSeries = "metrics/nodes/{name}/series"
	detailTraces     = "traces"
	detailTrace      = "traces/{id}"
	detailLogs       = "logs/query"
	detailSLOSeries  = "slo/timeseries"
)

// skipSections is for a server that does not answer.
func (d *doctor) skipSections() {
	verdict := func(name string) Verdict {
		return Verdict{Name: name, State: Unknown, Text: "the server could not be asked", Missing: []string{}}
	}
	for _, name := range []model.Section{
		model.SectionMetricsSummary, model.SectionMetricsNodes, model.SectionTracesServices, model.SectionTracesTopology,
		model.SectionSLOSummary, model.SectionSLOIngress, model.SectionSLOServices, model.SectionSLOEdges,
	} {
		d.out.Sections = append(d.out.Sections, verdict(string(name)))
	}
	for _, name := range []string{detailNode, detailNodeSeries, detailTraces, detailTrace, detailLogs, detailSLOSeries} {
		d.out.Details = append(d.out.Details, verdict(name))
	}
}

// trySections makes every section and detail as the agent does, and says of the
// empty ones why they are.
func (d *doctor) trySections(ctx context.Context) {
	d.tryNodes(ctx)
	d.tryTraces(ctx)
	d.tryLogs(ctx)
	d.trySLO(ctx)
}

func (d *doctor) section(name model.Section, v Verdict) {
	d.out.Sections = append(d.out.Sections, v.named(string(name)))
}

func (d *doctor) detail(name string, v Verdict) {
	d.out.Details = append(d.out.Details, v.named(name))
}

func (v Verdict) named(name string) Verdict {
	v.Name = name
	if v.Missing == nil {
		v.Missing = []string{}
	}
	return v
}

// round is a collection cycle with the deadline of one attempt.
func (d *doctor) round(ctx context.Context) (*Round, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, doctorSection)
	return d.Round(ctx, d.out.At), cancel
}

// failedVerdict is the verdict of an error; tables that are not there are no failure
// of theirs.
func failedVerdict(err error, unused Verdict) Verdict {
	if isUnknownTable(err) {
		return unused
	}
	return Verdict{State: Unreadable, Text: publicMessage(err), Remedy: remedyFor(err)}
}

// empty is why an area whose source is one of these has no rows.
func (d *doctor) empty(areas []area, within time.Duration, tables []signal, unused Verdict) Verdict {
	newest := doctorWindow
	for _, s := range d.out.Sources {
		if slices.Contains(areas, s.area) {
			newest = min(newest, time.Duration(s.NewestSeconds*float64(time.Second)))
		}
	}
	senders := d.senders(areas...)
	switch {
	case senders == "" && d.quiet(tables):
		return Verdict{
			State: Quiet, Text: "the tables have rows, none of them from the last " + spoken(doctorWindow),
			Remedy: "see whether the collector runs and exports, and whether its clock is right",
		}
	case senders == "":
		return unused
	case newest > within:
		return Verdict{
			State: Quiet, Text: fmt.Sprintf("%s last sent %s ago", senders, spoken(newest)),
			Remedy: "see whether the collector still scrapes it",
		}
	}
	return Verdict{
		State:  Unreadable,
		Text:   senders + " sends, but nothing could be made of it: fewer than two samples yet, or its labels or attributes say not of what",
		Remedy: "scrape at least every minute; keep the labels that the source gives its metrics",
	}
}

// senders are the sources of these areas, by name; "" when there is none.
func (d *doctor) senders(areas ...area) string {
	var names []string
	for _, s := range d.out.Sources {
		if slices.Contains(areas, s.area) {
			names = append(names, s.Name)
		}
	}
	return strings.Join(slices.Compact(names), " and ")
}

// quiet tells whether all of these tables that have rows have none of now.
func (d *doctor) quiet(signals []signal) bool {
	quiet := false
	for _, sig := range signals {
		t := d.tables[sig]
		if t != nil && t.Rows > 0 {
			return false
		}
		quiet = quiet || t.quiet()
	}
	return quiet
}

func unusedNodes() Verdict {
	return Verdict{
		State: Unused, Text: "no node metrics in the last " + spoken(doctorWindow),
		Remedy: "to use it, scrape node_exporter with the collector's prometheus receiver, or turn on its hostmetrics receiver",
	}
}

func (d *doctor) tryNodes(ctx context.Context) {
	round, cancel := d.round(ctx)
	defer cancel()
	nodes, err := round.MetricsNodes()
	var list Verdict
	switch {
	case err != nil:
		list = failedVerdict(err, unusedNodes())
	case len(nodes) == 0:
		list = d.empty([]area{areaNodes}, d.cfg.RateWindow, []signal{signalGauge, signalSum}, unusedNodes())
	default:
		list = Verdict{State: Filled, Text: number(len(nodes), "node") + " of " + d.senders(areaNodes), Missing: missingOfNodes(nodes)}
	}
	summary := list
	summary.Missing = nil
	if len(nodes) > 0 {
		s, err := round.MetricsSummary()
		if summary.Text = fmt.Sprintf("%d of %s online", s.OnlineNodes, number(len(nodes), "node")); err != nil {
			summary = failedVerdict(err, unusedNodes())
		}
	}
	d.section(model.SectionMetricsSummary, summary)
	d.section(model.SectionMetricsNodes, list)
	if len(nodes) == 0 {
		d.detail(detailNode, list)
		d.detail(detailNodeSeries, list)
		return
	}
	name := nodes[0].NodeName
	d.detail(detailNode, d.try(ctx, unusedNodes(), func(ctx context.Context) (string, error) {
		n, _, err := d.Node(ctx, detail.Node{Name: name})
		return fmt.Sprintf("%s with %s and %s", n.NodeName, number(len(n.Disks), "disk"), number(len(n.Networks), "network")), err
	}))
	d.detail(detailNodeSeries, d.try(ctx, unusedNodes(), func(ctx context.Context) (string, error) {
		s, _, err := d.NodeSeries(ctx, detail.NodeSeries{Name: name, Metric: detail.MetricCPU, Range: d.lately()})
		return overTime("its cpu", len(s.Points)), err
	}))
}

// lately is the diagnosis's window.
func (d *doctor) lately() detail.Range { return detail.NewRange(d.out.At.Add(-doctorWindow), d.out.At) }

// try runs one detail; ask says in words what came back. What is not there is
// unused.
func (d *doctor) try(ctx context.Context, unused Verdict, ask func(context.Context) (string, error)) Verdict {
	ctx, cancel := context.WithTimeout(ctx, doctorSection)
	defer cancel()
	text, err := ask(ctx)
	switch {
	case fault.Is(err, fault.NotFound):
		return Verdict{State: Unreadable, Text: publicMessage(err), Remedy: "its section has it: it may have stopped in between, so run again; " +
			"of nodes, keep node_uname_info and node_time_seconds, by which they are found"}
	case err != nil:
		return failedVerdict(err, unused)
	}
	return Verdict{State: Filled, Text: text}
}

// missingOfNodes is what no node, or only some, has.
func missingOfNodes(nodes []model.NodeMetrics) []string {
	out := []string{}
	for _, part := range []struct {
		name, hint string
		has        func(*model.NodeMetrics) bool
	}{
		{"cpu usage", "node_cpu_seconds_total or system.cpu.time, two samples of it", func(n *model.NodeMetrics) bool { return !n.CPU.Unknown }},
		{"memory", "node_memory_MemTotal_bytes or system.memory.usage", func(n *model.NodeMetrics) bool { return n.Memory.TotalBytes > 0 }},
		{"disks", "the exporter's filesystem and disk collectors", func(n *model.NodeMetrics) bool { return len(n.Disks) > 0 }},
		{"networks", "the exporter's network collector", func(n *model.NodeMetrics) bool { return len(n.Networks) > 0 }},
		{"temperatures", "the hwmon or thermal_zone collector; virtual machines have none", func(n *model.NodeMetrics) bool { return len(n.Temperature.Sensors) > 0 }},
		{"an address", "an attribute that is an IP address, such as server.address", func(n *model.NodeMetrics) bool { return n.NodeIP != "" }},
	} {
		lacking := 0
		for i := range nodes {
			if !part.has(&nodes[i]) {
				lacking++
			}
		}
		if lacking > 0 {
			out = append(out, fmt.Sprintf("%s of %d of %s: needs %s", part.name, lacking, number(len(nodes), "node"), part.hint))
		}
	}
	return out
}
