package detail

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/atlhyper/observe/loadtest/proc"
)

// Write writes the table.
func Write(w io.Writer, d *Data, lines []Line) error {
	if _, err := fmt.Fprintf(w, "%d samples of %d series and %d spans over %s, load average %s\n",
		d.Samples, len(d.seed.Gauges)+len(d.seed.Sums), d.Spans, d.Until.Sub(d.Begin), proc.LoadAverage()); err != nil {
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	if _, err := io.WriteString(t, "\tstatements\trows read\tof rows\tshare\tMB read\tms\t\t\n"); err != nil {
		return err
	}
	for _, l := range lines {
		verdict := ""
		if l.Missed() {
			verdict = "MISSED"
		}
		if _, err := fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%.2f%%\t%.1f\t%d\t%s\t\n",
			l.Name, l.Statements, l.Rows, l.Table, 100*l.Share(), float64(l.Bytes)/1e6, l.Took.Milliseconds(), verdict); err != nil {
			return err
		}
	}
	return t.Flush()
}
