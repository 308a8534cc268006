package load

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// threshold is a bound of a script and whether it held.
type threshold struct {
	// metric is k6's, with tags: http_req_duration{kind:dashboard}. bound is the
	// expression: p(95)<25.
	metric, bound string
	// value is what was measured, as the bound names it; its unit is ms or 1.
	value float64
	// empty is true when nothing was measured at all. k6 takes that for a success; we
	// do not, unless a count of 0 is what was asked for.
	empty bool
	ok    bool
}

// maxSummary bounds the summary that is read, in bytes.
const maxSummary = 16 << 20

// parseSummary reads the thresholds from what k6 writes with --summary-export: for
// each metric the values and, in thresholds, true for each expression that failed.
func parseSummary(text []byte) ([]threshold, error) {
	if len(text) > maxSummary {
		return nil, fmt.Errorf("k6's summary is longer than %d bytes", maxSummary)
	}
	var summary struct {
		Metrics map[string]map[string]json.RawMessage `json:"metrics"`
	}
	if err := json.Unmarshal(text, &summary); err != nil {
		return nil, fmt.Errorf("k6's summary: %w", err)
	}
	var all []threshold
	for metric, fields := range summary.Metrics {
		raw, there := fields["thresholds"]
		if !there {
			continue
		}
		var crossed map[string]bool
		if err := json.Unmarshal(raw, &crossed); err != nil {
			return nil, fmt.Errorf("k6's summary: %s: %w", metric, err)
		}
		values := numbers(fields)
		for bound, failed := range crossed {
			t := threshold{metric: metric, bound: bound, value: valueOf(bound, values), empty: empty(values)}
			t.ok = !failed && !t.empty
			all = append(all, t)
		}
	}
	if len(all) == 0 {
		return nil, errors.New("k6's summary has no thresholds")
	}
	slices.SortFunc(all, func(a, b threshold) int { return strings.Compare(a.metric+" "+a.bound, b.metric+" "+b.bound) })
	return all, nil
}

func numbers(fields map[string]json.RawMessage) map[string]float64 {
	values := map[string]float64{}
	for name, raw := range fields {
		var v float64
		if json.Unmarshal(raw, &v) == nil { // what is no number is no value
			values[name] = v
		}
	}
	return values
}

// valueOf finds the value that an expression such as "p(95)<25" bounds.
func valueOf(bound string, values map[string]float64) float64 {
	name := strings.TrimSpace(bound[:max(strings.IndexAny(bound, "<>=!"), 0)])
	for _, alias := range []string{name, map[string]string{"rate": "value", "p(50)": "med", "med": "p(50)"}[name]} {
		if v, ok := values[alias]; ok && alias != "" {
			return v
		}
	}
	return 0
}

// empty tells of a rate or a trend that it has no values. A trend has percentiles
// and, as the scripts ask for it, its count; a rate has passes and fails.
func empty(values map[string]float64) bool {
	passes, isRate := values["passes"]
	if isRate {
		return passes+values["fails"] == 0
	}
	_, isTrend := values["p(95)"]
	return isTrend && values["count"] == 0
}
