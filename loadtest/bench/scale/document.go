package scale

import (
	_ "embed" // the prose
	"fmt"
	"io"
	"text/template"
)

//go:embed scale.md.tmpl
var prose string

// view is what the prose speaks of.
type view struct {
	Measured
	Assumed Assumed
	// Cluster is one of the small size.
	Cluster Cluster
	// Needs are the columns of its table; Thousand and TenThousand are two of them, of
	// the small size.
	Needs                 []Need
	Thousand, TenThousand Need
	// Limits are in the order in which they are met.
	Limits []met
	Apart  Apart
}

// met is a limit, its place among them, and what its number of clusters needs.
type met struct {
	Limit
	Place int
	There Need
}

// Write writes docs/scale.md as it follows from the text of docs/bench.md.
func Write(w io.Writer, bench string) error {
	m, err := Read(bench)
	if err != nil {
		return err
	}
	a := assumed()
	v := view{
		Measured: m, Assumed: a, Cluster: m.cluster(a, m.Small), Apart: m.apart(a, 10_000, 20, 2),
		Thousand: m.need(a, 1_000, false), TenThousand: m.need(a, 10_000, false),
	}
	v.Needs = []Need{m.need(a, 10, false), v.Thousand, v.TenThousand, m.need(a, 10_000, true)}
	limits, err := m.limits(a)
	if err != nil {
		return err
	}
	for i, l := range limits {
		v.Limits = append(v.Limits, met{Limit: l, Place: i + 1, There: m.need(a, l.Clusters, false)})
	}
	t, err := template.New("scale.md").Funcs(functions()).Parse(prose)
	if err != nil {
		return fmt.Errorf("scale: %w", err)
	}
	if err := t.Execute(w, v); err != nil {
		return fmt.Errorf("scale: %w", err)
	}
	return nil
}
