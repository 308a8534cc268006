// Package codec turns values of shared/model and of the command bus into msgpack
// and back, and msgpack into JSON without knowing its schema. It is the only
// importer of msgpack.
//
// What Encode writes can be read by anyone with stock Redis
// (cjson.encode(cmsgpack.unpack(…))): map keys are the JSON names, there are no
// extension types, no binary values, no NaN or Inf, and lists are never nil.
package codec

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/vmihailenco/msgpack/v5"
)

// Raw is one msgpack value that is encoded already; Encode embeds it as it is
// and Decode keeps its bytes. An empty Raw is nil on the wire.
type Raw = msgpack.RawMessage

// significantDigits of a float64 on the wire: what stock cjson prints (%.14g),
// so that redis-cli and the API show the same number. It also keeps the noise of
// the last bits from making an unchanged section look changed.
const significantDigits = 14

// Encode returns v as msgpack. Structs become maps by their json tags
// (omitempty is heeded), integers take the fewest bytes, map keys are sorted, so
// equal values have equal bytes. Nil slices and maps become empty ones, nil
// pointers and interfaces nil. NaN and Inf, binary values other than Raw and
// types without a JSON counterpart are errors that name the path.
func Encode(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := msgpack.NewEncoder(&buf)
	enc.UseCompactInts(true)
	e := encoder{enc: enc, fields: make(map[reflect.Type][]field)}
	if err := e.value("", reflect.ValueOf(v)); err != nil {
		return nil, fmt.Errorf("encode %T: %w", v, err)
	}
	return buf.Bytes(), nil
}

type encoder struct {
	enc    *msgpack.Encoder
	fields map[reflect.Type][]field // of the struct types met so far
}

// field is one struct field on the wire.
type field struct {
	index     int
	name      string
	omitEmpty bool
}

func (e *encoder) value(path string, v reflect.Value) error {
	if !v.IsValid() {
		return e.enc.EncodeNil()
	}
	if raw, ok := v.Interface().(Raw); ok {
		return e.raw(path, raw)
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return e.enc.EncodeNil()
		}
		return e.value(path, v.Elem())
	case reflect.Struct:
		return e.structure(path, v)
	case reflect.Slice, reflect.Array:
		return e.list(path, v)
	case reflect.Map:
		return e.mapping(path, v)
	default:
		return e.scalar(path, v)
	}
}

func (e *encoder) scalar(path string, v reflect.Value) error {
	switch {
	case v.Kind() == reflect.String:
		return e.enc.EncodeString(strings.ToValidUTF8(v.String(), "\uFFFD"))
	case v.Kind() == reflect.Bool:
		return e.enc.EncodeBool(v.Bool())
	case v.CanInt():
		return e.enc.EncodeInt(v.Int())
	case v.CanUint():
		return e.enc.EncodeUint(v.Uint())
	case v.CanFloat():
		return e.float(path, v.Float())
	}
	return fmt.Errorf("%s: type %s has no place on the wire", where(path), v.Type())
}

func (e *encoder) float(path string, f float64) error {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return fmt.Errorf("%s: %v has no place on the wire", where(path), f)
	}
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(f, 'g', significantDigits, 64), 64)
	if err != nil {
		return fmt.Errorf("%s: round %v: %w", where(path), f, err)
	}
	return e.enc.EncodeFloat64(rounded)
}

func (e *encoder) raw(path string, raw Raw) error {
	if len(raw) == 0 {
		return e.enc.EncodeNil()
	}
	if err := check(raw); err != nil {
		return fmt.Errorf("%s: raw value: %w", where(path), err)
	}
	return e.enc.Encode(raw)
}

func (e *encoder) structure(path string, v reflect.Value) error {
	fields, err := e.fieldsOf(v.Type())
	if err != nil {
		return fmt.Errorf("%s: %w", where(path), err)
	}
	n := 0
	for _, f := range fields {
		if !f.omitEmpty || !empty(v.Field(f.index)) {
			n++
		}
	}
	if err := e.enc.EncodeMapLen(n); err != nil {
		return err
	}
	for _, f := range fields {
		if f.omitEmpty && empty(v.Field(f.index)) {
			continue
		}
		if err := e.enc.EncodeString(f.name); err != nil {
			return err
		}
		if err := e.value(path+"."+f.name, v.Field(f.index)); err != nil {
			return err
		}
	}
	return nil
}

func (e *encoder) list(path string, v reflect.Value) error {
	if v.Type().Elem().Kind() == reflect.Uint8 {
		return fmt.Errorf("%s: binary values have no place on the wire", where(path))
	}
	if err := e.enc.EncodeArrayLen(v.Len()); err != nil {
		return err
	}
	for i := range v.Len() {
		if err := e.value(path+"["+strconv.Itoa(i)+"]", v.Index(i)); err != nil {
			return err
		}
	}
	return nil
}

func (e *encoder) mapping(path string, v reflect.Value) error {
	if v.Type().Key().Kind() != reflect.String {
		return fmt.Errorf("%s: keys of type %s have no place on the wire", where(path), v.Type().Key())
	}
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return cmp.Compare(a.String(), b.String()) })
	if err := e.enc.EncodeMapLen(len(keys)); err != nil {
		return err
	}
	for _, k := range keys {
		if err := e.scalar(path, k); err != nil {
			return err
		}
		if err := e.value(path+"."+k.String(), v.MapIndex(k)); err != nil {
			return err
		}
	}
	return nil
}

// fieldsOf reads the json tags of a struct type, once per Encode.
func (e *encoder) fieldsOf(t reflect.Type) ([]field, error) {
	if known, ok := e.fields[t]; ok {
		return known, nil
	}
	var fields []field
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || name == "-" {
			continue
		}
		if name == "" {
			return nil, fmt.Errorf("field %s.%s has no json name", t, f.Name)
		}
		fields = append(fields, field{index: i, name: name, omitEmpty: options == "omitempty"})
	}
	e.fields[t] = fields
	return fields, nil
}

// empty is what encoding/json means by omitempty.
func empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice, reflect.Map, reflect.Array:
		return v.Len() == 0
	case reflect.Struct:
		return false
	default:
		return v.IsZero()
	}
}

func where(path string) string {
	if path == "" {
		return "value"
	}
	return strings.TrimPrefix(path, ".")
}
