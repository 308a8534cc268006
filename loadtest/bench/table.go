package bench

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// Write writes the tables of all sizes with their targets, and how the time grows
// from one to the next.
func Write(w io.Writer, results []Result) error {
	for i, r := range results {
		if err := r.write(w); err != nil {
			return err
		}
		if i == 0 {
			continue
		}
		before := results[i-1]
		if _, err := fmt.Fprintf(w, "from %d to %d nodes: a round takes %.1f times the time and %.1f times the CPU, the agent's cycle %.1f times the time\n",
			before.Nodes, r.Nodes, ratio(r.Round.Took, before.Round.Took), ratio(r.Round.Processor, before.Round.Processor),
			median(r.Cycles.CyclesMs)/median(before.Cycles.CyclesMs)); err != nil {
			return err
		}
		if err := writeTargets(w, r, growth(before, r)); err != nil {
			return err
		}
	}
	return nil
}

func (r Result) write(w io.Writer) error {
	scaled := ""
	if r.NaiveSample < r.Nodes {
		scaled = fmt.Sprintf(", naive way scaled from %d nodes", r.NaiveSample)
	}
	if _, err := fmt.Fprintf(w, "%d nodes, load average %s%s\n", r.Nodes, r.Load, scaled); err != nil {
		return err
	}
	if err := r.writeTable(w); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "round / bound: %.1f of time, %.1f of CPU   naive / round: %.0f of time, %.0f of CPU, %.0f of statements\n"+
		"the agent's process: cycle %.0f ms (the first %.0f), publish %.0f ms, sections %.1f MB, peak memory %d MiB\n",
		ratio(r.Round.Took, r.Bound.Took), ratio(r.Round.Processor, r.Bound.Processor),
		ratio(r.Naive.Took, r.Round.Took), ratio(r.Naive.Processor, r.Round.Processor), float64(r.Naive.Statements)/float64(r.Round.Statements),
		median(r.Cycles.CyclesMs), r.Cycles.CyclesMs[0], median(r.Cycles.PublishMs),
		float64(r.Cycles.SectionBytes)/1e6, r.Cycles.PeakBytes>>20)
	if err != nil {
		return err
	}
	return writeTargets(w, r, r.Targets())
}

// writeTable writes a line for each section: what it costs, what it costs the
// naive way, and how many times as much that is.
func (r Result) writeTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	const header = "\tstatements\trows read\tMB read\tms\tCPU ms" +
		"\t| naive: statements\trows read\tMB read\tms\tCPU ms\t| naive / ours: statements\trows\ttime\tCPU\t\n"
	if _, err := io.WriteString(t, header); err != nil {
		return err
	}
	lines := append(r.Sections, Line{"full round, all 9 side by side", r.Round, r.Naive}) //nolint:gocritic // a list of its own
	for _, l := range lines {
		if _, err := fmt.Fprintf(t, "%s\t%s\t%s\t%.1f\t%.1f\t%.1f\t%.1f\t\n", l.Name, l.cells(), l.Naive.cells(),
			float64(l.Naive.Statements)/float64(l.Statements), float64(l.Naive.Rows)/float64(l.Rows),
			ratio(l.Naive.Took, l.Took), ratio(l.Naive.Processor, l.Processor)); err != nil {
			return err
		}
	}
	for _, l := range []Line{{Name: "bound: two scans of the window", Cost: r.Bound}, {Name: "bound: only the metrics shown", Cost: r.Needed}} {
		if _, err := fmt.Fprintf(t, "%s\t%s\t\t\t\t\t\t\t\t\t\t\n", l.Name, l.cells()); err != nil {
			return err
		}
	}
	return t.Flush()
}

// cells are the columns of a cost.
func (c Cost) cells() string {
	return fmt.Sprintf("%d\t%d\t%.1f\t%.0f\t%.0f", c.Statements, c.Rows, float64(c.Bytes)/1e6, milliseconds(c.Took), milliseconds(c.Processor))
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(b) }
