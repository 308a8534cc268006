package promql

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// TestBoundsChange compares histograms whose bounds change with restarts in the
// middle of the window, also back to what they were: the buckets that both have go
// on, as do count and sum, and those that come back go on from where they were.
func TestBoundsChange(t *testing.T) {
	t.Parallel()
	source := traefikSource()
	s := suite{
		moments: genMoment, report: reportIngress, queries: source.queries(), size: 100,
		generate: genChangingBounds,
	}
	s.run(t)
}

// genChangingBounds draws a Traefik service whose process restarts with other
// bounds, or with those that it had before. A series that a scrape no longer has gets a stale marker.
func genChangingBounds(t *rapid.T, m moment) testCase {
	times := genSchedule(t, m)
	s := series{
		metric: "traefik_service_request_duration_seconds", table: histogramTable, job: "traefik", instance: "10.0.0.1:9100",
		labels: map[string]string{"service": caseName + "@kubernetes", "code": "200", "method": "GET", "protocol": "http"},
	}
	choice := rapid.SliceOfN(rapid.SampledFrom(layouts()), 2, 2).Draw(t, "bounds")
	if rarely(t, 2, "federated") {
		s.table = federatedTable
	}
	for run := 0; len(times) > 0; run++ {
		n := len(times)
		if run < 4 {
			n = rapid.IntRange(1, n).Draw(t, "run")
		}
		s.points = append(s.points, histogram(t, s, times[:n], choice[run%2]).points...)
		times = times[n:]
	}
	requests := s
	requests.metric, requests.table = "traefik_service_requests_total", sumTable
	requests.points = nil
	for _, p := range s.points {
		requests.points = append(requests.points, point{at: p.at, value: float64(p.count()), stale: p.stale})
	}
	return testCase{[]series{requests, s}}
}

// TestMixedBounds compares a service whose replicas have other bounds, as during
// a rollout. sum by (le) of such buckets counts each replica at its own bounds
// alone, which is no histogram and gives arbitrary quantiles; so the product adds
// up the buckets that all replicas have, and PromQL is asked for the same. Where there
// are fewer than two of these, there is no such question for PromQL.
func TestMixedBounds(t *testing.T) {
	t.Parallel()
	source := traefikSource()
	source.shared = true
	s := suite{moments: genMoment, report: reportIngress, queries: source.queries(), size: 100, generate: genMixedBounds}
	s.run(t)
}

func genMixedBounds(t *rapid.T, m moment) testCase {
	all := combinations(map[string][]string{
		"service": {caseName + "@kubernetes"}, "code": {"200", "503"}, "method": {"GET"}, "protocol": {"http"},
	})
	var c testCase
	of := layouts()
	some := rapid.SampledFrom([][][]float64{{of[0], of[1]}, {of[1], of[2]}, {of[2], of[4]}}).Draw(t, "layouts")
	for replica, bounds := range rapid.SliceOfN(rapid.SampledFrom(some), 2, 3).Draw(t, "bounds") {
		times := genSchedule(t, m)
		for _, labels := range all {
			s := series{metric: "traefik_service_requests_total", job: "traefik", instance: fmt.Sprintf("10.0.0.%d:9100", replica), labels: labels}
			c.series = append(c.series, counter(t, s, times))
			s.metric, s.table = "traefik_service_request_duration_seconds", histogramTable
			c.series = append(c.series, histogram(t, s, times, bounds))
		}
	}
	return c
}
