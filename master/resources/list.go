package resources

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/tidwall/gjson"
	"k8s.io/apimachinery/pkg/labels"
)

// Objects are the objects of a section's value: its index together with its JSON.
type Objects struct {
	index *Index
	data  []byte
}

// In returns the objects of data: what Parse was given, or a copy of it.
func (x *Index) In(data []byte) (Objects, error) {
	if len(data) != x.size {
		return Objects{}, fmt.Errorf("%s: an index of %d bytes does not fit a value of %d", x.kind.Path, x.size, len(data))
	}
	return Objects{x, data}, nil
}

// Len is the number of objects.
func (o Objects) Len() int { return len(o.index.objects) }

// Get returns an object as JSON; of a kind without namespaces, namespace is "". false
// means that there is none.
func (o Objects) Get(namespace, name string) ([]byte, bool) {
	x := o.index
	order, wanted := x.orders[byName](), key{namespace: namespace, name: name}
	compare := comparer(byName)
	at, found := sort.Find(len(order), func(i int) int {
		k := x.key(byName, int(order[i]))
		return compare(&wanted, &k)
	})
	if !found {
		return nil, false
	}
	return x.objects[order[at]].of(o.data), true
}

// Trouble returns objects that somebody should look at, at most limit of them in the
// kind's own order, as JSON, and how many there are.
func (o Objects) Trouble(limit int) (objects [][]byte, total int) {
	x := o.index
	objects = make([][]byte, 0, min(limit, len(x.trouble)))
	if len(x.trouble) == 0 {
		return objects, 0
	}
	for _, i := range x.orders[x.kind.order]() {
		if len(objects) == cap(objects) {
			break
		}
		if _, troubled := slices.BinarySearch(x.trouble, i); troubled {
			objects = append(objects, x.objects[i].of(o.data))
		}
	}
	return objects, len(x.trouble)
}

// Page is a part of a list.
type Page struct {
	// Objects as JSON, parts of the section's value.
	Objects [][]byte
	// Total is how many objects match, on all pages.
	Total int
	// NextCursor is where the list goes on; "" where it ends.
	NextCursor string
}

// List returns a page of the objects that match a query of their kind.
func (o Objects) List(q *Query) Page {
	x := o.index
	page := Page{Objects: make([][]byte, 0, min(q.params.Limit, len(x.objects)))}
	by := q.params.Sort
	from := 0
	if q.after != nil {
		from = x.after(by, *q.after)
	}
	matches := o.matcher(q)
	last, more := int32(-1), false
	for place, i := range x.orders[by]() {
		if !matches(&x.objects[i]) {
			continue
		}
		page.Total++
		switch {
		case place < from:
		case len(page.Objects) == q.params.Limit:
			more = true
		default:
			page.Objects = append(page.Objects, x.objects[i].of(o.data))
			last = i
		}
	}
	if more {
		page.NextCursor = encodeCursor(q.digest, x.key(by, int(last)))
	}
	return page
}

// matcher tells whether an object is asked for. Each set of labels is looked into once.
func (o Objects) matcher(q *Query) func(*object) bool {
	const unknown, no, yes = 0, 1, 2
	var known []uint8 // by place in the index's labels, plus 1: of no labels
	if !q.selector.Empty() {
		known = make([]uint8, len(o.index.labels)+1)
	}
	return func(one *object) bool {
		if q.params.Namespace != "" && one.namespace != q.params.Namespace {
			return false
		}
		if q.lower != "" && !strings.Contains(one.lower, q.lower) {
			return false
		}
		if known == nil {
			return true
		}
		answer := &known[one.labels+1]
		if *answer == unknown {
			*answer = no
			if q.selector.Matches(o.labels(one.labels)) {
				*answer = yes
			}
		}
		return *answer == yes
	}
}

// labels are a set of labels. Parse has found it to be one.
func (o Objects) labels(place int32) labels.Set {
	if place < 0 {
		return nil
	}
	set := labels.Set{}
	gjson.ParseBytes(o.index.labels[place].of(o.data)).ForEach(func(name, value gjson.Result) bool {
		set[name.Str] = value.Str
		return true
	})
	return set
}
