package dashboard

import (
	"sync/atomic"

	"github.com/atlhyper/observe/redis/metric"
)

// stats count what a Service did since it started.
type stats struct {
	hits, misses                        atomic.Int64
	changed, unchanged, missing, failed atomic.Int64
	idle, evicted                       atomic.Int64
	checkedAt                           atomic.Int64 // instant at which the last check that worked began
}

// register is the table of the Service's metrics.
func (s *Service) register() error {
	const (
		requests, requestsHelp = "master_cache_requests_total", "Requests for sections: answered from memory (hit), or only after Redis was asked (miss)."
		checks, checksHelp     = "master_cache_checks_total", "Checks of clusters that are held, by what Redis said: the same, something new, that it holds nothing newer or nothing at all (missing), or nothing (failed)."
		gone, goneHelp         = "master_cache_evictions_total", "Sections that were let go: nobody asked for them any more, or there was no room."
	)
	t := &s.stats
	return metric.Register(s.cfg.Metrics, []metric.Row{
		{Name: requests, Help: requestsHelp, Label: "result", Value: "hit", Counter: &t.hits},
		{Name: requests, Help: requestsHelp, Label: "result", Value: "miss", Counter: &t.misses},
		{Name: checks, Help: checksHelp, Label: "outcome", Value: "unchanged", Counter: &t.unchanged},
		{Name: checks, Help: checksHelp, Label: "outcome", Value: "changed", Counter: &t.changed},
		{Name: checks, Help: checksHelp, Label: "outcome", Value: "missing", Counter: &t.missing},
		{Name: checks, Help: checksHelp, Label: "outcome", Value: "failed", Counter: &t.failed},
		{Name: gone, Help: goneHelp, Label: "reason", Value: "idle", Counter: &t.idle},
		{Name: gone, Help: goneHelp, Label: "reason", Value: "bytes", Counter: &t.evicted},
		{Name: "master_cache_bytes", Help: "What the held answers occupy, in all encodings.", Gauge: func() float64 { return float64(s.bytes.Load()) }},
		{Name: "master_cache_bytes_max", Help: "What they may occupy.", Gauge: func() float64 { return float64(s.cfg.CacheBytes) }},
		{Name: "master_cache_clusters", Help: "Clusters that are followed.", Gauge: func() float64 {
			clusters, _ := s.cache.count()
			return float64(clusters)
		}},
		{Name: "master_cache_sections", Help: "Sections that are held.", Gauge: func() float64 {
			_, sections := s.cache.count()
			return float64(sections)
		}},
		{Name: "master_cache_check_age_seconds", Help: "How long ago the last check began that Redis answered; 0 before the first.", Gauge: func() float64 {
			at := instant(t.checkedAt.Load())
			if at == 0 {
				return 0
			}
			return s.now().sub(at).Seconds()
		}},
	})
}
