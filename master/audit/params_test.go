package audit

import (
	"reflect"
	"strings"
	"testing"

	"github.com/atlhyper/observe/shared/detail"
)

// Whoever adds a parameter decides how it is shown.
func TestEveryParameterHasAForm(t *testing.T) {
	t.Parallel()
	known, used := forms(), map[string]bool{}
	for _, request := range []detail.Request{
		detail.Node{}, detail.NodeSeries{}, detail.Traces{}, detail.Trace{}, detail.Logs{}, detail.SLOSeries{}, detail.Section{},
	} {
		shape := reflect.TypeOf(request)
		for i := range shape.NumField() {
			name, _, _ := strings.Cut(shape.Field(i).Tag.Get("json"), ",")
			if _, ok := known[name]; !ok || name == "" {
				t.Errorf("%s.%s: forms does not say how %q is shown", shape.Name(), shape.Field(i).Name, name)
			}
			used[name] = true
		}
	}
	for name := range known {
		if !used[name] {
			t.Errorf("%s is no parameter any more", name)
		}
	}
}

func TestIsName(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"shop/cart": true, "node-1.example.org": true, "node_cpu_seconds_total": true, "job:rate5m": true,
		"two words": false, "a\nb": false, "ü": false, "a'b": false, "a;b": false, "\xff": false,
		"atlhyper_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG": false, "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2ln": false,
		"atlhyper": true, "atlhyper-agent": true, strings.Repeat("a", maxName+1): false,
	} {
		if got := isName(text); got != want {
			t.Errorf("isName(%.20q) = %v", text, got)
		}
	}
}
