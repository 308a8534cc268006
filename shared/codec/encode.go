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
	if err := e.value(reflect.ValueOf(v)); err != nil {
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

func (e *encoder) value(v reflect.Value) error {
	if !v.IsValid() {
		return e.enc.EncodeNil()
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return e.enc.EncodeNil()
		}
		return e.value(v.Elem())
	case reflect.Struct:
		return e.structure(v)
	case reflect.Slice, reflect.Array:
		if v.Type() == reflect.TypeFor[Raw]() {
			return e.raw(v.Bytes())
		}
		return e.list(v)
	case reflect.Map:
		return e.mapping(v)
	default:
		return e.scalar(v)
	}
}

func (e *encoder) scalar(v reflect.Value) error {
	switch {
	case v.Kind() == reflect.String:
		return e.enc.EncodeString(validUTF8(v.String()))
	case v.Kind() == reflect.Bool:
		return e.enc.EncodeBool(v.Bool())
	case v.CanInt():
		return e.enc.EncodeInt(v.Int())
	case v.CanUint():
		return e.enc.EncodeUint(v.Uint())
	case v.CanFloat():
		return e.float(v.Float())
	}
	return refuse("type %s has no place on the wire", v.Type())
}

func (e *encoder) float(f float64) error {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return refuse("%v has no place on the wire", f)
	}
	rounded, err := round(f)
	if err != nil {
		return refuse("round %v: %w", f, err)
	}
	// A whole number is written as an integer: one byte for the zeros that most errors
	// and drops are, instead of nine. Its JSON is the same, and it reads into a float64.
	if whole(rounded) {
		return e.enc.EncodeInt(int64(rounded))
	}
	return e.enc.EncodeFloat64(rounded)
}

// whole tells whether f is a number that an integer of at most 14 digits says as well;
// -0 is none.
func whole(f float64) bool {
	return math.Abs(f) < 1e14 && f == math.Trunc(f) && (f != 0 || !math.Signbit(f))
}

// round returns the float64 nearest to f's first significant digits.
func round(f float64) (float64, error) {
	if math.Abs(f) < 1e14 && f == math.Trunc(f) { // has no more digits than that
		return f, nil
	}
	var buf [32]byte
	return strconv.ParseFloat(string(strconv.AppendFloat(buf[:0], f, 'g', significantDigits, 64)), 64)
}

func (e *encoder) raw(raw Raw) error {
	if len(raw) == 0 {
		return e.enc.EncodeNil()
	}
	if err := check(raw); err != nil {
		return refuse("raw value: %w", err)
	}
	return e.enc.Encode(raw)
}

func (e *encoder) structure(v reflect.Value) error {
	fields, err := e.fieldsOf(v.Type())
	if err != nil {
		return refuse("%w", err)
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
		if err := e.value(v.Field(f.index)); err != nil {
			return within(err, "."+f.name)
		}
	}
	return nil
}

func (e *encoder) list(v reflect.Value) error {
	if v.Type().Elem().Kind() == reflect.Uint8 {
		return refuse("binary values have no place on the wire")
	}
	if err := e.enc.EncodeArrayLen(v.Len()); err != nil {
		return err
	}
	for i := range v.Len() {
		if err := e.value(v.Index(i)); err != nil {
			return within(err, "["+strconv.Itoa(i)+"]")
		}
	}
	return nil
}

func (e *encoder) mapping(v reflect.Value) error {
	if v.Type().Key().Kind() != reflect.String {
		return refuse("keys of type %s have no place on the wire", v.Type().Key())
	}
	pairs := pairsOf(v)
	if err := e.enc.EncodeMapLen(len(pairs)); err != nil {
		return err
	}
	for _, p := range pairs {
		if err := e.enc.EncodeString(p.name); err != nil {
			return err
		}
		if err := e.value(p.value); err != nil {
			return within(err, "."+p.name)
		}
	}
	return nil
}

// pair is one entry of a map on the wire.
type pair struct {
	key, name string // as it was, and as valid UTF-8
	value     reflect.Value
}

// pairsOf returns the entries of a map by name. Of keys that differ only in
// bytes that are no UTF-8, the last counts.
func pairsOf(v reflect.Value) []pair {
	pairs := make([]pair, 0, v.Len())
	for k, value := range v.Seq2() {
		pairs = append(pairs, pair{key: k.String(), name: validUTF8(k.String()), value: value})
	}
	slices.SortFunc(pairs, func(a, b pair) int {
		return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(b.key, a.key))
	})
	return slices.CompactFunc(pairs, func(a, b pair) bool { return a.name == b.name })
}

func validUTF8(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

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
