package clickhouse

import (
	"cmp"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// spoken is a duration as one says it: 15m, 2h5m, 40s; days from two on.
func spoken(d time.Duration) string {
	if d < 0 {
		return "-" + spoken(-d)
	}
	if d >= 48*time.Hour {
		return fmt.Sprintf("%d days", int(d/(24*time.Hour)))
	}
	text := d.Round(time.Second).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// number is "1 node", "2 nodes".
func number(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return strconv.Itoa(n) + " " + noun
}

func age(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	if d < 0 {
		return spoken(-d) + " from now"
	}
	return spoken(d) + " ago"
}

// WriteText writes the diagnosis for a terminal.
func (g *Diagnosis) WriteText(w io.Writer) error {
	out := &strings.Builder{}
	if g.Server != nil {
		fmt.Fprintf(out, "ClickHouse %s, database %s, at %s\n", g.Server.Version, g.Server.Database, g.At.Format(time.RFC3339))
	} else {
		fmt.Fprintf(out, "ClickHouse could not be asked, at %s\n", g.At.Format(time.RFC3339))
	}
	g.writeTables(out)
	g.writeSpans(out)
	g.writeSources(out)
	writeVerdicts(out, "Dashboard sections", g.Sections)
	writeVerdicts(out, "Details", g.Details)
	if len(g.Findings) > 0 {
		fmt.Fprint(out, "\nFindings\n")
	}
	for _, f := range g.Findings {
		fmt.Fprintf(out, "  %s: %s: %s\n", f.Level, f.About, f.Text)
		if f.Remedy != "" {
			fmt.Fprintf(out, "    -> %s\n", f.Remedy)
		}
	}
	if g.OK {
		fmt.Fprint(out, "\nAll well: every section can be filled or is plainly unused.\n")
	} else {
		fmt.Fprint(out, "\nNot well: something that is there cannot be read; see above.\n")
	}
	_, err := io.WriteString(w, out.String())
	return err
}

func (g *Diagnosis) writeTables(out *strings.Builder) {
	if len(g.Tables) == 0 {
		return
	}
	fmt.Fprintf(out, "\nTables, and their rows of the last %s\n", spoken(doctorWindow))
	var rows [][]string
	for _, t := range g.Tables {
		if !t.Found {
			rows = append(rows, []string{string(t.Signal), t.Name, "absent"})
			continue
		}
		count := number(int(t.Rows), "row")
		switch {
		case t.Empty:
			count = "empty"
		case t.NewestSeconds != nil:
			count += ", newest " + age(*t.NewestSeconds)
		default:
			count = "rows unknown"
		}
		if t.Future > 0 {
			count += fmt.Sprintf(", %d from the future", t.Future)
		}
		rows = append(rows, []string{string(t.Signal), t.Name, t.kindText(), count})
	}
	writeRows(out, rows)
	fmt.Fprint(out, "\nGenerations, by the columns that tell\n")
	rows = nil
	for _, t := range g.Tables {
		if t.Found {
			columns := make([]string, 0, len(t.Columns))
			for _, c := range t.Columns {
				columns = append(columns, c.Name+" "+c.Type)
			}
			rows = append(rows, []string{string(t.Signal), t.MadeBy, strings.Join(columns, ", ")})
		}
	}
	writeRows(out, rows)
}

// writeRows writes a table: cells are padded to their column.
func writeRows(out *strings.Builder, rows [][]string) {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			line.WriteString("  " + cell + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)))
		}
		out.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
}

func (t *TableFound) kindText() string {
	if t.Over != "" {
		return t.Engine + " over " + t.Over
	}
	return t.Engine
}

func (g *Diagnosis) writeSpans(out *strings.Builder) {
	if g.Spans.Looked == 0 {
		return
	}
	fmt.Fprintf(out, "\nConventions, in %d spans\n", g.Spans.Looked)
	var rows [][]string
	words := map[string]string{
		SpellingShort: "short, as since v0.109", SpellingLong: "long, as before v0.109", SpellingBoth: "both spellings",
	}
	rows = append(rows, []string{"span kinds", words[g.Spans.Spelling], strings.Join(g.Spans.Kinds, ", ")})
	rows = append(rows, []string{"status codes", words[g.Spans.Spelling], strings.Join(g.Spans.StatusCodes, ", ")})
	for _, c := range g.Spans.Conventions {
		rows = append(rows, []string{c.About, cmp.Or(c.Generation, "none"), attributesText(c.Attributes)})
	}
	writeRows(out, rows)
}

func attributesText(list []AttributeFound) string {
	parts := make([]string, 0, len(list))
	for _, a := range list {
		parts = append(parts, fmt.Sprintf("%s %d", a.Name, a.Rows))
	}
	return strings.Join(parts, ", ")
}

func (g *Diagnosis) writeSources(out *strings.Builder) {
	if len(g.Sources) > 0 {
		fmt.Fprint(out, "\nSources of metrics\n")
	}
	var rows [][]string
	for _, s := range g.Sources {
		text := fmt.Sprintf("%s in %s: %d rows, newest %s", s.Metric, s.Table, s.Rows, age(s.NewestSeconds))
		if s.Latency != "" {
			text += "; durations in " + s.Latency
		}
		rows = append(rows, []string{s.For, s.Name, s.Path, text})
	}
	writeRows(out, rows)
	if len(g.NodeIdentity) > 0 {
		fmt.Fprintf(out, "  nodes are told apart by the first of: %s\n", attributesText(g.NodeIdentity))
	}
}

func writeVerdicts(out *strings.Builder, title string, list []Verdict) {
	fmt.Fprintf(out, "\n%s\n", title)
	width := 0
	for _, v := range list {
		width = max(width, len(v.Name))
	}
	for _, v := range list {
		fmt.Fprintf(out, "  %-*s  %-10s  %s\n", width, v.Name, v.State, v.Text)
		for _, m := range v.Missing {
			fmt.Fprintf(out, "    missing: %s\n", m)
		}
		if v.Remedy != "" {
			fmt.Fprintf(out, "    -> %s\n", v.Remedy)
		}
	}
}
