package serve

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/atlhyper/observe/loadtest/bench"
)

// Write writes all tables, then the targets.
func (r Report) Write(w io.Writer) error {
	if _, err := fmt.Fprintf(w, "%s, %d cores, %s/%s, load average before %s; %d rounds of %s, %s in all\n\n",
		runtime.Version(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, r.Load, r.Rounds, r.Length, r.Took.Round(time.Second)); err != nil {
		return err
	}
	for _, t := range r.Tables {
		if err := t.write(w); err != nil {
			return err
		}
	}
	return bench.WriteTargets(w, r.Load, r.Targets)
}

func (t Table) write(w io.Writer) error {
	if _, err := fmt.Fprintln(w, t.Title); err != nil {
		return err
	}
	for _, note := range t.Notes {
		if _, err := fmt.Fprintln(w, "  "+note); err != nil {
			return err
		}
	}
	aligned := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if _, err := fmt.Fprintf(aligned, "\n\t\t%s\t\n", strings.Join(t.Columns, "\t")); err != nil {
		return err
	}
	group := ""
	for _, row := range t.Rows {
		before := parent(row.ID)
		if group != "" && before != group {
			if _, err := fmt.Fprintln(aligned); err != nil {
				return err
			}
		}
		group = before
		if _, err := fmt.Fprintf(aligned, "%s\t%s\t\n", row.ID, strings.Join(row.Cells, "\t")); err != nil {
			return err
		}
	}
	if err := aligned.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w)
	return err
}

// parent is an ID without its last part.
func parent(id string) string { return id[:max(strings.LastIndexByte(id, '/'), 0)] }

// WriteDocument writes the report as the page of a document that others refer to.
func (r Report) WriteDocument(w io.Writer) error {
	if _, err := io.WriteString(w, documentHead); err != nil {
		return err
	}
	if err := r.Write(w); err != nil {
		return err
	}
	_, err := io.WriteString(w, "```\n")
	return err
}

const documentHead = `# What serving costs

Written by ` + "`make bench`" + `, in one run on one machine, on the loopback interface: the client, the masters, the agents and the redis-servers share its cores. Compare lines of this run only. [loadtest/bench](../loadtest/bench/README.md) says how to read it, [scale.md](scale.md) what follows from it: the names at the beginning of the lines are what it refers to.

` + "```text\n"
