// Package charts is for tests: what the Helm chart renders of the variants in
// testdata/values, as testdata/rendered holds it, so that it can be held against the
// flags of the commands and a real API server without helm. make test-chart renders
// them anew and compares.
package charts

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// files are the chart and its variants.
//
//go:embed all:atlhyper testdata
var files embed.FS

// Variants are the names of the values that are rendered, sorted.
func Variants() ([]string, error) {
	names, err := fs.Glob(files, "testdata/values/*.yaml")
	if err != nil {
		return nil, err
	}
	for i, name := range names {
		names[i] = strings.TrimSuffix(path.Base(name), ".yaml")
	}
	return names, nil
}

// included are files of the chart that a variant shows as they are, and how far they are
// indented. What is kept of a variant has a mark in their place: they change on their
// own, and are long.
func included() map[string]int {
	return map[string]int{"atlhyper/observability/alerts.yaml": 2, "atlhyper/observability/dashboard.json": 4}
}

// mark stands before the name of an included file in place of its text.
const mark = "# The text of charts/"

// fold puts marks in place of included files, unfold does the reverse.
func fold(text string) (string, error) { return swap(text, true) }

func unfold(text string) (string, error) { return swap(text, false) }

func swap(text string, folding bool) (string, error) {
	for name, indent := range included() {
		data, err := files.ReadFile(name)
		if err != nil {
			return "", err
		}
		pad := strings.Repeat(" ", indent)
		full := pad + strings.ReplaceAll(string(data), "\n", "\n"+pad)
		short := pad + mark + name
		if folding {
			text = strings.ReplaceAll(text, full, short)
		} else {
			text = strings.ReplaceAll(text, short, full)
		}
	}
	return text, nil
}

// Objects are what a variant installs.
func Objects(variant string) ([]*unstructured.Unstructured, error) {
	text, err := files.ReadFile(renderedFile(variant))
	if err != nil {
		return nil, err
	}
	full, err := unfold(string(text))
	if err != nil {
		return nil, err
	}
	objects, err := decode(strings.NewReader(full))
	if err != nil {
		return nil, fmt.Errorf("charts: %s: %w", variant, err)
	}
	return objects, nil
}

func renderedFile(variant string) string { return "testdata/rendered/" + variant + ".yaml" }

// decode reads all documents of a YAML stream, but the empty ones.
func decode(r io.Reader) ([]*unstructured.Unstructured, error) {
	const buffer = 64 << 10
	decoder := yaml.NewYAMLOrJSONDecoder(r, buffer)
	var objects []*unstructured.Unstructured
	for {
		var object map[string]any
		err := decoder.Decode(&object)
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, err
		}
		if len(object) > 0 {
			objects = append(objects, &unstructured.Unstructured{Object: object})
		}
	}
}

// Container is what a variant runs.
type Container struct {
	// Variant is the name of its values.
	Variant string
	// Args are its arguments.
	Args []string
	// Env are its variables; the value of one that Kubernetes fills in is "".
	Env map[string]string
}

// Containers are the containers of that name in all variants: "master" or "agent".
func Containers(name string) ([]Container, error) {
	variants, err := Variants()
	if err != nil {
		return nil, err
	}
	var found []Container
	for _, variant := range variants {
		objects, err := Objects(variant)
		if err != nil {
			return nil, err
		}
		for _, o := range objects {
			if o.GetKind() != "Deployment" {
				continue
			}
			containers, err := containersOf(o)
			if err != nil {
				return nil, fmt.Errorf("charts: %s: %w", variant, err)
			}
			for _, c := range containers {
				if c.Name == name {
					found = append(found, Container{Variant: variant, Args: c.Args, Env: c.env()})
				}
			}
		}
	}
	return found, nil
}

// container is what is looked at of a container in a Deployment.
type container struct {
	Name string   `json:"name"`
	Args []string `json:"args"`
	Env  []struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	} `json:"env"`
}

func (c container) env() map[string]string {
	env := make(map[string]string, len(c.Env))
	for _, e := range c.Env {
		env[e.Name] = e.Value
	}
	return env
}

func containersOf(deployment *unstructured.Unstructured) ([]container, error) {
	list, _, err := unstructured.NestedSlice(deployment.Object, "spec", "template", "spec", "containers")
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(list)
	if err != nil {
		return nil, err
	}
	var containers []container
	return containers, json.Unmarshal(text, &containers)
}

// Config are the names of the flags that the values <component>.config take: of "master"
// or "agent", in camelCase, sorted.
func Config(component string) ([]string, error) {
	text, err := files.ReadFile("atlhyper/values.schema.json")
	if err != nil {
		return nil, err
	}
	type node struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	at := json.RawMessage(bytes.TrimSpace(text))
	for _, name := range []string{component, "config"} {
		var n node
		if err := json.Unmarshal(at, &n); err != nil {
			return nil, fmt.Errorf("charts: values.schema.json: %w", err)
		}
		at = n.Properties[name]
	}
	var config node
	if err := json.Unmarshal(at, &config); err != nil {
		return nil, fmt.Errorf("charts: values.schema.json: %s.config: %w", component, err)
	}
	return slices.Sorted(maps.Keys(config.Properties)), nil
}
