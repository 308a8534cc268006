package telemetry

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
)

const loopLength = 11 * time.Minute

func anchorTime() time.Time { return time.Date(2031, 5, 6, 23, 40, 0, 0, time.UTC) }

func testTimeline(t *testing.T) *timeline {
	t.Helper()
	c := mustLoad(t)
	return newTimeline(&c.Rows, window{c.Start, c.Length}, anchorTime(), "test")
}

// replayed is what a timeline gives in its first four loops.
type replayed struct {
	rows     Rows
	counters map[string][]sample
}

var replayedOnce struct {
	sync.Once
	replayed
}

func fourLoops(t *testing.T) (*Rows, map[string][]sample) {
	t.Helper()
	replayedOnce.Do(func() {
		tl := testTimeline(t)
		begin := anchorTime().Add(-time.Second)
		replayedOnce.rows = tl.rows(begin, begin, anchorTime().Add(4*loopLength-time.Nanosecond))
		replayedOnce.counters = counterSeries(t, &replayedOnce.rows)
	})
	return &replayedOnce.rows, replayedOnce.counters
}

// firstRestarts tells when in the capture a target was first scraped after a
// restart (README.md); the others never restarted.
func firstRestarts() map[string]time.Duration {
	return map[string]time.Duration{
		"traefik 10.0.2.21:9100":       26 * time.Second,
		"traefik 10.0.2.22:9100":       5*time.Minute + 34*time.Second,
		"ingress-nginx 10.0.2.30:4191": 27 * time.Second,
		"linkerd-proxy 10.0.2.30:4191": 27 * time.Second,
		"istio-proxy 10.0.2.30:4191":   35 * time.Second,
	}
}

// TestSeamOfEverySeries holds each counter's increase over windows across a
// seam against what the capture says about both sides of it.
func TestSeamOfEverySeries(t *testing.T) {
	t.Parallel()
	c := mustLoad(t)
	captured, restarts := counterSeries(t, &c.Rows), firstRestarts()
	_, replayed := fourLoops(t)
	if len(replayed) != len(captured) {
		t.Errorf("%d series became %d", len(captured), len(replayed))
	}
	for _, key := range sortedKeys(replayed) {
		samples, raw := replayed[key], captured[key]
		target, _, _ := strings.Cut(key, "|")
		step := greatestStep(raw)
		for seam := 1; seam <= 3; seam++ {
			at := anchorTime().Add(time.Duration(seam) * loopLength)
			for _, half := range []time.Duration{time.Minute, 2 * time.Minute, 5 * time.Minute} {
				got := increase(samples, at.Add(-half), at.Add(half))
				// The two sides as captured; a series that is not there yet has
				// counted nothing, so its first sample is a gain.
				tail := increase(raw, c.Start.Add(loopLength-half), c.Start.Add(loopLength-time.Nanosecond))
				head := increase(born(raw, c.Start), c.Start, c.Start.Add(half))
				tolerance := 1e-5 + 1e-9*math.Abs(tail+head)
				low, high := tail+head-tolerance, tail+head+step+tolerance
				if restart, ok := restarts[target]; ok {
					// What PromQL makes of a restart depends on the value before
					// it, which is not the captured one: when the series comes
					// back no lower, the old value is taken for counted already.
					low -= raw[len(raw)-1].value + step + head
					high += firstFrom(raw, c.Start.Add(restart))
				}
				if got < low || got > high {
					t.Fatalf("%s: increase over %s around seam %d is %g, want %g to %g", key, 2*half, seam, got, low, high)
				}
			}
		}
	}
}

func between(samples []sample, from, to time.Time) []sample {
	var found []sample
	for _, s := range samples {
		if !s.at.Before(from) && !s.at.After(to) {
			found = append(found, s)
		}
	}
	return found
}

// firstFrom is the first value from a moment on, 0 when there is none.
func firstFrom(samples []sample, from time.Time) float64 {
	for _, s := range samples {
		if !s.at.Before(from) {
			return s.value
		}
	}
	return 0
}

// born puts a zero before the first sample of a series that appears after the
// first scrape of the capture.
func born(samples []sample, start time.Time) []sample {
	if samples[0].at.Sub(start) < 15*time.Second {
		return samples
	}
	return append([]sample{{start, 0}}, samples...)
}

// TestSeamHasNoReset counts resets: each loop has those of the capture, and the
// seams add none.
func TestSeamHasNoReset(t *testing.T) {
	t.Parallel()
	resets := 0
	_, replayed := fourLoops(t)
	for key, samples := range replayed {
		for seam := 1; seam <= 3; seam++ {
			at := anchorTime().Add(time.Duration(seam) * loopLength)
			if around := between(samples, at.Add(-16*time.Second), at.Add(14*time.Second)); falls(around) > 0 {
				t.Fatalf("%s falls at seam %d: %v", key, seam, around)
			}
		}
		resets += falls(samples)
		if strings.HasPrefix(key, "node-exporter") && falls(samples) > 0 {
			t.Errorf("%s: a node that did not restart has a reset", key)
		}
	}
	if resets == 0 {
		t.Error("no series has a reset; the proxies' restarts are lost")
	}
}

// TestSeamRates compares sums over each target: the rate of every two minutes
// across a seam is within the range of those inside a loop.
func TestSeamRates(t *testing.T) {
	t.Parallel()
	_, replayed := fourLoops(t)
	const width = 2 * time.Minute
	type bounds struct{ low, high float64 }
	inside := make(map[string]bounds)
	across := make(map[string]bounds)
	sums := make(map[string]map[time.Time]float64)
	for key, samples := range replayed {
		target, metric, _ := strings.Cut(key, "|")
		metric, _, _ = strings.Cut(metric, "|")
		switch metric {
		case "traefik_service_requests_total", "nginx_ingress_controller_requests", "request_total", "response_total",
			"istio_requests_total", "response_latency_ms_count", "traefik_service_request_duration_seconds_count",
			"node_cpu_seconds_total", "node_netstat_Tcp_InSegs", "node_vmstat_pgfault", "node_context_switches_total":
		default:
			continue
		}
		name := target + " " + metric
		if sums[name] == nil {
			sums[name] = make(map[time.Time]float64)
		}
		for at := anchorTime().Add(width); at.Before(anchorTime().Add(4 * loopLength)); at = at.Add(15 * time.Second) {
			sums[name][at] += increase(samples, at.Add(-width), at)
		}
	}
	for name, byTime := range sums {
		for at, rate := range byTime {
			into := inside
			if begin := at.Add(-width).Sub(anchorTime()); begin/loopLength != at.Sub(anchorTime())/loopLength {
				into = across
			}
			b, ok := into[name]
			if !ok {
				b = bounds{rate, rate}
			}
			into[name] = bounds{min(b.low, rate), max(b.high, rate)}
		}
	}
	if len(across) == 0 {
		t.Fatal("no window lies across a seam")
	}
	for _, name := range sortedKeys(across) {
		in, over := inside[name], across[name]
		if over.low < 0.9*in.low || over.high > 1.1*in.high {
			t.Errorf("%s: increase per %s is %.1f to %.1f inside a loop, %.1f to %.1f across seams", name, width, in.low, in.high, over.low, over.high)
		}
	}
}

// TestSeamOfTimes checks the gauges that tell times: the node's clock is that of
// the row, and its uptime grows by as much as time goes by.
func TestSeamOfTimes(t *testing.T) {
	t.Parallel()
	rows, _ := fourLoops(t)
	clock, boot := make(map[string]float64), make(map[string]float64)
	scrapes := make(map[string][]time.Time)
	for i := range rows.Gauges {
		p := &rows.Gauges[i]
		node := p.Resource["service.instance.id"]
		switch p.MetricName {
		case "up":
			key := p.ServiceName + " " + node
			scrapes[key] = append(scrapes[key], p.Time)
		case "node_time_seconds":
			if d := p.Value - float64(p.Time.Unix()); d < -1 || d > 2 {
				t.Errorf("%s: clock is %g s off its row", node, d)
			}
			clock[node] = p.Value
		case "node_boot_time_seconds":
			if was, ok := boot[node]; ok && was != p.Value {
				t.Fatalf("%s booted at %f and at %f", node, was, p.Value)
			}
			boot[node] = p.Value
		}
	}
	for node := range boot {
		if up := clock[node] - boot[node]; up < 3*loopLength.Seconds() {
			t.Errorf("%s: up for %g s after four loops", node, up)
		}
	}
	if len(boot) != 3 || len(scrapes) != 8 {
		t.Errorf("%d nodes and %d targets", len(boot), len(scrapes))
	}
	for key, times := range scrapes {
		if len(times) != 4*44 {
			t.Errorf("%s: %d scrapes in four loops", key, len(times))
		}
		for i := 1; i < len(times); i++ {
			if gap := times[i].Sub(times[i-1]); gap < 14*time.Second || gap > 16*time.Second {
				t.Errorf("%s: %s between scrapes at %s", key, gap, times[i])
			}
		}
	}
}

// TestTicksEqualOneWindow cuts time into uneven ticks and gets the same rows.
func TestTicksEqualOneWindow(t *testing.T) {
	t.Parallel()
	tl := testTimeline(t)
	begin := anchorTime().Add(9*time.Minute + 300*time.Millisecond)
	end := begin.Add(4 * time.Minute)
	want := tl.rows(begin, begin, end)
	var got Rows
	for from, tick := begin, 0; from.Before(end); tick++ {
		to := from.Add(time.Duration(1+tick%7) * 613 * time.Millisecond)
		if to.After(end) {
			to = end
		}
		r := tl.rows(begin, from, to)
		got.Spans = append(got.Spans, r.Spans...)
		got.Logs = append(got.Logs, r.Logs...)
		got.Gauges = append(got.Gauges, r.Gauges...)
		got.Sums = append(got.Sums, r.Sums...)
		got.Histograms = append(got.Histograms, r.Histograms...)
		got.Summaries = append(got.Summaries, r.Summaries...)
		from = to
	}
	// Around the seam the rows of two loops come in the order of ticks.
	for _, r := range []*Rows{&want, &got} {
		byEnd(r)
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Error(diff[:min(len(diff), 2000)])
	}
	if want.Len() < 10000 {
		t.Errorf("only %d rows", want.Len())
	}
}

func byEnd(r *Rows) {
	slices.SortStableFunc(r.Spans, func(a, b Span) int {
		return cmp.Or(a.Timestamp.Add(a.Duration).Compare(b.Timestamp.Add(b.Duration)), cmp.Compare(a.SpanID, b.SpanID))
	})
}
