package snapshot

import (
	"sync/atomic"

	"github.com/atlhyper/observe/redis/metric"
)

// writerStats count what a Writer did since it started.
type writerStats struct {
	published, stoodBy, failed, resent, sections, bytes atomic.Int64
	standby                                             atomic.Bool
}

// register is the table of the Writer's metrics.
func (w *Writer) register() error {
	const publishes, publishesHelp = "agent_publishes_total", "Publishes of the snapshot, by what came of them."
	s := &w.stats
	return metric.Register(w.cfg.Metrics, []metric.Row{
		{Name: publishes, Help: publishesHelp, Label: "outcome", Value: "published", Counter: &s.published},
		{Name: publishes, Help: publishesHelp, Label: "outcome", Value: "standby", Counter: &s.stoodBy},
		{Name: publishes, Help: publishesHelp, Label: "outcome", Value: "failed", Counter: &s.failed},
		{Name: "agent_snapshot_resent_total", Help: "Publishes of everything, because Redis did not hold what was published before.", Counter: &s.resent},
		{Name: "agent_sections_written_total", Help: "Sections whose value was sent: it had changed.", Counter: &s.sections},
		{Name: "agent_section_bytes_total", Help: "Length of the sections that were sent.", Counter: &s.bytes},
		{Name: "agent_standby", Help: "1 while another agent of the cluster publishes.", Gauge: func() float64 {
			if s.standby.Load() {
				return 1
			}
			return 0
		}},
		{Name: "agent_last_publish_timestamp_seconds", Help: "When this agent published last, on Redis's clock; 0 for never.",
			Gauge: func() float64 { return float64(w.published.Load()) / 1000 }},
	})
}
