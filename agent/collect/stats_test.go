package collect_test

import (
	"context"
	"errors"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/atlhyper/observe/agent/collect"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/model"
)

// Each section counts its collections, those that fail and what they read.
func TestSectionsAreCounted(t *testing.T) {
	r, registry := newRecorder(), prometheus.NewRegistry()
	bad := func(context.Context, int) (any, error) { return nil, errors.New("it failed") }
	run(t, table{{Name: "good", Collect: value(1)}, {Name: "bad", Collect: bad}}, func(c *collect.Config[int]) {
		c.Publisher, c.Metrics = r, registry
		c.Reads = func(_ int, name model.Section) snapshot.Reads {
			return snapshot.Reads{Rows: int64(len(name)), Bytes: 8 * int64(len(name))}
		}
	})
	for range 3 { // what is published was counted before
		r.next(t, "bad")
	}
	for range 3 {
		r.next(t, "good")
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counted := make(map[string]map[string]float64) // by name, by section
	for _, f := range families {
		bySection := make(map[string]float64)
		for _, m := range f.GetMetric() {
			if l := m.GetLabel(); len(l) != 1 || l[0].GetName() != "section" {
				t.Errorf("%s has the labels %v", f.GetName(), l)
			}
			if f.GetType() == dto.MetricType_HISTOGRAM {
				bySection[m.GetLabel()[0].GetValue()] = float64(m.GetHistogram().GetSampleCount())
			} else {
				bySection[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
			}
		}
		counted[f.GetName()] = bySection
	}
	if len(counted) != 4 {
		t.Errorf("metrics %v", counted)
	}
	failed := counted["atlhyper_agent_section_errors_total"]
	if failed["good"] != 0 || failed["bad"] < 3 {
		t.Errorf("errors %v", failed)
	}
	for _, section := range []string{"good", "bad"} {
		rows, bytes := counted["atlhyper_agent_section_rows_read_total"][section], counted["atlhyper_agent_section_bytes_read_total"][section]
		if n := counted["atlhyper_agent_section_seconds"][section]; n < 3 || rows < 3*float64(len(section)) || bytes < 24*float64(len(section)) {
			t.Errorf("%s: %v collections read %v rows and %v bytes", section, n, rows, bytes)
		}
	}
}
