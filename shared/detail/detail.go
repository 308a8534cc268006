// Package detail holds the typed requests that a master sends to the agents of
// a cluster, one struct each, and what comes back beside the data. Both ends
// validate: the master so that nobody waits for a refusal, the agent because it
// does not trust what lies in Redis.
package detail

import (
	"errors"
	"fmt"
	"time"
	"unicode/utf8"
)

// Kind names a request on the wire.
type Kind string

// The kinds of requests.
const (
	KindNode       Kind = "node"
	KindNodeSeries Kind = "node_series"
	KindTraces     Kind = "traces"
	KindTrace      Kind = "trace"
	KindLogs       Kind = "logs"
	KindSLOSeries  Kind = "slo_series"
	KindSection    Kind = "section"
)

// Request is one typed request.
type Request interface {
	Kind() Kind
	// Validate names the parameter that is missing, malformed or out of bounds.
	Validate() error
}

// Meta is what a reply says beside its data.
type Meta struct {
	// WindowSeconds is the length of the time range that was read; 0 for none.
	WindowSeconds int64 `json:"windowSeconds,omitempty"`
	// NextCursor continues the list; "" at its end.
	NextCursor string `json:"nextCursor,omitempty"`
	// Truncated is true when the data was cut at its bound.
	Truncated bool `json:"truncated,omitempty"`
}

// Bounds of what a request may hold.
const (
	MaxRange     = 30 * 24 * time.Hour // default of the masters' max_range; the agents' hard bound is MaxRangeHard
	MaxRangeHard = 366 * 24 * time.Hour
	MaxText      = 1024 // bytes of any text parameter
	MaxCursor    = 512
	MaxOffset    = 10_000
	MaxPoints    = 11_000 // of one series, as in Prometheus
)

// Range is a half-open time range [Start, End) in Unix milliseconds.
type Range struct {
	Start int64 `json:"start"`
	End   int64 `json:"end"`
}

// NewRange is the range from start to end.
func NewRange(start, end time.Time) Range {
	return Range{Start: start.UnixMilli(), End: end.UnixMilli()}
}

// StartTime returns the inclusive start.
func (r Range) StartTime() time.Time { return time.UnixMilli(r.Start).UTC() }

// EndTime returns the exclusive end.
func (r Range) EndTime() time.Time { return time.UnixMilli(r.End).UTC() }

// Duration returns the length.
func (r Range) Duration() time.Duration { return time.Duration(r.End-r.Start) * time.Millisecond }

// latestMilli keeps times inside what DateTime64(9) can hold (until 2262).
const latestMilli = int64(9_000_000_000_000)

func (r Range) validate() error {
	switch {
	case r.Start < 0 || r.End > latestMilli:
		return errors.New("time range: start_time and end_time must lie between 1970 and 2255")
	case r.End <= r.Start:
		return errors.New("time range: end_time must be after start_time")
	case r.Duration() > MaxRangeHard:
		return fmt.Errorf("time range: %s is more than %s", r.Duration(), MaxRangeHard)
	}
	return nil
}

// text checks one text parameter: bounded, valid UTF-8, and there if required.
func text(name, value string, required bool) error {
	switch {
	case required && value == "":
		return fmt.Errorf("%s: is required", name)
	case len(value) > MaxText:
		return fmt.Errorf("%s: %d bytes are more than %d", name, len(value), MaxText)
	case !utf8.ValidString(value):
		return fmt.Errorf("%s: is not valid UTF-8", name)
	}
	return nil
}

func between(name string, value, low, high int64) error {
	if value < low || value > high {
		return fmt.Errorf("%s: %d is not between %d and %d", name, value, low, high)
	}
	return nil
}

// first returns the first error: users mend one parameter at a time.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
