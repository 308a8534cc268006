package bench

import (
	"fmt"
	"io"
	"runtime"
	"strconv"
	"strings"
)

// The number of nodes that the targets of a cycle are for, and the one that its
// growth is measured to.
const (
	targetNodes = 100
	grownNodes  = 1000
)

// Target is a figure and what is wanted of it.
type Target struct {
	Name  string
	Value float64
	// Limit is the most that Value may be, or where AtLeast the least.
	Limit   float64
	AtLeast bool
	// Same tells that the figure is the same on any machine. What is not is a time,
	// which others who use the machine may spoil.
	Same bool
}

// Met tells whether the figure is as wanted; one that is not a number is not.
func (t Target) Met() bool {
	if t.AtLeast {
		return t.Value >= t.Limit
	}
	return t.Value <= t.Limit
}

// String is a line that says so.
func (t Target) String() string {
	mark, bound := "MISSED", "at most"
	if t.Met() {
		mark = "met"
	}
	if t.AtLeast {
		bound = "at least"
	}
	return fmt.Sprintf("%-6s  %s: %.1f, %s %.0f", mark, t.Name, t.Value, bound, t.Limit)
}

// Targets are those of one number of nodes.
func (r Result) Targets() []Target {
	const mib = 1 << 20
	memory := Target{Name: "peak memory of the agent's process, MiB", Value: float64(r.Cycles.PeakBytes) / mib, Limit: 256, Same: true}
	if r.Nodes < targetNodes {
		return []Target{memory}
	}
	statements := Target{
		Name: "statements, naive / full round", Value: float64(r.Naive.Statements) / float64(r.Round.Statements),
		Limit: 250, AtLeast: true, Same: true,
	}
	if r.Nodes > targetNodes {
		return []Target{statements, memory}
	}
	return []Target{
		{Name: "time, full round / two scans of the window", Value: ratio(r.Round.Took, r.Bound.Took), Limit: 4},
		{Name: "time, naive / full round", Value: ratio(r.Naive.Took, r.Round.Took), Limit: 25, AtLeast: true},
		statements, memory,
	}
}

// growth are the targets from one number of nodes to another; none between others
// than those that there is a target for.
func growth(before, after Result) []Target {
	if before.Nodes != targetNodes || after.Nodes != grownNodes {
		return nil
	}
	return []Target{
		{Name: "time of a full round, 1,000 / 100 nodes", Value: ratio(after.Round.Took, before.Round.Took), Limit: 8},
		{Name: "server's CPU of a full round, 1,000 / 100 nodes", Value: ratio(after.Round.Processor, before.Round.Processor), Limit: 8},
		{Name: "time of the agent's cycle, 1,000 / 100 nodes", Value: median(after.Cycles.CyclesMs) / median(before.Cycles.CyclesMs), Limit: 8},
	}
}

// writeTargets writes a line for each, and whether the machine was too busy for
// times to say much.
func writeTargets(w io.Writer, r Result, list []Target) error {
	for _, t := range list {
		disturbed := ""
		if !t.Same && !t.Met() && r.busy() {
			disturbed = fmt.Sprintf(" (load average over the %d cores)", runtime.NumCPU())
		}
		if _, err := fmt.Fprintf(w, "%s%s\n", t, disturbed); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// busy tells whether the load average of the last minutes was over the number of
// cores.
func (r Result) busy() bool {
	fields := strings.Fields(r.Load)
	if len(fields) < 2 {
		return false
	}
	load, err := strconv.ParseFloat(fields[1], 64)
	return err == nil && load > float64(runtime.NumCPU())
}
