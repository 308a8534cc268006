package openapi_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/atlhyper/observe/master/openapi"
)

type beside struct {
	Took float64 `json:"took"`
	Next string  `json:"next,omitempty"`
}

type base struct {
	Name string `json:"name"`
}

type node struct {
	base
	*beside
	Count    *int64            `json:"count"`
	Pods     *int64            `json:"pods,omitempty"`
	Labels   map[string]string `json:"labels"`
	Children []node            `json:"children"`
	Parent   *node             `json:"parent"`
	Raw      json.RawMessage   `json:"raw"`
	Hidden   string            `json:"-"`
}

// The schema is that of what encoding/json writes: embedded fields beside the others,
// those of a pointer optional, null for a nil pointer that is not left out.
func TestSchemas(t *testing.T) {
	t.Parallel()
	schemas := openapi.NewSchemas(func(name string) string {
		if name == "took" {
			return "milliseconds"
		}
		return ""
	}, map[reflect.Type]*openapi.Schema{reflect.TypeFor[json.RawMessage](): {}})
	if ref := schemas.Of(reflect.TypeFor[[]node]()); ref.Items == nil || ref.Items.Ref != "#/components/schemas/Node" {
		t.Fatalf("%+v", ref)
	}
	text, err := json.Marshal(schemas.Components)
	if err != nil {
		t.Fatal(err)
	}
	var got, want any
	const described = `{"Node": {"type": "object", "required": ["name", "count", "labels", "children", "parent", "raw"], "properties": {
		"name": {"type": "string"}, "took": {"type": "number", "description": "milliseconds"}, "next": {"type": "string"},
		"count": {"type": ["integer", "null"]}, "pods": {"type": "integer"},
		"labels": {"type": "object", "additionalProperties": {"type": "string"}},
		"children": {"type": "array", "items": {"$ref": "#/components/schemas/Node"}},
		"parent": {"anyOf": [{"$ref": "#/components/schemas/Node"}, {"type": "null"}]}, "raw": {}}}}`
	for text, to := range map[string]*any{string(text): &got, described: &want} {
		if err := json.Unmarshal([]byte(text), to); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestTypesThatHaveNoSchema(t *testing.T) {
	t.Parallel()
	type Meta struct{ A int }
	same := func() reflect.Type {
		type Meta struct{ B int }
		return reflect.TypeFor[Meta]()
	}()
	for name, types := range map[string][]reflect.Type{
		"a channel": {reflect.TypeFor[chan int]()}, "two of one name": {reflect.TypeFor[Meta](), same},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: accepted", name)
				}
			}()
			schemas := openapi.NewSchemas(func(string) string { return "" }, nil)
			for _, one := range types {
				schemas.Of(one)
			}
		}()
	}
}
