// Package resources lists the Kubernetes objects of a section: filtered, sorted, page by
// page, and one by its name. It works on the JSON of the section and passes each object
// on as it is, so that an older master shows what a newer agent says of it.
//
// Parse makes an Index of a section once; List and Get are answered from it and from the
// JSON. What a kind is sorted by stands in one table, Kinds.
package resources

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/tidwall/gjson"
)

// Bounds of a section. Kubernetes allows 150,000 pods, and names of 253 bytes.
const (
	maxObjects = 250_000
	maxName    = 253
	// maxKey is how many bytes of a text are sorted by.
	maxKey = 256
)

// Index is what lists of one section's value need, besides the value itself. It holds no
// part of it and is safe for concurrent use.
type Index struct {
	kind    *Kind
	size    int // of the JSON that it is of
	objects []object
	columns columns
	labels  []span // sets of labels that differ, as JSON
	trouble []int32
	orders  map[string]func() []int32 // by what Query.Sort may be: places in objects
	texts   int                       // bytes of all texts
}

// object is one object of the section.
type object struct {
	span
	namespace, name, lower string // lower is name in lower case
	labels                 int32  // place in Index.labels, -1 for none
}

// span is a part of the JSON.
type span struct{ from, to int }

func spanOf(value gjson.Result) span { return span{value.Index, value.Index + len(value.Raw)} }

func (s span) of(data []byte) []byte { return data[s.from:s.to:s.to] }

// columns hold the kind's fields of all objects.
type columns struct {
	kind *Kind
	all  []column // as kind.fields
}

// column is one field of all objects; one of the two lists, by the field's type.
type column struct {
	numbers []int64 // a flag is 0 or 1, an instant µs since 1970, an age minus that
	texts   []string
}

func (c columns) number(name string, i int) int64 { return c.all[c.kind.column(name)].numbers[i] }

func (c columns) is(name string, i int) bool { return c.number(name, i) != 0 }

func (c columns) text(name string, i int) string { return c.all[c.kind.column(name)].texts[i] }

// Parse reads a section's value, as JSON. The error names the object and its field that
// is not what the kind has.
func Parse(kind *Kind, data []byte) (*Index, error) {
	p := parser{
		texts: make(map[string]string), sets: make(map[string]int32),
		index: &Index{kind: kind, size: len(data), columns: columns{kind, make([]column, len(kind.fields))}},
	}
	if !gjson.ValidBytes(data) { // of what is not, gjson reads something
		return nil, fmt.Errorf("%s: is no JSON", kind.Path)
	}
	err := elements(gjson.ParseBytes(data), func(value gjson.Result) error {
		if len(p.index.objects) == maxObjects {
			return fmt.Errorf("there are more than %d objects", maxObjects)
		}
		if err := p.object(value); err != nil {
			return fmt.Errorf("object %d: %w", len(p.index.objects)+1, err)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", kind.Path, err)
	}
	p.index.finish()
	return p.index, nil
}

// finish makes what needs all objects.
func (x *Index) finish() {
	x.objects = slices.Clip(x.objects)
	if x.kind.trouble != nil {
		for i := range x.objects {
			if x.kind.trouble(x.columns, i) {
				x.trouble = append(x.trouble, int32(i))
			}
		}
	}
	x.orders = make(map[string]func() []int32)
	for _, name := range x.kind.Sorts() {
		for _, by := range []string{name, "-" + name} {
			x.orders[by] = sync.OnceValue(func() []int32 { return x.sorted(by) })
		}
	}
}

// What an Index takes, in bytes, about.
const (
	objectBytes = 96 // an object, without its texts
	orderBytes  = 4
	fieldBytes  = 16
	setBytes    = 16
)

// Bytes is what the index occupies, at most: with all orders, some of which it may not
// have made yet.
func (x *Index) Bytes() int64 {
	per := objectBytes + fieldBytes*len(x.columns.all) + orderBytes*len(x.orders)
	return int64(per)*int64(len(x.objects)) + setBytes*int64(len(x.labels)) + orderBytes*int64(len(x.trouble)) + int64(x.texts)
}

// sorted are the places of all objects in an order: by the value, then by namespace and
// name, so that no two are equal; turned around is only the value.
func (x *Index) sorted(by string) []int32 {
	places, keys := make([]int32, len(x.objects)), make([]key, len(x.objects))
	for i := range places {
		places[i], keys[i] = int32(i), x.key(by, i)
	}
	compare := comparer(by)
	slices.SortFunc(places, func(a, b int32) int { return compare(&keys[a], &keys[b]) })
	return places
}

// key is where an object stands in an order.
type key struct {
	number          int64
	text            string
	namespace, name string
}

// key returns the key of the object at a place.
func (x *Index) key(by string, i int) key {
	o := &x.objects[i]
	k := key{namespace: o.namespace, name: o.name}
	if c := x.kind.column(strings.TrimPrefix(by, "-")); c >= 0 {
		if texts := x.columns.all[c].texts; texts != nil {
			k.text = texts[i]
		} else {
			k.number = x.columns.all[c].numbers[i]
		}
	}
	return k
}

// comparer compares keys of an order.
func comparer(by string) func(a, b *key) int {
	name, down := strings.CutPrefix(by, "-")
	sign := 1
	if down {
		sign = -1
	}
	switch name {
	case byName:
		return func(a, b *key) int {
			return cmp.Or(sign*strings.Compare(a.name, b.name), strings.Compare(a.namespace, b.namespace))
		}
	case byNamespace:
		return func(a, b *key) int {
			return cmp.Or(sign*strings.Compare(a.namespace, b.namespace), strings.Compare(a.name, b.name))
		}
	}
	return func(a, b *key) int {
		return cmp.Or(sign*cmp.Compare(a.number, b.number), sign*strings.Compare(a.text, b.text),
			strings.Compare(a.namespace, b.namespace), strings.Compare(a.name, b.name))
	}
}

// after is the first place of an order that comes after a key.
func (x *Index) after(by string, k key) int {
	order, compare := x.orders[by](), comparer(by)
	return sort.Search(len(order), func(i int) bool {
		at := x.key(by, int(order[i]))
		return compare(&at, &k) > 0
	})
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}
