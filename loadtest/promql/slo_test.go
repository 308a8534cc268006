package promql

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"github.com/atlhyper/observe/shared/model"
)

// sloSource is a proxy's metrics as a panel asks for them.
type sloSource struct {
	name     string   // begins the fields, since sources report the same ones
	requests string   // a counter and its matchers, without the closing brace
	duration string   // a histogram, likewise; its suffix goes before the brace
	scale    float64  // milliseconds in a unit of the duration
	row      []string // the labels that make a row
	failed   []string // matchers; requests that one of them fits are failures
	mtls     string   // a matcher; "" where it is not reported
	code     string   // the label of the status code; "" where it is not reported
	method   string   // likewise
	counts   bool     // totals and buckets are reported
	levels   []int    // the percentiles that are reported
	shared   bool     // only buckets that all series have count
	steps    *moment  // the rates are those of steps; nil for those of the window
	native   bool     // durations are native histograms
	mixed    bool     // some are, others have mixedBounds
}

// with adds a matcher to a metric.
func with(metric, matcher string) string {
	if matcher == "" {
		return metric + "}"
	}
	return metric + matcher + "}"
}

// sum is the sum of a function of the selectors' series, by the row's labels and more.
func (s *sloSource) sum(function string, more []string, selectors ...string) string {
	terms := make([]string, len(selectors))
	for i, selector := range selectors {
		terms[i] = fmt.Sprintf("%s(%s[$w])", function, selector)
		if s.steps != nil {
			terms[i] = stepRate(*s.steps, selector)
		}
	}
	by := append(append([]string{}, s.row...), more...)
	return fmt.Sprintf("sum by (%s) (%s)", strings.Join(by, ", "), strings.Join(terms, " or "))
}

// part is the selector of the histogram's _bucket, _sum or _count.
func (s *sloSource) part(suffix string) string {
	return strings.Replace(s.duration, "{", suffix+"{", 1) + "}"
}

// buckets are the histogram's buckets, added up by le; if they are shared, those
// that all histograms with observations in the window have.
func (s *sloSource) buckets(function string) string {
	all := s.sum(function, []string{"le"}, s.part("_bucket"))
	if s.mixed {
		return s.mixedBuckets(function, all)
	}
	if !s.shared {
		return all
	}
	var (
		row  = strings.Join(s.row, ", ")
		rate = "rate(" + s.part("_bucket") + "[$w])"
		busy = "(max without (le) (" + rate + ") > 0)"
	)
	return fmt.Sprintf("(%s and on (%s, le) (count by (%s, le) (%s and ignoring (le) %s) == on (%s) group_left count by (%s) (%s)))",
		all, row, row, rate, busy, row, row, busy)
}

// mixedBuckets adds to the classic buckets what native histograms observed up to
// their bounds.
func (s *sloSource) mixedBuckets(function, classic string) string {
	native := s.sum(function, nil, s.part(""))
	count := fmt.Sprintf("(histogram_count(%s) > 0)", native)
	terms := []string{fmt.Sprintf("label_replace(%s, \"kind\", \"classic\", \"\", \"\")", classic)}
	add := func(le, expr string) {
		terms = append(terms, fmt.Sprintf("label_replace(%s, \"le\", %q, \"\", \"\")", expr, le))
	}
	for _, bound := range mixedBounds() {
		add(fmt.Sprint(bound), fmt.Sprintf("histogram_fraction(-Inf, %v, %s) * %s", bound, native, count))
	}
	add("+Inf", count)
	return fmt.Sprintf("sum by (%s, le) (%s)", strings.Join(s.row, ", "), strings.Join(terms, " or "))
}

func (s *sloSource) queries() []query {
	field := func(name string) query { return query{field: s.name + "." + name, row: s.row} }
	q := func(name, expr string) query {
		out := field(name)
		out.expr = expr
		return out
	}
	var failed []string
	for _, matcher := range s.failed {
		failed = append(failed, with(s.requests, matcher))
	}
	total := s.sum("rate", nil, with(s.requests, ""))
	share := func(of string) string { return fmt.Sprintf("((%s) or 0 * %s) / %s", of, total, total) }
	errors := share(s.sum("rate", nil, failed...))
	rps := q("rps", total)
	rps.presence = true
	out := []query{
		rps,
		q("successRate", "100 * (1 - "+errors+")"),
		q("avgMs", fmt.Sprintf("%v * %s / %s", s.scale, s.sum("rate", nil, s.part("_sum")), s.sum("rate", nil, s.part("_count")))),
	}
	buckets := s.buckets("rate")
	if s.native {
		buckets = s.sum("rate", nil, s.part(""))
		out[2] = q("avgMs", fmt.Sprintf("%v * histogram_sum(%s) / histogram_count(%s)", s.scale, buckets, buckets))
	}
	if s.mixed {
		sum := fmt.Sprintf("(%s + (histogram_sum(%s) or 0 * %s))", s.sum("rate", nil, s.part("_sum")), s.sum("rate", nil, s.part("")), s.sum("rate", nil, s.part("_sum")))
		n := fmt.Sprintf("(%s + (histogram_count(%s) or 0 * %s))", s.sum("rate", nil, s.part("_count")), s.sum("rate", nil, s.part("")), s.sum("rate", nil, s.part("_count")))
		out[2] = q("avgMs", fmt.Sprintf("%v * %s / %s", s.scale, sum, n))
	}
	for _, level := range s.levels {
		out = append(out, quantileOf(field(fmt.Sprintf("p%dMs", level)), float64(level)/100, s.scale, buckets))
	}
	if s.mtls != "" {
		out = append(out, q("mtlsRate", share(s.sum("rate", nil, with(s.requests, s.mtls)))))
	}
	count := func(name, expr string, part ...string) {
		c := q(name, expr)
		c.whole, c.part = true, part
		out = append(out, c)
	}
	if s.code != "" {
		count("statusCodes", s.sum("increase", []string{s.code}, with(s.requests, "")), s.code)
	}
	if s.method != "" {
		count("methods", s.sum("increase", []string{s.method}, with(s.requests, "")), s.method)
	}
	if s.counts {
		count("totalRequests", s.sum("increase", nil, with(s.requests, "")))
		count("totalErrors", s.sum("increase", nil, failed...))
		out = append(out, q("errorRate", "100 * "+errors))
	}
	if s.code != "" {
		buckets := s.buckets("increase")
		if s.native {
			buckets = s.sum("increase", nil, s.part(""))
		}
		count("latencyBuckets", buckets)
		out[len(out)-1].buckets = s.scale
	}
	return out
}

// setCounts adds the lists that services of ingress and mesh share.
func (r reported) setCounts(row, source string, codes []model.StatusCount, buckets []model.LatencyBucket) {
	for _, c := range codes {
		r.set(row, source+".statusCodes", c.Code, float64(c.Count))
	}
	for _, b := range buckets {
		r.set(row, source+".latencyBuckets", bound(b.LE), float64(b.Count))
	}
}

// combinations is every choice of one value per label, always in the same order: a seed
// draws the same ones of them each time.
func combinations(labels map[string][]string) []map[string]string {
	out := []map[string]string{{}}
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		var next []map[string]string
		for _, m := range out {
			for _, v := range labels[name] {
				one := map[string]string{name: v}
				for k, v := range m {
					one[k] = v
				}
				next = append(next, one)
			}
		}
		out = next
	}
	return out
}

// genTraffic draws what one to three replicas say about one row: a counter and
// a histogram of a random part of the combinations. Replicas have equal labels
// and other resources, and are scraped at times of their own.
func genTraffic(t *rapid.T, m moment, base series, requests, duration string, all []map[string]string, apart func(labels map[string]string)) testCase {
	var c testCase
	bounds := rapid.SampledFrom(layouts()).Draw(t, "bounds")
	tables, most := []table{sumTable, histogramTable}, 6
	if rarely(t, 3, "federated") {
		tables, most = []table{gaugeTable, federatedTable}, 2 // a row for each bucket
	}
	for replica := range rapid.IntRange(1, 3).Draw(t, "replicas") {
		times := genSchedule(t, m)
		s := base
		s.instance = fmt.Sprintf("10.0.0.%d:9100", replica+1)
		for range rapid.IntRange(1, most).Draw(t, "series") {
			labels := rapid.SampledFrom(all).Draw(t, "labels")
			if c.has(series{metric: requests, instance: s.instance, labels: labels}) {
				continue
			}
			s.metric, s.table, s.labels = requests, tables[0], labels
			c.series = append(c.series, counter(t, s, times))
			h := s
			h.metric, h.table, h.labels = duration, tables[1], maps.Clone(labels)
			if apart != nil {
				apart(h.labels)
			}
			if !c.has(h) {
				c.series = append(c.series, observed(t, h, times, bounds))
			}
		}
	}
	return c
}

// observed draws the histogram of either kind.
func observed(t *rapid.T, s series, times []int64, bounds []float64) series {
	if s.table == exponentialTable {
		return exponentialHistogram(t, s, times)
	}
	return histogram(t, s, times, bounds)
}

// has tells whether the case has that series already.
func (c testCase) has(s series) bool {
	for i := range c.series {
		o := &c.series[i]
		if o.metric == s.metric && o.instance == s.instance && fmt.Sprint(o.labels) == fmt.Sprint(s.labels) {
			return true
		}
	}
	return false
}
