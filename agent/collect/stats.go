package collect

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/atlhyper/observe/redis/metric"
	"github.com/atlhyper/observe/shared/model"
)

// sectionStats count the collections of one section since its Collector was made.
type sectionStats struct {
	errors, rows, bytes atomic.Int64
	took                prometheus.Histogram
}

func newSectionStats(name model.Section) *sectionStats {
	return &sectionStats{took: metric.SecondsOf("agent_section_seconds",
		"How long collections of a section took, or ran until their time was over, by section.", "section", string(name))}
}

// count notes the end of one collection, or of the patience with it.
func (s *sectionStats) count(o outcome) {
	s.took.Observe(o.update.Took.Seconds())
	s.rows.Add(o.update.Reads.Rows)
	s.bytes.Add(o.update.Reads.Bytes)
	if o.cause != nil {
		s.errors.Add(1)
	}
}

// registerSections is the table of a Collector's metrics: as many series as its table
// has sections.
func registerSections(to prometheus.Registerer, all map[model.Section]*sectionStats) error {
	var rows []metric.Row
	var took []prometheus.Collector
	for name, s := range all {
		section := func(metricName, help string, counter *atomic.Int64) metric.Row {
			return metric.Row{Name: metricName, Help: help, Label: "section", Value: string(name), Counter: counter}
		}
		rows = append(rows,
			section("agent_section_errors_total", "Collections of a section that failed or did not end in time, by section.", &s.errors),
			section("agent_section_rows_read_total", "Rows that ClickHouse read for a section. Those of several sections count for each.", &s.rows),
			section("agent_section_bytes_read_total", "Bytes, uncompressed, that ClickHouse read for a section. Those of several sections count for each.", &s.bytes))
		took = append(took, s.took)
	}
	return metric.Register(to, rows, took...)
}

// followerStats count what a Follower did since it started.
type followerStats struct {
	looks, encoded, bytes, failing atomic.Int64
}

// register is the table of a Follower's metrics.
func (s *followerStats) register(to prometheus.Registerer, name string) error {
	prefix := "agent_" + name + "_"
	return metric.Register(to, []metric.Row{
		{Name: prefix + "looks_total", Help: "Looks at all sections, each interval and after changes.", Counter: &s.looks},
		{Name: prefix + "sections_encoded_total", Help: "Sections that were found changed.", Counter: &s.encoded},
		{Name: prefix + "encoded_bytes_total", Help: "Length of the sections that were found changed, before compression.", Counter: &s.bytes},
		{Name: prefix + "sections_failing", Help: "Sections that could not be read at the last look.",
			Gauge: func() float64 { return float64(s.failing.Load()) }},
	})
}
