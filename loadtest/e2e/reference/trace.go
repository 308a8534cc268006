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
		SpanName: s.Name, SpanKind: "SPAN_KIND_" + strings.ToUpper(kind(s)), ServiceName: s.ServiceName,
		Duration: s.Duration.Nanoseconds(), DurationMs: ms(s.Duration),
		StatusCode: "STATUS_CODE_" + strings.ToUpper(status(s)), StatusMessage: s.StatusText,
		HTTP: httpOf(s), DB: dbOf(s), Resource: resourceOf(s), Events: []model.SpanEvent{}, Error: spanError(s),
	}
	for _, e := range s.Events {
		attributes := map[string]string{}
		maps.Copy(attributes, e.Attributes)
		out.Events = append(out.Events, model.SpanEvent{Timestamp: model.NewTime(e.Timestamp), Name: e.Name, Attributes: attributes})
	}
	return out
}

// Collectors before v0.109 wrote SPAN_KIND_SERVER for Server and
// STATUS_CODE_ERROR for Error.
func kind(s *telemetry.Span) string   { return short(s.Kind, "SPAN_KIND_") }
func status(s *telemetry.Span) string { return short(s.StatusCode, "STATUS_CODE_") }

func short(enum, prefix string) string {
	name, old := strings.CutPrefix(enum, prefix)
	if !old {
		return enum
	}
	return name[:1] + strings.ToLower(name[1:])
}

// oneOf is the first attribute that is there: semantic conventions renamed most
// of them once.
func oneOf(a telemetry.Attributes, names ...string) string {
	for _, name := range names {
		if a[name] != "" {
			return a[name]
		}
	}
	return ""
}

func method(s *telemetry.Span) string {
	return oneOf(s.Attributes, "http.request.method", "http.method")
}

func httpStatus(s *telemetry.Span) string {
	return oneOf(s.Attributes, "http.response.status_code", "http.status_code")
}

func httpOf(s *telemetry.Span) *model.SpanHTTP {
	a := s.Attributes
	if method(s) == "" {
		return nil
	}
	return &model.SpanHTTP{
		Method: method(s), Route: a["http.route"],
		URL:        oneOf(a, "url.full", "http.url", "url.path", "http.target"),
		StatusCode: whole(httpStatus(s)),
		Server:     oneOf(a, "server.address", "net.peer.name", "net.host.name"),
		ServerPort: whole(oneOf(a, "server.port", "net.peer.port", "net.host.port")),
	}
}

func dbOf(s *telemetry.Span) *model.SpanDB {
	a := s.Attributes
	system := oneOf(a, "db.system.name", "db.system")
	if system == "" {
		return nil
	}
	return &model.SpanDB{
		System: system, Name: oneOf(a, "db.namespace", "db.name"), Operation: oneOf(a, "db.operation.name", "db.operation"),
		Table: oneOf(a, "db.collection.name", "db.sql.table"), Statement: oneOf(a, "db.query.text", "db.statement"),
	}
}

func resourceOf(s *telemetry.Span) model.SpanResource {
	r := s.Resource
	return model.SpanResource{
		ServiceVersion: r["service.version"], InstanceID: r["service.instance.id"], PodName: r["k8s.pod.name"],
		NodeName: r["k8s.node.name"], DeploymentName: r["k8s.deployment.name"], NamespaceName: r["k8s.namespace.name"],
		ClusterName: r["k8s.cluster.name"],
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
