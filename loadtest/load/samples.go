package load

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The metrics that the report needs, by their names in k6's CSV.
const (
	metricDuration    = "http_req_duration" // ms
	metricNotModified = "not_modified"      // 0 or 1
	metricShared      = "shared"            // 0 or 1
	metricLag         = "stream_lag"        // ms
	metricEvents      = "stream_events"     // 1 each
	metricBeats       = "stream_heartbeats" // 1 each
	metricReconnects  = "stream_reconnects" // 1 each
	metricStreamBytes = "stream_bytes"      // bytes
)

// sample is one value that k6 took.
type sample struct {
	at    time.Time
	value float64
	// name is the endpoint, kind dashboard, detail or all; "" where there is none.
	name, kind string
	// status is that of the response, failed what k6 thinks of it.
	status int
	failed bool
}

// samples are k6's, by metric, in the order of the file.
type samples map[string][]sample

// maxSamples bounds what is kept of one file.
const maxSamples = 50_000_000

// readSamples reads what k6 writes with --out csv, with times in milliseconds since
// 1970. Setup's requests, which belong to no scenario, are left out.
func readSamples(r io.Reader) (samples, error) {
	lines := csv.NewReader(r)
	lines.ReuseRecord = true
	header, err := lines.Read()
	if err != nil {
		return nil, fmt.Errorf("the header: %w", err)
	}
	columns := map[string]int{}
	for i, name := range header {
		columns[name] = i
	}
	for _, name := range []string{"metric_name", "timestamp", "metric_value", "name", "scenario", "status", "expected_response", "extra_tags"} {
		if _, there := columns[name]; !there {
			return nil, fmt.Errorf("the header has no %s", name)
		}
	}
	all := samples{}
	for range maxSamples {
		fields, err := lines.Read()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		metric := fields[columns["metric_name"]]
		if !wanted(metric) || fields[columns["scenario"]] == "" {
			continue
		}
		s, err := parseSample(func(column string) string { return fields[columns[column]] })
		if err != nil {
			line, _ := lines.FieldPos(0)
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		metric = strings.Clone(metric) // the reader's memory is used again
		all[metric] = append(all[metric], s)
	}
	return nil, fmt.Errorf("over %d lines", maxSamples)
}

func wanted(metric string) bool {
	return slices.Contains([]string{
		metricDuration, metricNotModified, metricShared, metricLag, metricEvents, metricBeats, metricReconnects, metricStreamBytes,
	}, metric)
}

func parseSample(field func(string) string) (s sample, err error) {
	ms, err := strconv.ParseInt(field("timestamp"), 10, 64)
	if err != nil {
		return s, fmt.Errorf("timestamp: %w", err)
	}
	s.at = time.UnixMilli(ms)
	if s.value, err = strconv.ParseFloat(field("metric_value"), 64); err != nil {
		return s, fmt.Errorf("metric_value: %w", err)
	}
	if status := field("status"); status != "" {
		if s.status, err = strconv.Atoi(status); err != nil {
			return s, fmt.Errorf("status: %w", err)
		}
	}
	s.failed = field("expected_response") == "false"
	s.name = strings.Clone(field("name"))
	for tag := range strings.SplitSeq(field("extra_tags"), "&") {
		if name, value, _ := strings.Cut(tag, "="); name == "kind" {
			s.kind = strings.Clone(value)
		}
	}
	return s, nil
}

// latency is a set of values in numbers: all in ms, 0 where there are none.
type latency struct {
	count               int
	p50, p95, p99, most float64
	failed              int
}

func latencyOf(all []sample) latency {
	l := latency{count: len(all)}
	values := make([]float64, len(all))
	for i, s := range all {
		values[i] = s.value
		if s.failed {
			l.failed++
		}
	}
	slices.Sort(values)
	l.p50, l.p95, l.p99, l.most = quantile(values, 0.5), quantile(values, 0.95), quantile(values, 0.99), quantile(values, 1)
	return l
}

// quantile is the q-quantile of sorted values, linear between neighbours (type 7 of
// Hyndman and Fan, as k6's own percentiles); 0 of none.
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	at := q * float64(len(sorted)-1)
	low := int(at)
	if low+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[low] + (at-float64(low))*(sorted[low+1]-sorted[low])
}

// second is what a script saw in one second.
type second struct {
	// at is since the first one.
	at time.Duration
	latency
}

// perSecond splits samples by seconds since began. Seconds without samples are there,
// too, up to the last one that has some; what came before began is left out.
func perSecond(all []sample, began time.Time) []second {
	var slots [][]sample
	for _, s := range all {
		n := int(s.at.Sub(began) / time.Second)
		if s.at.Before(began) || n >= maxSeconds {
			continue
		}
		for len(slots) <= n {
			slots = append(slots, nil)
		}
		slots[n] = append(slots[n], s)
	}
	seconds := make([]second, len(slots))
	for i, slot := range slots {
		seconds[i] = second{time.Duration(i) * time.Second, latencyOf(slot)}
	}
	return seconds
}

// maxSeconds bounds a plot: the longest duration and some.
const maxSeconds = 2 * 3600

// share is how many of 1 the values that are not 0 are.
func share(all []sample) float64 {
	if len(all) == 0 {
		return 0
	}
	n := 0
	for _, s := range all {
		if s.value != 0 {
			n++
		}
	}
	return float64(n) / float64(len(all))
}

func sum(all []sample) (total float64) {
	for _, s := range all {
		total += s.value
	}
	return total
}

// of are the samples of one kind.
func of(all []sample, kind string) []sample {
	return slices.DeleteFunc(slices.Clone(all), func(s sample) bool { return s.kind != kind })
}
