package clickhouse

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// attributeMap are attributes by name, from a column of type Map or from the text
// of one of type JSON.
type attributeMap map[string]string

// Scan implements sql.Scanner.
func (m *attributeMap) Scan(src any) error {
	switch v := src.(type) {
	case map[string]string:
		*m = v
		return nil
	case string:
		flat, err := flattenJSON(v)
		*m = flat
		return err
	}
	return fmt.Errorf("attributes are %T, want a map of strings or JSON", src)
}

// attributeMaps are an array of attributes.
type attributeMaps []map[string]string

// Scan implements sql.Scanner.
func (m *attributeMaps) Scan(src any) error {
	switch v := src.(type) {
	case []map[string]string:
		*m = v
		return nil
	case []string:
		out := make(attributeMaps, len(v))
		for i, text := range v {
			flat, err := flattenJSON(text)
			if err != nil {
				return err
			}
			out[i] = flat
		}
		*m = out
		return nil
	}
	return fmt.Errorf("attributes are %T, want an array of maps of strings or of JSON", src)
}

// maxJSONDepth is how deep objects may lie in one another.
const maxJSONDepth = 1000

// flattenJSON turns what the exporter stores with json: true back into what it
// stores without: names with dots, which ClickHouse keeps as nested objects, and
// values as text, lists as JSON. A name may be both a value and the beginning of
// others.
func flattenJSON(text string) (map[string]string, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	out := make(map[string]string)
	if err := expect(d, json.Delim('{')); err != nil {
		return nil, err
	}
	if err := flattenObject(d, "", 1, out); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("attributes: text follows the JSON object")
	}
	return out, nil
}

func expect(d *json.Decoder, want json.Delim) error {
	token, err := d.Token()
	if err != nil {
		return fmt.Errorf("attributes: %w", err)
	}
	if token != want {
		return fmt.Errorf("attributes: %v where %v is wanted", token, want)
	}
	return nil
}

// flattenObject reads the rest of an object whose names begin with prefix.
func flattenObject(d *json.Decoder, prefix string, depth int, out map[string]string) error {
	if depth > maxJSONDepth {
		return fmt.Errorf("attributes: more than %d objects lie in one another", maxJSONDepth)
	}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return fmt.Errorf("attributes: %w", err)
		}
		name := prefix + token.(string) //nolint:forcetypeassert // the decoder lets no other key pass
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return fmt.Errorf("attributes: %s: %w", name, err)
		}
		if err := flattenValue(value, name, depth, out); err != nil {
			return err
		}
	}
	return expect(d, json.Delim('}'))
}

func flattenValue(value json.RawMessage, name string, depth int, out map[string]string) error {
	switch value[0] {
	case '{':
		nested := json.NewDecoder(bytes.NewReader(value))
		if err := expect(nested, json.Delim('{')); err != nil {
			return err
		}
		return flattenObject(nested, name+".", depth+1, out)
	case '"':
		var text string
		if err := json.Unmarshal(value, &text); err != nil {
			return fmt.Errorf("attributes: %s: %w", name, err)
		}
		out[name] = text
	case 'n': // null is what is not there
	default: // numbers, true, false, lists
		out[name] = string(value)
	}
	return nil
}
