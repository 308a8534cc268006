package clickhouse

import (
	"encoding/json"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

func TestFlattenJSON(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]map[string]string{
		`{}`: {},
		`{"http":{"method":"GET","status_code":500},"ok":true,"f":1.5,"big":9007199254740993,"neg":-1}`: {
			"http.method": "GET", "http.status_code": "500", "ok": "true", "f": "1.5", "big": "9007199254740993", "neg": "-1",
		},
		`{"http":"lit","http":{"method":"GET"}}`:         {"http": "lit", "http.method": "GET"}, // a name that begins others
		`{"list":["x","y"],"objects":[{"a":{"b":1}}]}`:   {"list": `["x","y"]`, "objects": `[{"a":{"b":1}}]`},
		`{"a.b":{"c":""},"":"nameless","n":null,"o":{}}`: {"a.b.c": "", "": "nameless"},
		`{"quote":"\"\\\n\u00fc","ümlaut":"x"}`:          {"quote": "\"\\\nü", "ümlaut": "x"},
	} {
		got, err := flattenJSON(text)
		if diff := gocmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v %s", text, err, diff)
		}
	}
	for _, text := range []string{
		"", "1", "[]", `"x"`, "null", "{", `{"a":`, `{"a":1`, `{"a":{"b":1}`, "{} {}", `{"a":01}`,
		strings.Repeat(`{"a":`, maxJSONDepth+1) + "1" + strings.Repeat("}", maxJSONDepth+1),
	} {
		if got, err := flattenJSON(text); err == nil {
			t.Errorf("%.40s became %v", text, got)
		}
	}
}

func TestAttributesOfOtherTypes(t *testing.T) {
	t.Parallel()
	if err := new(attributeMap).Scan(7); err == nil {
		t.Error("a number became attributes")
	}
	if err := new(attributeMaps).Scan([]int{7}); err == nil {
		t.Error("numbers became attributes")
	}
	if err := new(attributeMaps).Scan([]string{"{}", "x"}); err == nil {
		t.Error("text that is not JSON became attributes")
	}
}

// What flattenJSON takes is a JSON object, and no value of it is missing.
func FuzzFlattenJSON(f *testing.F) {
	f.Add(`{"http":{"method":"GET"},"list":[1,{"a":2}]}`)
	f.Add(`{"a":"x","a":{"b":null}}`)
	f.Add(`{"a":{"b":{"c":1e400}}}`)
	f.Fuzz(func(t *testing.T, text string) {
		got, err := flattenJSON(text)
		var whole map[string]any
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		wholeErr := d.Decode(&whole)
		if err != nil {
			return
		}
		if wholeErr != nil {
			t.Fatalf("%q is no JSON object (%v) and became %v", text, wholeErr, got)
		}
		var walk func(prefix string, object map[string]any)
		walk = func(prefix string, object map[string]any) {
			for name, value := range object {
				if nested, ok := value.(map[string]any); ok {
					walk(prefix+name+".", nested)
					continue
				}
				if _, ok := got[prefix+name]; !ok && value != nil {
					t.Errorf("%q: %q is missing in %v", text, prefix+name, got)
				}
			}
		}
		walk("", whole)
	})
}
