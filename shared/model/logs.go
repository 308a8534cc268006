package model

// LogPage is the answer of a log query, newest first.
type LogPage struct {
	Logs   []LogRecord `json:"logs"`
	Total  int64       `json:"total"` // of all pages
	Facets LogFacets   `json:"facets"`
}

// LogRecord is one log line. Severity is the name of the number's range
// (TRACE, DEBUG, INFO, WARN, ERROR, FATAL), or the source's own word where it
// sent no number.
type LogRecord struct {
	Timestamp   Time              `json:"timestamp"`
	TraceID     string            `json:"traceId"`
	SpanID      string            `json:"spanId"`
	Severity    string            `json:"severity"`
	SeverityNum int64             `json:"severityNum"`
	ServiceName string            `json:"serviceName"`
	Body        string            `json:"body"`
	ScopeName   string            `json:"scopeName"`
	Attributes  map[string]string `json:"attributes"`
	Resource    map[string]string `json:"resource"`
}

// LogFacets counts values under all the filters but the facet's own.
type LogFacets struct {
	Services   []FacetValue `json:"services"`
	Severities []FacetValue `json:"severities"`
	Scopes     []FacetValue `json:"scopes"`
}

// FacetValue is one value and its count, highest count first.
type FacetValue struct {
	Value string `json:"value"`
	Count int64  `json:"count"`
}
