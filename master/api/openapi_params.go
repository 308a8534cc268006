package api

import (
	"fmt"
	"strings"

	"github.com/atlhyper/observe/master/openapi"
	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/fault"
)

func pathParameters() map[string]string {
	return map[string]string{
		"id":        "The cluster's id, or the trace's: 32 hexadecimal digits.",
		"name":      "What it is called.",
		"namespace": "The namespace that it lies in.",
	}
}

// queryParameters describes every parameter of a query by its name.
func (a *API) queryParameters() map[string]openapi.Parameter {
	text := func(description string) openapi.Parameter {
		return openapi.Parameter{Description: description, Schema: &openapi.Schema{Type: openapi.Types{"string"}, MaxLength: detail.MaxText}}
	}
	number := func(description string, low, high float64) openapi.Parameter {
		return openapi.Parameter{Description: description, Schema: &openapi.Schema{Type: openapi.Types{"integer"}, Minimum: &low, Maximum: &high}}
	}
	oneOf := func(description string, values ...any) openapi.Parameter {
		return openapi.Parameter{Description: description, Schema: &openapi.Schema{Type: openapi.Types{"string"}, Enum: values}}
	}
	duration := openapi.Parameter{
		Description: "Milliseconds of the whole trace.",
		Schema:      &openapi.Schema{Type: openapi.Types{"number"}, Minimum: new(0.0), Maximum: new(86_400_000.0)},
	}
	instant := openapi.Parameter{
		Description: "A time of RFC 3339; start_time and end_time go together, in place of a duration.",
		Schema:      &openapi.Schema{Type: openapi.Types{"string"}, Format: "date-time"},
	}
	cluster := text("The cluster.")
	cluster.Required = true
	cluster.Schema = &openapi.Schema{Type: openapi.Types{"string"}, Pattern: "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", MaxLength: 63}
	longest := FormatDuration(a.cfg.MaxRange)
	return map[string]openapi.Parameter{
		"cluster_id":     cluster,
		"time_range":     text("How far back the range goes that ends now: 15m, 6h, 7d; at most " + longest + ". For a dashboard, another one than its own is computed by the agent, which needs the role operator."),
		"since":          text("How far back the range goes that ends now: 15m, 6h, 7d; at most " + longest + "."),
		"start_time":     instant,
		"end_time":       instant,
		"minutes":        number("time_range in minutes.", 1, a.cfg.MaxRange.Minutes()),
		"timeout":        text(fmt.Sprintf("How long the caller waits: a duration, or seconds; by default %s, at most %s.", a.cfg.Timeout, a.cfg.MaxTimeout)),
		"metric":         text("The name of a metric, or one of cpu, memory, disk, network, load and temperature."),
		"step":           text("The distance of points: a duration in whole seconds, or seconds."),
		"interval":       text("The distance of points: a duration in whole seconds, or seconds."),
		"service":        text("The name of a service; where it says so, namespace/name."),
		"operation":      text("The name of a span."),
		"min_duration":   duration,
		"max_duration":   duration,
		"status_code":    {Description: "The HTTP status of a span.", Schema: &openapi.Schema{Type: openapi.Types{"string"}, Pattern: "^[1-5][0-9][0-9]$"}},
		"method":         text("The HTTP method of a span."),
		"has_error":      {Description: "Whether a span has failed.", Schema: &openapi.Schema{Type: openapi.Types{"boolean"}}},
		"sort":           oneOf("The order: the newest or the longest first.", string(detail.SortTime), string(detail.SortDuration)),
		"limit":          number("The most that one answer holds.", 1, 1000),
		"offset":         number("How many are left out before; not with cursor.", 0, detail.MaxOffset),
		"cursor":         text("meta.nextCursor of the answer before."),
		"sections":       text("Names of sections with commas between; all dashboards when it is absent."),
		"last_event_id":  text("The id of the last event that was seen, for those who cannot send the header Last-Event-ID."),
		"q":              text("A part of the name."),
		"namespace":      text("The namespace that objects lie in."),
		"label_selector": text("A label selector as kubectl takes it."),
		"query":          text("A part of the text, in upper or lower case."),
		"level":          text("TRACE, DEBUG, INFO, WARN, ERROR or FATAL."),
		"scope":          text("The name of the instrumentation scope."),
		"trace_id":       text("32 hexadecimal digits."),
		"span_id":        text("16 hexadecimal digits."),
	}
}

// unitOf tells the unit of a field by the end of its name, "" when it tells none.
func unitOf(name string) string {
	for _, unit := range []struct{ suffix, is string }{
		{"BytesPerSec", "bytes per second"},
		{"PerSec", "per second"},
		{"Bytes", "bytes"},
		{"Ms", "milliseconds"},
		{"Seconds", "seconds"},
		{"Pct", "percent, 0 to 100"},
		{"Bps", "bytes per second"},
		{"Hz", "hertz"},
		{"TempC", "degrees Celsius"},
		{"rps", "requests per second"},
		{"Rps", "requests per second"},
	} {
		if strings.HasSuffix(name, unit.suffix) {
			return unit.is
		}
	}
	return ""
}

func codeNames() []any {
	var names []any
	for _, code := range fault.Codes() {
		names = append(names, string(code))
	}
	return names
}
