package api_test

import (
	"reflect"

	"github.com/atlhyper/observe/shared/model"
)

// empty is the zero value of a type, without null lists.
func empty(t any) any { return made(t, false) }

// full has every field set, every list with an element.
func full(t any) any { return made(t, true) }

func made(t any, fill bool) any {
	of, ok := t.(reflect.Type)
	if !ok || of == nil {
		return nil
	}
	value := reflect.New(of).Elem()
	if of.Kind() == reflect.Slice {
		value.Set(reflect.MakeSlice(of, 0, 1))
	}
	if fill {
		fillIn(value)
	}
	return value.Interface()
}

// fillIn sets a value and what is inside of it; names are x, so that objects are found.
func fillIn(v reflect.Value) {
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64, reflect.Int32:
		v.SetInt(7)
	case reflect.Float64:
		v.SetFloat(0.5)
	case reflect.String:
		v.SetString("x")
		if v.Type() == reflect.TypeFor[model.Time]() {
			v.SetString("2026-03-01T12:00:00Z")
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillIn(v.Elem())
	case reflect.Slice:
		element := reflect.New(v.Type().Elem()).Elem()
		fillIn(element)
		v.Set(reflect.Append(reflect.MakeSlice(v.Type(), 0, 1), element))
	case reflect.Map:
		keyed, element := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fillIn(keyed)
		fillIn(element)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(keyed, element)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fillIn(v.Field(i))
			}
		}
	}
}
