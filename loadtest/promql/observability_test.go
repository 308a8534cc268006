package promql

import (
	"maps"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/atlhyper/observe/loadtest/observability"
)

// TestExpressions: Prometheus reads every expression of the alert rules, the Grafana
// dashboard and the runbook, and sees in them what observability.Selectors does, by which
// the tests there hold them against what masters and agents export.
func TestExpressions(t *testing.T) {
	t.Parallel()
	p := parser.NewParser(parser.Options{})
	files, err := observability.Expressions(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 5 {
		t.Errorf("expressions of %v", slices.Collect(maps.Keys(files)))
	}
	for where, exprs := range files {
		for _, expr := range exprs {
			expr = observability.Expand(expr)
			parsed, err := p.ParseExpr(expr)
			if err != nil {
				t.Errorf("%s: %s: %v", where, expr, err)
				continue
			}
			got, err := observability.Selectors(expr)
			if err != nil {
				t.Errorf("%s: %s: %v", where, expr, err)
			}
			if diff := cmp.Diff(selectors(parsed), got); diff != "" {
				t.Errorf("%s: %s: selectors (-Prometheus +ours):\n%s", where, expr, diff)
			}
		}
	}
}

// selectors is what Prometheus sees, in the order of the text.
func selectors(expr parser.Expr) []observability.Selector {
	type placed struct {
		at int
		observability.Selector
	}
	var all []placed
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		v, is := node.(*parser.VectorSelector)
		if !is {
			return nil
		}
		s := observability.Selector{Name: v.Name}
		for _, m := range v.LabelMatchers {
			if m.Name != labels.MetricName {
				s.Matchers = append(s.Matchers, observability.Matcher{Label: m.Name, Op: m.Type.String(), Value: m.Value})
			}
		}
		all = append(all, placed{int(v.PosRange.Start), s})
		return nil
	})
	slices.SortFunc(all, func(a, b placed) int { return a.at - b.at })
	var out []observability.Selector
	for _, s := range all {
		out = append(out, s.Selector)
	}
	return out
}
