package promql

import (
	"testing"

	"pgregory.net/rapid"
)

// TestStartTimes compares series that say when they began, some of them inside
// the window. PromQL's rate looks at the first sample's start time in none of its
// versions (with the feature use-start-timestamps it takes a later sample's for a
// reset), and neither do we: a series born in the window counts from its first
// sample on, whatever StartTimeUnix says. A Prometheus with the feature
// created-timestamp-zero-ingestion stores a zero at the start; README.md says why
// we don't.
func TestStartTimes(t *testing.T) {
	t.Parallel()
	traefik, nginx := traefikSource(), nginxSource()
	s := suite{
		moments: genMoment, generate: genStarted, report: reportIngress, size: 60,
		queries: append(traefik.queries(), nginx.queries()...),
	}
	s.run(t)
}

// genStarted draws series whose rows carry the start of the process, a reset
// beginning another one.
func genStarted(t *rapid.T, m moment) testCase {
	c := genIngress(t, m)
	for i := range c.series {
		points := c.series[i].points
		if len(points) == 0 {
			continue
		}
		start := points[0].at - rapid.Int64Range(0, 20).Draw(t, "age at birth")
		for j := range points {
			if j > 0 && (points[j].value < points[j-1].value || points[j].count() < points[j-1].count()) {
				start = points[j-1].at + 1
			}
			points[j].start = start
		}
	}
	return c
}
