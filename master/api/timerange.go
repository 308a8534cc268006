package api

import (
	"errors"
	"fmt"
	"time"

	"github.com/atlhyper/observe/shared/detail"
)

const (
	// defaultRange is read when a request says nothing about time.
	defaultRange = time.Hour
	// minRange is the shortest time range.
	minRange = time.Second
	// minGrid is the grid of requests whose results are not shared.
	minGrid = time.Second
)

// timeRange is what a request says about time.
type timeRange struct {
	detail.Range
	given    bool // false: the default
	relative bool // it ends now
}

// rangeText is how a request says it: a duration that ends now, or both ends.
type rangeText struct {
	name       string // of the duration: time_range, since
	duration   string
	start, end string
}

var (
	errOneEnd = errors.New("start_time, end_time: give both or neither")
	errEmpty  = errors.New("start_time, end_time: end_time must be after start_time")
)

// timeRange reads time_range, start_time and end_time.
func (p *params) timeRange() timeRange {
	return p.resolve(rangeText{"time_range", p.text("time_range"), p.text("start_time"), p.text("end_time")})
}

// minutesOrRange is timeRange with the older parameter minutes beside it.
func (p *params) minutesOrRange() timeRange {
	text := rangeText{"time_range", p.text("time_range"), p.text("start_time"), p.text("end_time")}
	if minutes := p.integer("minutes", 0, 1, int64(p.maxRange/time.Minute)); minutes != 0 {
		if text.duration != "" {
			p.fail("minutes", "cannot be given together with time_range")
		}
		text.name, text.duration = "minutes", fmt.Sprintf("%dm", minutes)
	}
	return p.resolve(text)
}

func (p *params) resolve(text rangeText) timeRange {
	r, err := text.resolve(p.now(p.cluster), p.maxRange, p.grid)
	p.check(err)
	return r
}

// resolve returns the range that the text means; errors name the parameter.
// What ends now ends at the last step of the grid: callers who ask for the same
// within a step then ask the same, and share one run.
func (t rangeText) resolve(now time.Time, maxRange, grid time.Duration) (timeRange, error) {
	absolute := t.start != "" || t.end != ""
	switch {
	case absolute && t.duration != "":
		return timeRange{}, fmt.Errorf("%s: cannot be given together with start_time and end_time", t.name)
	case absolute:
		return t.between(maxRange)
	}
	length := min(defaultRange, maxRange)
	if t.duration != "" {
		d, err := ParseDuration(t.duration)
		if err != nil {
			return timeRange{}, fmt.Errorf("%s: %.40q %w", t.name, t.duration, err)
		}
		if d < minRange || d > maxRange {
			return timeRange{}, fmt.Errorf("%s: %s is not between %s and %s",
				t.name, FormatDuration(d), FormatDuration(minRange), FormatDuration(maxRange))
		}
		length = d
	}
	end := now.Truncate(max(grid, minGrid))
	return timeRange{Range: detail.NewRange(end.Add(-length), end), given: t.duration != "", relative: true}, nil
}

func (t rangeText) between(maxRange time.Duration) (timeRange, error) {
	if t.start == "" || t.end == "" {
		return timeRange{}, errOneEnd
	}
	start, err := parseTime("start_time", t.start)
	if err != nil {
		return timeRange{}, err
	}
	end, err := parseTime("end_time", t.end)
	if err != nil {
		return timeRange{}, err
	}
	// Ends that differ by less than a millisecond are equal on the wire.
	if !end.After(start) || end.UnixMilli() == start.UnixMilli() {
		return timeRange{}, errEmpty
	}
	if length := end.Sub(start); length > maxRange {
		return timeRange{}, fmt.Errorf("start_time, end_time: %s is more than %s",
			FormatDuration(length.Truncate(time.Second)), FormatDuration(maxRange))
	}
	return timeRange{Range: detail.NewRange(start, end), given: true}, nil
}

func parseTime(name, text string) (time.Time, error) {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("%s: %.40q is no RFC 3339 time such as 2026-01-02T15:04:05Z", name, text)
	}
	return at, nil
}
