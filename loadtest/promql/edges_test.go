package promql

import (
	"testing"
	"time"
)

// edgeMoment has a window of five minutes that begins and ends on whole seconds.
func edgeMoment() moment {
	return moment{at: time.Date(2026, 11, 23, 12, 5, 0, 0, time.UTC), window: 5 * time.Minute}
}

// sampled is a counter with the given values at seconds of the window: 0 is its
// start, 300 its end.
func sampled(seconds []int64, values ...float64) []point {
	out := make([]point, len(values))
	for i, v := range values {
		out[i] = point{at: edgeMoment().from() + seconds[i], value: v}
	}
	return out
}

func staleAt(points []point, i int) []point {
	points[i].stale = true
	return points
}

// TestEdges compares cases that random ones should meet, by hand.
func TestEdges(t *testing.T) {
	t.Parallel()
	type at = []int64
	var (
		names []string
		cases []testCase
	)
	for name, points := range map[string][]point{
		"no sample in the window":             sampled(at{-60, -30}, 1, 2),
		"a single sample":                     sampled(at{150}, 7),
		"a single sample inside, one before":  sampled(at{-1, 150}, 5, 7),
		"a sample exactly at the start":       sampled(at{0, 60, 120}, 1, 2, 30), // left-open: out
		"a sample a second after the start":   sampled(at{1, 60, 120}, 1, 2, 30),
		"a sample exactly at the end":         sampled(at{180, 240, 300}, 1, 2, 30),
		"a sample a second after the end":     sampled(at{180, 240, 301}, 1, 2, 30),
		"two samples on both edges":           sampled(at{0, 300}, 1, 100),
		"from near zero":                      sampled(at{60, 120, 180, 240}, 1, 101, 201, 301),
		"from zero":                           sampled(at{60, 120, 180, 240}, 0, 100, 200, 300),
		"far from zero":                       sampled(at{60, 120, 180, 240}, 1e9, 1e9+1, 1e9+2, 1e9+3),
		"constant":                            sampled(at{60, 120, 180, 240}, 5, 5, 5, 5),
		"exactly 1.1 intervals from the edge": sampled(at{66, 126, 186}, 600, 700, 800),
		"within 1.1 intervals of the edge":    sampled(at{65, 125, 185, 245}, 600, 700, 800, 900),
		"reset to zero":                       sampled(at{60, 120, 180}, 50, 0, 10),
		"reset at the second sample":          sampled(at{60, 120, 180}, 50, 1, 10),
		"reset at the last sample":            sampled(at{60, 120, 180}, 50, 60, 3),
		"a reset at every sample":             sampled(at{60, 120, 180, 240}, 9, 8, 7, 6),
		"a reset hidden outside the window":   sampled(at{-30, 60, 120}, 500, 10, 20),
		"a reset just above the old value":    sampled(at{60, 120}, 50, 51),
		"reset and below zero's time":         sampled(at{200, 250, 300}, 1, 50, 2),
		"stale in the middle":                 staleAt(sampled(at{60, 120, 180}, 50, 0, 60), 1),
		"stale first":                         staleAt(sampled(at{60, 120, 180}, 0, 50, 60), 0),
		"stale last":                          staleAt(sampled(at{60, 120, 180}, 50, 60, 0), 2),
		"a long gap":                          sampled(at{10, 20, 280, 290}, 50, 60, 70, 80),
		"a second apart":                      sampled(at{299, 300}, 50, 60),
	} {
		names, cases = append(names, name), append(cases, edgeCase(points))
	}
	s := edgeSuite()
	differences, _ := s.compare(t, s.newWorld(t, edgeMoment(), cases))
	for i, list := range failing(differences) {
		t.Errorf("%s:\n%s%v", names[i], cases[i], list)
	}
}

// TestDifferencesAreSeen holds the comparison itself to account: where Prometheus
// has other samples than ClickHouse, by very little, every number must differ.
func TestDifferencesAreSeen(t *testing.T) {
	t.Parallel()
	s := edgeSuite()
	s.reference = func(c testCase) testCase {
		points := append([]point{}, c.series[0].points...)
		points[2].value += 1e-3 // of some 1e5
		changed := c.series[0]
		changed.points = points
		return testCase{[]series{changed}}
	}
	c := edgeCase(sampled([]int64{60, 120, 180}, 1e6, 1e6+1e5, 1e6+2e5))
	differences, _ := s.compare(t, s.newWorld(t, edgeMoment(), []testCase{c}))
	if len(differences) != 1 || differences[0].field != "traefik.rps" {
		t.Errorf("differences are %v, want one of traefik.rps", differences)
	}
	if len(failing(differences)[0]) != 1 {
		t.Errorf("%v are not about case 0", differences)
	}
}

func edgeSuite() suite {
	source := traefikSource()
	return suite{report: reportIngress, queries: source.queries()}
}

func edgeCase(points []point) testCase {
	return testCase{[]series{{
		metric: "traefik_service_requests_total", job: "traefik", instance: "10.0.0.1:9100",
		labels: map[string]string{"service": caseName + "@kubernetes", "code": "200", "method": "GET", "protocol": "http"},
		points: points,
	}}}
}
