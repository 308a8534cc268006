package clickhouse

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/atlhyper/observe/shared/model"
)

// spanRow is a row of the statement trace_spans.
type spanRow struct {
	start, duration                 int64 // ns
	id, parent, name, kind, service string
	statusCode, statusMessage       string
	resource, attributes            attributeMap
	eventTimes                      []int64 // ns
	eventNames                      []string
	eventAttributes                 attributeMaps
}

func scanSpan(rows driver.Rows) (spanRow, error) {
	var r spanRow
	err := rows.Scan(&r.start, &r.id, &r.parent, &r.name, &r.kind, &r.service, &r.duration,
		&r.statusCode, &r.statusMessage, &r.resource, &r.attributes,
		&r.eventTimes, &r.eventNames, &r.eventAttributes)
	return r, err
}

func (r *spanRow) span(traceID string, c *conventions) model.Span {
	span := model.Span{
		Timestamp:     model.NewTime(time.Unix(0, r.start)),
		TraceID:       traceID,
		SpanID:        r.id,
		ParentSpanID:  r.parent,
		SpanName:      r.name,
		SpanKind:      spanKind(r.kind),
		ServiceName:   r.service,
		Duration:      r.duration,
		DurationMs:    milliseconds(time.Duration(r.duration)),
		StatusCode:    statusCode(r.statusCode),
		StatusMessage: r.statusMessage,
		DB:            r.db(c),
		Resource:      r.where(c),
		Events:        r.events(),
	}
	span.HTTP = r.http(c, span.SpanKind == spanKindPrefix+"SERVER")
	span.Error = r.failure(c, span.StatusCode == statusCodePrefix+"ERROR")
	return span
}

// http is the span's HTTP call, nil when it says of none: gRPC is HTTP too, but
// its spans say nothing of the HTTP below.
func (r *spanRow) http(c *conventions, serving bool) *model.SpanHTTP {
	h := model.SpanHTTP{
		Method:     c.HTTPMethod.of(r.attributes),
		Route:      c.HTTPRoute.of(r.attributes),
		URL:        c.HTTPURL.of(r.attributes),
		StatusCode: attributeInt(c.HTTPStatus.of(r.attributes)),
	}
	if h.Method == "" && h.URL == "" && h.StatusCode == 0 {
		return nil
	}
	if h.URL == "" {
		h.URL = c.HTTPPath.of(r.attributes)
		if query := c.HTTPQuery.of(r.attributes); query != "" {
			h.URL += "?" + strings.TrimPrefix(query, "?")
		}
	}
	if serving {
		h.Server = c.ServingAddress.of(r.attributes)
		h.ServerPort = attributeInt(c.ServingPort.of(r.attributes))
	} else {
		h.Server = cmp.Or(c.ServerAddress.of(r.attributes), c.PeerAddress.of(r.attributes))
		h.ServerPort = attributeInt(c.ServerPort.of(r.attributes))
	}
	return &h
}

// attributeInt reads a number that an attribute holds as text; 0 when it is none.
func attributeInt(text string) int64 {
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return 0
	}
	return int64(n) //nolint:gosec // 31 bits
}

// db is the span's database call, nil when it is none.
func (r *spanRow) db(c *conventions) *model.SpanDB {
	d := model.SpanDB{
		System:    c.DBSystem.of(r.attributes),
		Name:      c.DBName.of(r.attributes),
		Operation: c.DBOperation.of(r.attributes),
		Table:     c.DBTable.of(r.attributes),
		Statement: c.DBStatement.of(r.attributes),
	}
	if d.System == "" && d.Statement == "" {
		return nil
	}
	return &d
}

// where is the process that the span comes from.
func (r *spanRow) where(c *conventions) model.SpanResource {
	return model.SpanResource{
		ServiceVersion: c.ServiceVersion.of(r.resource),
		InstanceID:     c.InstanceID.of(r.resource),
		PodName:        c.PodName.of(r.resource),
		NodeName:       c.NodeName.of(r.resource),
		DeploymentName: c.DeploymentName.of(r.resource),
		NamespaceName:  c.NamespaceName.of(r.resource),
		ClusterName:    c.ClusterName.of(r.resource),
	}
}

func (r *spanRow) events() []model.SpanEvent {
	events := make([]model.SpanEvent, 0, len(r.eventNames))
	for i, name := range r.eventNames {
		event := model.SpanEvent{Name: name}
		// Parallel arrays of one Nested column: equally long in ClickHouse's own
		// tables, not surely in a view that stands in for one.
		if i < len(r.eventTimes) {
			event.Timestamp = model.NewTime(time.Unix(0, r.eventTimes[i]))
		}
		if i < len(r.eventAttributes) {
			event.Attributes = r.eventAttributes[i]
		}
		events = append(events, event)
	}
	return events
}

// failure is the span's first exception event, or what the status and
// error.type of a failed span say; nil for a span with neither.
func (r *spanRow) failure(c *conventions, failed bool) *model.SpanError {
	e := model.SpanError{Type: c.ErrorType.of(r.attributes), Message: r.statusMessage}
	for i, name := range r.eventNames {
		if name != exceptionEvent || i >= len(r.eventAttributes) {
			continue
		}
		thrown := r.eventAttributes[i]
		e.Type = cmp.Or(thrown["exception.type"], e.Type)
		e.Message = cmp.Or(thrown["exception.message"], e.Message)
		e.Stacktrace = thrown["exception.stacktrace"]
		return &e
	}
	if !failed {
		return nil
	}
	return &e
}

// exceptionEvent is the name of the event that carries an exception.
const exceptionEvent = "exception"
