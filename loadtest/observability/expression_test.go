package observability_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/atlhyper/observe/loadtest/observability"
)

func TestSelectors(t *testing.T) {
	t.Parallel()
	type want = []observability.Selector
	for expr, want := range map[string]want{
		`up`:                          {{Name: "up"}},
		`1 + time()`:                  nil,
		`rate(a_total[5m] offset 1h)`: {{Name: "a_total"}},
		`sum by (le, route) (a:b:c{x="1", y!~"a\"}|b"})`: {{
			Name: "a:b:c", Matchers: []observability.Matcher{{Label: "x", Op: "=", Value: "1"}, {Label: "y", Op: "!~", Value: `a"}|b`}},
		}},
		`a{} / on (x) group_left (y) b > bool 0.5e3 and on () c unless d`: {{Name: "a"}, {Name: "b"}, {Name: "c"}, {Name: "d"}},
	} {
		got, err := observability.Selectors(expr)
		if err != nil {
			t.Errorf("%s: %v", expr, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", expr, diff)
		}
	}
	for _, expr := range []string{`a{x="1}`, `a{x=1}`} {
		if got, err := observability.Selectors(expr); err == nil {
			t.Errorf("%s: %v", expr, got)
		}
	}
}
