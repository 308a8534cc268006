package load

import (
	"bytes"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func captured(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/k6.csv")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Every line of a wanted metric is a sample, but for those of setup.
func TestSamplesOfACapturedRun(t *testing.T) {
	t.Parallel()
	text := captured(t)
	all, err := readSamples(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{}
	for line := range strings.Lines(string(text)) {
		metric, _, _ := strings.Cut(line, ",")
		if wanted(metric) && !strings.Contains(line, "GET,setup,") {
			want[metric]++
		}
	}
	got := map[string]int{}
	for metric, samples := range all {
		got[metric] = len(samples)
	}
	if d := cmp.Diff(want, got); d != "" || want[metricDuration] < 5 {
		t.Errorf("samples by metric (-want +got):\n%s", d)
	}
	last := all[metricDuration][len(all[metricDuration])-1]
	wantLast := sample{at: time.UnixMilli(1795433597410), name: "overview", kind: "dashboard", failed: true}
	if last != wantLast {
		t.Errorf("the last sample is %+v, want %+v", last, wantLast)
	}
	unmodified := 0
	for _, s := range of(all[metricDuration], "dashboard") {
		if s.status == 304 {
			unmodified++
		}
	}
	if unmodified != strings.Count(string(text), ",viewers,304,") {
		t.Errorf("%d samples are 304", unmodified)
	}
}

func TestBrokenSamplesSayWhere(t *testing.T) {
	t.Parallel()
	const header = "metric_name,timestamp,metric_value,name,scenario,status,expected_response,extra_tags\n"
	for name, c := range map[string]struct{ text, says string }{
		"empty":        {"", "header"},
		"other header": {"metric_name,timestamp\n", "metric_value"},
		"time":         {header + "stream_lag,now,1,,s,,,\n", "line 2: timestamp"},
		"value":        {header + "stream_lag,1,1,,s,,,\nstream_lag,1,fast,,s,,,\n", "line 3: metric_value"},
		"status":       {header + "http_req_duration,1,1,x,s,OK,true,\n", "line 2: status"},
		"cut":          {header + "stream_lag,1\n", "line 2"},
	} {
		if _, err := readSamples(strings.NewReader(c.text)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want a word on %q", name, err, c.says)
		}
	}
}

func FuzzReadSamples(f *testing.F) {
	f.Add("metric_name,timestamp,metric_value,name,scenario,status,expected_response,extra_tags\nstream_lag,1,1,,s,,,kind=a&b\n")
	f.Fuzz(func(t *testing.T, text string) {
		all, err := readSamples(strings.NewReader(text))
		if err != nil && all != nil {
			t.Error("samples beside an error")
		}
		for metric, samples := range all {
			if !wanted(metric) || len(samples) > strings.Count(text, metric) {
				t.Errorf("%d samples of %s", len(samples), metric)
			}
			seconds := perSecond(samples, samples[0].at)
			if _, err := parseXML(chart{seconds: seconds}.svg()); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestQuantiles(t *testing.T) {
	t.Parallel()
	// R's quantile(c(1, 2, 4, 8, 16), type = 7) and of one value.
	for q, want := range map[float64]float64{0: 1, 0.25: 2, 0.5: 4, 0.6: 5.6, 0.75: 8, 0.95: 14.4, 1: 16} {
		if got := quantile([]float64{1, 2, 4, 8, 16}, q); math.Abs(got-want) > 1e-9 {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
		if got := quantile([]float64{3}, q); got != 3 {
			t.Errorf("quantile %v of one value is %v", q, got)
		}
	}
	if got := quantile(nil, 0.5); got != 0 {
		t.Errorf("quantile of nothing is %v", got)
	}
}

func TestSecondsHaveTheirSamples(t *testing.T) {
	t.Parallel()
	began := time.UnixMilli(1_000_000)
	at := func(ms int, value float64, failed bool) sample {
		return sample{at: began.Add(time.Duration(ms) * time.Millisecond), value: value, failed: failed}
	}
	got := perSecond([]sample{at(3999, 5, true), at(0, 2, false), at(-1, 99, false), at(999, 4, false), at(3000, 7, false)}, began)
	want := []second{
		{0, latency{2, 3, 3.9, 3.98, 4, 0}}, {1 * time.Second, latency{}}, {2 * time.Second, latency{}},
		{3 * time.Second, latency{2, 6, 6.9, 6.98, 7, 1}},
	}
	near := cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-9 })
	if d := cmp.Diff(want, got, near, cmp.AllowUnexported(second{}, latency{})); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestSummary(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/summary.json")
	if err != nil {
		t.Fatal(err)
	}
	got, err := parseSummary(text)
	if err != nil {
		t.Fatal(err)
	}
	want := []threshold{
		{metric: "dropped_iterations", bound: "count<10", ok: true},
		{metric: "http_req_duration{kind:all}", bound: "p(95)<100", empty: true},
		{metric: "http_req_duration{kind:dashboard}", bound: "p(50)<5", value: 0.986223, ok: true},
		{metric: "http_req_duration{kind:dashboard}", bound: "p(99)<5", value: 5.9613904000000035},
		{metric: "http_req_failed", bound: "rate<0.001", ok: true},
		{metric: "shared", bound: "rate<1", empty: true},
		{metric: "stale", bound: "rate<0.001", ok: true},
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(threshold{})); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	for _, text := range []string{"", "{}", `{"metrics":{"a":{"value":1}}}`, `{"metrics":{"a":{"thresholds":[]}}}`} {
		if _, err := parseSummary([]byte(text)); err == nil {
			t.Errorf("%q: no error", text)
		}
	}
}
