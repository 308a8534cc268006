package telemetry

import (
	"fmt"
	"time"
)

// field ties a column to where a row keeps it. Pointers serve both ways: the
// decoder scans into them and the inserter reads what they point at.
type field struct {
	column string
	ptr    any
}

// wire is a row in the shape of its table: nested columns are parallel arrays.
type wire interface {
	// fields lists the columns in the order of the table. The pointers stay the
	// same over the life of the wire.
	fields() []field
	// pack fills the parallel arrays from the row, before an insert.
	pack()
	// unpack fills the row from the parallel arrays, after a scan.
	unpack() error
}

// plain is embedded by the wires of tables without nested columns.
type plain struct{}

func (plain) pack()         {}
func (plain) unpack() error { return nil }

type traceTimesWire struct {
	plain
	*TraceTimes
}

func (w *traceTimesWire) fields() []field {
	return []field{{"TraceId", &w.TraceID}, {"Start", &w.Start}, {"End", &w.End}}
}

type logWire struct {
	plain
	*LogRecord
}

func (w *logWire) fields() []field {
	return []field{
		{"Timestamp", &w.Timestamp},
		{"TraceId", &w.TraceID},
		{"SpanId", &w.SpanID},
		{"TraceFlags", &w.TraceFlags},
		{"SeverityText", &w.SeverityText},
		{"SeverityNumber", &w.SeverityNumber},
		{"ServiceName", &w.ServiceName},
		{"Body", &w.Body},
		{"ResourceSchemaUrl", &w.ResourceSchemaURL},
		{"ResourceAttributes", &w.Resource},
		{"ScopeSchemaUrl", &w.ScopeSchemaURL},
		{"ScopeName", &w.ScopeName},
		{"ScopeVersion", &w.ScopeVersion},
		{"ScopeAttributes", &w.ScopeAttributes},
		{"LogAttributes", &w.Attributes},
		{"EventName", &w.EventName},
	}
}

type spanWire struct {
	*Span
	duration   uint64
	eventTimes []time.Time
	eventNames []string
	eventAttrs []Attributes
	linkTraces []string
	linkSpans  []string
	linkStates []string
	linkAttrs  []Attributes
}

func (w *spanWire) fields() []field {
	return []field{
		{"Timestamp", &w.Timestamp},
		{"TraceId", &w.TraceID},
		{"SpanId", &w.SpanID},
		{"ParentSpanId", &w.ParentSpanID},
		{"TraceState", &w.TraceState},
		{"SpanName", &w.Name},
		{"SpanKind", &w.Kind},
		{"ServiceName", &w.ServiceName},
		{"ResourceAttributes", &w.Resource},
		{"ScopeName", &w.ScopeName},
		{"ScopeVersion", &w.ScopeVersion},
		{"SpanAttributes", &w.Attributes},
		{"Duration", &w.duration},
		{"StatusCode", &w.StatusCode},
		{"StatusMessage", &w.StatusText},
		{"Events.Timestamp", &w.eventTimes},
		{"Events.Name", &w.eventNames},
		{"Events.Attributes", &w.eventAttrs},
		{"Links.TraceId", &w.linkTraces},
		{"Links.SpanId", &w.linkSpans},
		{"Links.TraceState", &w.linkStates},
		{"Links.Attributes", &w.linkAttrs},
	}
}

func (w *spanWire) pack() {
	w.duration = uint64(max(w.Duration, 0)) //nolint:gosec // not negative
	for _, e := range w.Events {
		w.eventTimes = append(w.eventTimes, e.Timestamp)
		w.eventNames = append(w.eventNames, e.Name)
		w.eventAttrs = append(w.eventAttrs, e.Attributes)
	}
	for _, l := range w.Links {
		w.linkTraces = append(w.linkTraces, l.TraceID)
		w.linkSpans = append(w.linkSpans, l.SpanID)
		w.linkStates = append(w.linkStates, l.TraceState)
		w.linkAttrs = append(w.linkAttrs, l.Attributes)
	}
}

func (w *spanWire) unpack() error {
	w.Duration = time.Duration(w.duration) //nolint:gosec // nanoseconds of a span
	if err := sameLength("Events", len(w.eventTimes), len(w.eventNames), len(w.eventAttrs)); err != nil {
		return err
	}
	for i := range w.eventTimes {
		w.Events = append(w.Events, SpanEvent{w.eventTimes[i].UTC(), w.eventNames[i], w.eventAttrs[i]})
	}
	if err := sameLength("Links", len(w.linkTraces), len(w.linkSpans), len(w.linkStates), len(w.linkAttrs)); err != nil {
		return err
	}
	for i := range w.linkTraces {
		w.Links = append(w.Links, SpanLink{w.linkTraces[i], w.linkSpans[i], w.linkStates[i], w.linkAttrs[i]})
	}
	return nil
}

// sameLength checks the arrays of a nested column against each other.
func sameLength(column string, lengths ...int) error {
	for _, n := range lengths {
		if n != lengths[0] {
			return fmt.Errorf("nested column %s: arrays of different lengths %v", column, lengths)
		}
	}
	return nil
}
