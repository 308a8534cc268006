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
	return fmt.Sprintf("%-6s  %s: %s, %s %g", mark, t.Name, figure(t.Value), bound, t.Limit)
}

// figure writes a value with three digits, or all that stand before the point.
func figure(v float64) string {
	switch {
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	default:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
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

func writeTargets(w io.Writer, r Result, list []Target) error {
	if err := WriteTargets(w, r.Load, list); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// WriteTargets writes a line for each, and whether the machine was too busy for times
// to say much, which had the given load averages.
func WriteTargets(w io.Writer, load string, list []Target) error {
	for _, t := range list {
		disturbed := ""
		if !t.Same && !t.Met() && busy(load) {
			disturbed = fmt.Sprintf(" (load average over the %d cores)", runtime.NumCPU())
		}
		if _, err := fmt.Fprintf(w, "%s%s\n", t, disturbed); err != nil {
			return err
		}
	}
	return nil
}

// busy tells whether the load average of the last minutes was over the number of
// cores.
func busy(averages string) bool {
	fields := strings.Fields(averages)
	if len(fields) < 2 {
		return false
	}
	load, err := strconv.ParseFloat(fields[1], 64)
	return err == nil && load > float64(runtime.NumCPU())
}
