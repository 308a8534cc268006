package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/atlhyper/observe/cmd/internal/terminal"
)

// table is text in columns. What its cells hold is made harmless.
type table struct{ rows [][]string }

func newTable(header ...string) *table { return &table{rows: [][]string{header}} }

// add adds a row: of texts, numbers and JSON.
func (t *table) add(cells ...any) {
	row := make([]string, len(cells))
	for i, cell := range cells {
		switch v := cell.(type) {
		case json.RawMessage:
			row[i] = string(terminal.AppendJSON(nil, v)) // on one line already
		default:
			row[i] = terminal.Text(fmt.Sprint(v))
		}
		if row[i] == "" {
			row[i] = "-"
		}
	}
	t.rows = append(t.rows, row)
}

// write prints the table, followed by more lines where something is to be said.
func (t *table) write(w io.Writer, notes ...string) error {
	tabs := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range t.rows {
		if _, err := fmt.Fprintln(tabs, strings.Join(row, "\t")); err != nil {
			return err
		}
	}
	if err := tabs.Flush(); err != nil {
		return err
	}
	for _, note := range notes {
		if note == "" {
			continue
		}
		if _, err := fmt.Fprintln(w, terminal.Text(note)); err != nil {
			return err
		}
	}
	return nil
}

// span is a duration for people.
func span(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d.Abs() < time.Second:
		return d.Round(time.Millisecond).String()
	case d.Abs() < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	default:
		return d.Round(time.Second).String()
	}
}

// age is how long ago something was that has a time.
func age(at string, seconds float64) string {
	if at == "" {
		return "never"
	}
	return span(seconds)
}

func orNever(at string) string {
	if at == "" {
		return "never"
	}
	return at
}
