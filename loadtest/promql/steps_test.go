package promql

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"pgregory.net/rapid"

	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
)

// stepRate is the rate that a series' point shows: over the step. Where steps are
// narrow, one with a single sample is over as many more as give two, within five
// minutes.
func stepRate(m moment, selector string) string {
	over := func(steps int64) string {
		return fmt.Sprintf("rate(%s[%dms])", selector, steps*m.step.Milliseconds())
	}
	var wider []string
	for n := int64(2); n <= 1+m.extraSteps(); n++ {
		wider = append(wider, over(n))
	}
	return fmt.Sprintf("((%s or ((%s) and on (job, instance) %s)) and count_over_time(%s[%dms]))",
		over(1), strings.Join(wider, " or "), narrowSteps, selector, m.step.Milliseconds())
}

// extraSteps are the steps before the window that its rates may reach into.
func (m moment) extraSteps() int64 { return int64((5*time.Minute + m.step - 1) / m.step) }

// narrowSteps is a series that is there for each job and instance of which two
// scrapes are farther apart than a step.
const narrowSteps = "narrow_steps"

// narrow are the targets with narrow steps, by the median over their series and
// steps of the distance between samples: the average in a step that has several,
// else the distance to the sample before.
func (m moment) narrow(cases []testCase) map[string]labels.Labels {
	var (
		targets   = make(map[string]labels.Labels)
		distances = make(map[string][]float64)
		step      = m.step.Milliseconds()
		begin     = m.at.Add(-m.window).UnixMilli() - m.extraSteps()*step
	)
	for i, c := range cases {
		for j := range c.series {
			one := &c.series[j]
			if !one.isReadInSteps(nameOf(i)) {
				continue
			}
			all := one.scraped(nameOf(i))
			if one.table != gaugeTable {
				all = all[:1] // a histogram is one series
			}
			for _, part := range all {
				target := labels.FromStrings("__name__", narrowSteps, "job", part.labels.Get("job"), "instance", part.labels.Get("instance"))
				targets[target.String()] = target
				bySlot := make(map[int64][]int64)
				for _, p := range part.native {
					part.points = append(part.points, promql.FPoint{T: p.T, F: p.H.Sum}) // stale as the sum is
				}
				for _, p := range part.points {
					if !value.IsStaleNaN(p.F) && p.T > begin && p.T <= m.at.UnixMilli() {
						slot := (m.at.UnixMilli() - p.T) / step
						bySlot[slot] = append(bySlot[slot], p.T)
					}
				}
				distances[target.String()] = append(distances[target.String()], distancesOf(bySlot)...)
			}
		}
	}
	for key, list := range distances {
		slices.Sort(list)
		if len(list) == 0 || 1.1*float64(step) >= 2*list[len(list)/2] {
			delete(targets, key)
		}
	}
	return targets
}

// isReadInSteps tells whether a request for the case's points reads the series:
// those of the metric or of the service.
func (s *series) isReadInSteps(name string) bool {
	for source, values := range map[string][]string{
		"traefik": {name + "@kubernetes"}, "nginx": {"web", "front"}, "linkerd": {"web-on-linkerd"}, "istio": {"web-on-istio"},
	} {
		if strings.Contains(s.job, source) {
			for _, v := range named(s.labels, name) {
				if slices.Contains(values, v) {
					return true
				}
			}
			return false
		}
	}
	return s.metric != "node_boot_time_seconds"
}

func distancesOf(bySlot map[int64][]int64) []float64 {
	var (
		out    []float64
		before int64
	)
	// From the oldest step on; the times in each go forward.
	for _, slot := range slices.Backward(slices.Sorted(maps.Keys(bySlot))) {
		times := slices.Compact(bySlot[slot])
		last := times[len(times)-1]
		switch {
		case len(times) > 1:
			out = append(out, float64(last-times[0])/float64(len(times)-1))
		case before > 0:
			out = append(out, float64(last-before))
		}
		before = last
	}
	return out
}

// TestNodeSeries compares the series of a node, of one metric after the other,
// with range queries.
func TestNodeSeries(t *testing.T) {
	t.Parallel()
	for _, metric := range seriesMetrics() {
		t.Run(metric.name, func(t *testing.T) {
			t.Parallel()
			s := suite{moments: genSteps, generate: metric.generate, report: metric.report, size: 10}
			s.stepped = func(m moment) []query { return metric.queries(m) }
			s.run(t)
		})
	}
}

// seriesMetric is one metric of NodeSeries and the samples it is made of.
type seriesMetric struct {
	name    string
	table   table
	series  []map[string]string // nil for the cores' time
	metrics []string
	queries func(m moment) []query
	// part turns the labels of a reported line into that of the query.
	part []string
}

func seriesMetrics() []seriesMetric {
	raw := func(metric string, table table, label string, values ...string) seriesMetric {
		s := seriesMetric{name: metric, metrics: []string{metric}, table: table, part: []string{label}}
		for _, v := range values {
			s.series = append(s.series, map[string]string{label: v})
		}
		s.queries = func(m moment) []query {
			return []query{
				seriesQuery("points", fmt.Sprintf("sum by (instance) (%s)", stepRate(m, metric))),
				seriesQuery("series", stepRate(m, metric), label),
			}
		}
		return s
	}
	return []seriesMetric{
		raw("node_softnet_dropped_total", sumTable, "cpu", "0", "1", "2"),
		raw("node_vmstat_pgfault", gaugeTable, "", ""),
		raw("node_netstat_Tcp_InSegs", gaugeTable, "", ""),
		{name: detail.MetricCPU, part: []string{"mode"}, queries: cpuSeries},
		transfer(detail.MetricDisk, "device", "sda", map[string]string{
			"read": "node_disk_read_bytes_total", "write": "node_disk_written_bytes_total",
		}),
		transfer(detail.MetricNetwork, "interface", "eth0", map[string]string{
			"receive": "node_network_receive_bytes_total", "transmit": "node_network_transmit_bytes_total",
		}),
	}
}

func seriesQuery(field, expr string, part ...string) query {
	return query{field: field, expr: expr, row: []string{"instance"}, part: part, presence: true}
}

func cpuSeries(m moment) []query {
	rate := func(modes string) string {
		return stepRate(m, fmt.Sprintf("node_cpu_seconds_total{mode=~%q}", modes))
	}
	return []query{
		seriesQuery("points", fmt.Sprintf("100 * (1 - sum by (instance) (%s) / (sum by (instance) (%s) > 0))", rate("idle|iowait|steal"), rate(".*"))),
		seriesQuery("series", fmt.Sprintf("100 * sum by (instance, mode) (%s) / on (instance) group_left () (sum by (instance) (%s) > 0)", rate("user|system|iowait|steal"), rate(".*")), "mode"),
	}
}

func transfer(name, shown, device string, directions map[string]string) seriesMetric {
	s := seriesMetric{
		name: name, series: []map[string]string{{"device": device}}, part: []string{shown, "direction"},
		metrics: slices.Sorted(maps.Values(directions)),
	}
	s.queries = func(m moment) []query {
		var terms []string
		for direction, metric := range directions {
			terms = append(terms, fmt.Sprintf("label_replace(%s, %q, %q, %q, %q)", stepRate(m, metric), "direction", direction, "", ""))
		}
		all := strings.Join(terms, " or ")
		return []query{
			seriesQuery("points", fmt.Sprintf("sum by (instance) (%s)", all)),
			seriesQuery("series", all, "device", "direction"),
		}
	}
	return s
}

func (s *seriesMetric) generate(t *rapid.T, m moment) testCase {
	times := genSchedule(t, moment{at: m.at, window: m.window + 6*time.Minute})
	base := series{job: "node-exporter", instance: caseName, resource: map[string]string{"server.address": caseName}}
	boot := base
	boot.metric, boot.table = "node_boot_time_seconds", gaugeTable
	for _, at := range times {
		boot.points = append(boot.points, point{at: at, value: 1_700_000_000})
	}
	c := testCase{series: []series{boot}}
	if s.series == nil {
		c.series = append(c.series, genCores(t, base, times)...)
		return c
	}
	for _, metric := range s.metrics {
		for _, labels := range s.series {
			one := base
			one.metric, one.table, one.labels = metric, s.table, labels
			c.series = append(c.series, counter(t, one, times))
		}
	}
	return c
}

func (s *seriesMetric) report(ctx context.Context, w *world) (reported, error) {
	out := newReported()
	for i := range w.cases {
		list, _, err := w.store.NodeSeries(ctx, detail.NodeSeries{
			Name: nameOf(i), Metric: s.name, StepSeconds: int64(w.step / time.Second),
			Range: detail.NewRange(w.at.Add(-w.window), w.at),
		})
		if isNotFound(err) {
			continue
		}
		if err != nil {
			return reported{}, err
		}
		out.setPoints(nameOf(i), "points", "", list.Points)
		for _, line := range list.Series {
			var part []string
			for _, label := range s.part {
				part = append(part, line.Labels[label])
			}
			out.setPoints(nameOf(i), "series", strings.Join(part, "/"), line.Points)
		}
	}
	return out, nil
}

func (r reported) setPoints(row, field, part string, points []model.Point) {
	for _, p := range points {
		r.setAt(row, field, part, string(p.Timestamp), p.Value)
	}
}

func isNotFound(err error) bool {
	var f *fault.Error
	return errors.As(err, &f) && f.Code == fault.NotFound
}

// TestSLOSeries compares services over time with range queries.
func TestSLOSeries(t *testing.T) {
	t.Parallel()
	s := suite{moments: genSteps, report: reportSLOSeries, generate: genServices, size: 12}
	s.stepped = func(m moment) []query { return steppedQueries(m, false) }
	s.run(t)
}

// genServices draws a service of ingress or mesh, from before the window on.
func genServices(t *rapid.T, m moment) testCase {
	wide := moment{at: m.at, window: m.window + 6*time.Minute}
	c := genIngress
	if rapid.Bool().Draw(t, "mesh") {
		c = genMesh
	}
	// Each case has targets of its own, whose intervals are its own.
	out := c(t, wide)
	for i := range out.series {
		out.series[i].instance = caseName + "." + out.series[i].instance
	}
	return out
}

func steppedQueries(m moment, native bool) []query {
	var out []query
	for _, source := range []sloSource{traefikSource(), nginxSource(), linkerdInbound(), istioServices()} {
		source.steps, source.levels, source.native = &m, []int{50, 99}, native
		for _, q := range source.queries() {
			name := strings.TrimPrefix(q.field, source.name+".")
			if name == "rps" || name == "successRate" || name == "errorRate" || name[0] == 'p' {
				out = append(out, q)
			}
		}
	}
	return out
}

func reportSLOSeries(ctx context.Context, w *world) (reported, error) {
	out := newReported()
	services := map[string]string{
		"traefik": "$case@kubernetes", "nginx": "$case/web/front", "linkerd": "$case/web-on-linkerd", "istio": "$case/web-on-istio",
	}
	for i, c := range w.cases {
		for source, service := range services {
			if len(c.series) == 0 || !strings.Contains(c.series[0].job, source) {
				continue
			}
			service = strings.ReplaceAll(service, caseName, nameOf(i))
			list, _, err := w.store.SLOSeries(ctx, detail.SLOSeries{
				Service: service, IntervalSeconds: int64(w.step / time.Second), Range: detail.NewRange(w.at.Add(-w.window), w.at),
			})
			if isNotFound(err) {
				continue
			}
			if err != nil {
				return reported{}, err
			}
			for _, p := range list.Points {
				values := map[string]float64{"rps": p.RPS, "successRate": p.SuccessRate, "p50Ms": p.P50Ms, "p99Ms": p.P99Ms}
				if source == "traefik" || source == "nginx" {
					values["errorRate"] = p.ErrorRate
				}
				for field, v := range values {
					out.setAt(service, source+"."+field, "", string(p.Timestamp), v)
				}
			}
		}
	}
	return out, nil
}
