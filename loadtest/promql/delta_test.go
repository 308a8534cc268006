package promql

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestDelta compares counters and histograms of delta temporality with the same
// data made cumulative. The increments of the points in the window are all there
// is, without any extrapolation: that is the increase over an anchored range,
// from the last sample at or before the window's start.
func TestDelta(t *testing.T) {
	t.Parallel()
	s := suite{moments: genMoment, generate: genDelta, report: reportIngress, size: 100}
	for _, source := range []sloSource{traefikSource(), nginxSource()} {
		for _, q := range source.queries() {
			q.expr, q.below, q.above = anchored(q.expr), anchored(q.below), anchored(q.above)
			s.queries = append(s.queries, q)
		}
	}
	s.run(t)
}

func anchored(expr string) string { return strings.ReplaceAll(expr, "[$w]", "[$w] anchored") }

// genDelta draws the ingress of a proxy that pushes increments. What a missed
// push counted is lost with it, in both forms.
func genDelta(t *rapid.T, m moment) testCase {
	c := genIngress(t, m)
	var out testCase
	for i := range c.series {
		s := c.series[i]
		if s.table == gaugeTable || s.table == federatedTable {
			s.table = map[table]table{gaugeTable: sumTable, federatedTable: histogramTable}[s.table]
		}
		s.delta = true
		var points []point
		for j, p := range s.points {
			if p.stale {
				continue // nobody scrapes what is pushed
			}
			// The increments are what the cumulative generator drew as values.
			p.twice = false
			p.value = float64(int64(p.value*64)%640) / 64
			p.start = p.at - 5
			if j > 0 {
				p.start = s.points[j-1].at
			}
			points = append(points, p)
		}
		s.points = points
		out.series = append(out.series, s)
	}
	return out
}
