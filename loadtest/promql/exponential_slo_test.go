package promql

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestExponentialIngress compares slo.ingress whose durations are exponential
// histograms with native histograms of Prometheus.
func TestExponentialIngress(t *testing.T) {
	t.Parallel()
	s := suite{
		moments: genMoment, report: reportIngress, generate: exponentially(genIngress), size: 100,
		queries: natively(traefikSource(), nginxSource()),
	}
	s.run(t)
}

// TestExponentialMesh compares slo.services likewise.
func TestExponentialMesh(t *testing.T) {
	t.Parallel()
	s := suite{
		moments: genMoment, report: reportServices, generate: exponentially(genMesh), size: 60,
		queries: natively(linkerdInbound(), istioServices()),
	}
	s.run(t)
}

// TestExponentialEdges compares slo.edges likewise.
func TestExponentialEdges(t *testing.T) {
	t.Parallel()
	s := suite{
		moments: genMoment, report: reportEdges, generate: exponentially(genMesh), size: 60,
		queries: natively(linkerdOutbound(), istioEdges()),
	}
	s.run(t)
}

// TestExponentialLongRanges compares ranges that are read in parts.
func TestExponentialLongRanges(t *testing.T) {
	t.Parallel()
	s := suite{
		moments: genDays, report: reportIngressRange, generate: exponentially(genSparse), size: 30,
		queries: natively(traefikSource(), nginxSource()),
	}
	s.run(t)
}

// TestExponentialSLOSeries compares points over time with range queries.
func TestExponentialSLOSeries(t *testing.T) {
	t.Parallel()
	s := suite{moments: genSteps, report: reportSLOSeries, generate: exponentially(genServices), size: 12}
	s.stepped = func(m moment) []query { return steppedQueries(m, true) }
	s.run(t)
}

// TestExponentialDelta compares increments of any scale: all that there is of them
// in the window, which PromQL adds up with sum_over_time.
func TestExponentialDelta(t *testing.T) {
	t.Parallel()
	s := suite{
		moments: genMoment, report: reportIngress, size: 60,
		generate: func(t *rapid.T, m moment) testCase {
			c := exponentially(genDelta)(t, m)
			for i := range c.series {
				c.series[i].delta = true
			}
			return c
		},
		// The samples that Prometheus adds up are the increments themselves.
		reference: func(c testCase) testCase {
			var raw testCase
			for _, s := range c.series {
				s.delta = false
				raw.series = append(raw.series, s)
			}
			return raw
		},
	}
	for _, q := range natively(traefikSource(), nginxSource()) {
		for _, expr := range []*string{&q.expr, &q.below, &q.above} {
			*expr = strings.NewReplacer("rate(", "sum_over_time(", "increase(", "sum_over_time(").Replace(*expr)
		}
		if strings.HasSuffix(q.field, ".rps") {
			q.expr = "(" + q.expr + ") / $s"
		}
		s.queries = append(s.queries, q)
	}
	s.run(t)
}

// TestMixedHistograms compares a service some of whose replicas send exponential
// histograms and some classic ones: the former counts at the bounds of the latter
// as histogram_fraction does, and the sum is a classic histogram.
func TestMixedHistograms(t *testing.T) {
	t.Parallel()
	source := traefikSource()
	source.mixed = true
	s := suite{moments: genMoment, report: reportIngress, generate: genMixedKinds, size: 60, queries: source.queries()}
	s.run(t)
}

// mixedBounds are those of all classic histograms of TestMixedHistograms.
func mixedBounds() []float64 { return layouts()[0] }

func genMixedKinds(t *rapid.T, m moment) testCase {
	all := combinations(map[string][]string{
		"service": {caseName + "@kubernetes"}, "code": {"200", "503"}, "method": {"GET"}, "protocol": {"http"},
	})
	var c testCase
	for replica := range 3 {
		times := genSchedule(t, m)
		for _, labels := range all {
			s := series{metric: "traefik_service_requests_total", job: "traefik", instance: fmt.Sprintf("10.0.0.%d:9100", replica), labels: labels}
			c.series = append(c.series, counter(t, s, times))
			s.metric, s.table = "traefik_service_request_duration_seconds", histogramTable
			if replica > 0 && rapid.Bool().Draw(t, "exponential") {
				s.table = exponentialTable
			}
			c.series = append(c.series, observed(t, s, times, mixedBounds()))
		}
	}
	return withObservations(c)
}

// withObservations adds a classic series that observes something between any two
// scrapes, so that there are bounds to count at.
func withObservations(c testCase) testCase {
	s := series{
		metric: "traefik_service_request_duration_seconds", table: histogramTable, job: "traefik", instance: "10.0.0.9:9100",
		labels: map[string]string{"service": caseName + "@kubernetes", "code": "204", "method": "GET", "protocol": "http"},
	}
	for i, at := range c.times() {
		p := point{at: at, bounds: mixedBounds(), buckets: make([]uint64, len(mixedBounds())+1), sum: float64(i)}
		for b := range p.buckets {
			p.buckets[b] = uint64(i * (b + 1))
		}
		s.points = append(s.points, p)
	}
	c.series = append(c.series, s)
	return c
}

// exponentially makes the histograms of a generator exponential ones.
func exponentially(generate func(*rapid.T, moment) testCase) func(*rapid.T, moment) testCase {
	return func(t *rapid.T, m moment) testCase {
		c := generate(t, m)
		for i := range c.series {
			s := &c.series[i]
			if !s.histogram() {
				if s.table == gaugeTable {
					s.table = sumTable
				}
				continue
			}
			var times []int64
			for _, p := range s.points {
				times = append(times, p.at)
			}
			s.table = exponentialTable
			*s = exponentialHistogram(t, *s, times)
		}
		return c
	}
}

// natively are the queries of sources whose durations are native histograms.
func natively(sources ...sloSource) []query {
	var out []query
	for _, s := range sources {
		s.native = true
		out = append(out, s.queries()...)
	}
	return out
}
