package resources

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/tidwall/gjson"

	"github.com/atlhyper/observe/shared/model"
)

// gjson walks the JSON as it lies there and tells where values are. encoding/json needs a
// copy of each object, and three to seven times the processor time.

// elements calls element with each element of a list, up to an error.
func elements(list gjson.Result, element func(value gjson.Result) error) (err error) {
	if !list.IsArray() {
		return errors.New("is no list")
	}
	list.ForEach(func(_, value gjson.Result) bool {
		err = element(value)
		return err == nil
	})
	return err
}

// members calls member with each member of an object, up to an error, which it names.
func members(object gjson.Result, member func(name string, value gjson.Result) error) (err error) {
	if !object.IsObject() {
		return errors.New("is no object")
	}
	object.ForEach(func(name, value gjson.Result) bool {
		if err = member(name.Str, value); err != nil {
			err = fmt.Errorf("%.100s: %w", name.Str, err)
		}
		return err == nil
	})
	return err
}

func textOf(value gjson.Result) (string, error) {
	if value.Type != gjson.String {
		return "", errors.New("is no text")
	}
	return value.Str, nil
}

func nameOf(value gjson.Result) (string, error) {
	name, err := textOf(value)
	if err == nil && len(name) > maxName {
		return "", fmt.Errorf("is longer than %d bytes", maxName)
	}
	return name, err
}

// numberOf reads what is sorted by as a number.
func numberOf(value gjson.Result, of what) (n int64, err error) {
	switch of {
	case flag:
		if !value.IsBool() {
			return 0, errors.New("is neither true nor false")
		}
		if value.Bool() {
			n = 1
		}
		return n, nil
	case instant:
		at, err := textOf(value)
		if err != nil {
			return 0, err
		}
		t, err := model.Time(at).Parse()
		if err != nil {
			return 0, errors.New("is no time")
		}
		return micros(t), nil
	case length:
		err = elements(value, func(gjson.Result) error { n++; return nil })
		return n, err
	default:
		n, err = strconv.ParseInt(value.Raw, 10, 64) // gjson would round
		if err != nil {
			return 0, errors.New("is no whole number")
		}
		return n, nil
	}
}
