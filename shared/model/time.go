// Package model holds what goes over the wire: the values of the sections that
// agents write into Redis and of the replies to detail commands, which masters
// return over HTTP as `data`. One tag set serves msgpack and JSON (msgpack is
// told to read the json tags), so a map key in Redis is the JSON name.
//
// Lists are never null on the wire and floats are never NaN or infinite;
// shared/codec sees to both. The package imports only the standard library.
package model

import (
	"fmt"
	"time"
)

// Time is an instant as RFC 3339 text in UTC with up to nine fractional digits,
// as it stands in Redis and in JSON. It is a string because stock cmsgpack in
// Redis reads neither msgpack's timestamp extension nor binary values. The zero
// value "" means that there is no time.
type Time string

// NewTime formats t in UTC; the zero time becomes "".
func NewTime(t time.Time) Time {
	if t.IsZero() {
		return ""
	}
	return Time(t.UTC().Format(time.RFC3339Nano))
}

// Parse returns the instant; "" gives the zero time without an error.
func (t Time) Parse() (time.Time, error) {
	if t == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339Nano, string(t))
	if err != nil {
		return time.Time{}, fmt.Errorf("parse time: %w", err)
	}
	return at, nil
}
