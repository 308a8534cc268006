package telemetry

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// sample is one value of a counter.
type sample struct {
	at    time.Time
	value float64
}

// counterSeries lists the samples of every cumulative counter, histograms and
// summaries taken apart as Prometheus does. Keys read "process|metric|labels".
// It is written from the data model, not from the replayer's own tables.
func counterSeries(t *testing.T, rows *Rows) map[string][]sample {
	t.Helper()
	all := make(map[string][]sample)
	labels := make(labelText)
	add := func(p *Point, part string, v float64) {
		if p.Flags&1 != 0 {
			return
		}
		key := p.ServiceName + " " + p.Resource["service.instance.id"] + "|" + p.MetricName + part + "|" + labels.of(p.Attributes)
		if s := all[key]; len(s) > 0 && !s[len(s)-1].at.Before(p.Time) {
			t.Fatalf("%s: a sample at %s after one at %s", key, p.Time, s[len(s)-1].at)
		}
		all[key] = append(all[key], sample{p.Time, v})
	}
	for i := range rows.Gauges {
		p := &rows.Gauges[i]
		if strings.HasPrefix(p.MetricName, "node_netstat_") && p.MetricName != "node_netstat_Tcp_CurrEstab" ||
			strings.HasPrefix(p.MetricName, "node_vmstat_") {
			add(&p.Point, "", p.Value)
		}
	}
	for i := range rows.Sums {
		add(&rows.Sums[i].Point, "", rows.Sums[i].Value)
	}
	for i := range rows.Histograms {
		p := &rows.Histograms[i]
		add(&p.Point, "_sum", p.Sum)
		add(&p.Point, "_count", float64(p.Count))
		var total uint64
		for b, n := range p.BucketCounts {
			total += n
			add(&p.Point, fmt.Sprint("_bucket", b), float64(total))
		}
		if total != p.Count {
			t.Fatalf("%s at %s: buckets hold %d, count is %d", p.MetricName, p.Time, total, p.Count)
		}
	}
	for i := range rows.Summaries {
		p := &rows.Summaries[i]
		add(&p.Point, "_count", float64(p.Count))
		add(&p.Point, "_sum", p.Sum)
	}
	return all
}

// labelText is the text of attribute maps, which rows share.
type labelText map[uintptr]string

func (l labelText) of(a Attributes) string {
	at := reflect.ValueOf(a).Pointer()
	if _, ok := l[at]; !ok {
		l[at] = fmt.Sprint(a)
	}
	return l[at]
}

// increase is PromQL's, without the extrapolation to the ends of the window:
// last - first, plus the value before every fall.
func increase(samples []sample, from, to time.Time) float64 {
	total, last, seen := 0.0, 0.0, false
	for _, s := range samples {
		if s.at.Before(from) || s.at.After(to) {
			continue
		}
		switch {
		case !seen:
		case s.value < last:
			total += s.value
		default:
			total += s.value - last
		}
		last, seen = s.value, true
	}
	return total
}

// falls counts the resets a reader of the samples sees.
func falls(samples []sample) int {
	n := 0
	for i := 1; i < len(samples); i++ {
		if samples[i].value < samples[i-1].value {
			n++
		}
	}
	return n
}

// greatestStep is the largest gain between two samples in a row.
func greatestStep(samples []sample) float64 {
	greatest := 0.0
	for i := 1; i < len(samples); i++ {
		greatest = max(greatest, samples[i].value-samples[i-1].value)
	}
	return greatest
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
