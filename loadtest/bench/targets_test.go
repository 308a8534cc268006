package bench

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Every target is met at its limit, and missed beyond it.
func TestTargets(t *testing.T) {
	t.Parallel()
	cycles := func(ms float64, memory int64) Report {
		return Report{CyclesMs: []float64{ms}, PublishMs: []float64{1}, PeakBytes: memory}
	}
	cost := func(statements int64, took time.Duration) Cost {
		return Cost{Statements: statements, Took: took, Processor: took}
	}
	hundred := Result{
		Nodes: 100, NaiveSample: 100, Load: "0.10 0.10 0.10",
		Round: cost(10, 4*time.Second), Bound: cost(2, time.Second), Naive: cost(2500, 100*time.Second), Cycles: cycles(5, 256<<20),
	}
	thousand := Result{
		Nodes: 1000, NaiveSample: 10, Load: "1000.00 1000.00 1000.00",
		Round: cost(10, 33*time.Second), Bound: cost(2, time.Second), Naive: cost(2499, 100*time.Second), Cycles: cycles(40, 257<<20),
	}
	var out strings.Builder
	if err := Write(&out, []Result{hundred, thousand}); err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(out.String()) {
		if before, after, ok := strings.Cut(line, "  "); ok && (before == "met" || before == "MISSED") {
			name, _, _ := strings.Cut(strings.TrimSpace(after), ":")
			got = append(got, before+" "+name)
		}
	}
	want := []string{
		"met time, full round / two scans of the window", "met time, naive / full round",
		"met statements, naive / full round", "met peak memory of the agent's process, MiB",
		"MISSED statements, naive / full round", "MISSED peak memory of the agent's process, MiB",
		"MISSED time of a full round, 1,000 / 100 nodes", "MISSED server's CPU of a full round, 1,000 / 100 nodes",
		"met time of the agent's cycle, 1,000 / 100 nodes",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s\n%s", diff, out.String())
	}
	if n := strings.Count(out.String(), "(load average over the "); n != 2 {
		t.Errorf("%d lines blame the machine, want the two times that are missed on the busy one:\n%s", n, out.String())
	}
}
