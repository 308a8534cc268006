package bench

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// Write writes the tables of all sizes, and how the time grows from one to the
// next.
func Write(w io.Writer, results []Result) error {
	for i, r := range results {
		if err := r.write(w); err != nil {
			return err
		}
		if i == 0 {
			continue
		}
		before := results[i-1]
		if _, err := fmt.Fprintf(w, "from %d to %d nodes: a round takes %.1f times the time and %.1f times the CPU, the agent's cycle %.1f times the time\n\n",
			before.Nodes, r.Nodes, ratio(r.Round.Took, before.Round.Took), ratio(r.Round.Processor, before.Round.Processor),
			median(r.Cycles.CyclesMs)/median(before.Cycles.CyclesMs)); err != nil {
			return err
		}
	}
	return nil
}

func (r Result) write(w io.Writer) error {
	lines := append(r.Sections, Line{"full round, all 9 side by side", r.Round}) //nolint:gocritic // a list of its own
	naive := "naive, per node"
	if r.NaiveSample < r.Nodes {
		naive = fmt.Sprintf("naive, scaled from %d nodes", r.NaiveSample)
	}
	lines = append(lines, Line{naive, r.Naive},
		Line{"bound: two scans of the window", r.Bound}, Line{"bound: only the metrics shown", r.Needed})
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	if _, err := fmt.Fprintf(w, "%d nodes, load average %s\n", r.Nodes, r.Load); err != nil {
		return err
	}
	if _, err := io.WriteString(t, "\tstatements\trows read\tMB read\tms\tserver's CPU ms\tof the full round\t\n"); err != nil {
		return err
	}
	for _, l := range lines {
		if _, err := fmt.Fprintf(t, "%s\t%d\t%d\t%.1f\t%.0f\t%.0f\t%.2f\t\n",
			l.Name, l.Statements, l.Rows, float64(l.Bytes)/1e6, milliseconds(l.Took), milliseconds(l.Processor), ratio(l.Took, r.Round.Took)); err != nil {
			return err
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "round / bound: %.1f of time, %.1f of CPU   naive / round: %.0f of time, %.0f of CPU, %.0f of statements\n"+
		"the agent's process: cycle %.0f ms (the first %.0f), publish %.0f ms, sections %.1f MB, peak memory %d MiB\n\n",
		ratio(r.Round.Took, r.Bound.Took), ratio(r.Round.Processor, r.Bound.Processor),
		ratio(r.Naive.Took, r.Round.Took), ratio(r.Naive.Processor, r.Round.Processor), float64(r.Naive.Statements)/float64(r.Round.Statements),
		median(r.Cycles.CyclesMs), r.Cycles.CyclesMs[0], median(r.Cycles.PublishMs),
		float64(r.Cycles.SectionBytes)/1e6, r.Cycles.PeakBytes>>20)
	return err
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(b) }
