package load

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// parseXML counts the elements of a well-formed text by name.
func parseXML(text string) (map[string]int, error) {
	elements := map[string]int{}
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return elements, nil
		}
		if err != nil {
			return nil, err
		}
		if start, ok := token.(xml.StartElement); ok {
			elements[start.Name.Local]++
		}
	}
}

func ran(t *testing.T, name string) result {
	t.Helper()
	all, err := readSamples(bytes.NewReader(captured(t)))
	if err != nil {
		t.Fatal(err)
	}
	first := all[metricDuration][0].at
	for _, s := range scripts() {
		if s.name == name {
			return result{
				script: s, began: first, lasted: 15 * time.Second, samples: all, used: map[string]time.Duration{"masters": 3 * time.Second},
				thresholds: []threshold{{metric: "http_req_failed", bound: "rate<0.001", value: 0.5}, {metric: "checks", bound: "rate>0.9", value: 1, ok: true}},
				happened:   []happening{{"a master <is> killed & gone", first.Add(7 * time.Second)}},
			}
		}
	}
	t.Fatalf("no script %s", name)
	return result{}
}

func TestChartsAreWellFormed(t *testing.T) {
	t.Parallel()
	long := chart{title: "long", seconds: make([]second, 3600)}
	for i := range long.seconds {
		long.seconds[i] = second{time.Duration(i) * time.Second, latency{i, 0.001, 1, 1e6, 1e7, i % 2}}
	}
	for name, c := range map[string]struct {
		chart            chart
		polylines, marks int
	}{
		"of a run":      {ran(t, "failover").chart(), 4, 1},
		"of nothing":    {chart{title: "<nothing>"}, 0, 0},
		"of one second": {chart{seconds: []second{{0, latency{count: 1}}}}, 4, 0},
		"of an hour":    {long, 4, 0},
	} {
		text := c.chart.svg()
		elements, err := parseXML(text)
		if err != nil {
			t.Fatalf("%s: %v in\n%s", name, err, text)
		}
		if elements["polyline"] < c.polylines || strings.Count(text, markStyle) != c.marks {
			t.Errorf("%s: %v, %d marks; want %d lines, %d marks", name, elements, strings.Count(text, markStyle), c.polylines, c.marks)
		}
		if strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
			t.Errorf("%s: a coordinate is no number", name)
		}
	}
}

// What is drawn lies within the picture.
func TestPointsLieInTheirPanel(t *testing.T) {
	t.Parallel()
	c := ran(t, "failover").chart()
	for _, s := range c.seconds {
		if x := c.x(s.at); x < plotLeft || x > plotRight {
			t.Errorf("second %s is at x %v", s.at, x)
		}
	}
	if low, high := c.decades(); low > 1 || high < 10 {
		t.Errorf("the scale is from %v to %v ms; the samples from under 1 to some", low, high)
	}
}

// The report has a row for each kind of request and each threshold, and every plot
// that it shows is there.
func TestReport(t *testing.T) {
	t.Parallel()
	cfg := Config{Report: filepath.Join(t.TempDir(), "page.md"), Masters: 3, Clusters: 7, Duration: 15 * time.Second, Load: 1}
	results := []result{ran(t, "mixed"), ran(t, "failover")}
	if err := writeReport(cfg, machine{cores: 2}, results); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(cfg.Report)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| mixed | dashboards |", "| failover | dashboards |", "| `http_req_failed` | `rate<0.001`: **0.50** | **crossed** |", "| `checks` | `rate>0.9`: 1 | held |",
		"(page/failover.svg)", "| overview |", "7 simulated clusters", "| failover | 20 |", "for 15 s.",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the report does not say %q:\n%s", want, text)
		}
	}
	for _, r := range results {
		picture, err := os.ReadFile(filepath.Join(filepath.Dir(cfg.Report), "page", r.script.name+".svg"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parseXML(string(picture)); err != nil {
			t.Error(err)
		}
	}
	err = verdict(results)
	if !errors.Is(err, ErrThresholds) || strings.Count(err.Error(), "failover.js: http_req_failed: rate<0.001, measured 0.50") != 1 {
		t.Errorf("verdict: %v", err)
	}
	results[0].thresholds, results[1].thresholds = results[0].thresholds[1:], results[1].thresholds[1:]
	if err := verdict(results); err != nil {
		t.Errorf("verdict of held ones: %v", err)
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]string{0: "0", 12: "12", 123.4: "123", 12.34: "12.3", 1.234: "1.23", 0.01234: "0.0123", 0.5: "0.50"} {
		if got := number(v); got != want {
			t.Errorf("%v is written %s, want %s", v, got, want)
		}
	}
}
