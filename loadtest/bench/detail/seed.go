package detail

import (
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/atlhyper/observe/loadtest/telemetry"
)

// What of the capture is multiplied: one node, and so many traces.
const (
	seedNode   = "10.0.1.11"
	seedTraces = 20
	// cores of each node.
	cores = 8
)

// cpuSpeeds are the seconds per second that each core spends in each mode.
func cpuSpeeds() map[string]float64 {
	return map[string]float64{
		"idle": 0.6, "user": 0.2, "system": 0.1, "iowait": 0.05,
		"nice": 0.0125, "irq": 0.0125, "softirq": 0.0125, "steal": 0.0125,
	}
}

// cpuUsage is what these are in percent: all but idle, iowait and steal.
const cpuUsage = 33.75

// counterSpeed is the growth per second of every counter but those of the cores.
const counterSpeed = 125

// nodeName is what node_uname_info says of a node.
func nodeName(node int) string { return fmt.Sprintf("node-%03d", node) }

// seedRows are each series of each node once, and whole traces that begin in
// 1970. The value of a counter is its speed.
func seedRows(nodes int) (telemetry.Rows, error) {
	capture, err := telemetry.Load()
	if err != nil {
		return telemetry.Rows{}, err
	}
	rows := telemetry.Rows{Spans: seedSpans(capture.Spans)}
	for node := range nodes {
		seen := make(map[string]bool)
		for _, g := range capture.Gauges {
			for _, g.Point = range pointsOf(&g.Point, node, seen) {
				rows.Gauges = append(rows.Gauges, g)
			}
		}
		for _, s := range capture.Sums {
			for _, s.Point = range pointsOf(&s.Point, node, seen) {
				if s.Value = counterSpeed; s.MetricName == "node_cpu_seconds_total" {
					s.Value = cpuSpeeds()[s.Attributes["mode"]]
				}
				rows.Sums = append(rows.Sums, s)
			}
		}
	}
	return rows, nil
}

// seedSpans are those of some traces, each of which begins at the start of 1970.
func seedSpans(spans []telemetry.Span) []telemetry.Span {
	began := make(map[string]time.Time)
	var out []telemetry.Span
	for _, span := range spans {
		first, chosen := began[span.TraceID]
		if !chosen && len(began) == seedTraces {
			continue
		}
		if !chosen || span.Timestamp.Before(first) {
			began[span.TraceID] = span.Timestamp
		}
		out = append(out, span)
	}
	for i, span := range out {
		out[i].Timestamp = time.Unix(0, 0).Add(span.Timestamp.Sub(began[span.TraceID])).UTC()
	}
	return out
}

// pointsOf are the series of a node that a captured sample stands for: none if it
// is of another node or core, or of a series that was seen; one for each core if
// it is of the first.
func pointsOf(p *telemetry.Point, node int, seen map[string]bool) []telemetry.Point {
	if p.Resource["server.address"] != seedNode || p.Stale() {
		return nil
	}
	key := fmt.Sprint(p.MetricName, p.Attributes)
	if seen[key] {
		return nil
	}
	seen[key] = true
	copied := *p
	copied.Resource = maps.Clone(p.Resource)
	address := fmt.Sprintf("10.1.%d.%d", node/250, 1+node%250)
	copied.Resource["server.address"], copied.Resource["service.instance.id"] = address, address+":9100"
	copied.Attributes = maps.Clone(p.Attributes)
	if p.MetricName == "node_uname_info" {
		copied.Attributes["nodename"] = nodeName(node)
	}
	switch p.Attributes["cpu"] {
	case "":
		return []telemetry.Point{copied}
	case "0":
	default:
		return nil
	}
	out := make([]telemetry.Point, 0, cores)
	for core := range cores {
		copied.Attributes = maps.Clone(copied.Attributes)
		copied.Attributes["cpu"] = strconv.Itoa(core)
		out = append(out, copied)
	}
	return out
}
