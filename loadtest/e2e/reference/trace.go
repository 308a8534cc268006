package reference

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/atlhyper/observe/loadtest/telemetry"
	"github.com/atlhyper/observe/shared/model"
)

// Trace is a whole trace, spans by start; false when there is none.
func (d *Data) Trace(id string) (model.Trace, bool) {
	spans := d.traces()[id]
	if len(spans) == 0 {
		return model.Trace{}, false
	}
	t := model.Trace{TraceID: id, DurationMs: ms(wholeDuration(spans)), SpanCount: int64(len(spans))}
	services := map[string]bool{}
	for _, s := range spans {
		services[s.ServiceName] = true
		t.Spans = append(t.Spans, spanOf(s))
	}
	t.ServiceCount = int64(len(services))
	return t, true
}

// TraceIDs lists all traces.
func (d *Data) TraceIDs() []string { return slices.Sorted(maps.Keys(d.traces())) }

func spanOf(s *telemetry.Span) model.Span {
	out := model.Span{
		Timestamp: model.NewTime(s.Timestamp), TraceID: s.TraceID, SpanID: s.SpanID, ParentSpanID: s.ParentSpanID,
		SpanName: s.Name, SpanKind: "SPAN_KIND_" + strings.ToUpper(s.Kind), ServiceName: s.ServiceName,
		Duration: s.Duration.Nanoseconds(), DurationMs: ms(s.Duration),
		StatusCode: "STATUS_CODE_" + strings.ToUpper(s.StatusCode), StatusMessage: s.StatusText,
		HTTP: httpOf(s), DB: dbOf(s), Events: []model.SpanEvent{}, Error: spanError(s),
	}
	for _, e := range s.Events {
		attributes := map[string]string{}
		maps.Copy(attributes, e.Attributes)
		out.Events = append(out.Events, model.SpanEvent{Timestamp: model.NewTime(e.Timestamp), Name: e.Name, Attributes: attributes})
	}
	return out
}

// httpOf reads the current semantic conventions, which all of the capture has.
func httpOf(s *telemetry.Span) *model.SpanHTTP {
	a := s.Attributes
	if a["http.request.method"] == "" {
		return nil
	}
	url := a["url.full"]
	if url == "" {
		url = a["url.path"]
	}
	return &model.SpanHTTP{
		Method: a["http.request.method"], Route: a["http.route"], URL: url,
		StatusCode: whole(a["http.response.status_code"]), Server: a["server.address"], ServerPort: whole(a["server.port"]),
	}
}

func dbOf(s *telemetry.Span) *model.SpanDB {
	a := s.Attributes
	if a["db.system.name"] == "" {
		return nil
	}
	return &model.SpanDB{
		System: a["db.system.name"], Name: a["db.namespace"], Operation: a["db.operation.name"],
		Table: a["db.collection.name"], Statement: a["db.query.text"],
	}
}

// spanError is the exception event of a failed span, or its status.
func spanError(s *telemetry.Span) *model.SpanError {
	for _, e := range s.Events {
		if e.Name == "exception" {
			return &model.SpanError{
				Type: e.Attributes["exception.type"], Message: e.Attributes["exception.message"],
				Stacktrace: e.Attributes["exception.stacktrace"],
			}
		}
	}
	if failed(s) {
		return &model.SpanError{Message: s.StatusText}
	}
	return nil
}

// whole is a number in a text attribute; 0 when it is none.
func whole(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return n
}
