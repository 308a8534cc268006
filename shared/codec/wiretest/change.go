package wiretest

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/atlhyper/observe/shared/codec"
)

// unknown is the name of what a newer release would add.
const unknown = "addedByANewerRelease"

// With returns a msgpack map with a key set to a value.
func With(tb testing.TB, data []byte, key string, value any) []byte {
	tb.Helper()
	m := decoded(tb, data).(map[string]any)
	m[key] = value
	return encoded(tb, m)
}

// Without returns a msgpack map without a key, which must be there.
func Without(tb testing.TB, data []byte, key string) []byte {
	tb.Helper()
	m := decoded(tb, data).(map[string]any)
	if _, there := m[key]; !there {
		tb.Fatalf("there is no %q in %v", key, slices.Sorted(maps.Keys(m)))
	}
	delete(m, key)
	return encoded(tb, m)
}

// Keys are the keys of a msgpack map.
func Keys(tb testing.TB, data []byte) []string {
	tb.Helper()
	return slices.Sorted(maps.Keys(decoded(tb, data).(map[string]any)))
}

func decoded(tb testing.TB, data []byte) any {
	tb.Helper()
	var v any
	if err := codec.Decode(data, &v); err != nil {
		tb.Fatal(err)
	}
	return v
}

func encoded(tb testing.TB, v any) []byte {
	tb.Helper()
	data, err := codec.Encode(v)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// Kept checks that all of old, which an earlier release wrote, is in again, which is
// what today's code writes of what it read of old. More may be in it.
func Kept(tb testing.TB, old, again []byte) {
	tb.Helper()
	kept(tb, "", decoded(tb, old), decoded(tb, again))
}

func kept(tb testing.TB, path string, old, again any) {
	tb.Helper()
	switch o := old.(type) {
	case map[string]any:
		a, ok := again.(map[string]any)
		if !ok {
			tb.Errorf("%s was a map and is read as %T", path, again)
			return
		}
		for k, v := range o {
			if _, there := a[k]; !there {
				tb.Errorf("%s.%s is not read any more", path, k)
				continue
			}
			kept(tb, path+"."+k, v, a[k])
		}
	case []any:
		a, ok := again.([]any)
		if !ok || len(a) != len(o) {
			tb.Errorf("%s was a list of %d and is read as %v", path, len(o), again)
			return
		}
		for i := range o {
			kept(tb, fmt.Sprintf("%s[%d]", path, i), o[i], a[i])
		}
	default:
		if diff := cmp.Diff(old, again); diff != "" {
			tb.Errorf("%s is read as another value (-written +read):\n%s", path, diff)
		}
	}
}

// Evolves checks that Decode reads v, a pointer to what has a value in every field, from
// a release that knows more fields and from one that knows fewer: what is unknown is
// skipped, what is missing is zero. It tries each struct and each field of v, of lists
// the first element.
func Evolves(tb testing.TB, v any) {
	tb.Helper()
	data := encoded(tb, v)
	all := reflect.ValueOf(v).Elem()
	structs(all.Type(), nil, func(path []step, of reflect.Type) {
		got := decodedAs(tb, all.Type(), changed(tb, data, path, func(m map[string]any) { m[unknown] = []any{map[string]any{"a": "b"}} }))
		if diff := cmp.Diff(v, got); diff != "" {
			tb.Errorf("%s with an unknown field is read as (-want +got):\n%s", text(path), diff)
		}
		for i := range of.NumField() {
			name, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
			got := decodedAs(tb, all.Type(), changed(tb, data, path, func(m map[string]any) {
				if _, there := m[name]; !there {
					tb.Errorf("%s.%s is not written: give it a value", text(path), name)
				}
				delete(m, name)
			}))
			want := decodedAs(tb, all.Type(), data)
			at(reflect.ValueOf(want).Elem(), path).Field(i).SetZero()
			if diff := cmp.Diff(want, got); diff != "" {
				tb.Errorf("%s without %s is read as (-want +got):\n%s", text(path), name, diff)
			}
		}
	})
}

// step leads from a value into one that it holds: a field, or the first element of a
// list.
type step struct {
	field int
	name  string // on the wire; "" for the first element
}

func text(path []step) string {
	var b strings.Builder
	for _, s := range path {
		if s.name == "" {
			b.WriteString("[0]")
			continue
		}
		b.WriteString("." + s.name)
	}
	return b.String()
}

// structs calls visit for each struct in a type, with the way to it.
func structs(of reflect.Type, path []step, visit func([]step, reflect.Type)) {
	switch of.Kind() {
	case reflect.Pointer:
		structs(of.Elem(), path, visit)
	case reflect.Slice:
		structs(of.Elem(), append(slices.Clone(path), step{}), visit)
	case reflect.Struct:
		visit(path, of)
		for i := range of.NumField() {
			name, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
			structs(of.Field(i).Type, append(slices.Clone(path), step{field: i, name: name}), visit)
		}
	}
}

// at follows a path in a value.
func at(v reflect.Value, path []step) reflect.Value {
	v = reflect.Indirect(v)
	for _, s := range path {
		if s.name == "" {
			v = reflect.Indirect(v.Index(0))
			continue
		}
		v = reflect.Indirect(v.Field(s.field))
	}
	return v
}

// changed returns data with the map at the end of a path changed.
func changed(tb testing.TB, data []byte, path []step, change func(map[string]any)) []byte {
	tb.Helper()
	all := decoded(tb, data)
	here := all
	for _, s := range path {
		if s.name == "" {
			here = here.([]any)[0]
			continue
		}
		here = here.(map[string]any)[s.name]
	}
	change(here.(map[string]any))
	return encoded(tb, all)
}

func decodedAs(tb testing.TB, of reflect.Type, data []byte) any {
	tb.Helper()
	v := reflect.New(of).Interface()
	if err := codec.Decode(data, v); err != nil {
		tb.Fatal(err)
	}
	return v
}
