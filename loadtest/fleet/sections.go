package fleet

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/atlhyper/observe/shared/codec"
	"github.com/atlhyper/observe/shared/model"
)

// section is one line of the table of what is published. Every value carries the
// version it was made of, so that it can be made again and compared.
type section struct {
	name   model.Section
	window time.Duration
	value  func(w World, version int64) any
	// version finds the version in the JSON of a value.
	version func(data []byte) (int64, error)
}

func entry[T any](name model.Section, window time.Duration, value func(World, int64) T, version func(T) int64) section {
	return section{
		name: name, window: window,
		value: func(w World, v int64) any { return value(w, v) },
		version: func(data []byte) (int64, error) {
			var v T
			if err := json.Unmarshal(data, &v); err != nil {
				return 0, fmt.Errorf("is no %T: %w", v, err)
			}
			return version(v), nil
		},
	}
}

// list is entry for a section that is a list, none of which is empty.
func list[T any](name model.Section, window time.Duration, value func(World, int64) []T, version func(T) int64) section {
	return entry(name, window, value, func(all []T) int64 {
		if len(all) == 0 {
			return -1
		}
		return version(all[0])
	})
}

func table() []section {
	const rates, traces = 5 * time.Minute, 15 * time.Minute
	return []section{
		entry(model.SectionMetricsSummary, rates, metricsSummary, func(v model.MetricsSummary) int64 { return marked(v.AvgMemPct, 40) }),
		list(model.SectionMetricsNodes, rates, metricsNodes, func(v model.NodeMetrics) int64 { return v.Uptime }),
		list(model.SectionTracesServices, traces, tracesServices, func(v model.Service) int64 { return v.SpanCount }),
		entry(model.SectionTracesTopology, traces, tracesTopology, func(v model.Topology) int64 {
			if len(v.Edges) == 0 {
				return -1
			}
			return v.Edges[0].CallCount
		}),
		entry(model.SectionSLOSummary, rates, sloSummary, func(v model.SLOSummary) int64 { return marked(v.TotalRPS, 500) }),
		list(model.SectionSLOIngress, rates, sloIngress, func(v model.IngressSLO) int64 { return v.TotalRequests }),
		list(model.SectionSLOServices, rates, sloServices, func(v model.MeshService) int64 { return marked(v.RPS, 25) }),
		list(model.SectionSLOEdges, rates, sloEdges, func(v model.MeshEdge) int64 { return marked(v.RPS, 12) }),
		entry(model.SectionOverview, traces, overview, func(v model.Overview) int64 { return marked(v.TotalRPS, 800) }),
	}
}

// Sections are the names of what every cluster publishes.
func Sections() []model.Section {
	var names []model.Section
	for _, s := range table() {
		names = append(names, s.name)
	}
	return names
}

// Value is a section's value as of a version.
func (w World) Value(name model.Section, version int64) (any, error) {
	for _, s := range table() {
		if s.name == name {
			return s.value(w, version), nil
		}
	}
	return nil, fmt.Errorf("fleet: no cluster publishes %s", name)
}

// ErrWrong is wrapped by what is said about an answer that is not right.
var ErrWrong = errors.New("not what the cluster shows")

// CheckSection tells whether the JSON of a section is a value that this cluster
// published as a whole, and of which version it is.
func (w World) CheckSection(name model.Section, data []byte) (version int64, err error) {
	for _, s := range table() {
		if s.name != name {
			continue
		}
		if version, err = s.version(data); err != nil {
			return 0, fmt.Errorf("%w: %s %w", ErrWrong, name, err)
		}
		return version, same(string(name), s.value(w, version), data)
	}
	return 0, fmt.Errorf("fleet: no cluster publishes %s", name)
}

// same compares data with the JSON that a master makes of want.
func same(what string, want any, data []byte) error {
	packed, err := codec.Encode(want)
	if err != nil {
		return err
	}
	text, err := codec.ToJSON(nil, packed)
	if err != nil {
		return err
	}
	if !bytes.Equal(text, data) {
		at := 0
		for at < min(len(text), len(data)) && text[at] == data[at] {
			at++
		}
		from := max(at-40, 0)
		return fmt.Errorf("%w: %s differs at byte %d: want …%.80s, got …%.80s", ErrWrong, what, at, text[from:], data[from:])
	}
	return nil
}
