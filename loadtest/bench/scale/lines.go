package scale

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// document is what bench.md says.
type document struct {
	cores    int
	load     string        // the load averages before the run
	clusters int           // that the costs for each cluster were counted with
	interval time.Duration // between two publishes of their agents
	// lines are the columns of a line by its name.
	lines map[string]map[string]string
}

// parse reads the text of bench.md as package serve writes it.
func parse(text string) (document, error) {
	d := document{lines: make(map[string]map[string]string)}
	about := []struct {
		what    string
		pattern *regexp.Regexp
		read    func(string) error
	}{
		{"the number of cores", regexp.MustCompile(`(?m)^go\S+, (\d+) cores, `), number(&d.cores)},
		{"the load average", regexp.MustCompile(`(?m)^go\S+, .*load average before ([^;]+);`), func(s string) error { d.load = s; return nil }},
		{"the number of clusters", regexp.MustCompile(`(?m)^\(e\) Nobody asks: (\d+) clusters`), number(&d.clusters)},
		{"the interval", regexp.MustCompile(`over \d+ intervals of (\S+) each time`), func(s string) (err error) {
			d.interval, err = time.ParseDuration(s)
			return err
		}},
	}
	for _, a := range about {
		found := a.pattern.FindStringSubmatch(text)
		if found == nil {
			return document{}, fmt.Errorf("scale: the bench does not say %s", a.what)
		}
		if err := a.read(found[1]); err != nil {
			return document{}, fmt.Errorf("scale: %s: %w", a.what, err)
		}
	}
	if d.interval <= 0 {
		return document{}, fmt.Errorf("scale: the interval: %s is none", d.interval)
	}
	return d, d.parseTables(text)
}

func number(into *int) func(string) error {
	return func(s string) (err error) {
		*into, err = strconv.Atoi(s)
		return err
	}
}

// parseTables reads the lines below the heads of columns, which stand two spaces or
// more apart; notes are indented by two.
func (d *document) parseTables(text string) error {
	apart := regexp.MustCompile(` {2,}`)
	named := regexp.MustCompile(`^[a-e]/\S+ {2,}`)
	var columns []string
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \n")
		switch {
		case strings.HasPrefix(line, "   "):
			columns = apart.Split(strings.TrimLeft(line, " "), -1)
		case named.MatchString(line):
			// The name, what it is, the cells; the last ones may be empty.
			cells := apart.Split(line, -1)
			name, cells := cells[0], cells[2:]
			if len(cells) > len(columns) {
				return fmt.Errorf("scale: the line %s has %d figures for %d columns", name, len(cells), len(columns))
			}
			d.lines[name] = make(map[string]string, len(cells))
			for i, cell := range cells {
				d.lines[name][columns[i]] = cell
			}
		}
	}
	return nil
}

// figure is that of a line and a column.
func (d document) figure(line, column string) (float64, error) {
	columns, ok := d.lines[line]
	if !ok {
		return 0, fmt.Errorf("scale: the bench has no line %s", line)
	}
	cell, ok := columns[column]
	if !ok {
		return 0, fmt.Errorf("scale: the line %s has no %q", line, column)
	}
	v, err := strconv.ParseFloat(cell, 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, fmt.Errorf("scale: the line %s: %s: %q is no figure", line, column, cell)
	}
	return v, nil
}
