package telemetry

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestVariantRelabels compares two clusters: the same series under other names,
// and no name of the first is left in the second.
func TestVariantRelabels(t *testing.T) {
	t.Parallel()
	c := mustLoad(t)
	plain, other := Variant{}.apply(c), ClusterVariant(7).apply(c)
	if diff := cmp.Diff(c.Sums[:1000], plain.Sums[:1000]); diff != "" {
		t.Errorf("the zero Variant changes rows:\n%s", diff)
	}
	before, after := values(&plain), values(&other)
	if len(before) != len(after) {
		t.Errorf("%d distinct values became %d", len(before), len(after))
	}
	for _, v := range after {
		if strings.HasPrefix(v, "10.0.") || v == "shop" || strings.HasPrefix(v, "shop-") {
			t.Errorf("%q is still there", v)
		}
	}
	for _, v := range []string{"10.7.1.11:9100", "10.7.2.30", "shop7", "shop7-frontend-80@kubernetes", "media", "frontend"} {
		if !slices.Contains(after, v) {
			t.Errorf("%q is not there", v)
		}
	}
}

// values lists the distinct values of all attributes of the metrics.
func values(rows *Rows) []string {
	set := make(map[string]bool)
	add := func(p *Point) {
		for _, a := range []Attributes{p.Resource, p.Attributes} {
			for _, v := range a {
				set[v] = true
			}
		}
	}
	for i := range rows.Gauges {
		add(&rows.Gauges[i].Point)
	}
	for i := range rows.Sums {
		add(&rows.Sums[i].Point)
	}
	for i := range rows.Histograms {
		add(&rows.Histograms[i].Point)
	}
	return slices.Sorted(maps.Keys(set))
}

// TestTracesOfLoops checks that traces are whole and that no id comes twice.
func TestTracesOfLoops(t *testing.T) {
	t.Parallel()
	rows, _ := fourLoops(t)
	type id struct{ trace, span string }
	spans := make(map[id]bool)
	loopOf := make(map[string]time.Duration)
	perLoop := make(map[time.Duration]int)
	for i := range rows.Spans {
		s := &rows.Spans[i]
		if spans[id{s.TraceID, s.SpanID}] {
			t.Fatalf("span %s of trace %s comes twice", s.SpanID, s.TraceID)
		}
		if len(s.TraceID) != 32 || len(s.SpanID) != 16 {
			t.Fatalf("ids %q and %q", s.TraceID, s.SpanID)
		}
		spans[id{s.TraceID, s.SpanID}] = true
		if s.ParentSpanID == "" {
			loop := s.Timestamp.Sub(anchorTime()) / loopLength
			loopOf[s.TraceID] = loop
			perLoop[loop]++
		}
	}
	end := anchorTime().Add(4*loopLength - 2*time.Second) // later traces are not complete
	for i := range rows.Spans {
		s := &rows.Spans[i]
		if s.Timestamp.After(end) {
			continue
		}
		if _, ok := loopOf[s.TraceID]; !ok {
			t.Fatalf("trace %s has no root", s.TraceID)
		}
		if s.ParentSpanID != "" && !spans[id{s.TraceID, s.ParentSpanID}] {
			t.Fatalf("span %s of trace %s has no parent", s.SpanID, s.TraceID)
		}
	}
	for loop := range time.Duration(3) {
		if perLoop[loop] != 691 { // README.md
			t.Errorf("%d traces in loop %d", perLoop[loop], loop)
		}
	}
}

// TestHistoryHoldsWholeTraces begins in the middle of a trace: it is left out.
func TestHistoryHoldsWholeTraces(t *testing.T) {
	t.Parallel()
	tl := testTimeline(t)
	for _, at := range []time.Duration{100 * time.Second, 200500 * time.Millisecond, loopLength, loopLength + 300*time.Millisecond} {
		begin := anchorTime().Add(at)
		rows := tl.rows(begin, begin, begin.Add(10*time.Second))
		for i := range rows.Spans {
			if s := &rows.Spans[i]; s.Timestamp.Before(begin) {
				t.Errorf("a span of %s is in a history that begins at %s", s.Timestamp, begin)
			}
		}
		if len(rows.Spans) == 0 {
			t.Error("no spans")
		}
	}
}
