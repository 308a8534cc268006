package reference

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/atlhyper/observe/loadtest/telemetry"
	"github.com/atlhyper/observe/shared/model"
)

// LogQuery is what a log query asks for; see detail.Logs. Empty fields ask for
// nothing.
type LogQuery struct {
	Start, End             time.Time
	Query, Service, Scope  string
	Level, TraceID, SpanID string
}

// matches leaves one filter out for the facet of that name.
func (q LogQuery) matches(l *telemetry.LogRecord, without string) bool {
	return !l.Timestamp.Before(q.Start) && l.Timestamp.Before(q.End) &&
		strings.Contains(strings.ToLower(l.Body), strings.ToLower(q.Query)) &&
		(without == "service" || q.Service == "" || q.Service == l.ServiceName) &&
		(without == "level" || q.Level == "" || strings.EqualFold(q.Level, level(l))) &&
		(without == "scope" || q.Scope == "" || q.Scope == l.ScopeName) &&
		(q.TraceID == "" || q.TraceID == l.TraceID) &&
		(q.SpanID == "" || q.SpanID == l.SpanID)
}

// Logs is the whole answer, newest first, as if one page held it.
func (d *Data) Logs(q LogQuery) model.LogPage {
	page := model.LogPage{Logs: []model.LogRecord{}}
	services, severities, scopes := map[string]int64{}, map[string]int64{}, map[string]int64{}
	for i := range d.logs {
		l := &d.logs[i]
		if q.matches(l, "") {
			page.Logs = append(page.Logs, logOf(l))
		}
		if q.matches(l, "scope") && l.ScopeName != "" {
			scopes[l.ScopeName]++
		}
		if q.matches(l, "service") {
			services[l.ServiceName]++
		}
		if q.matches(l, "level") {
			severities[level(l)]++
		}
	}
	slices.Reverse(page.Logs)
	page.Total = int64(len(page.Logs))
	page.Facets = model.LogFacets{Services: facet(services), Severities: facet(severities), Scopes: facet(scopes)}
	return page
}

func facet(counts map[string]int64) []model.FacetValue {
	out := []model.FacetValue{}
	for value, count := range counts {
		out = append(out, model.FacetValue{Value: value, Count: count})
	}
	slices.SortFunc(out, func(a, b model.FacetValue) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Value, b.Value))
	})
	return out
}

func logOf(l *telemetry.LogRecord) model.LogRecord {
	attributes, resource := map[string]string{}, map[string]string{}
	maps.Copy(attributes, l.Attributes)
	maps.Copy(resource, l.Resource)
	return model.LogRecord{
		Timestamp: model.NewTime(l.Timestamp), TraceID: l.TraceID, SpanID: l.SpanID,
		Severity: severity(l), SeverityNum: int64(l.SeverityNumber), ServiceName: l.ServiceName,
		Body: l.Body, ScopeName: l.ScopeName, Attributes: attributes, Resource: resource,
	}
}

// levels are the names of the ranges of severity numbers, four numbers each.
func levels() []string { return []string{"TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"} }

// severity is the name of the number's range, or the source's word without one.
func severity(l *telemetry.LogRecord) string {
	if l.SeverityNumber == 0 {
		return l.SeverityText
	}
	return levels()[(l.SeverityNumber-1)/4]
}

// level is what a record counts as in a filter: words are many, levels are six.
func level(l *telemetry.LogRecord) string {
	if s := strings.ToUpper(severity(l)); s != "WARNING" {
		return s
	}
	return "WARN"
}
