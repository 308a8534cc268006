package resources_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/atlhyper/observe/master/resources"
	"github.com/atlhyper/observe/shared/codec"
	"github.com/atlhyper/observe/shared/model"
)

type object = map[string]any

// FuzzParse reads whatever Redis may hold: it either says why it does not, or lists, sorts
// and filters exactly the objects that encoding/json finds.
func FuzzParse(f *testing.F) {
	odd := "a\"\\/\b\f\n\r\t\x00\u2028\xff€"
	for _, value := range []any{
		manyPods(3), []any{}, "x", nil,
		[]object{
			{"metadata": object{"name": odd, "namespace": "b", "labels": object{"a": "b"}}, "restarts": 10, "phase": "\n"},
			{"metadata": object{"name": "b", "namespace": odd, "labels": object{"a": "b", "c": ""}}, "restarts": -9, "phase": nil},
			{"metadata": object{"name": "a", "labels": object{odd: odd}}, "phase": "A", odd: []any{odd, 1.5, true, nil, object{"name": "x"}}},
		},
		[]object{
			{"name": "b", "namespace": "b", "reason": odd, "lastTimestamp": "2026-03-01T12:00:00Z"},
			{"name": "a", "reason": "x", "count": 7, "lastTimestamp": "2026-03-01T12:00:00.5Z"},
		},
	} {
		packed, err := codec.Encode(value)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(packed)
	}
	f.Fuzz(func(t *testing.T, packed []byte) {
		data, err := codec.ToJSON(nil, packed)
		if err != nil {
			t.Skip()
		}
		for _, path := range []string{"pods", "nodes", "events", "jobs"} {
			index, err := resources.Parse(kindOf(t, path), data)
			if err != nil {
				continue
			}
			objects, err := index.In(data)
			if err != nil {
				t.Fatal(err)
			}
			objects.Trouble(5)
			compare(t, kindOf(t, path), objects, data)
		}
	})
}

// compare compares what is listed with what encoding/json finds.
func compare(t *testing.T, kind *resources.Kind, listed resources.Objects, data []byte) {
	t.Helper()
	var texts []json.RawMessage
	var objects []object
	for _, into := range []any{&texts, &objects} {
		if err := json.Unmarshal(data, into); err != nil {
			t.Fatalf("%s took %s: %v", kind.Path, data, err)
		}
	}
	if listed.Len() != len(texts) {
		t.Fatalf("%d objects of %d in %s", listed.Len(), len(texts), data)
	}
	if len(texts) > resources.MaxLimit || repeats(t, data, objects) {
		return
	}
	slices.SortFunc(texts, func(a, b json.RawMessage) int { return bytes.Compare(a, b) })
	for _, by := range kind.Sorts() {
		page := listed.List(query(t, kind.Path, resources.Params{Limit: resources.MaxLimit, Sort: by})).Objects
		got, want := values(t, kind, by, read[object](t, page)), values(t, kind, by, objects)
		slices.SortFunc(want, value.compare)
		if !slices.Equal(got, want) {
			t.Fatalf("by %s: %v, want %v in %s", by, got, want, data)
		}
		slices.SortFunc(page, bytes.Compare)
		if !slices.EqualFunc(page, texts, func(a []byte, b json.RawMessage) bool { return bytes.Equal(a, b) }) {
			t.Fatalf("%s are not the objects of %s", page, data)
		}
	}
	matching := 0
	for _, one := range objects {
		identity := identityOf(kind, one)
		namespace, _ := identity["namespace"].(string)
		name, _ := identity["name"].(string)
		if _, found := listed.Get(namespace, name); !found {
			t.Fatalf("%q/%q is not found in %s", namespace, name, data)
		}
		labels, _ := identity["labels"].(object)
		if _, c := labels["c"]; labels["a"] == "b" && !c {
			matching++
		}
	}
	if !kind.Labelled {
		return
	}
	if page := listed.List(query(t, kind.Path, resources.Params{LabelSelector: "a=b,!c"})); page.Total != matching {
		t.Fatalf("%d objects match, want %d of %s", page.Total, matching, data)
	}
}

// identityOf is where an object has its name.
func identityOf(kind *resources.Kind, one object) object {
	if !kind.Labelled {
		return one
	}
	metadata, _ := one["metadata"].(object)
	return metadata
}

// repeats tells whether a name comes twice in an object, of which readers take one or the
// other, or parts of both.
func repeats(tb testing.TB, data []byte, objects []object) bool {
	tb.Helper()
	tokens := func(data []byte) (n int) {
		for decoder := json.NewDecoder(bytes.NewReader(data)); ; n++ {
			if _, err := decoder.Token(); err != nil {
				return n
			}
		}
	}
	once, err := json.Marshal(objects)
	if err != nil {
		tb.Fatal(err)
	}
	return tokens(once) != tokens(data)
}

// value is what an object is sorted by.
type value struct {
	number float64
	text   string
}

func (v value) compare(w value) int {
	return cmp.Or(cmp.Compare(v.number, w.number), strings.Compare(v.text, w.text))
}

// values are what objects are sorted by.
func values(tb testing.TB, kind *resources.Kind, by string, objects []object) []value {
	tb.Helper()
	out := make([]value, len(objects))
	for i, one := range objects {
		field := one[by]
		switch by {
		case "name", "namespace":
			field = identityOf(kind, one)[by]
		case "age":
			field = identityOf(kind, one)["creationTimestamp"]
		}
		switch field := field.(type) {
		case nil:
		case bool:
			if field {
				out[i].number = 1
			}
		case float64:
			out[i].number = field
		case string:
			out[i] = valueOf(tb, by, field)
		default:
			tb.Fatalf("%s is %v", by, field)
		}
	}
	return out
}

func valueOf(tb testing.TB, by, text string) value {
	tb.Helper()
	if by != "age" && !strings.HasSuffix(by, "Time") && !strings.HasSuffix(by, "Timestamp") {
		return value{text: text[:min(len(text), 256)]}
	}
	at, err := model.Time(text).Parse()
	if err != nil {
		tb.Fatal(err)
	}
	number := float64(at.UnixMicro())
	if at.IsZero() {
		number = 0
	}
	if by == "age" {
		number = -number
	}
	return value{number: number}
}

func FuzzCursor(f *testing.F) {
	objects := parse(f, "pods", manyPods(10))
	f.Add(objects.List(query(f, "pods", resources.Params{Limit: 3})).NextCursor)
	f.Fuzz(func(t *testing.T, cursor string) {
		q, err := resources.NewQuery(kindOf(t, "pods"), "east", resources.Params{Cursor: cursor, Limit: 3})
		if err != nil {
			if !strings.HasPrefix(err.Error(), "cursor: ") {
				t.Errorf("%v", err)
			}
			return
		}
		objects.List(q)
	})
}
