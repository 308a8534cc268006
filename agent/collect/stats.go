package collect

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/atlhyper/observe/redis/metric"
)

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
