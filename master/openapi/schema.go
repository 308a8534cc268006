package openapi

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Schema is one of JSON Schema 2020-12, as far as our types need it. The zero Schema
// allows everything.
type Schema struct {
	Ref         string             `json:"$ref,omitempty"`
	Type        Types              `json:"type,omitempty"`
	Description string             `json:"description,omitempty"`
	Const       any                `json:"const,omitempty"`
	Enum        []any              `json:"enum,omitempty"`
	Default     any                `json:"default,omitempty"`
	Format      string             `json:"format,omitempty"`
	Pattern     string             `json:"pattern,omitempty"`
	Minimum     *float64           `json:"minimum,omitempty"`
	Maximum     *float64           `json:"maximum,omitempty"`
	MaxLength   int                `json:"maxLength,omitempty"`
	Items       *Schema            `json:"items,omitempty"`
	Properties  map[string]*Schema `json:"properties,omitempty"`
	Required    []string           `json:"required,omitempty"`
	// Additional is the schema of the values of a map.
	Additional *Schema   `json:"additionalProperties,omitempty"`
	AnyOf      []*Schema `json:"anyOf,omitempty"`
}

// Types are the JSON types that a value may have: one is written as a text.
type Types []string

// MarshalJSON implements json.Marshaler.
func (t Types) MarshalJSON() ([]byte, error) {
	if len(t) == 1 {
		return json.Marshal(t[0])
	}
	return json.Marshal([]string(t))
}

// Schemas makes the schemas of Go types. Structs become components, which others refer to
// by the name of the type.
type Schemas struct {
	Components map[string]*Schema
	// Describe says what a field holds that the type does not tell, "" for nothing: its
	// unit, by its name in JSON.
	Describe func(name string) string
	// Known are schemas that types have whatever their fields.
	Known map[reflect.Type]*Schema

	types map[string]reflect.Type // by name of the component
}

// NewSchemas returns Schemas without any component.
func NewSchemas(describe func(name string) string, known map[reflect.Type]*Schema) *Schemas {
	return &Schemas{Components: map[string]*Schema{}, Describe: describe, Known: known, types: map[string]reflect.Type{}}
}

// Of returns the schema of a type as encoding/json writes it, except that no list is ever
// null. It panics for what JSON cannot hold, and for two types with the same name.
func (s *Schemas) Of(t reflect.Type) *Schema {
	if known := s.Known[t]; known != nil {
		return known
	}
	switch t.Kind() {
	case reflect.Bool:
		return &Schema{Type: Types{"boolean"}}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return &Schema{Type: Types{"integer"}}
	case reflect.Float32, reflect.Float64:
		return &Schema{Type: Types{"number"}}
	case reflect.String:
		return &Schema{Type: Types{"string"}}
	case reflect.Slice:
		return &Schema{Type: Types{"array"}, Items: s.Of(t.Elem())}
	case reflect.Map:
		return &Schema{Type: Types{"object"}, Additional: s.Of(t.Elem())}
	case reflect.Pointer:
		return s.Of(t.Elem())
	case reflect.Struct:
		return s.component(t)
	default:
		panic("openapi: JSON holds no " + t.String())
	}
}

// component returns a reference to the schema of a struct.
func (s *Schemas) component(t reflect.Type) *Schema {
	first, size := utf8.DecodeRuneInString(t.Name())
	name := string(unicode.ToUpper(first)) + t.Name()[size:]
	switch before := s.types[name]; before {
	case t:
	case nil:
		s.types[name] = t
		made := &Schema{Type: Types{"object"}, Properties: map[string]*Schema{}}
		s.Components[name] = made // before its fields: one may refer to it
		s.fields(made, t, false)
	default:
		panic(fmt.Sprintf("openapi: %s and %s would both be %s", before, t, name))
	}
	return Ref(name)
}

// Ref refers to a component.
func Ref(name string) *Schema { return &Schema{Ref: "#/components/schemas/" + name} }

// fields adds those of a struct. What it embeds lies beside its own, and may be missing
// as a whole when it is embedded by pointer.
func (s *Schemas) fields(to *Schema, t reflect.Type, optional bool) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			embedded := f.Type
			if embedded.Kind() == reflect.Pointer {
				embedded = embedded.Elem()
			}
			s.fields(to, embedded, optional || f.Type.Kind() == reflect.Pointer)
			continue
		case name == "-" || !f.IsExported():
			continue
		case name == "":
			name = f.Name
		}
		omitted := strings.Contains(options, "omitempty") || strings.Contains(options, "omitzero")
		to.Properties[name] = s.field(name, f.Type, omitted)
		if !omitted && !optional {
			to.Required = append(to.Required, name)
		}
	}
}

// field is the schema of a field: null stands for a nil pointer that is not left out.
func (s *Schemas) field(name string, t reflect.Type, omitted bool) *Schema {
	schema := s.Of(t)
	if t.Kind() == reflect.Pointer && !omitted {
		schema = Nullable(schema)
	}
	if what := s.Describe(name); what != "" && (schema.Ref == "" && schema.Description == "") {
		described := *schema
		described.Description = what
		schema = &described
	}
	return schema
}

// Nullable allows null, too.
func Nullable(schema *Schema) *Schema {
	if schema.Ref != "" {
		return &Schema{AnyOf: []*Schema{schema, {Type: Types{"null"}}}}
	}
	nullable := *schema
	nullable.Type = append(Types{}, schema.Type...)
	nullable.Type = append(nullable.Type, "null")
	return &nullable
}
